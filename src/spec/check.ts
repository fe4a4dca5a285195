/**
 * The check of a class upgrade (SPEC Q): the specification by itself, then the real code against it, pass by pass. Plain
 * data comes out: what `upstart check` prints, draws and records.
 */
import { CallersStage, claimsStateless } from './callers.ts'
import { Coverage, type CoverageRow } from './coverage.ts'
import { checkEffects, emits } from './effects.ts'
import {
  type Bounds,
  crashAnywhere,
  cutAnywhere,
  exhaust,
  simulateAnywhere,
  togetherAnywhere,
  upgradeAnywhere,
  wander
} from './histories.ts'
import type { Bench, Violation } from './judge.ts'
import { type Droppable, droppable, type Sight, type Undecided, undecided } from './knowledge.ts'
import { type Breach, breaches } from './laws.ts'
import { smallCalls } from './model.ts'
import { mutatorsOf, type Specification } from './specification.ts'
import type { CheckedCode, Stage } from './subject.ts'

export interface Effort {
  /** Calls of all exhaustive passes together, about. */
  calls: number
  /** Random histories. */
  histories: number
  /** Random histories in processes that are killed. */
  killed: number
  seed: number
  /** Calls of one exhaustive pass at most, about: of longer passes a part is tried, drawn by the seed. @default all */
  most?: number
}

export interface PassReport {
  name: string
  /** Mutators in a history, at most; null for random histories. */
  mutators: number | null
  /** Share of the longest histories that was tried. */
  share: number
  histories: number
  calls: number
  violation: Violation | null
}

export interface CheckReport {
  breaches: Breach[]
  undecided: Undecided[]
  /** Refusals that this design does not need, and those that SOs that intercept everything would not need. */
  droppable: Droppable[]
  droppableByInterception: Droppable[]
  passes: PassReport[]
  coverage: CoverageRow[]
  interleavings: { seen: number; all: number }
  seed: number
  ok: boolean
}

type Weave = Parameters<typeof exhaust>[2]

/** The passes, with their share of the effort; shorter histories than `least` could not show what the pass is for. */
const PASSES: readonly { name: string; weave: Weave; share: number; least: number; most: number; alike?: number }[] = [
  { name: 'the upgrade at every position', weave: upgradeAnywhere, share: 0.4, least: 1, most: 6 },
  { name: 'the same with one of all alike values', weave: upgradeAnywhere, share: 0.2, least: 2, most: 8, alike: 1 },
  { name: 'the future SO starts at every position', weave: simulateAnywhere, share: 0.1, least: 1, most: 4 },
  { name: 'two calls at once', weave: togetherAnywhere, share: 0.15, least: 2, most: 3, alike: 1 },
  { name: 'crashes between calls, of the TF too', weave: crashAnywhere, share: 0.1, least: 1, most: 3 },
  { name: 'crashes in the middle of calls', weave: cutAnywhere, share: 0.05, least: 2, most: 3, alike: 1 }
]

export function sightOf({ future, past }: Pick<CheckedCode, 'future' | 'past'>): Sight {
  return {
    before: future?.intercepts ?? null,
    after: past === null ? null : past === 'subtype' ? [] : past.intercepts
  }
}

export async function check(
  spec: Specification,
  code: CheckedCode,
  stages: { main: Stage; processes?: Stage; stacked?: (codes: readonly CheckedCode[]) => Stage },
  effort: Effort,
  progress: (pass: string) => void = () => undefined
): Promise<CheckReport> {
  const sight = sightOf(code)
  const { from, to, future, past } = code
  const bench: Bench = { spec, from, to, future: future !== null, past: past !== null, stage: stages.main }
  const coverage = new Coverage(spec)
  const passes: PassReport[] = []
  for (const { name, weave, share, least, most, alike } of PASSES) {
    const size = sizeOf(spec, weave, alike)
    const mutators = Math.max(least, lengthFor(size, effort.calls * share, most))
    const part = partOf(size, effort)
    const bounds: Bounds = { mutators, alike, share: part, seed: effort.seed }
    if (weave === upgradeAnywhere && alike !== undefined && !hasAlike(spec)) continue
    if (weave === simulateAnywhere && !bench.future) continue
    progress(name)
    passes.push(
      await passOf(name, { mutators, share: part(mutators) }, coverage, () => exhaust(bench, bounds, weave, coverage))
    )
  }
  if (claimsStateless(code)) {
    const name = "stateless SOs on their callers' nodes"
    const size = sizeOf(spec, upgradeAnywhere)
    const mutators = lengthFor(size, effort.calls * 0.1, 4)
    const bounds: Bounds = { mutators, share: partOf(size, effort), seed: effort.seed }
    const callers = { ...bench, stage: new CallersStage(code, stages.main) }
    progress(name)
    passes.push(
      await passOf(name, { mutators, share: partOf(size, effort)(mutators) }, coverage, () =>
        exhaust(callers, bounds, upgradeAnywhere, coverage)
      )
    )
  }
  for (const phase of ['before', 'after'] as const) {
    const { stacked } = stages
    if (stacked === undefined || !emits(code, phase)) continue
    const name = `what the ${phase === 'before' ? 'future' : 'past'} SO says passes below it`
    progress(name)
    passes.push(await passOf(name, { mutators: 2 }, coverage, () => checkEffects(spec, code, phase, stacked, coverage)))
  }
  progress('random histories')
  // Where a history costs more than its calls, each is looked at after every step.
  const observe = effort.most !== undefined
  const random = { seed: effort.seed, histories: effort.histories, calls: 30, restarts: 1, observe }
  passes.push(await passOf('random histories', { mutators: null }, coverage, () => wander(bench, random, coverage)))
  if (stages.processes !== undefined && effort.killed > 0) {
    const name = 'random histories in processes that are killed'
    const killed = { seed: effort.seed, histories: effort.killed, calls: 8, restarts: 10 }
    const processes = { ...bench, stage: stages.processes }
    progress(name)
    passes.push(await passOf(name, { mutators: null }, coverage, () => wander(processes, killed, coverage)))
  }
  const found = breaches(spec)
  const everything: Sight = { before: mutatorsOf(spec.old), after: mutatorsOf(spec.new) }
  const needless = droppable(spec, sight)
  return {
    breaches: found,
    undecided: undecided(spec, sight),
    droppable: needless,
    droppableByInterception: droppable(spec, everything).filter((one) => !covers(needless, one)),
    passes,
    coverage: coverage.rows(),
    interleavings: coverage.interleavings,
    seed: effort.seed,
    ok: found.length === 0 && passes.every((pass) => pass.violation === null)
  }
}

const covers = (found: readonly Droppable[], one: Droppable): boolean =>
  found.some(
    ({ phase, method, args }) =>
      phase === one.phase &&
      method === one.method &&
      (args === null || JSON.stringify(args) === JSON.stringify(one.args))
  )

async function passOf(
  name: string,
  { mutators, share = 1 }: { mutators: number | null; share?: number },
  coverage: Coverage,
  run: () => Promise<Violation | undefined>
): Promise<PassReport> {
  const [calls, histories] = [coverage.calls, coverage.histories]
  const violation = (await run()) ?? null
  return { name, mutators, share, histories: coverage.histories - histories, calls: coverage.calls - calls, violation }
}

const hasAlike = (spec: Specification): boolean =>
  (['old', 'new'] as const).some((side) =>
    Object.values(spec[side].methods).some((model) => model.args.some((one: { alike: boolean }) => one.alike))
  )

/** About how many calls all histories of so many mutators make. */
function sizeOf(spec: Specification, weave: Weave, alike?: number): (mutators: number) => number {
  const sides = ['old', 'new'] as const
  const count = (kind: 'observer' | 'mutator') =>
    sides.reduce((sum, side) => sum + smallCalls(spec, side, kind).length, 0)
  const share = alike === undefined ? 1 : 0.5
  const [mutators, observers] = [Math.max(1, count('mutator') * share), count('observer') * share]
  const weaves =
    weave === togetherAnywhere ? 6 * (1 + observers) : weave === cutAnywhere || weave === crashAnywhere ? 4 : 1
  return (length) => {
    const places = weave === crashAnywhere || weave === cutAnywhere ? length : 1
    const histories = mutators ** length * (length + 2) * weaves * places
    return histories * (length + (length + 2) * observers)
  }
}

/** Of the histories of so many mutators, the share that may be tried. */
const partOf =
  (size: (mutators: number) => number, { most = Number.POSITIVE_INFINITY }: Effort) =>
  (mutators: number): number =>
    Math.min(1, most / size(mutators))

/** The longest histories that the calls suffice for, about. */
function lengthFor(size: (mutators: number) => number, calls: number, most: number): number {
  let length = 1
  while (length < most && size(length + 1) <= calls) length += 1
  return length
}
