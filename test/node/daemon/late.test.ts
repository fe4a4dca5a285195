import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Client, RunningPeer } from '../../../node/index.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

const OBJECT = 'IntSet'
const at = (peer: RunningPeer) => peer.status().objects[OBJECT]!
/** One observer of each version, with what it must answer of a set of 1, 2 and 3. */
const OBSERVERS = [
  { class: 'IntSet', version: 1, method: 'contains', args: [2], answer: true },
  { class: 'ColorSet', version: 2, method: 'getColor', args: [3], answer: 'red' },
  { class: 'ColorSet', version: 3, method: 'count', args: [], answer: 3 },
  { class: 'ColorSet', version: 4, method: 'sum', args: [], answer: 6 }
]

describe('late and returning peers (SPEC L1, L8, R6; real peers)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  let client: Client
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  async function inject(...fixtures: string[]): Promise<void> {
    for (const fixture of fixtures) await client.injectUpgrade(await fleet.pack('', join(FIXTURES, fixture)))
  }
  const settled = (peer: RunningPeer, version: number) => () =>
    at(peer)?.version === version && at(peer).phase === 'idle' && at(peer).serving
  async function fill(peer: RunningPeer): Promise<void> {
    const to = { peer: peer.id }
    for (const x of [1, 2]) await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [x], to })
  }

  it('one three versions behind goes v1 → v4, one TF each, and answers calls at 1 to 4 all the while', async () => {
    const stays = await fleet.embed('stays', null)
    let late = await fleet.embed('late', null)
    client = await fleet.client()
    await inject('v1')
    for (const peer of [stays, late]) await until('version 1 serves', settled(peer, 1))
    await fill(late)
    const addresses = stays.addresses()
    await late.close()
    await inject('v2', 'v3', 'v4')
    await until('the other one is at version 4', settled(stays, 4))

    late = await fleet.embed('late', null, { bootstrap: addresses })
    const to = { peer: late.id }
    await client.call({ class: 'ColorSet', version: 2, method: 'insertColor', args: [3, 'red'], to, timeoutMs: 20_000 })
    const seen = new Set<number>()
    let answered = 0
    const calling = Promise.all(
      OBSERVERS.map(async ({ answer, ...call }) => {
        while (!settled(late, 4)()) {
          assert.equal(await client.call({ ...call, to, timeoutMs: 20_000 }), answer)
          seen.add(at(late).version)
          answered += 1
        }
        assert.equal(await client.call({ ...call, to }), answer)
      })
    )
    await until('it is at version 4', settled(late, 4), 60_000, () => at(late))
    await calling
    assert.ok(answered >= OBSERVERS.length, `${answered} calls were answered on the way`)
    assert.equal(at(late).unavailableMs.length, 3, 'one TF for each version')
    assert.deepEqual([at(late).lowest, at(late).highest], [1, 4])
  })

  it('one that joins empty installs the newest version; its past SOs begin with initial', async () => {
    const first = await fleet.embed('first', null)
    client = await fleet.client()
    await inject('v1', 'trivial', 'v3')
    await until('the first is at version 3', settled(first, 3))
    const joins = await fleet.embed('joins', null)
    await until('it is at version 3', settled(joins, 3))
    assert.equal(at(joins).unavailableMs.length, 0, 'without any TF')
    const to = { peer: joins.id }
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [5], to })
    // Its past SO of version 2 throws unless somebody made its state.
    assert.equal(await client.call({ class: 'ColorSet', version: 2, method: 'getColor', args: [5], to }), 'blue')
  })

  it('R6: one that returns after its next version was retired upgrades all the same; retired calls say so', async () => {
    const stays = await fleet.embed('stays', null)
    let late = await fleet.embed('late', null)
    client = await fleet.client()
    await inject('v1')
    for (const peer of [stays, late]) await until('version 1 serves', settled(peer, 1))
    await fill(late)
    const addresses = stays.addresses()
    await late.close()
    await inject('trivial', 'v3')
    await until('the other one is at version 3', settled(stays, 3))
    assert.equal(await client.call({ class: 'IntSet', version: 1, method: 'contains', args: [2] }), false)
    await client.injectStatement(fleet.statement({ what: 'retire', target: fleet.entries[1]!.hash, callers: false }))
    await until('its past SOs are gone', () => at(stays).lowest === 3)
    const retired = { class: 'IntSet', version: 1, method: 'contains', args: [2], to: { peer: stays.id } }
    await assert.rejects(client.call(retired), { name: 'Retired', message: /oldest version served is ColorSet@3/ })

    late = await fleet.embed('late', null, { bootstrap: addresses })
    await until('it is at version 3', settled(late, 3), 30_000, () => at(late))
    assert.equal(at(late).unavailableMs.length, 2)
    assert.equal(at(late).lowest, 3)
    const count = { class: 'ColorSet', version: 3, method: 'count', args: [], to: { peer: late.id } }
    assert.equal(await client.call(count), 2)
    await assert.rejects(client.call({ ...retired, to: { peer: late.id } }), { name: 'Retired' })
    await until('the other one knows', () => allAt(stays.status(), OBJECT, 3, 2))
  })
})
