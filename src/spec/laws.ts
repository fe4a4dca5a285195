/**
 * What must hold of a specification by itself (SPEC Q3), before any code is looked at: MF is total and meets I, shadows
 * preserve I and are legal, MF agrees with shadows, and nobody is answered from an undetermined state.
 */
import {
  after,
  type Call,
  effectOf,
  expect,
  initialPair,
  isDisallowed,
  methodOf,
  type Pair,
  type Phase,
  pairKey,
  resultOf,
  type Side,
  smallCalls
} from './model.ts'
import { keyOf, same } from './plain.ts'
import { type Specification, undetermined } from './specification.ts'

export type Law = 'invariant' | 'mapping' | 'shadow' | 'undetermined'

export interface Breach {
  law: Law
  /** One sentence. */
  text: string
  /** Calls that lead to the state in which it is broken. */
  calls: readonly Call[]
}

/** Pairs looked at, at most: small domains have few; what lies beyond is left to random histories. */
const MAX_PAIRS = 2_000
/** Own mutators that may make up one shadow. */
const MAX_SHADOW_CALLS = 4

export interface Reached {
  pair: Pair
  phase: Phase
  calls: readonly Call[]
}

/** Every pair that small calls reach, in either phase, the shortest way first; `whole`: there are no more. */
export function reach(spec: Specification): { reached: Reached[]; whole: boolean } {
  const mutators = [...smallCalls(spec, 'old', 'mutator'), ...smallCalls(spec, 'new', 'mutator')]
  const reached: Reached[] = []
  const seen = new Set<string>()
  const add = (one: Reached) => {
    const key = `${one.phase} ${pairKey(one.pair)}`
    if (seen.has(key)) return
    seen.add(key)
    reached.push(one)
  }
  add({ pair: initialPair(spec), phase: 'before', calls: [] })
  for (let at = 0; at < reached.length && reached.length < MAX_PAIRS; at++) {
    const { pair, phase, calls } = reached[at]!
    if (phase === 'before') add({ pair, phase: 'after', calls })
    for (const call of mutators) {
      const next = expect(spec, pair, phase, call)
      if ('value' in next.outcome) add({ pair: next.pair, phase, calls: [...calls, call] })
    }
  }
  return { reached, whole: reached.length < MAX_PAIRS }
}

/** The first breach of each law. */
export function breaches(spec: Specification): Breach[] {
  const found = new Map<string, Breach>()
  const note = (breach: Breach) => {
    const key = `${breach.law} ${breach.text.split(':')[0]}`
    if (!found.has(key)) found.set(key, breach)
  }
  for (const one of reach(spec).reached) {
    if (!spec.invariant(one.pair.old, one.pair.next))
      note({ law: 'invariant', text: `I does not hold: ${said(one.pair)}`, calls: one.calls })
    checkMapping(spec, one, note)
    checkShadows(spec, one, note)
    checkAnswers(spec, one, note)
  }
  return [...found.values()]
}

const said = (pair: Pair): string => `old ${keyOf(pair.old)}, new ${keyOf(pair.next)}`
const written = ({ method, args }: Call): string => `${method}(${args.map(keyOf).join(', ')})`

function checkMapping(spec: Specification, { pair, calls }: Reached, note: (breach: Breach) => void): void {
  const mapped = spec.mapping(pair.old)
  if (mapped === undefined) {
    note({ law: 'mapping', text: `MF is not total: it gives nothing for ${keyOf(pair.old)}`, calls })
    return
  }
  if (!spec.invariant(pair.old, mapped))
    note({ law: 'mapping', text: `MF does not meet I: old ${keyOf(pair.old)} gives ${keyOf(mapped)}`, calls })
  for (const call of smallCalls(spec, 'old', 'mutator')) {
    const { old, next } = after(spec, { old: pair.old, next: mapped }, call)
    if (same(spec.mapping(old), next)) continue
    const text = `MF and the shadow of ${call.method} disagree: after ${written(call)} on ${keyOf(pair.old)} MF gives ${keyOf(spec.mapping(old))}, the shadow ${keyOf(next)}; the moment at which the future SO starts would be visible`
    note({ law: 'mapping', text, calls })
  }
}

function checkShadows(spec: Specification, { pair, phase, calls }: Reached, note: (breach: Breach) => void): void {
  for (const side of ['old', 'new'] as const) {
    for (const call of smallCalls(spec, side, 'mutator')) {
      if (isDisallowed(spec, pair, phase, call)) continue
      const next = after(spec, pair, call)
      if (!spec.invariant(next.old, next.next))
        note({ law: 'shadow', text: `${written(call)} and its shadow break I: ${said(next)}`, calls: [...calls, call] })
      const [from, to] = side === 'old' ? [pair.next, next.next] : [pair.old, next.old]
      if (isUndetermined(to) || legal(spec, side === 'old' ? 'new' : 'old', from, to)) continue
      const text = `the shadow of ${call.method} is no effect of the other type: no ${MAX_SHADOW_CALLS} calls lead from ${keyOf(from)} to ${keyOf(to)}`
      note({ law: 'shadow', text, calls: [...calls, call] })
    }
  }
}

/** States that say of some part that nobody may be answered from it: no call of their type leads there, by intention. */
const isUndetermined = (state: unknown): boolean => keyOf(state).includes(String(undetermined))

/** For each state of a type that was asked about, the states that a few of its own mutators lead to. */
const within = new WeakMap<Specification, Map<string, Set<string>>>()

/** Whether own mutators of a type lead from one of its states to another. */
function legal(spec: Specification, side: Side, from: unknown, to: unknown): boolean {
  const known = within.get(spec) ?? new Map<string, Set<string>>()
  within.set(spec, known)
  const key = `${side} ${keyOf(from)}`
  let states = known.get(key)
  if (states === undefined) {
    states = statesFrom(spec, side, [from], MAX_SHADOW_CALLS)
    known.set(key, states)
  }
  return states.has(keyOf(to))
}

function statesFrom(spec: Specification, side: Side, from: readonly unknown[], depth: number): Set<string> {
  const seen = new Set(from.map(keyOf))
  const calls = smallCalls(spec, side, 'mutator')
  let edge = [...from]
  for (let left = depth; left > 0 && edge.length > 0; left--) {
    const next: unknown[] = []
    for (const state of edge) {
      for (const { method, args } of calls) {
        const after = effectOf(methodOf(spec, { side, method }), state, args)
        if (seen.has(keyOf(after))) continue
        seen.add(keyOf(after))
        next.push(after)
      }
    }
    edge = next
  }
  return seen
}

function checkAnswers(spec: Specification, { pair, phase, calls }: Reached, note: (breach: Breach) => void): void {
  for (const side of ['old', 'new'] as const) {
    for (const kind of ['observer', 'mutator'] as const) {
      for (const call of smallCalls(spec, side, kind)) {
        if (isDisallowed(spec, pair, phase, call)) continue
        const value = resultOf(methodOf(spec, call), side === 'old' ? pair.old : pair.next, call.args)
        if (value !== undetermined) continue
        const text = `${call.method} is answered from an undetermined state: ${written(call)} with ${said(pair)}; disallow it there (${phase})`
        note({ law: 'undetermined', text, calls })
      }
    }
  }
}
