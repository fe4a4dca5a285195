/**
 * A group that decides permits, as a set of states to be explored (SPEC P): the production decision over the harshest
 * network. Whenever a member decides, it may have heard of each other member nothing, or anything that that one ever
 * said, newer or older than what it had heard before. So every delay, loss, repetition, partition and restart (which
 * forgets what was heard) is among the histories, any number of them at any time.
 *
 * States are small lists of integers: members, and sets of what each has said, are interned; what a member may decide
 * in one situation is found once. Members that never ask are interchangeable (symmetry).
 */
import {
  type decidePermits,
  type endAttempt,
  noPermits,
  type PermitSight,
  type PermitState,
  permitRecord
} from '../../src/overlay/permits.ts'
import type { PermitRecord } from '../../src/overlay/record.ts'
import type { Generator as Random } from '../../src/prng.ts'

export interface Setting {
  title: string
  /** Members by index; roster r is the entry r − 1. */
  rosters: number[][]
  /** k of the constraint that a member asks for; members that are not named never ask. */
  asks: Record<number, number>
  /** Attempts of one member, at most. */
  attempts: number
  /** Ends of upgrades of one member after which it wants no more. @default 1 */
  rounds?: number
  /** In all: holders that give back before they begin. @default 0 */
  changes?: number
  /** In all: members that die for good; an operator excludes them. @default 0 */
  deaths?: number
}

/** What a member decides by: `src/overlay/permits.ts`, or a copy of it with a defect planted. */
export interface Protocol {
  decidePermits: typeof decidePermits
  endAttempt: typeof endAttempt
}

/** What is durable of a member, what it wants, and which statements it knows. */
interface Member {
  state: PermitState
  newestRoster: number
  wants: boolean
  begun: boolean
  /** Ends of its upgrades. */
  rounds: number
  /** Bits: members whose exclusion it knows of. */
  excluded: number
}

/**
 * ⟨member, all that it has said⟩ of each, then: changes of mind left, deaths left, who is dead, who of them an operator
 * excluded (bits).
 */
export type Group = readonly number[]
const [CHANGES, DEATHS, DEAD, EXCLUDED] = [0, 1, 2, 3]

/** What a member sees in a record that says nothing to it. */
const NOTHING = JSON.stringify([[], [], 0, []])

/** What a member begins with: itself, changed, in a group that may have changed by that. */
interface Turn {
  what: string
  group: Group
  member: Member
}

/** A step: its name is made only for who asks. */
export type Step = [say: () => string, after: Group]

export const memberName = (index: number): string => `peer${String(index).padStart(4, '0')}`
const indexOf = (peer: string): number => Number(peer.slice(4))
const has = (bits: number, index: number): boolean => (bits & (1 << index)) !== 0

/** Gives equal values one number each. */
class Interned<Value> {
  readonly values: Value[] = []
  readonly #numbers = new Map<string, number>()

  number(key: string, value: () => Value): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    this.#numbers.set(key, this.values.length)
    return this.values.push(value()) - 1
  }
}

/** What a member may have heard of another when it decides: records, −1 for nothing. */
type Options = readonly number[]

export class Model {
  readonly setting: Setting
  readonly size: number
  readonly begin: Group
  readonly #protocol: Protocol
  readonly #members = new Interned<Member>()
  readonly #records = new Interned<PermitRecord>()
  /** Of each member the record that it signs. */
  readonly #said: number[] = []
  /** Sets of records, ascending. */
  readonly #sayings = new Interned<readonly number[]>()
  readonly #options = new Interned<Options>()
  readonly #optionsOf = new Map<string, number>()
  readonly #decided = new Map<string, number>()
  readonly #decisions = new Map<string, [member: number, heard: Options][]>()
  readonly #permutations: number[][]

  constructor(setting: Setting, protocol: Protocol) {
    this.setting = setting
    this.#protocol = protocol
    this.size = Math.max(...setting.rosters.flat()) + 1
    this.#permutations = permutationsOf(setting, this.size)
    const nothing = Array.from({ length: this.size }, () => -1)
    const begin: number[] = []
    for (let i = 0; i < this.size; i++) {
      const wants = i in setting.asks
      const fresh: Member = { state: noPermits, newestRoster: 1, wants, begun: false, rounds: 0, excluded: 0 }
      const first = this.#decide(this.#member(fresh), i, nothing)
      begin.push(first, this.#saying([this.#said[first]!]))
    }
    this.begin = [...begin, setting.changes ?? 0, setting.deaths ?? 0, 0, 0]
  }

  /** Who holds a permit, or is down with one. Who is excluded has been stopped. */
  holders(group: Group): number[] {
    const holders: number[] = []
    for (let i = 0; i < this.size; i++) {
      const { state, begun } = this.#at(group, i)
      if ((state.holding || begun) && !has(this.#left(group, EXCLUDED), i)) holders.push(i)
    }
    return holders
  }

  /** How many may hold at once: k of the strictest of those who do. */
  allowed(holders: readonly number[]): number {
    return Math.min(...holders.map((i) => this.setting.asks[i]!))
  }

  /** Every state that may follow; for the same state the same ones in the same order. */
  *next(group: Group): Generator<Step> {
    for (let i = 0; i < this.size; i++)
      for (const turn of this.#turns(group, i))
        for (const [id, heard] of this.#decisionsOf(turn.group, i, this.#member(turn.member)))
          if (id !== group[2 * i]) yield this.#step(turn, i, id, heard)
    yield* this.#ends(group)
  }

  /** One of them, without finding them all; undefined if what was drawn changes nothing. */
  draw(group: Group, random: Random): Step | undefined {
    const i = random.below(this.size)
    const ends = [...this.#ends(group)]
    if (ends.length > 0 && random.chance(0.01)) return random.pick(ends)
    const turns = [...this.#turns(group, i)]
    if (turns.length === 0) return undefined
    const turn = random.pick(turns)
    const from = this.#member(turn.member)
    const heard = Array.from({ length: this.size }, (_, j) => (i === j ? -1 : this.#drawSaying(group, j, random)))
    const id = this.#decide(from, i, heard)
    const isBeyond = this.#members.values[id]!.state.attempt > this.setting.attempts
    return isBeyond || id === group[2 * i] ? undefined : this.#step(turn, i, id, heard)
  }

  /** Mostly the newest, else any, or nothing. */
  #drawSaying(group: Group, j: number, random: Random): number {
    if (random.chance(0.7)) return this.#said[group[2 * j]!]!
    return random.chance(0.2) ? -1 : random.pick(this.#sayings.values[group[2 * j + 1]!]!)
  }

  // ---- what happens

  /** What a member may begin with before it decides. */
  *#turns(group: Group, i: number): Generator<Turn> {
    if (has(this.#left(group, DEAD), i)) return
    const member = this.#at(group, i)
    yield { what: 'looks around', group, member }
    yield* this.#ownTurns(group, i, member)
    yield* this.#learning(group, member)
  }

  *#ownTurns(group: Group, i: number, member: Member): Generator<Turn> {
    const { asks, rounds = 1 } = this.setting
    if (i in asks && !member.wants && member.rounds < rounds)
      yield { what: 'wants a permit again', group, member: { ...member, wants: true } }
    if (member.state.holding && !member.begun) {
      yield { what: 'begins', group, member: { ...member, begun: true } }
      if (this.#left(group, CHANGES) > 0)
        yield {
          what: 'changes its mind',
          group: this.#changed(group, CHANGES, -1),
          member: { ...member, wants: false }
        }
    }
    if (!member.begun) return
    const state = this.#protocol.endAttempt(member.state, memberName(i))
    yield { what: 'ends', group, member: { ...member, state, begun: false, wants: false, rounds: member.rounds + 1 } }
  }

  /** Statements arrive at each member on their own. */
  *#learning(group: Group, member: Member): Generator<Turn> {
    const newestRoster = member.newestRoster + 1
    if (newestRoster <= this.setting.rosters.length)
      yield { what: `hears of roster ${newestRoster}`, group, member: { ...member, newestRoster } }
    for (let j = 0; j < this.size; j++) {
      if (!has(this.#left(group, EXCLUDED), j) || has(member.excluded, j)) continue
      yield { what: `hears that ${j} is excluded`, group, member: { ...member, excluded: member.excluded | (1 << j) } }
    }
  }

  *#ends(group: Group): Generator<Step> {
    const dead = this.#left(group, DEAD)
    for (let i = 0; i < this.size; i++) {
      if (!(i in this.setting.asks)) continue
      if (!has(dead, i) && this.#left(group, DEATHS) > 0) {
        const after = this.#changed(this.#changed(group, DEATHS, -1), DEAD, 1 << i)
        yield [() => `${i} dies for good`, this.#canonical(after)]
      }
      if (has(dead, i) && !has(this.#left(group, EXCLUDED), i))
        yield [() => `an operator excludes ${i}`, this.#canonical(this.#changed(group, EXCLUDED, 1 << i))]
    }
  }

  // ---- one member's decisions

  #step({ what, group }: Turn, i: number, id: number, heard: Options): Step {
    const after = [...group]
    after[2 * i] = id
    const sayings = this.#sayings.values[after[2 * i + 1]!]!
    const said = this.#said[id]!
    if (!sayings.includes(said)) after[2 * i + 1] = this.#saying([...sayings, said])
    return [() => `${i} ${what}${this.#sayHeard(heard)}`, this.#canonical(after)]
  }

  /** All that a member may decide: ⟨what it becomes, what it had heard⟩. */
  #decisionsOf(group: Group, i: number, from: number): readonly [member: number, heard: Options][] {
    const choices: number[] = []
    for (let j = 0; j < this.size; j++) choices.push(i === j ? -1 : this.#choices(group[2 * j + 1]!, j, i, from))
    const key = `${i}/${from}/${choices.join()}`
    const known = this.#decisions.get(key)
    if (known !== undefined) return known
    const outcomes = new Map<number, Options>()
    for (const heard of combinations(choices.map((one) => (one < 0 ? [-1] : this.#options.values[one]!)))) {
      const id = this.#decide(from, i, heard)
      if (this.#members.values[id]!.state.attempt <= this.setting.attempts && !outcomes.has(id)) outcomes.set(id, heard)
    }
    const decisions = [...outcomes]
    this.#decisions.set(key, decisions)
    return decisions
  }

  /** What of another's sayings can make a difference to a member: of those that cannot be told apart, one. */
  #choices(sayings: number, j: number, self: number, member: number): number {
    const key = `${sayings}/${j}/${self}/${member}`
    const known = this.#optionsOf.get(key)
    if (known !== undefined) return known
    const apart = new Map<string, number>([[NOTHING, -1]])
    for (const one of this.#sayings.values[sayings]!) {
      const seen = this.#seen(this.#records.values[one]!, j, self, this.#members.values[member]!)
      if (!apart.has(seen)) apart.set(seen, one)
    }
    const options = [...apart.values()]
    const number = this.#options.number(options.join(), () => options)
    this.#optionsOf.set(key, number)
    return number
  }

  /** What a member looks at in a record of another; as little as nothing. */
  #seen(record: PermitRecord, j: number, self: number, { state, newestRoster }: Member): string {
    const { asking, askedUnder, unavailable, holding, released, adopted, active } = record
    const asked = asking === 0 ? [] : [asking, askedUnder, unavailable, holding]
    // What is outstanding under an older roster is taken over from whoever has adopted a newer one.
    const adopts = state.active < newestRoster && adopted > state.active ? [adopted, active] : []
    const grants = record.grants.filter((grant) => adopts.length > 0 || indexOf(grant.holder) === self)
    const heeded = state.grants.some((grant) => indexOf(grant.holder) === j) ? released : 0
    return JSON.stringify([asked, grants, heeded, adopts])
  }

  #decide(from: number, i: number, heard: Options): number {
    const key = `${i}/${from}/${heard.join()}`
    const known = this.#decided.get(key)
    if (known !== undefined) return known
    const member = this.#members.values[from]!
    const wanted = member.wants || member.begun ? (this.setting.asks[i] ?? null) : null
    const wish = { unavailable: wanted, begun: member.begun }
    const state = this.#protocol.decidePermits(member.state, this.#sight(member, i, heard), wish)
    const id = this.#member({ ...member, state })
    this.#decided.set(key, id)
    return id
  }

  #sight(member: Member, self: number, heard: Options): PermitSight {
    const { rosters } = this.setting
    return {
      self: memberName(self),
      group: 'g',
      newestRoster: () => member.newestRoster,
      roster: (number) => {
        const indexes = number <= member.newestRoster ? rosters[number - 1] : undefined
        return indexes && { group: 'g', number, members: indexes.map(memberName), disputed: false }
      },
      record: (peer) => this.#records.values[heard[indexOf(peer)]!],
      // Reachability is only advice: the harshest network says that everybody is fine.
      down: () => undefined,
      excluded: (peer) => has(member.excluded, indexOf(peer)),
      hash53: (text) => (Number(text.slice(-4)) * 7) % 5
    }
  }

  #sayHeard(heard: Options): string {
    const said = heard.flatMap((record, j) =>
      record < 0 ? [] : [`${j}: ${JSON.stringify(this.#records.values[record])}`]
    )
    return said.length === 0 ? '' : `, having heard of ${said.join(', ')}`
  }

  // ---- small

  #at(group: Group, i: number): Member {
    return this.#members.values[group[2 * i]!]!
  }

  #left(group: Group, what: number): number {
    return group[2 * this.size + what]!
  }

  #changed(group: Group, what: number, by: number): Group {
    const next = [...group]
    next[2 * this.size + what]! += by
    return next
  }

  #member(member: Member): number {
    const grants = [...member.state.grants].sort((a, b) => (a.holder < b.holder ? -1 : 1))
    const released = Object.fromEntries(Object.entries(member.state.released).sort(([a], [b]) => (a < b ? -1 : 1)))
    const plain: Member = { ...member, state: { ...member.state, grants, released } }
    const number = this.#members.number(JSON.stringify(Object.values(plain)), () => plain)
    if (number === this.#said.length) {
      const record = permitRecord(plain.state, 'g')
      this.#said.push(this.#records.number(JSON.stringify(record), () => record))
    }
    return number
  }

  #saying(records: number[]): number {
    const sorted = [...records].sort((a, b) => a - b)
    return this.#sayings.number(sorted.join(), () => sorted)
  }

  /** One of the states that differ only in who of the interchangeable members is which. */
  #canonical(group: Group): Group {
    let least = group
    for (const order of this.#permutations) {
      const other = [...group]
      for (let i = 0; i < this.size; i++) {
        other[2 * i] = group[2 * order[i]!]!
        other[2 * i + 1] = group[2 * order[i]! + 1]!
      }
      if (isLess(other, least)) least = other
    }
    return least
  }
}

function* combinations(lists: readonly Options[]): Generator<Options> {
  const at = lists.map(() => 0)
  for (;;) {
    yield lists.map((list, index) => list[at[index]!]!)
    let place = 0
    while (place < lists.length && ++at[place]! === lists[place]!.length) at[place++] = 0
    if (place === lists.length) return
  }
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return a[at]! < b[at]!
  return false
}

/** Orders of the members that leave alone who asks, and who is of which roster; the identity left out. */
function permutationsOf({ rosters, asks }: Setting, size: number): number[][] {
  const kind = (i: number) => (i in asks ? `asks ${i}` : rosters.map((members) => members.includes(i)).join())
  let orders: number[][] = [[]]
  for (let i = 0; i < size; i++) {
    orders = orders.flatMap((order) =>
      Array.from({ length: size }, (_, j) => j)
        .filter((j) => !order.includes(j) && kind(j) === kind(i))
        .map((j) => [...order, j])
    )
  }
  return orders.filter((order) => order.some((j, i) => i !== j))
}
