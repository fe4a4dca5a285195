/**
 * What a specification says of a node (SPEC Q2): the pair of states, how each call changes both, and what it answers.
 * The pair is what the node's object and SO states stand for; whether a call is served or refused follows from it.
 */
import type { Value } from '../versions/types.ts'
import { canonical, settled, unusedIn } from './opaque.ts'
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
  /** Its arguments are what they stand for. */
  readonly isGiven?: true
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

/** The call with what its arguments stand for in this pair. */
export function asGiven(spec: Specification, pair: Pair, call: Call): Call {
  const model = methodOf(spec, call)
  if (call.isGiven === true || model.kind === 'observer' || model.given === undefined) return call
  const args = model.given(call.side === 'old' ? pair.old : pair.next, ...call.args) as Value[]
  return { ...call, args, isGiven: true }
}

export const methodOf = (spec: Specification, { side, method }: Pick<Call, 'side' | 'method'>): MethodModel<any> =>
  spec[side].methods[method]!

/** Only an SO may refuse, by the predicate of its phase; never the current object. */
export function isDisallowed(spec: Specification, pair: Pair, phase: Phase, call: Call): boolean {
  const refusing: Side = phase === 'before' ? 'new' : 'old'
  if (call.side !== refusing) return false
  const { args } = asGiven(spec, pair, call)
  return spec.disallows[phase][call.method]?.(pair.old, pair.next, ...args) ?? false
}

/** @param made names what the call makes that is opaque (Q24). @default a name that the pair does not have */
export function expect(spec: Specification, pair: Pair, phase: Phase, call: Call, made?: string): Expected {
  const given = asGiven(spec, pair, call)
  if (isDisallowed(spec, pair, phase, given)) return { outcome: { refused: true }, pair }
  const value = resultOf(methodOf(spec, given), given.side === 'old' ? pair.old : pair.next, given.args)
  if (spec.opaque === undefined) return { outcome: { value }, pair: after(spec, pair, given) }
  const name = made ?? unusedIn(pair.old, pair.next)
  return { outcome: { value: settled(value, name) }, pair: after(spec, pair, given, name) }
}

/** The pair after a call that is not refused: its effect on its own state, its shadow on the other. */
export function after(spec: Specification, pair: Pair, call: Call, made?: string): Pair {
  const { side, method, args } = asGiven(spec, pair, call)
  const model = spec[side].methods[method]!
  if (model.kind === 'observer') return pair
  const next =
    side === 'old'
      ? { old: model.effect(pair.old, ...args), next: spec.shadows.new[method]!(pair.next, ...args) }
      : { old: spec.shadows.old[method]!(pair.old, ...args), next: model.effect(pair.next, ...args) }
  return spec.opaque === undefined ? next : settled(next, made ?? unusedIn(pair.old, pair.next))
}

export function resultOf(model: MethodModel<any>, state: unknown, args: readonly Value[]): Result {
  return model.kind === 'observer' ? model.result(state, ...args) : (model.result?.(state, ...args) ?? null)
}

/** The state of a call's own type after it. */
export function effectOf(model: MethodModel<any>, state: unknown, args: readonly Value[]): any {
  if (model.kind === 'observer') return state
  const next = model.effect(state, ...(model.given?.(state, ...args) ?? args))
  return settled(next, '') === next ? next : settled(next, unusedIn(state))
}

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

export const pairKey = (pair: Pair): string => canonical(`${keyOf(pair.old)} / ${keyOf(pair.next)}`)
export const stateKey = (state: unknown): string => canonical(keyOf(state))

export function outcomeKey(outcome: Outcome): string {
  if ('refused' in outcome) return 'refused'
  return outcome.value === undetermined ? 'undetermined' : keyOf(outcome.value)
}
