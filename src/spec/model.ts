/**
 * What a specification says of a node (SPEC Q2): the pair of states, how each call changes both, and what it answers.
 * The pair is what the node's object and SO states stand for; whether a call is served or refused follows from it.
 */
import type { Value } from '../versions/types.ts'
import { keyOf } from './plain.ts'
import { type Domain, type MethodModel, type Result, type Specification, undetermined } from './specification.ts'

export type Side = 'old' | 'new'
/** Before or after the node upgrades. */
export type Phase = 'before' | 'after'

/** States of the old and the new type. */
export interface Pair {
  readonly old: any
  readonly next: any
}

export interface Call {
  readonly side: Side
  readonly method: string
  readonly args: readonly Value[]
}

export type Outcome = { readonly value: Result } | { readonly refused: true }

/** What must come of a call, and the pair after it. A refused call has no effect, nor has its shadow. */
export interface Expected {
  readonly outcome: Outcome
  readonly pair: Pair
}

export const initialPair = (spec: Specification): Pair => ({
  old: spec.old.initial,
  next: spec.mapping(spec.old.initial)
})

export const methodOf = (spec: Specification, { side, method }: Pick<Call, 'side' | 'method'>): MethodModel<any> =>
  spec[side].methods[method]!

/** Only an SO may refuse, by the predicate of its phase; never the current object. */
export function isDisallowed(spec: Specification, pair: Pair, phase: Phase, call: Call): boolean {
  const refusing: Side = phase === 'before' ? 'new' : 'old'
  if (call.side !== refusing) return false
  return spec.disallows[phase][call.method]?.(pair.old, pair.next, ...call.args) ?? false
}

export function expect(spec: Specification, pair: Pair, phase: Phase, call: Call): Expected {
  if (isDisallowed(spec, pair, phase, call)) return { outcome: { refused: true }, pair }
  const value = resultOf(methodOf(spec, call), call.side === 'old' ? pair.old : pair.next, call.args)
  return { outcome: { value }, pair: after(spec, pair, call) }
}

/** The pair after a call that is not refused: its effect on its own state, its shadow on the other. */
export function after(spec: Specification, pair: Pair, { side, method, args }: Call): Pair {
  const model = spec[side].methods[method]!
  if (model.kind === 'observer') return pair
  if (side === 'old')
    return { old: model.effect(pair.old, ...args), next: spec.shadows.new[method]!(pair.next, ...args) }
  return { old: spec.shadows.old[method]!(pair.old, ...args), next: model.effect(pair.next, ...args) }
}

export function resultOf(model: MethodModel<any>, state: unknown, args: readonly Value[]): Result {
  return model.kind === 'observer' ? model.result(state, ...args) : (model.result?.(state, ...args) ?? null)
}

/** The state of a call's own type after it. */
export const effectOf = (model: MethodModel<any>, state: unknown, args: readonly Value[]): any =>
  model.kind === 'mutator' ? model.effect(state, ...args) : state

/** Every call of a side and kind with small arguments; of alike values only the first `alike`. */
export function smallCalls(
  spec: Specification,
  side: Side,
  kind: 'observer' | 'mutator',
  alike = Number.POSITIVE_INFINITY
): Call[] {
  return Object.entries(spec[side].methods)
    .filter(([, model]) => model.kind === kind)
    .flatMap(([method, model]) =>
      combinations(
        model.args.map((domain: Domain<any>) => (domain.alike ? domain.small.slice(0, alike) : domain.small))
      ).map((args) => ({ side, method, args }))
    )
}

function combinations(lists: readonly (readonly Value[])[]): Value[][] {
  return lists.reduce<Value[][]>((left, list) => left.flatMap((args) => list.map((value) => [...args, value])), [[]])
}

export const pairKey = (pair: Pair): string => `${keyOf(pair.old)} / ${keyOf(pair.next)}`

export function outcomeKey(outcome: Outcome): string {
  if ('refused' in outcome) return 'refused'
  return outcome.value === undetermined ? 'undetermined' : keyOf(outcome.value)
}
