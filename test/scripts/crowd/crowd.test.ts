import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Crowd, partsOf } from '../../../scripts/crowd/crowd.ts'
import type { Look } from '../../../scripts/crowd/worker.ts'
import { LiveFleet, until } from '../../node/daemon/live-fleet.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))

describe('scripts/crowd: many real peers on one host', () => {
  it('counts parts and one-sided pairs', () => {
    const look = (peer: string, ...neighbours: string[]): Look => {
      return { peer, neighbours, addresses: [], head: 0, serving: 0, reason: '', known: 0, sent: {} }
    }
    const pairs = [look('a', 'b'), look('b', 'a'), look('c', 'd'), look('d', 'c')]
    assert.deepEqual(partsOf(pairs), { parts: 2, oneSided: 0 })
    assert.deepEqual(partsOf([...pairs, look('e', 'd', 'a')]), { parts: 1, oneSided: 2 })
    assert.deepEqual(partsOf([look('a'), look('b')]), { parts: 2, oneSided: 0 })
  })

  it('M21: those that knew only one another peer are one overlay, and all install what one was given', async () => {
    const peers = 10
    const fleet = await LiveFleet.create()
    const crowd = new Crowd(2, fleet.directory, fleet.keys.rootBytes)
    try {
      const addresses = await crowd.start(peers)
      const client = await fleet.client(addresses)
      await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
      await until(
        'one overlay that serves version 1',
        async () => {
          const { looks } = await crowd.look()
          const { parts, oneSided } = partsOf(looks)
          return looks.every(({ serving, known }) => serving === 1 && known === peers) && parts === 1 && oneSided === 0
        },
        60_000
      )
    } finally {
      await crowd.end()
      await fleet.close()
    }
  }).timeout(120_000)
})
