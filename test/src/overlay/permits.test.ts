import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { explore, walk } from '../../../sim/permits/explore.ts'
import { memberName, type Protocol } from '../../../sim/permits/model.ts'
import { SETTINGS, WALKS } from '../../../sim/permits/settings.ts'
import * as permits from '../../../src/overlay/permits.ts'
import {
  decidePermits,
  endAttempt,
  noPermits,
  type PermitSight,
  type PermitState,
  permitRecord,
  quorum,
  sayPermit
} from '../../../src/overlay/permits.ts'
import type { PermitRecord } from '../../../src/overlay/record.ts'

const SOURCE = readFileSync(new URL('../../../src/overlay/permits.ts', import.meta.url), 'utf8')

/** The protocol with a defect: one text of its source replaced by another. */
async function defective(text: string, by: string): Promise<Protocol> {
  assert.equal(SOURCE.split(text).length, 2, `the source has "${text}" not once`)
  const source = stripTypeScriptTypes(SOURCE.replace(text, by))
  return (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as Protocol
}

/** What is wrong, the text of the source, and what stands there instead. */
const DEFECTS: [what: string, text: string, by: string][] = [
  ['P1: a quorum is one grant short', '/ (unavailable + 1)) + 1', '/ (unavailable + 1))'],
  ['P1: grants of other attempts count', 'one.attempt === state.asking &&', ''],
  ['P2: a member gives one grant too many', 'grants.length >= unavailable ||', 'grants.length > unavailable ||'],
  ['P2: grants with another k do not hinder', '|| !sameK', ''],
  [
    'P3: a grant ends when nothing is heard of the holder',
    'sight.record(holder)?.released ?? 0',
    'sight.record(holder)?.released ?? 99'
  ],
  [
    'P9: who has begun gives back',
    'if (state.asking === 0 || wish.begun) return state',
    'if (state.asking === 0) return state'
  ],
  ['P4: a release is of the attempt asked for', 'state.asking - 1 : state.attempt', 'state.asking : state.attempt'],
  ['P5: grants go on under the old roster', 'state.active !== state.adopted || ', ''],
  [
    'P6: a new roster is active at once',
    'if (adopters.length < quorum(before.members.length, 1)) return undefined',
    ''
  ],
  ['P6: nothing is taken over', 'if (known || grant.roster >= number) continue', 'continue'],
  ['P6: what is taken over counts for holders', 'one.own && one.holder === sight.self', 'one.holder === sight.self']
]

const SEEDS = Array.from({ length: 100 }, (_, index) => index + 1)

/** Members that hear each other's newest records, in turn, until nothing changes any more. */
class Group {
  readonly states: PermitState[]
  readonly dead = new Set<number>()
  readonly excluded = new Set<number>()
  readonly done = new Set<number>()
  /** Members that stop in the middle of their upgrade, for good. */
  readonly doomed = new Set<number>()
  readonly #unavailable: number

  constructor(size: number, unavailable: number) {
    this.states = Array.from({ length: size }, () => noPermits)
    this.#unavailable = unavailable
  }

  sight(self: number): PermitSight {
    const index = (peer: string) => Number(peer.slice(4))
    const members = this.states.map((_, i) => memberName(i))
    return {
      self: memberName(self),
      group: 'g',
      newestRoster: () => 1,
      roster: (number) => (number === 1 ? { group: 'g', number, members, disputed: false } : undefined),
      record: (peer) => permitRecord(this.states[index(peer)]!, 'g'),
      excluded: (peer) => this.excluded.has(index(peer)),
      down: (peer) => (this.dead.has(index(peer)) ? 'cannot be reached' : undefined),
      hash53: (text) => (Number(text.slice(-4)) * 7) % 5
    }
  }

  /** Everybody alive wants a permit, uses it, and gives it back. */
  settle(): void {
    for (let round = 0; round < 100; round++) {
      const before = [...this.states]
      for (let i = 0; i < this.states.length; i++) {
        if (this.dead.has(i)) continue
        const wish = { unavailable: this.done.has(i) ? null : this.#unavailable, begun: false }
        this.states[i] = decidePermits(this.states[i]!, this.sight(i), wish)
        if (!this.states[i]!.holding) continue
        if (this.doomed.has(i)) {
          this.dead.add(i)
          continue
        }
        this.states[i] = endAttempt(this.states[i]!, memberName(i))
        this.done.add(i)
      }
      if (this.states.every((state, i) => state === before[i])) return
    }
    assert.fail('it does not settle')
  }

  says(i: number): string {
    return sayPermit(this.states[i]!, this.sight(i), this.#unavailable)
  }
}

describe('permits (SPEC P)', () => {
  it('P1: k + 1 quorums need more grants than n members may give', () => {
    for (let n = 1; n <= 64; n++) for (let k = 1; k <= n; k++) assert.ok((k + 1) * quorum(n, k) > n * k)
  })

  for (const { states, ...setting } of SETTINGS) {
    it(`P1 to P6, P10: never more than k hold, in every state within the bound: ${setting.title}`, () => {
      const found = explore(setting, permits, Number(process.env['PERMIT_STATES'] ?? states))
      assert.deepEqual(found.violation, undefined)
      assert.ok(found.complete || found.states >= states)
      assert.ok(found.holders > 0, 'nobody ever held a permit')
    }).timeout(600_000)
  }

  for (const setting of WALKS) {
    it(`P1 to P6, P10: nor in 300 long random histories, in which permits are held: ${setting.title}`, () => {
      let held = 0
      for (let seed = 1; seed <= 300; seed++) {
        const one = walk(setting, permits, seed, 200)
        assert.deepEqual(one.violation, undefined, `seed ${seed}`)
        held += one.held
      }
      assert.ok(held > 300, `only ${held} permits were held in 300 histories`)
    })
  }

  for (const [what, text, by] of DEFECTS) {
    it(`the search finds a planted defect: ${what}`, async () => {
      const protocol = await defective(text, by)
      const met = WALKS.some((setting) =>
        SEEDS.some((seed) => walk(setting, protocol, seed, 200).violation !== undefined)
      )
      assert.ok(met || SETTINGS.some((setting) => explore(setting, protocol, 4000).violation !== undefined))
    })
  }

  it('P8: who may not begin gives back what it asked for or holds; who has begun keeps it', () => {
    let down = ''
    const excluded = ''
    const sight: PermitSight = {
      self: memberName(0),
      group: 'g',
      newestRoster: () => 1,
      roster: (number) =>
        number === 1 ? { group: 'g', number, members: [0, 1, 2].map(memberName), disputed: false } : undefined,
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
    down = memberName(2)
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
      self: memberName(0),
      group: 'g',
      newestRoster: () => 1,
      roster: (number) =>
        number === 1 ? { group: 'g', number, members: [0, 1, 2].map(memberName), disputed: false } : undefined,
      record: (peer) => (peer === memberName(1) ? asks(3) : undefined),
      excluded: (peer, roster) => peer === excluded && roster === 1,
      down: (peer) => (peer === memberName(1) ? 'cannot be reached' : undefined),
      hash53: (text) => Number(text.slice(-4))
    }
    const nothing = { unavailable: null, begun: false }
    const wish = { unavailable: 1, begun: false }
    const granted = decidePermits(noPermits, sight, nothing)
    assert.deepEqual(
      granted.grants.map((one) => one.holder),
      [memberName(1)]
    )
    assert.equal(decidePermits(granted, sight, wish).asking, 0, 'the dead member is waited for')
    excluded = memberName(1)
    const freed = decidePermits(granted, sight, wish)
    assert.deepEqual(
      freed.grants.map((one) => one.holder),
      [memberName(0)]
    )
    assert.equal(freed.asking, 1)
    excluded = memberName(0)
    assert.equal(decidePermits(noPermits, sight, wish).asking, 0, 'an excluded member asks')
  })

  it('T9: under a disputed roster, and under those after it, nobody grants, and the mend is another group', () => {
    const members = [0, 1, 2].map(memberName)
    const of = (newest: number): PermitSight => ({
      self: memberName(0),
      group: 'g',
      newestRoster: () => newest,
      roster: (number) => ({ group: 'g', number, members, disputed: number === 1 }),
      record: () => ({ ...permitRecord(noPermits, 'g'), adopted: newest, active: 1 }),
      excluded: () => false,
      down: () => undefined,
      hash53: (text) => Number(text.slice(-4))
    })
    const wish = { unavailable: 1, begun: false }
    for (const newest of [1, 2]) {
      const state = decidePermits(decidePermits(noPermits, of(newest), wish), of(newest), wish)
      assert.deepEqual(state.grants, [])
      assert.match(
        sayPermit(state, of(newest), 1),
        /^roster 1 of group g is disputed: .* start its members under another --group/
      )
    }
  })

  for (const [size, unavailable] of [
    [3, 1],
    [5, 1],
    [5, 2]
  ] as const) {
    it(`P7: of ${size} that ask at once, k ${unavailable}, all get their turn`, () => {
      const group = new Group(size, unavailable)
      group.settle()
      assert.equal(group.done.size, size)
    })

    it(`P8, P10: of ${size}, k ${unavailable}, as many as k die while they hold: the others wait, say for whom, and go on once it is excluded`, () => {
      const group = new Group(size, unavailable)
      for (let i = 0; i < unavailable; i++) group.doomed.add(i)
      group.settle()
      assert.equal(group.dead.size, unavailable)
      const before = group.done.size
      assert.ok(before < size - unavailable)
      for (let i = 0; i < size; i++) {
        if (group.dead.has(i) || group.done.has(i)) continue
        for (const dead of group.dead)
          assert.match(group.says(i), new RegExp(`…${memberName(dead).slice(-6)} cannot be reached`))
      }
      for (const dead of group.dead) group.excluded.add(dead)
      group.settle()
      if (size - unavailable >= quorum(size, unavailable)) return assert.equal(group.done.size, size - unavailable)
      // Who is left cannot give as many grants as a permit of this roster needs.
      for (let i = 0; i < size; i++)
        if (!group.dead.has(i) && !group.done.has(i)) assert.match(group.says(i), /sign roster 2 without/)
    })
  }
})
