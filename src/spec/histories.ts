/**
 * Histories to try (SPEC Q7): all of them up to a length over small values, then random ones that shrink. The shortest
 * comes first, so the first violation is a shortest one.
 */
import fc from 'fast-check'
import { Generator as Draws } from '../prng.ts'
import type { Value } from '../versions/types.ts'
import type { Coverage } from './coverage.ts'
import { type Bench, type CallStep, callStep, judge, observersOf, type Step, type Violation } from './judge.ts'
import { type Call, methodOf, type Side, smallCalls } from './model.ts'
import type { Domain, Specification } from './specification.ts'

export interface Bounds {
  /** Mutators in a history, at most. */
  mutators: number
  /** Values taken of domains whose values are alike. @default all */
  alike?: number
  /** Of the histories of so many mutators, the share that is tried, drawn by the seed. @default 1 */
  share?: (mutators: number) => number
  seed?: number
}

/** One way of putting events among calls. */
type Weave = (calls: readonly CallStep[], bench: Bench, alike?: number) => Weaving
/** Histories; each is answered by whether the call that was to be held came to that point. */
type Weaving = Generator<Step[], void, boolean>

const SIMULATE: Step = { do: 'simulate' }
const UPGRADE: Step = { do: 'upgrade' }

/** The upgrade at every position, or absent; the future SO from the start. */
export function* upgradeAnywhere(calls: readonly CallStep[], { future }: Bench): Generator<Step[]> {
  const begin = future ? [SIMULATE] : []
  yield [...begin, ...calls]
  for (let at = 0; at <= calls.length; at++) yield [...begin, ...calls.slice(0, at), UPGRADE, ...calls.slice(at)]
}

/** The future SO starts at every position before the upgrade, or never: calls of the new version come after it. */
export function* simulateAnywhere(calls: readonly CallStep[], { future }: Bench): Generator<Step[]> {
  if (!future) return
  for (let at = 1; at <= calls.length; at++) {
    if (calls.slice(0, at).some((call) => call.side === 'new')) break
    const begun: Step[] = [...calls.slice(0, at), SIMULATE]
    for (let end = at; end <= calls.length; end++)
      yield [...begun, ...calls.slice(at, end), UPGRADE, ...calls.slice(end)]
  }
  for (let at = 0; at <= calls.length; at++)
    if (!calls.slice(0, at).some((call) => call.side === 'new'))
      yield [...calls.slice(0, at), UPGRADE, ...calls.slice(at)]
}

/** One crash of the object's process at every position, of the TF after a few writes, beside the upgrade at every position. */
export function* crashAnywhere(calls: readonly CallStep[], bench: Bench): Generator<Step[]> {
  for (const steps of upgradeAnywhere(calls, bench)) {
    for (let at = 1; at <= steps.length; at++) yield [...steps.slice(0, at), { do: 'restart' }, ...steps.slice(at)]
    const upgrade = steps.indexOf(UPGRADE)
    if (upgrade < 0) continue
    for (const interruptedAfter of [0, 1, 2])
      yield [...steps.slice(0, upgrade), { do: 'upgrade', interruptedAfter }, ...steps.slice(upgrade + 1)]
  }
}

/** Points of one call that are tried, at most. */
const MAX_POINTS = 32

/** The last two calls at once, or an observer beside the last one; before the upgrade and after it. */
export function* togetherAnywhere(calls: readonly CallStep[], bench: Bench, alike?: number): Weaving {
  const last = calls.at(-1)
  if (last === undefined) return
  const observers = observersOf(bench.spec, alike)
  const first = [...observers.old, ...observers.new].map((call) => ({ call, prefix: calls.slice(0, -1) }))
  if (calls.length > 1) first.push({ call: calls.at(-2)!, prefix: calls.slice(0, -2) })
  for (const { call, prefix } of first) {
    yield* atEachPoint((heldAt) => [...begun(bench), ...prefix, { do: 'together', first: call, second: last, heldAt }])
    for (let at = 0; at <= prefix.length; at++)
      yield* atEachPoint((heldAt) => [
        ...begun(bench),
        ...prefix.slice(0, at),
        UPGRADE,
        ...prefix.slice(at),
        { do: 'together', first: call, second: last, heldAt }
      ])
  }
}

/** The process is killed in the middle of any one call; beside the upgrade at every position. */
export function* cutAnywhere(calls: readonly CallStep[], bench: Bench): Weaving {
  for (const [cut, first] of calls.entries()) {
    const held = (heldAt: number) => (calls as readonly Step[]).with(cut, { do: 'cut', first, heldAt })
    yield* atEachPoint((heldAt) => [...begun(bench), ...held(heldAt)])
    for (let at = 0; at <= calls.length; at++)
      yield* atEachPoint((heldAt) => [...begun(bench), ...held(heldAt).toSpliced(at, 0, UPGRADE)])
  }
}

const begun = ({ future }: Bench): Step[] => (future ? [SIMULATE] : [])

/** From the first point of a call on, until it has no more. */
function* atEachPoint(steps: (heldAt: number) => Step[]): Weaving {
  for (let heldAt = 0; heldAt < MAX_POINTS; heldAt++) if (!(yield steps(heldAt))) return
}

/** Every history of these bounds, the shortest first. Answers the first violation, shortened to what matters. */
export async function exhaust(
  bench: Bench,
  bounds: Bounds,
  weave: Weave,
  coverage: Coverage
): Promise<Violation | undefined> {
  const calls = mutatorCalls(bench.spec, bounds.alike)
  const { share = () => 1, seed = 0 } = bounds
  const draws = new Draws(seed)
  const observers = observersOf(bench.spec, bounds.alike)
  for (let length = 0; length <= bounds.mutators; length++) {
    for (const sequence of sequences(bench.spec, calls, length)) {
      const weaving = weave(sequence, bench, bounds.alike)
      let wasHeld = false
      for (let next = weaving.next(); !next.done; ) {
        const steps = next.value
        // A call that is held at its first point is held at all of them.
        const isDrawn = wasHeld || draws.chance(share(length))
        wasHeld = false
        if (isDrawn && isPossible(bench, steps)) {
          coverage.begin()
          const held = (isHeld: boolean) => {
            wasHeld = isHeld
          }
          const violation = await judge(bench, steps, { observers, coverage, held })
          if (violation !== undefined) return await shortened(bench, violation)
        }
        next = weaving.next(wasHeld)
      }
    }
  }
  return undefined
}

/** Random histories of calls with any arguments, from a seed; a violation is shrunk. */
export async function wander(
  bench: Bench,
  options: { seed: number; histories: number; calls: number; restarts: number; observe?: boolean },
  coverage: Coverage
): Promise<Violation | undefined> {
  let violation: Violation | undefined
  const observers = observersOf(bench.spec)
  const property = fc.asyncProperty(stepsArbitrary(bench, options), async (steps) => {
    if (!isPossible(bench, steps)) return
    coverage.begin()
    const found = await judge(bench, steps, options.observe === true ? { observers, coverage } : { coverage })
    if (found !== undefined) {
      violation = found
      throw new Error(found.text)
    }
  })
  const details = await fc.check(property, { seed: options.seed, numRuns: options.histories })
  // What went wrong is not the code under check: the check itself could not go on.
  if (details.failed && violation === undefined) throw details.errorInstance
  return violation === undefined ? undefined : await inOrder(bench, await shortened(bench, violation))
}

/** The same violation by the first of alike values, as exhaustive histories show it, so that it is not shown twice. */
async function inOrder(bench: Bench, violation: Violation): Promise<Violation> {
  const renamed = new Map<Domain<any>, Map<unknown, unknown>>()
  const inCall = (call: Call): Call => {
    const args = placesOf(bench.spec, call).map(([domain, index], at) => {
      if (!domain.alike || index < 0) return call.args[at]
      const names = renamed.get(domain) ?? new Map<unknown, unknown>()
      renamed.set(domain, names)
      if (!names.has(index)) names.set(index, domain.small[names.size])
      return names.get(index) as Value
    })
    return { ...call, args }
  }
  const steps = stepsOf(violation).map((step) => (step.do === 'call' ? callStep(inCall(step)) : step))
  return (await judge(bench, steps)) ?? violation
}

/**
 * `restarts`: how often the process is killed, of thirty steps. Histories that are looked at after every step have
 * mutators only, and are long: that is what they are for.
 */
function stepsArbitrary(
  bench: Bench,
  { calls: length, restarts, observe = false }: { calls: number; restarts: number; observe?: boolean }
): fc.Arbitrary<Step[]> {
  const { spec } = bench
  const calls = (['old', 'new'] as const).flatMap((side) =>
    Object.entries(spec[side].methods)
      .filter(([, { kind }]) => kind === 'mutator' || !observe)
      .map(([method, model]) =>
        fc
          .tuple(...(model.args as Domain<any>[]).map((domain) => domain.any))
          .map((args): Step => callStep({ side, method, args }))
      )
  )
  const step = fc.oneof(
    { weight: 30, arbitrary: fc.oneof(...calls) },
    { weight: restarts, arbitrary: fc.constant<Step>({ do: 'restart' }) }
  )
  const tail = fc.array(step, { minLength: observe ? length / 2 : 0, maxLength: length, size: 'max' })
  const upgrade = fc.constantFrom<Step>(UPGRADE, { do: 'upgrade', interruptedAfter: 1 })
  return fc
    .tuple(tail, upgrade, fc.option(tail, { freq: 4 }))
    .map(([before, upgrade, after]) => [
      ...(bench.future ? [SIMULATE] : []),
      ...before,
      ...(after === null ? [] : [upgrade, ...after])
    ])
}

/** Without an SO nobody serves the calls of its version in its phase. */
export function isPossible({ future, past }: Bench, steps: readonly Step[]): boolean {
  const upgrade = steps.findIndex((step) => step.do === 'upgrade')
  const end = upgrade < 0 ? steps.length : upgrade
  return steps.every((step, at) =>
    callsOf(step).every(({ side }) => (at < end ? side === 'old' || future : side === 'new' || past))
  )
}

function callsOf(step: Step): Call[] {
  if (step.do === 'call') return [step]
  if (step.do === 'together') return [step.first, step.second]
  return step.do === 'cut' ? [step.first] : []
}

function mutatorCalls(spec: Specification, alike?: number): CallStep[] {
  const sides: Side[] = ['old', 'new']
  return sides.flatMap((side) => smallCalls(spec, side, 'mutator', alike)).map(callStep)
}

/** All sequences of small mutators of both sides, of a length. */
export function mutatorSequences(spec: Specification, length: number): Generator<CallStep[]> {
  return sequences(spec, mutatorCalls(spec), length)
}

/** Each argument's domain, and the place of its value among the small ones. */
function placesOf(spec: Specification, call: Call): [Domain<any>, number][] {
  const domains = methodOf(spec, call).args as Domain<any>[]
  return domains.map((domain, at) => [domain, domain.small.indexOf(call.args[at])])
}

/** All sequences of a length; of those that differ only in which of some alike values is which, the first. */
function* sequences(spec: Specification, calls: readonly CallStep[], length: number): Generator<CallStep[]> {
  const places = new Map(calls.map((call) => [call, placesOf(spec, call).filter(([domain]) => domain.alike)]))
  const used = new Map<Domain<any>, number>()
  const sequence: CallStep[] = []
  function* extend(): Generator<CallStep[]> {
    if (sequence.length === length) {
      yield sequence
      return
    }
    for (const call of calls) {
      const before = new Map(used)
      const inOrder = places.get(call)!.every(([domain, index]) => {
        const next = used.get(domain) ?? 0
        if (index === next) used.set(domain, next + 1)
        return index <= next
      })
      if (inOrder) {
        sequence.push(call)
        yield* extend()
        sequence.pop()
      }
      used.clear()
      for (const [domain, next] of before) used.set(domain, next)
    }
  }
  yield* extend()
}

/** Drops what the violation does not need, one step after the other, as long as something is violated in the end. */
export async function shortened(bench: Bench, violation: Violation): Promise<Violation> {
  let best = violation
  const attempt = async (steps: readonly Step[]): Promise<boolean> => {
    if (!isPossible(bench, steps)) return false
    const found = await judge(bench, steps)
    if (found === undefined || found.lines.length > best.lines.length) return false
    const isShorter = found.lines.length < best.lines.length
    if (isShorter) best = found
    return isShorter
  }
  await attempt(stepsOf(best).filter((step, at, all) => at === all.length - 1 || isEffective(bench, step)))
  for (let dropped = true; dropped; ) {
    dropped = false
    for (let at = 0; at < best.lines.length - 1 && !dropped; at++)
      dropped = await attempt(stepsOf(best).toSpliced(at, 1))
  }
  return best
}

const stepsOf = (violation: Violation): Step[] => violation.lines.map((line) => line.step)

const isEffective = ({ spec }: Bench, step: Step): boolean =>
  step.do !== 'call' || methodOf(spec, step).kind === 'mutator'
