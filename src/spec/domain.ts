/** Domains of arguments (SPEC Q1): small values for exhaustive histories, and generators for random ones. */
import fc from 'fast-check'
import { Refusal } from '../errors.ts'
import type { Domain } from './specification.ts'

/** More small values than this make exhaustive histories hopeless. */
const MAX_SMALL = 8

function domainOf<T>(small: readonly T[], any: fc.Arbitrary<T>, alike: boolean): Domain<T> {
  if (small.length === 0 || small.length > MAX_SMALL)
    throw new Refusal('Malformed', `spec: a domain has 1 to ${MAX_SMALL} small values, this one ${small.length}`)
  return { small, any, alike }
}

/** These values only, each with a meaning of its own. */
export function oneOf<T>(...small: readonly T[]): Domain<T> {
  return domainOf(small, fc.constantFrom(...small), false)
}

/** Values that mean nothing beside being different, such as names: the first is tried before the second is. */
export function alike<T>(...small: readonly T[]): Domain<T> {
  return domainOf(small, fc.constantFrom(...small), true)
}

/** A few values for exhaustive histories, and a generator for random ones. */
export function domain<T>(small: readonly T[], any: fc.Arbitrary<T>): Domain<T> {
  return domainOf(small, fc.oneof(fc.constantFrom(...small), any), false)
}
