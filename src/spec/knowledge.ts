/**
 * What an SO can know (SPEC Q4), whatever its code: its own calls, the calls that it intercepts, and its delegate's
 * state whenever it runs. From this follows which refusals are needed by its design, and which can be dropped: a
 * refusal is needed if without it some answer, or what the TF has to make, would not follow from what the SO knows.
 */
import { breaches } from './laws.ts'
import {
  after,
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

interface Node {
  pair: Pair
  /** What the SO holds possible, calls included that it did not see. */
  possible: ReadonlyMap<string, Pair>
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
    const pairs = new Map<string, Pair>()
    const open: Node[] = []
    const add = (pair: Pair, possible: Iterable<Pair>) => {
      const node = { pair, possible: this.#closed(possible) }
      const key = `${pairKey(pair)} | ${[...node.possible.keys()].sort().join(' ')}`
      if (seen.has(key) || seen.size >= MAX_NODES) return
      seen.add(key)
      open.push(node)
    }
    for (const pair of from) add(pair, [pair])
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      const { pair } = node
      pairs.set(pairKey(pair), pair)
      for (const call of this.#unseen) add(after(this.#spec, pair, call), node.possible.values())
      const known = [...node.possible.values()].filter(
        (one) => seenState(this.#phase, one) === seenState(this.#phase, pair)
      )
      if (this.#phase === 'before') this.#checkTransform(known)
      for (const call of [...this.#own, ...this.#seen]) {
        if (call.side === sideOf(this.#phase)) this.#checkOwn(call, known)
        const next = (one: Pair) => expect(this.#spec, one, this.#phase, call).pair
        add(next(pair), known.map(next))
      }
    }
    return [...pairs.values()]
  }

  /** Whatever calls may have passed unseen. */
  #closed(from: Iterable<Pair>): Map<string, Pair> {
    const possible = new Map<string, Pair>()
    const open = [...from]
    for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
      const key = pairKey(pair)
      if (possible.has(key) || possible.size >= MAX_NODES) continue
      possible.set(key, pair)
      for (const call of this.#unseen) open.push(after(this.#spec, pair, call))
    }
    return possible
  }

  #checkOwn(call: Call, known: readonly Pair[]): void {
    const outcomes = new Set(known.map((pair) => outcomeKey(expect(this.#spec, pair, this.#phase, call).outcome)))
    if (outcomes.size < 2) return
    const what = [...outcomes].slice(0, 2).join(' or ')
    this.#note(
      call.method,
      `${call.method}(${call.args.map(keyOf).join(', ')}) does not follow from what the SO sees: ${what}`
    )
  }

  #checkTransform(known: readonly Pair[]): void {
    const states = new Map(known.map((pair) => [keyOf(pair.next), pair]))
    if (states.size < 2) return
    const [one, other] = [...states.keys()]
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
  const needed = faultsOf(spec, sight)
  const isNeedless = (changed: Specification) => [...faultsOf(changed, sight)].every((fault) => needed.has(fault))
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
      for (const { args } of calls)
        if (isEverRefused(spec, phase, method, args) && isNeedless(without(spec, phase, method, args)))
          found.push({ phase, method, args })
    }
  }
  return found
}

/** Names of all that is wrong by itself or cannot be known. */
function faultsOf(spec: Specification, sight: Sight): Set<string> {
  return new Set([
    ...breaches(spec).map((one) => `${one.law} ${one.text.split(':')[0]}`),
    ...undecided(spec, sight).map((one) => `${one.phase} ${one.method}`)
  ])
}

function without(spec: Specification, phase: Phase, method: string, args: readonly unknown[] | null): Specification {
  const predicate = spec.disallows[phase][method]!
  const key = keyOf(args)
  const weaker = (old: unknown, next: unknown, ...given: unknown[]) =>
    args !== null && keyOf(given) !== key && predicate(old, next, ...given)
  return { ...spec, disallows: { ...spec.disallows, [phase]: { ...spec.disallows[phase], [method]: weaker } } }
}

function isEverRefused(spec: Specification, phase: Phase, method: string, args: readonly any[]): boolean {
  const call: Call = { side: sideOf(phase), method, args }
  const explorer = new Explorer(spec, phase, [])
  return explorer.explore([initialPair(spec)]).some((pair) => isDisallowed(spec, pair, phase, call))
}
