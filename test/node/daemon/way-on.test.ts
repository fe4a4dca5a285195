import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Client, RunningPeer } from '../../../node/index.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

const at = (peer: RunningPeer) => peer.status().objects['IntSet']!
const class2 = (version: number) => (version === 1 ? 'IntSet' : 'ColorSet')
const callOf =
  (client: Client, peer: RunningPeer) =>
  (version: number, method: string, ...args: (number | string)[]) =>
    client.call({ class: class2(version), version, method, args, to: { peer: peer.id }, timeoutMs: 20_000 })

describe('the way on: an aborted upgrade, and one that replaces it (SPEC R; real peers)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('R: a fleet left half way ends whole on the replacing version, with what was written on both sides', async () => {
    const peers: RunningPeer[] = []
    for (const name of ['a', 'b', 'c']) peers.push(await fleet.embed(name))
    const client = await fleet.client()
    await fleet.rosters(client, 3)
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('version 1 serves', () => allAt(peers[0]!.status(), 'IntSet', 1, 3))
    const calls = peers.map((peer) => callOf(client, peer))
    for (const [index, call] of calls.entries()) await call(1, 'insert', 10 + index)

    const rolling = "when: immediately(), constraints: [{ kind: 'rolling', by: 'group', unavailable: 1 }]"
    const second = await fleet.variant('second', 'v2', [['when: immediately(), constraints: []', rolling]])
    await client.injectUpgrade(await fleet.pack('', second))
    const target = fleet.entries[1]!.hash
    // Callers of version 2 write at every node, whatever it runs by now: through future SOs where it is version 1.
    for (const [index, call] of calls.entries()) await call(2, 'insertColor', 20 + index, 'red')
    await until('somebody is at version 2', () => peers.some((peer) => at(peer).version === 2))
    await client.injectStatement(fleet.statement({ what: 'abort', target }))
    await until('the others have given it up', () =>
      peers.every((peer) => at(peer).phase === 'idle' && (at(peer).version === 2 || /aborted/.test(at(peer).reason)))
    )
    const left = peers.map((peer) => at(peer).version)
    assert.ok(left.includes(1) && left.includes(2), `half way: ${left}`)
    for (const call of calls) assert.equal(await call(2, 'getColor', 99), null)
    for (const [index, call] of calls.entries()) await call(2, 'insertColor', 30 + index, 'green')

    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'replacing')))
    await until(
      'all are at version 3',
      () => allAt(peers[0]!.status(), 'IntSet', 3, 3),
      40_000,
      () => peers.map(at)
    )
    for (const [index, call] of calls.entries()) {
      assert.equal(await call(2, 'getColor', 10 + index), 'blue')
      assert.equal(await call(2, 'getColor', 20 + index), 'red', `node ${index}, that was left at ${left[index]}`)
      assert.equal(await call(3, 'getColor', 30 + index), 'green')
      assert.equal(await call(1, 'contains', 30 + index), true)
      assert.equal(await call(3, 'count'), 3)
    }
    for (const peer of peers) assert.deepEqual(at(peer).failed, [])
  })

  it('R3: an entry that replaces both branches ends a fork; both ends go on, from whatever they ran', async () => {
    const left = await fleet.embed('left', null)
    const atLeft = await fleet.client(left.addresses())
    const first = await fleet.pack('', join(FIXTURES, 'v1'))
    await atLeft.injectUpgrade(first)
    const right = await fleet.embed('right', null, { bootstrap: [] })
    const atRight = await fleet.client(right.addresses())
    await atRight.injectUpgrade(first)
    for (const peer of [left, right]) await until('version 1 serves', () => allAt(peer.status(), 'IntSet', 1, 1))
    // The left end runs its branch when the other one is heard of; the right end waits for an approval of its own.
    const one = await fleet.packBeside(join(FIXTURES, 'trivial'), fleet.entries)
    const changes: [string, string][] = [['immediately()', "{ kind: 'manual' }"]]
    const another = await fleet.packBeside(await fleet.variant('another', 'trivial', changes), fleet.entries)
    await atLeft.injectUpgrade(one)
    await until('the left end runs its branch', () => at(left).version === 2 && at(left).phase === 'idle')
    await atRight.injectUpgrade(another)
    await atLeft.call({ class: 'ColorSet', version: 2, method: 'insertColor', args: [1, 'red'] })
    await atRight.call({ class: 'IntSet', version: 1, method: 'insert', args: [2] })
    const middle = await fleet.embed('middle', null, { bootstrap: [...left.addresses(), ...right.addresses()] })
    for (const peer of [left, middle, right]) {
      await until('the fork is shown', () => peer.status().fork.length === 2)
    }
    assert.deepEqual([at(left).version, at(right).version], [2, 1])

    // It stands on the branch that the left end does not run: every way is taken by somebody.
    const both = `replaces: ['${one.envelope.hash.slice(0, 12)}', '${another.envelope.hash.slice(0, 12)}']`
    const ways = `ways: { 1: './from-int-set.ts', '${one.envelope.hash.slice(0, 16)}': './from-color-set.ts' }`
    const end = await fleet.variant('end', 'replacing', [
      ['replaces: [2]', both],
      ["ways: { 1: './from-int-set.ts' }", ways]
    ])
    const parents = [...fleet.entries, another.envelope]
    await (await fleet.client(middle.addresses())).injectUpgrade(await fleet.packBeside(end, parents, [one.envelope]))
    for (const peer of [left, middle, right]) {
      await until(
        'the fork has ended, and it runs version 3',
        () => at(peer).version === 3 && at(peer).phase === 'idle' && peer.status().fork.length === 0,
        40_000,
        () => peer.status()
      )
    }
    assert.equal(await callOf(atLeft, left)(3, 'getColor', 1), 'red')
    assert.equal(await callOf(atRight, right)(3, 'getColor', 2), 'blue')
    assert.equal(await callOf(atLeft, left)(1, 'contains', 1), true)
  })
})
