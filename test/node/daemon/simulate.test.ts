import assert from 'node:assert/strict'
import { LiveFleet, until } from './live-fleet.ts'

describe('a future SO that its upgrade wants started (SPEC L21; real peers)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('is started by itself when the condition says so, and serves beside the object, which waits on', async () => {
    const peer = await fleet.embed('one', null)
    const client = await fleet.client()
    const call = (version: number, method: string, ...args: (number | string)[]) =>
      client.call({ class: version === 1 ? 'IntSet' : 'ColorSet', version, method, args, to: { peer: peer.id } })
    const object = () => peer.status().objects['IntSet']!
    await client.injectUpgrade(await fleet.pack('', await fleet.variant('v1', 'v1', [])))
    await until('version 1 serves', () => object()?.serving === true)
    const changes: [string, string][] = [
      ['immediately }', 'manual, never }'],
      ['schedule: { when: immediately()', 'simulate: manual(), schedule: { when: never()']
    ]
    await client.injectUpgrade(await fleet.pack('', await fleet.variant('v2', 'v2', changes)))
    const waits = 'the future SO of version 2: waits for an approval'
    await until('it waits for its condition', () => object().futureReason === waits, 30_000, object)
    assert.deepEqual([object().highest, object().futures], [1, []])

    const { hash } = peer.status().log[1]!
    await client.injectStatement(fleet.statement({ what: 'approve', target: hash }))
    await until('nobody called, and it serves', () => object().highest === 2, 30_000, object)
    assert.deepEqual([object().version, object().futures, object().futureReason], [1, [2], ''])
    await call(1, 'insert', 1)
    assert.equal(await call(2, 'getColor', 1), 'blue')
  })
})
