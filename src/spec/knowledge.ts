/**
 * What an SO can know (SPEC Q4), whatever its code: its own calls, the calls that it intercepts, and its delegate's
 * state whenever it runs. From this follows which refusals are needed by its design, and which can be dropped: a
 * refusal is needed if without it some answer, or what the TF has to make, would not follow from what the SO knows.
 */
import { breaches, reach } from './laws.ts'
import {
  type Call,
  expect,
  initialPair,
  isDisallowed,
  methodOf,
  outcomeKey,
  type Pair,
  type Phase,
  pairKey,
  type Side,
  smallCalls
} from './model.ts'
import { keyOf } from './plain.ts'
import type { Specification } from './specification.ts'

/** Mutators of its delegate that an SO is offered; null: there is no such SO. */
export interface Sight {
  before: readonly string[] | null
  after: readonly string[] | null
}

export interface Undecided {
  phase: Phase
  /** A method of the SO, or `transform`. */
  method: string
  text: string
}

export interface Droppable {
  phase: Phase
  method: string
  /** The arguments for which the refusal can be dropped; null: all. */
  args: readonly unknown[] | null
}

/** Nodes looked at, at most. */
const MAX_NODES = 3_000
const NOTHING: ReadonlySet<number> = new Set()

/** A pair, and the pairs that the SO holds possible, calls included that it did not see; pairs by number. */
interface Node {
  pair: number
  possible: ReadonlySet<number>
}

const sideOf = (phase: Phase): Side => (phase === 'before' ? 'new' : 'old')
const delegateOf = (phase: Phase): Side => (phase === 'before' ? 'old' : 'new')
const seenState = (phase: Phase, pair: Pair): string => keyOf(phase === 'before' ? pair.old : pair.next)

class Explorer {
  readonly undecided = new Map<string, Undecided>()
  readonly #spec: Specification
  readonly #phase: Phase
  readonly #own: Call[]
  readonly #seen: Call[]
  readonly #unseen: Call[]
  /** Pairs have numbers, and what follows from one by a call is computed once: sets of pairs are met again and again. */
  readonly #pairs: Pair[] = []
  readonly #numbers = new Map<string, number>()
  readonly #states: string[] = []
  readonly #steps = new Map<Call, { outcome: string; next: number }[]>()
  readonly #around = new Map<number, ReadonlySet<number>>()
  readonly #texts = new WeakMap<ReadonlySet<number>, string>()

  constructor(spec: Specification, phase: Phase, intercepts: readonly string[]) {
    this.#spec = spec
    this.#phase = phase
    const own = sideOf(phase)
    this.#own = [...smallCalls(spec, own, 'observer'), ...smallCalls(spec, own, 'mutator')]
    const others = smallCalls(spec, delegateOf(phase), 'mutator')
    this.#seen = others.filter((call) => intercepts.includes(call.method))
    this.#unseen = others.filter((call) => !intercepts.includes(call.method))
  }

  /** Explores from pairs that the SO knows exactly. Answers the pairs in which the node may upgrade. */
  explore(from: readonly Pair[]): Pair[] {
    const seen = new Set<string>()
    const pairs = new Set<number>()
    const open: Node[] = []
    const add = (pair: number, possible: Iterable<number>) => {
      const node = { pair, possible: this.#closed(possible) }
      const key = `${pair} | ${this.#textOf(node.possible)}`
      if (seen.has(key) || seen.size >= MAX_NODES) return
      seen.add(key)
      open.push(node)
    }
    for (const pair of from) add(this.#numberOf(pair), [this.#numberOf(pair)])
    // In the order in which they are found: what is told of the SO names the first of alike values, by the fewest calls.
    for (const node of open) {
      const { pair } = node
      pairs.add(pair)
      for (const call of this.#unseen) add(this.#step(pair, call).next, node.possible)
      const known = [...node.possible].filter((one) => this.#states[one] === this.#states[pair])
      if (this.#phase === 'before') this.#checkTransform(known)
      for (const call of [...this.#own, ...this.#seen]) {
        if (call.side === sideOf(this.#phase)) this.#checkOwn(call, known)
        add(
          this.#step(pair, call).next,
          known.map((one) => this.#step(one, call).next)
        )
      }
    }
    return [...pairs].map((pair) => this.#pairs[pair]!)
  }

  #numberOf(pair: Pair): number {
    const key = pairKey(pair)
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.#pairs.push(pair) - 1
      this.#numbers.set(key, number)
      this.#states.push(seenState(this.#phase, pair))
    }
    return number
  }

  #step(pair: number, call: Call): { outcome: string; next: number } {
    let steps = this.#steps.get(call)
    if (steps === undefined) {
      steps = []
      this.#steps.set(call, steps)
    }
    let step = steps[pair]
    if (step === undefined) {
      const expected = expect(this.#spec, this.#pairs[pair]!, this.#phase, call)
      step = { outcome: outcomeKey(expected.outcome), next: this.#numberOf(expected.pair) }
      steps[pair] = step
    }
    return step
  }

  #textOf(possible: ReadonlySet<number>): string {
    let text = this.#texts.get(possible)
    if (text === undefined) {
      text = [...possible].sort((a, b) => a - b).join(' ')
      this.#texts.set(possible, text)
    }
    return text
  }

  /** Whatever calls may have passed unseen. */
  #closed(from: Iterable<number>): ReadonlySet<number> {
    // Mostly the surroundings of one pair hold all others, and are shared.
    let shared: ReadonlySet<number> = NOTHING
    let own: Set<number> | undefined
    for (const pair of from) {
      const possible = own ?? shared
      if (possible.size >= MAX_NODES) break
      if (possible.has(pair)) continue
      if (possible.size === 0) shared = this.#reachable(pair)
      else {
        own ??= new Set(shared)
        for (const one of this.#reachable(pair)) own.add(one)
      }
    }
    return own ?? shared
  }

  #reachable(from: number): ReadonlySet<number> {
    const known = this.#around.get(from)
    if (known !== undefined) return known
    const reached = new Set([from])
    for (const pair of reached) {
      if (reached.size >= MAX_NODES) break
      for (const call of this.#unseen) reached.add(this.#step(pair, call).next)
    }
    this.#around.set(from, reached)
    return reached
  }

  #checkOwn(call: Call, known: readonly number[]): void {
    const outcomes = new Set(known.map((pair) => this.#step(pair, call).outcome))
    if (outcomes.size < 2) return
    const what = [...outcomes].slice(0, 2).join(' or ')
    this.#note(
      call.method,
      `${call.method}(${call.args.map(keyOf).join(', ')}) does not follow from what the SO sees: ${what}`
    )
  }

  #checkTransform(known: readonly number[]): void {
    const [one, other] = new Set(known.map((pair) => keyOf(this.#pairs[pair]!.next)))
    if (other === undefined) return
    this.#note('transform', `the TF cannot know the new state: ${one} or ${other}`)
  }

  #note(method: string, text: string): void {
    const key = `${this.#phase} ${method}`
    if (!this.undecided.has(key)) this.undecided.set(key, { phase: this.#phase, method, text })
  }
}

/** What does not follow from what SOs of this sight can know. */
export function undecided(spec: Specification, sight: Sight): Undecided[] {
  const before = new Explorer(spec, 'before', sight.before ?? [])
  const upgraded = before.explore([initialPair(spec)])
  const past = new Explorer(spec, 'after', sight.after ?? [])
  past.explore(upgraded)
  return [
    ...(sight.before === null ? [] : before.undecided.values()),
    ...(sight.after === null ? [] : past.undecided.values())
  ]
}

/** Refusals that the design of the SOs does not need: of whole methods, else of single arguments. */
export function droppable(spec: Specification, sight: Sight): Droppable[] {
  const { before, after } = spec.disallows
  if (Object.keys(before).length + Object.keys(after).length === 0) return []
  const needed = new Set(faultsOf(spec, sight))
  const isNeedless = (changed: Specification) => {
    for (const fault of faultsOf(changed, sight)) if (!needed.has(fault)) return false
    return true
  }
  const { reached } = reach(spec)
  const isEverRefused = (phase: Phase, call: Call) =>
    reached.some((one) => one.phase === phase && isDisallowed(spec, one.pair, phase, call))
  const found: Droppable[] = []
  for (const phase of ['before', 'after'] as const) {
    for (const method of Object.keys(spec.disallows[phase])) {
      if (isNeedless(without(spec, phase, method, null))) {
        found.push({ phase, method, args: null })
        continue
      }
      const kind = methodOf(spec, { side: sideOf(phase), method }).kind
      const calls = smallCalls(spec, sideOf(phase), kind).filter((call) => call.method === method)
      if (calls.length < 2) continue
      for (const call of calls)
        if (isEverRefused(phase, call) && isNeedless(without(spec, phase, method, call.args)))
          found.push({ phase, method, args: call.args })
    }
  }
  return found
}

/** Names of all that is wrong by itself or cannot be known, one after the other: who asks whether there is one goes no further. */
function* faultsOf(spec: Specification, sight: Sight): Generator<string> {
  for (const one of breaches(spec)) yield `${one.law} ${one.text.split(':')[0]}`
  for (const one of undecided(spec, sight)) yield `${one.phase} ${one.method}`
}

function without(spec: Specification, phase: Phase, method: string, args: readonly unknown[] | null): Specification {
  const predicate = spec.disallows[phase][method]!
  const key = keyOf(args)
  const weaker = (old: unknown, next: unknown, ...given: unknown[]) =>
    args !== null && keyOf(given) !== key && predicate(old, next, ...given)
  return { ...spec, disallows: { ...spec.disallows, [phase]: { ...spec.disallows[phase], [method]: weaker } } }
}
