/**
 * Designs of a class upgrade, right and wrong, and what is known of each: found by hand and confirmed by exhaustive
 * search, so that the check itself can be held against them.
 */
import type { Specification } from '../../../src/spec/index.ts'

export interface Correct {
  is: 'correct'
  /** Refusals that it declares without need, as the check names them. @default none */
  droppable?: readonly string[]
}

export interface Wrong {
  is: 'wrong'
  /** The requirement that it violates. */
  rule: 'type' | 'sequence' | 'disallow'
  /** The shortest history: calls and, between asterisks, events. */
  history: readonly string[]
  /** What the last call answers, and must answer. */
  answers: string
  must: string
}

/** Modules of a class upgrade, from examples/sets on. */
export interface Parts {
  old: string
  new: string
  future: string
  past: string
  transform: string
}

export type Place = 'disk' | 'restarts' | 'callers'

/** What a variant leaves out is the shipped part. */
export interface Variant extends Partial<Parts> {
  design: string
  /** @default the shipped one, which refuses nothing */
  spec?: Specification
  /**
   * What is meant shows only there: on a disk, in histories with restarts, or with the SOs on their callers' nodes.
   * @default in memory, in all histories
   */
  where?: Place
  expected: Correct | Wrong
}

export interface Family {
  upgrade: string
  from: number
  to: number
  shipped: Parts
  spec: Specification
  variants: readonly Variant[]
}

type Refusals = Partial<Specification['disallows']>

/** The specification of a design that refuses something. */
export const refusing = (spec: Specification, { before = {}, after = {} }: Refusals): Specification => ({
  ...spec,
  disallows: { before, after }
})

export const always = (): boolean => true
