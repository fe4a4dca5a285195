/**
 * What an SO could refuse so that a violation goes away (SPEC Q15): the weakest of a small lattice, one or two of: a
 * method, or a method with given values of those arguments whose values mean something.
 */
import { CallError } from '../errors.ts'
import type { Value } from '../versions/types.ts'
import { Coverage } from './coverage.ts'
import { type Bounds, exhaust, upgradeAnywhere } from './histories.ts'
import { type Phase, type Side, smallCalls } from './model.ts'
import { keyOf } from './plain.ts'
import type { Domain, Specification } from './specification.ts'
import type { CheckedCode, CheckedSimulation, Stage } from './subject.ts'

export interface Refusal {
  phase: Phase
  method: string
  /** A value for each argument, or null for any. */
  args: readonly (Value | null)[]
}

/** Ever stronger refusals are tried until this many. */
const MAX_TRIES = 60

const sideOf = (phase: Phase): Side => (phase === 'before' ? 'new' : 'old')

const matches = (refusal: Refusal, method: string, args: readonly unknown[]): boolean =>
  refusal.method === method && refusal.args.every((one, at) => one === null || keyOf(one) === keyOf(args[at]))

/** The weakest refusals with which no short history violates anything; undefined if none of those tried does. */
export async function suggest(
  spec: Specification,
  code: CheckedCode,
  stageOf: (code: CheckedCode) => Stage,
  bounds: Bounds
): Promise<readonly Refusal[] | undefined> {
  const { from, to, future, past } = code
  const phases: Phase[] = [
    ...(future === null ? [] : ['before' as const]),
    ...(past === null ? [] : ['after' as const])
  ]
  for (const refusals of lattice(spec, phases).slice(0, MAX_TRIES)) {
    const refusing = codeWith(code, refusals)
    const changed = specWith(spec, refusals)
    const bench = { spec: changed, from, to, future: future !== null, past: past !== null, stage: stageOf(refusing) }
    if ((await exhaust(bench, bounds, upgradeAnywhere, new Coverage(changed))) === undefined) return refusals
  }
  return undefined
}

/** One refusal, then two at once; those that refuse the fewest calls first. */
function lattice(spec: Specification, phases: readonly Phase[]): Refusal[][] {
  const single = phases.flatMap((phase) =>
    Object.entries(spec[sideOf(phase)].methods).flatMap(([method, model]) =>
      (model.args as Domain<Value>[])
        .reduce<(Value | null)[][]>(
          (lists, one) =>
            lists.flatMap((args) => [null, ...(one.alike ? [] : one.small)].map((value) => [...args, value])),
          [[]]
        )
        .map((args): Refusal => ({ phase, method, args }))
    )
  )
  const pairs = single.flatMap((one, at) =>
    single
      .slice(at + 1)
      .flatMap((other) => (one.phase === other.phase && one.method === other.method ? [] : [[one, other]]))
  )
  const weight = (refusals: readonly Refusal[]) => refusals.reduce((sum, one) => sum + refusedBy(spec, one), 0)
  return [...single.map((one) => [one]), ...pairs].sort((a, b) => a.length - b.length || weight(a) - weight(b))
}

function refusedBy(spec: Specification, refusal: Refusal): number {
  const side = sideOf(refusal.phase)
  const calls = [...smallCalls(spec, side, 'observer'), ...smallCalls(spec, side, 'mutator')]
  return calls.filter((call) => matches(refusal, call.method, call.args)).length
}

function specWith(spec: Specification, refusals: readonly Refusal[]): Specification {
  const disallows = { before: { ...spec.disallows.before }, after: { ...spec.disallows.after } }
  for (const refusal of refusals) {
    const declared = disallows[refusal.phase][refusal.method]
    disallows[refusal.phase][refusal.method] = (old, next, ...args) =>
      matches(refusal, refusal.method, args) || (declared?.(old, next, ...args) ?? false)
  }
  return { ...spec, disallows }
}

function codeWith(code: CheckedCode, refusals: readonly Refusal[]): CheckedCode {
  const wrap = (so: CheckedSimulation, phase: Phase): CheckedSimulation => {
    const own = refusals.filter((one) => one.phase === phase)
    return own.length === 0 ? so : { ...so, construct: (context) => refusing(so.construct(context), own) }
  }
  const { future, past } = code
  return {
    ...code,
    future: future === null ? null : wrap(future, 'before'),
    past: past === null || past === 'subtype' ? past : wrap(past, 'after')
  }
}

function refusing<Instance extends object>(instance: Instance, refusals: readonly Refusal[]): Instance {
  const methods = instance as Record<string, (...args: unknown[]) => unknown>
  for (const method of new Set(refusals.map((one) => one.method))) {
    const served = methods[method]!.bind(instance)
    Object.defineProperty(instance, method, {
      value: (...args: unknown[]) => {
        if (refusals.some((one) => matches(one, method, args)))
          throw new CallError('Disallowed', 'refused by the suggestion')
        return served(...args)
      }
    })
  }
  return instance
}
