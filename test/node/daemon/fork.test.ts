import assert from 'node:assert/strict'
import { join } from 'node:path'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

describe('a fork: two upgrades signed on one parent, injected at two ends (SPEC T6, L10; real peers)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  /** Version 2 that waits for an hour, so that nobody has begun when the two ends meet. */
  async function waiting(name: string) {
    const changes: [string, string][] = [
      ['immediately()', "after({ delay: '1h' })"],
      ['import { defineUpgrade, immediately }', 'import { after, defineUpgrade }'],
      ['sets whose elements have colours', name]
    ]
    return await fleet.packBeside(await fleet.variant(name, 'v2', changes), fleet.entries)
  }

  it('no peer runs either, every status shows it, service goes on, and each end refuses the other at inject', async () => {
    const left = await fleet.embed('left', null)
    const v1 = await fleet.pack('', join(FIXTURES, 'v1'))
    const atLeft = await fleet.client(left.addresses())
    await atLeft.injectUpgrade(v1)
    // The right end starts on its own, as in a partition, and learns version 1 from its own operator.
    const right = await fleet.embed('right', null, { bootstrap: [] })
    const atRight = await fleet.client(right.addresses())
    await atRight.injectUpgrade(v1)
    for (const peer of [left, right]) await until('v1 serves', () => allAt(peer.status(), 'IntSet', 1, 1))

    const [a, b] = [await waiting('one'), await waiting('another')]
    await atLeft.injectUpgrade(a)
    await atRight.injectUpgrade(b)
    await assert.rejects(atLeft.injectUpgrade(b), { name: 'StaleParent' })
    for (const peer of [left, right]) {
      await until('it waits for its version 2', () => peer.status().objects['IntSet']?.phase === 'waiting')
    }
    // Somebody who knows both ends joins: the partition heals.
    const middle = await fleet.embed('middle', null, { bootstrap: [...left.addresses(), ...right.addresses()] })
    for (const peer of [left, middle, right]) {
      await until(
        'the fork is shown',
        () => peer.status().fork.length === 2,
        30_000,
        () => peer.status()
      )
      assert.equal(peer.status().head.version, 1)
      assert.ok(peer.status().alarms.some((alarm) => alarm.name === 'Fork') || peer === middle)
    }
    for (const peer of [left, right]) {
      await until('it is on its way to neither', () => peer.status().objects['IntSet']?.phase === 'idle')
      assert.equal(peer.status().objects['IntSet']!.version, 1)
    }
    await until('the middle serves v1', () => middle.status().objects['IntSet']?.serving === true)
    assert.equal(middle.status().objects['IntSet']!.version, 1)
    await atLeft.call({ class: 'IntSet', version: 1, method: 'insert', args: [5], to: { peer: left.id } })
    const call = {
      class: 'ColorSet',
      version: 2,
      method: 'contains',
      args: [5],
      to: { peer: left.id },
      timeoutMs: 1_500
    }
    await assert.rejects(atLeft.call(call), { name: 'Unavailable' })
  })
})
