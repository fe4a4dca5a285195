import assert from 'node:assert/strict'
import { decidePermits, noPermits, type PermitSight, permitRecord, quorum } from '../../../src/overlay/permits.ts'
import type { PermitRecord } from '../../../src/overlay/record.ts'
import { Generator } from '../../../src/prng.ts'
import { actions, begin, decide, type Group, holders, name, type Setting } from './permit-model.ts'

/** Every state within a number of them, breadth first. Returns how many were seen. */
function explore(setting: Setting, most: number): number {
  let frontier: [Group, string[]][] = [[begin(setting), []]]
  const seen = new Set<string>()
  while (frontier.length > 0 && seen.size < most) {
    const next: [Group, string[]][] = []
    for (const [group, path] of frontier) {
      for (const [action, after] of actions(setting, group)) {
        const key = JSON.stringify(after)
        if (seen.has(key)) continue
        seen.add(key)
        const steps = [...path, action]
        assert.ok(holders(after) <= setting.unavailable, `${holders(after)} hold: ${steps.join('; ')}`)
        next.push([after, steps])
      }
    }
    frontier = next
  }
  return seen.size
}

/** A random walk; returns how often a permit was held. */
function walk(setting: Setting, seed: number, steps: number): number {
  const generator = new Generator(seed)
  let group = begin(setting)
  let held = 0
  const path: string[] = []
  for (let step = 0; step < steps; step++) {
    const all = [...actions(setting, group)]
    if (all.length === 0) break
    const [action, after] = generator.pick(all)
    path.push(action)
    if (holders(after) > holders(group)) held += 1
    group = after
    assert.ok(holders(group) <= setting.unavailable, `seed ${seed}: ${holders(group)} hold: ${path.join('; ')}`)
  }
  return held
}

describe('permits (SPEC P)', () => {
  it('P1: k + 1 quorums need more grants than n members may give', () => {
    for (let n = 1; n <= 64; n++) for (let k = 1; k <= n; k++) assert.ok((k + 1) * quorum(n, k) > n * k)
  })

  it('P1 to P4: never more than one of three holds, over every interleaving within 60,000 states', () => {
    assert.ok(explore({ rosters: [[0, 1, 2]], unavailable: 1 }, 60_000) >= 60_000)
  })

  it('P5, P6: nor while the roster grows from three to four, within 40,000 states', () => {
    assert.ok(
      explore(
        {
          rosters: [
            [0, 1, 2],
            [0, 1, 2, 3]
          ],
          unavailable: 1
        },
        40_000
      ) >= 40_000
    )
  })

  for (const [title, setting] of [
    ['three members, one down', { rosters: [[0, 1, 2]], unavailable: 1 }],
    ['five members, two down', { rosters: [[0, 1, 2, 3, 4]], unavailable: 2 }],
    [
      'three grow to four and five',
      {
        rosters: [
          [0, 1, 2],
          [0, 1, 2, 3],
          [0, 1, 2, 3, 4]
        ],
        unavailable: 1
      }
    ],
    [
      'three are replaced by three others in three changes',
      {
        rosters: [
          [0, 1, 2],
          [1, 2, 3],
          [2, 3, 4],
          [3, 4, 5]
        ],
        unavailable: 1
      }
    ],
    [
      'three are replaced by two others and one, at once',
      {
        rosters: [
          [0, 1, 2],
          [2, 3, 4]
        ],
        unavailable: 1
      }
    ]
  ] as [string, Setting][]) {
    it(`P1 to P6: ${title}: 300 random histories are safe, and permits are held in them`, () => {
      let held = 0
      for (let seed = 1; seed <= 300; seed++) held += walk(setting, seed, 150)
      assert.ok(held > 300, `only ${held} permits were held in 300 histories`)
    })
  }

  it('P8: who may not begin gives back what it asked for or holds; who has begun keeps it', () => {
    let down = ''
    const excluded = ''
    const sight: PermitSight = {
      self: name(0),
      group: 'g',
      newestRoster: () => 1,
      roster: (number) =>
        number === 1 ? { group: 'g', number, members: [0, 1, 2].map(name), disputed: false } : undefined,
      record: () => undefined,
      excluded: (peer, roster) => peer === excluded && roster === 1,
      down: (peer) => (peer === down ? 'does not serve (idle)' : undefined),
      hash53: (text) => Number(text.slice(-4))
    }
    const wish = { unavailable: 1, begun: false }
    const asking = decidePermits(noPermits, sight, wish)
    assert.equal(asking.asking, 1)
    const grants = { ...permitRecord(asking, 'g'), grants: asking.grants }
    const holding = decidePermits(asking, { ...sight, record: () => grants }, wish)
    assert.ok(holding.holding)
    down = name(2)
    for (const state of [asking, holding]) {
      const given = decidePermits(state, sight, wish)
      assert.deepEqual([given.asking, given.holding, given.grants], [0, false, []])
      assert.equal(decidePermits(state, sight, { unavailable: 1, begun: true }).asking, 1)
    }
  })

  it('P10: who is excluded holds nothing, gets nothing, and is not waited for', () => {
    let excluded = ''
    const asks = (attempt: number): PermitRecord => ({
      ...permitRecord(noPermits, 'g'),
      adopted: 1,
      active: 1,
      asking: attempt,
      askedUnder: 1
    })
    const sight: PermitSight = {
      self: name(0),
      group: 'g',
      newestRoster: () => 1,
      roster: (number) =>
        number === 1 ? { group: 'g', number, members: [0, 1, 2].map(name), disputed: false } : undefined,
      record: (peer) => (peer === name(1) ? asks(3) : undefined),
      excluded: (peer, roster) => peer === excluded && roster === 1,
      down: (peer) => (peer === name(1) ? 'cannot be reached' : undefined),
      hash53: (text) => Number(text.slice(-4))
    }
    const nothing = { unavailable: null, begun: false }
    const wish = { unavailable: 1, begun: false }
    const granted = decidePermits(noPermits, sight, nothing)
    assert.deepEqual(
      granted.grants.map((one) => one.holder),
      [name(1)]
    )
    assert.equal(decidePermits(granted, sight, wish).asking, 0, 'the dead member is waited for')
    excluded = name(1)
    const freed = decidePermits(granted, sight, wish)
    assert.deepEqual(
      freed.grants.map((one) => one.holder),
      [name(0)]
    )
    assert.equal(freed.asking, 1)
    excluded = name(0)
    assert.equal(decidePermits(noPermits, sight, wish).asking, 0, 'an excluded member asks')
  })

  it('liveness: three that ask at once all get their turn when records arrive', () => {
    const setting: Setting = { rosters: [[0, 1, 2]], unavailable: 1 }
    const generator = new Generator(7)
    let group = begin(setting)
    for (let i = 0; i < 3; i++)
      group = decide(setting, { members: group.members.map((one, j) => (i === j ? { ...one, wants: true } : one)) }, i)
    for (let step = 0; step < 500 && group.members.some((one) => !one.done); step++) {
      const all = [...actions(setting, group)].filter(([action]) => !action.includes('mind'))
      assert.ok(all.length > 0, `stuck after ${step} steps: ${JSON.stringify(group.members.map((one) => one.state))}`)
      group = generator.pick(all)[1]
    }
    assert.ok(group.members.every((one) => one.done))
  })
})
