import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { StreamCloseEvent } from '@libp2p/interface'
import { outliveStreams } from '../../../node/daemon/strays.ts'

describe('daemon: strays', () => {
  it('N6 the end of a stream that nobody waits for is told, any other rejection ends the process', () => {
    const rejections = new EventEmitter()
    const told: string[] = []
    outliveStreams(rejections, (event) => told.push(event))
    rejections.emit('unhandledRejection', new StreamCloseEvent())
    assert.deepEqual(told, ['close'])
    assert.throws(() => rejections.emit('unhandledRejection', new Error('a defect')), /a defect/)
  })
})
