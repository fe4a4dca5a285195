import assert from 'node:assert/strict'
import { LonePeer, OBJECT } from './lone-peer.ts'

const names = (peer: LonePeer) => peer.commands.map((one) => one.command)
const object = (peer: LonePeer) => peer.peer.objects.get(OBJECT)

describe('what is broadcast (SPEC O4)', () => {
  it('an entry whose parent was missed makes the peer ask whoever passed it on, once', () => {
    const peer = new LonePeer()
    peer.step({ type: 'connected', peer: 'peer-b' })
    const freely = { when: { kind: 'immediately' as const }, constraints: [] }
    const make = () => peer.world.makeEntry({ lineages: ['A'], schedule: freely, pieces: 1, future: true, past: true })
    make()
    const { bytes } = make()
    const hear = () => peer.step({ type: 'published', from: 'peer-b', topic: 'entry', bytes })
    const asks = () => hear().filter((effect) => effect.type === 'send' && effect.message.kind === 'digest').length
    assert.deepEqual([asks(), asks()], [1, 0])
  })
})

describe('one object of a peer (SPEC L)', () => {
  it('L4: an object that dies between its commit and its first call is restarted', () => {
    const peer = new LonePeer()
    peer.inject()
    peer.answerAll('warm', 'transform', 'prove')
    // The host takes the process into service and sees its end before the completion of `serve` is told.
    peer.step({ type: 'died', object: OBJECT, attempt: 1, reason: 'it was killed' })
    peer.answer('serve')
    assert.equal(peer.record?.objects[OBJECT]?.serving, false)
    peer.passes(60_000)
    peer.answerAll('start', 'clean')
    assert.equal(peer.record?.objects[OBJECT]?.serving, true)
    assert.equal(object(peer)?.state.phase.name, 'idle')
  })

  it('T6: an object on a branch that the fleet disputes serves on, and after a restart', () => {
    const peer = new LonePeer()
    peer.fork(peer.installed())
    assert.deepEqual(peer.alarms, ['Fork'])
    assert.equal(peer.peer.resolve('Av1', 1)?.entry.hash, object(peer)?.state.current?.entry)
    peer.restart()
    assert.deepEqual(names(peer), ['clean', 'start'])
    peer.answerAll('clean', 'start')
    assert.equal(peer.record?.objects[OBJECT]?.serving, true)
  })
})
