/** Who is furthest behind is known at every peer of a large fleet (SPEC O25). */
import assert from 'node:assert/strict'
import { hash53, World } from '../../../sim/authority.ts'
import { Laggards } from '../../../src/overlay/laggards.ts'
import { type PeerRecord, signedRecord } from '../../../src/overlay/record.ts'
import { View } from '../../../src/overlay/view.ts'
import { Generator } from '../../../src/prng.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'

const OBJECT = 'Av1'

function fleet(versions: number) {
  const world = new World(1, true)
  const log = new UpgradeLog(world.fleet)
  const schedule = { when: { kind: 'immediately' as const }, constraints: [] }
  const release = () => log.add(world.makeEntry({ lineages: ['A'], schedule, pieces: 1, future: true, past: true }))
  for (let version = 1; version <= versions; version++) release()
  return { world, log, release }
}

function member({ log }: { log: UpgradeLog }, self: string, size = 24) {
  const laggards = new Laggards({
    ...{ log, hash53, limits: { view: 64 } },
    get view() {
      return view
    }
  })
  const limits = { view: size, strangers: size }
  const view: View = new View({
    group: null,
    self,
    limits,
    hash53,
    isKept: () => false,
    pins: [laggards],
    lost: () => undefined
  })
  return { view, laggards }
}

const recordOf = (peer: string, version: number, counter = 1): PeerRecord => ({
  format: 1,
  peer,
  incarnation: 1,
  counter,
  head: { version: 1, hash: '0'.repeat(64) },
  group: null,
  labels: {},
  addresses: [],
  objects: {
    [OBJECT]: {
      version,
      entry: '',
      lowest: version,
      highest: version,
      phase: 'idle',
      target: 0,
      serving: true,
      reason: '',
      failed: []
    }
  },
  permit: null
})

const signed = (record: PeerRecord) => signedRecord(record, new Uint8Array(8), hash53)

describe('overlay/laggards (SPEC O25)', () => {
  it('the eight furthest behind of 200 come to every small view, whoever knew them first', () => {
    const all = fleet(3)
    const members = Array.from({ length: 200 }, (_, at) => member(all, `peer-${at}`))
    const versionOf = (at: number) => (at % 40 === 7 ? 1 : at % 3 === 0 ? 2 : 3)
    for (const [at, { view }] of members.entries()) view.put(signed(recordOf(`peer-${at}`, versionOf(at))), 1)
    const generator = new Generator(3)
    for (let round = 0; round < 14; round++)
      for (const { view } of members) {
        const other = generator.pick(members).view
        for (const one of other.newerThan(view.vector(), view.room, generator)) view.put(one, 1)
      }
    const furthest = [7, 47, 87, 127, 167].map((at) => `peer-${at}`)
    for (const { laggards, view } of members) {
      assert.deepEqual(new Set(laggards.peers().slice(0, 5)), new Set(furthest))
      assert.equal(laggards.peers().length, 8)
      assert.ok(view.size <= 24)
    }
    assert.equal(new Set(members.map(({ laggards }) => laggards.peers().join())).size, 1, 'all name the same')
  })

  it('one that comes nearer gives its place to whoever is further behind; none is left where all are through', () => {
    const all = fleet(2)
    const { view, laggards } = member(all, 'peer-0')
    for (let at = 0; at < 12; at++) view.put(signed(recordOf(`peer-${at}`, 1)), 1)
    const [first] = laggards.peers()
    view.put(signed(recordOf(first!, 2, 2)), 1)
    assert.equal(laggards.peers().length, 8)
    assert.ok(!laggards.peers().includes(first!))
    for (let at = 0; at < 12; at++) view.put(signed(recordOf(`peer-${at}`, 2, 3)), 1)
    assert.deepEqual(laggards.peers(), [])
    all.release()
    assert.equal(laggards.peers().length, 8, 'a new version makes all of them be behind')
    view.put(signed({ ...recordOf(laggards.peers()[0]!, 2, 4), left: true }), 1)
    assert.equal(laggards.peers().length, 8)
    view.put(signed(recordOf('peer-empty', 0)), 1)
    assert.ok(!laggards.has('peer-empty'), 'an object without state is behind nothing')
  })
})
