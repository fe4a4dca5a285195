/** Whether one version's own answers can be explained at all (SPEC Q6): that tells *sequence* from *type*. */
import type { Line } from './judge.ts'
import {
  asGiven,
  effectOf,
  initialPair,
  methodOf,
  outcomeKey,
  resultOf,
  type Side,
  smallCalls,
  stateKey
} from './model.ts'
import { erased } from './opaque.ts'
import type { Specification } from './specification.ts'

/** States that calls by others may lead to, at most; beyond it an answer counts as explained. */
const MAX_STATES = 2_000

/** Of one type: its states by their keys, and where one mutator of anybody leads. The same ones are met again and again. */
class States {
  readonly #spec: Specification
  readonly #side: Side
  readonly #states = new Map<string, { state: unknown; next: ReadonlySet<string> | undefined }>()

  constructor(spec: Specification, side: Side) {
    this.#spec = spec
    this.#side = side
  }

  keyOf(state: unknown): string {
    const key = stateKey(state)
    if (!this.#states.has(key)) this.#states.set(key, { state, next: undefined })
    return key
  }

  at(key: string): unknown {
    return this.#states.get(key)!.state
  }

  /** With all that mutators of others lead to. */
  closed(keys: Iterable<string>): Set<string> {
    const all = new Set(keys)
    for (const key of all) {
      if (all.size >= MAX_STATES) break
      for (const next of this.#nextOf(key)) all.add(next)
    }
    return all
  }

  #nextOf(key: string): ReadonlySet<string> {
    const known = this.#states.get(key)!
    known.next ??= new Set(
      smallCalls(this.#spec, this.#side, 'mutator').map((call) =>
        this.keyOf(effectOf(methodOf(this.#spec, call), known.state, call.args))
      )
    )
    return known.next
  }
}

const known = new WeakMap<Specification, Record<Side, States>>()

function statesOf(spec: Specification, side: Side): States {
  const states = known.get(spec) ?? { old: new States(spec, 'old'), new: new States(spec, 'new') }
  known.set(spec, states)
  return states[side]
}

/**
 * Whether calls by others, at any points, explain what one side's own calls answered: then what is wrong is their order
 * (sequence), else the link does not behave as its own type says.
 */
export function isExplained(spec: Specification, side: Side, lines: readonly Line[]): boolean {
  const states = statesOf(spec, side)
  const { old, next } = initialPair(spec)
  let possible = states.closed([states.keyOf(side === 'old' ? old : next)])
  for (const { step, got } of lines) {
    if (step.do !== 'call' || step.side !== side || got === 'refused') continue
    const model = methodOf(spec, step)
    const left = new Set<string>()
    for (const key of possible) {
      const state = states.at(key)
      const { args } = asGiven(spec, { old: state, next: state }, step)
      // Which opaque text was answered is not asked here: it says little of who is right.
      if (erased(outcomeKey({ value: resultOf(model, state, args) })) !== erased(got)) continue
      left.add(model.kind === 'observer' ? key : states.keyOf(effectOf(model, state, step.args)))
    }
    if (left.size === 0) return false
    possible = states.closed(left)
    if (possible.size >= MAX_STATES) return true
  }
  return true
}
