/**
 * The specification of a class upgrade (SPEC Q; MODEL: specification): one node is one logical object with two types at
 * once, the old one and the new one. Authors state models of both, what holds between their states, and what each
 * mutator of one type means for the other. `upstart check` holds the real code against it.
 */
import type fc from 'fast-check'
import { Refusal } from '../errors.ts'
import type { Value } from '../versions/types.ts'

/** Values of one argument: a few that are tried in every combination, and any that random histories draw. */
export interface Domain<T> {
  readonly small: readonly T[]
  readonly any: fc.Arbitrary<T>
  /** The small values mean nothing beside being different: histories that only exchange them are tried once. */
  readonly alike: boolean
}
type Domains = readonly Domain<any>[]
/** The arguments that domains stand for. */
export type Values<D extends Domains> = { -readonly [I in keyof D]: D[I] extends Domain<infer T> ? T : never }

/** Says that nobody may be answered from this state (MODEL: ⊥): calls that would be must be disallowed. */
export const undetermined: unique symbol = Symbol.for('upstart-peer:undetermined')
export type Result = Value | typeof undetermined

/** A method that changes nothing. */
export interface ObserverModel<State, D extends Domains = Domains> {
  readonly kind: 'observer'
  readonly args: D
  result(state: State, ...args: Values<D>): Result
}
/** A method that changes the state; `effect` answers the next state and leaves the given one as it is. */
export interface MutatorModel<State, D extends Domains = Domains> {
  readonly kind: 'mutator'
  readonly args: D
  effect(state: State, ...args: Values<D>): State
  /** What it answers, by the state before. @default nothing */
  result?(state: State, ...args: Values<D>): Result
  /** What arguments stand for that only say what they are in this state: `current`, say. @default themselves */
  given?(state: State, ...args: Values<D>): Values<D>
}
export type MethodModel<State> = ObserverModel<State, any> | MutatorModel<State, any>
export type Methods<State> = Record<string, MethodModel<State>>

/** A type: its initial state, a plain value, and what its methods do. */
export interface TypeModel<State, M extends Methods<State> = Methods<State>> {
  readonly initial: State
  readonly methods: M
}

type MutatorsOf<M> = { [K in keyof M]: M[K] extends { kind: 'mutator' } ? K : never }[keyof M]
type ArgsOf<One> = One extends { args: infer D extends Domains } ? Values<D> : never

export interface SpecificationInit<O, N, OM extends Methods<O>, NM extends Methods<N>> {
  readonly old: TypeModel<O, OM>
  readonly new: TypeModel<N, NM>
  /** I: what always holds between the two states. */
  invariant(old: NoInfer<O>, next: NoInfer<N>): boolean
  /** MF: the new state when the future SO starts; total. */
  mapping(old: NoInfer<O>): NoInfer<N>
  /** For each mutator of the one type, its effect on the state of the other. */
  readonly shadows: {
    readonly old: { [K in MutatorsOf<NM>]: (state: NoInfer<O>, ...args: ArgsOf<NM[K]>) => NoInfer<O> }
    readonly new: { [K in MutatorsOf<OM>]: (state: NoInfer<N>, ...args: ArgsOf<OM[K]>) => NoInfer<N> }
  }
  /** Calls that an SO refuses: of the new type before the node upgrades, of the old type after it did. @default none */
  readonly disallows?: {
    readonly before?: { [K in keyof NM]?: (old: NoInfer<O>, next: NoInfer<N>, ...args: ArgsOf<NM[K]>) => boolean }
    readonly after?: { [K in keyof OM]?: (old: NoInfer<O>, next: NoInfer<N>, ...args: ArgsOf<OM[K]>) => boolean }
  }
  /** Texts in answers that look like this mean nothing beside being equal or not: models have `fresh()` for them. @default none */
  readonly opaque?: RegExp
}

type Shadow = (state: any, ...args: any[]) => any
type Predicate = (old: any, next: any, ...args: any[]) => boolean

/** What `defineSpec` gives: checked, with nothing left out, and without its types. */
export interface Specification {
  readonly old: TypeModel<any>
  readonly new: TypeModel<any>
  invariant(old: any, next: any): boolean
  mapping(old: any): any
  readonly shadows: { readonly old: Readonly<Record<string, Shadow>>; readonly new: Readonly<Record<string, Shadow>> }
  readonly disallows: {
    readonly before: Readonly<Record<string, Predicate>>
    readonly after: Readonly<Record<string, Predicate>>
  }
  readonly opaque?: RegExp
}

/** Makes methods of a type whose state is known, so that authors need not name its type again. */
export interface Kinds<State> {
  observer<const D extends Domains>(
    args: D,
    result: (state: State, ...args: Values<D>) => Result
  ): ObserverModel<State, D>
  mutator<const D extends Domains>(
    args: D,
    effect: (state: State, ...args: Values<D>) => State,
    result?: (state: State, ...args: Values<D>) => Result,
    given?: (state: State, ...args: Values<D>) => Values<D>
  ): MutatorModel<State, D>
}

const kinds: Kinds<any> = {
  observer: (args, result) => ({ kind: 'observer', args, result }),
  mutator: (args, effect, result, given) => ({
    kind: 'mutator',
    args,
    effect,
    ...(result === undefined ? {} : { result }),
    ...(given === undefined ? {} : { given })
  })
}

/** Q1. A type's model; the type of its states is that of `initial`. */
export function defineType<State, M extends Methods<State>>(type: {
  initial: State
  methods: (kinds: Kinds<State>) => M
}): TypeModel<State, M> {
  return { initial: type.initial, methods: type.methods(kinds) }
}

/** Q1. @throws Refusal Malformed naming what is missing or names nothing */
export function defineSpec<O, N, OM extends Methods<O>, NM extends Methods<N>>(
  spec: SpecificationInit<O, N, OM, NM>
): Specification {
  const shadows = spec.shadows as unknown as Specification['shadows']
  checkNames('shadows.old', shadows.old, mutatorsOf(spec.new), 'a mutator of the new type', true)
  checkNames('shadows.new', shadows.new, mutatorsOf(spec.old), 'a mutator of the old type', true)
  const { before = {}, after = {} } = spec.disallows ?? {}
  checkNames('disallows.before', before, Object.keys(spec.new.methods), 'a method of the new type', false)
  checkNames('disallows.after', after, Object.keys(spec.old.methods), 'a method of the old type', false)
  return { ...spec, shadows, disallows: { before, after } } as Specification
}

export function mutatorsOf(type: TypeModel<any>): string[] {
  return Object.keys(type.methods).filter((name) => type.methods[name]!.kind === 'mutator')
}

function checkNames(where: string, given: object, wanted: readonly string[], what: string, all: boolean): void {
  const odd = Object.keys(given).find((name) => !wanted.includes(name))
  if (odd !== undefined) throw new Refusal('Malformed', `spec: ${where} names ${odd}, which is not ${what}`)
  const missing = all ? wanted.find((name) => !Object.hasOwn(given, name)) : undefined
  if (missing !== undefined)
    throw new Refusal('Malformed', `spec: ${where} lacks ${missing}, ${what}; say what it means`)
}
