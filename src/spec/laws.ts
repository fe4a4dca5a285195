/**
 * What must hold of a specification by itself (SPEC Q3), before any code is looked at: MF is total and meets I, shadows
 * preserve I and are legal, MF agrees with shadows, and nobody is answered from an undetermined state.
 */
import {
  after,
  asGiven,
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
  smallCalls,
  stateKey
} from './model.ts'
import { keyOf } from './plain.ts'
import { type Specification, type TypeModel, undetermined } from './specification.ts'

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

/** The first breach of each law, of each method; what only follows from one is not told. */
export function breaches(spec: Specification): Breach[] {
  const found = new Map<string, Breach>()
  const note = (breach: Breach) => {
    const key = `${breach.law} ${breach.text.split(/[:(]/)[0]}`
    if (!found.has(key)) found.set(key, breach)
  }
  for (const one of reach(spec).reached) {
    if (!spec.invariant(one.pair.old, one.pair.next)) {
      note({ law: 'invariant', text: `I does not hold: ${said(one.pair)}`, calls: one.calls })
      continue
    }
    // Future SOs start before the node upgrades: what is undetermined only later need not be mapped.
    if (one.phase === 'before') checkMapping(spec, one, note)
    checkShadows(spec, one, note)
    checkAnswers(spec, one, note)
  }
  return [...found.values()]
}

const said = (pair: Pair): string => `old ${keyOf(pair.old)}, new ${keyOf(pair.next)}`
const written = ({ method, args }: Call): string => `${method}(${args.map(keyOf).join(', ')})`

function checkMapping(spec: Specification, { pair, calls }: Reached, note: (breach: Breach) => void): void {
  const mapped = mappedBy(spec, pair.old)
  if ('lacks' in mapped) {
    note({ law: 'mapping', text: `MF is not total: ${mapped.lacks}`, calls })
    return
  }
  if (!spec.invariant(pair.old, mapped.next))
    note({ law: 'mapping', text: `MF does not meet I: old ${keyOf(pair.old)} gives ${keyOf(mapped.next)}`, calls })
  for (const call of smallCalls(spec, 'old', 'mutator')) {
    const { old, next } = after(spec, { old: pair.old, next: mapped.next }, call)
    const again = mappedBy(spec, old)
    // A state that MF has nothing for is named when its own turn comes.
    if ('lacks' in again || pairKey({ old, next: again.next }) === pairKey({ old, next })) continue
    const text = `MF and the shadow of ${call.method} disagree: after ${written(call)} on ${keyOf(pair.old)} MF gives ${keyOf(again.next)}, the shadow ${keyOf(next)}; the moment at which the future SO starts would be visible`
    note({ law: 'mapping', text, calls })
  }
}

function mappedBy(spec: Specification, old: unknown): { next: unknown } | { lacks: string } {
  try {
    const next = spec.mapping(old)
    return next === undefined ? { lacks: `it gives nothing for ${keyOf(old)}` } : { next }
  } catch (error) {
    return { lacks: `for ${keyOf(old)} it throws ${(error as Error).message}` }
  }
}

function checkShadows(spec: Specification, { pair, phase, calls }: Reached, note: (breach: Breach) => void): void {
  for (const side of ['old', 'new'] as const) {
    for (const small of smallCalls(spec, side, 'mutator')) {
      const call = asGiven(spec, pair, small)
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

/** States that own mutators lead to from one state, as far as was asked: nearer ones first. */
interface Surroundings {
  seen: Set<string>
  edge: unknown[]
  left: number
}
/** By type, so that weaker forms of a specification share it. */
const within = new WeakMap<TypeModel<any>, Map<string, Surroundings>>()

/** Whether own mutators of a type lead from one of its states to another. */
function legal(spec: Specification, side: Side, from: unknown, to: unknown): boolean {
  const known = within.get(spec[side]) ?? new Map<string, Surroundings>()
  within.set(spec[side], known)
  const key = stateKey(from)
  const around = known.get(key) ?? { seen: new Set([key]), edge: [from], left: MAX_SHADOW_CALLS }
  known.set(key, around)
  const wanted = stateKey(to)
  while (!around.seen.has(wanted) && around.left > 0 && around.edge.length > 0) widen(spec, side, around)
  return around.seen.has(wanted)
}

function widen(spec: Specification, side: Side, around: Surroundings): void {
  const next: unknown[] = []
  for (const state of around.edge) {
    for (const { method, args } of smallCalls(spec, side, 'mutator')) {
      const after = effectOf(methodOf(spec, { side, method }), state, args)
      const key = stateKey(after)
      if (around.seen.has(key)) continue
      around.seen.add(key)
      next.push(after)
    }
  }
  around.edge = next
  around.left -= 1
}

function checkAnswers(spec: Specification, { pair, phase, calls }: Reached, note: (breach: Breach) => void): void {
  for (const side of ['old', 'new'] as const) {
    for (const kind of ['observer', 'mutator'] as const) {
      for (const small of smallCalls(spec, side, kind)) {
        const call = asGiven(spec, pair, small)
        if (isDisallowed(spec, pair, phase, call)) continue
        const value = resultOf(methodOf(spec, call), side === 'old' ? pair.old : pair.next, call.args)
        if (value !== undetermined) continue
        const text = `${call.method} is answered from an undetermined state: ${written(call)} with ${said(pair)}; disallow it there (${phase})`
        note({ law: 'undetermined', text, calls })
      }
    }
  }
}
