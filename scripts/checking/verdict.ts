/** What the check says of one design, in the words of the tables that it is held against. */
import type { Family, Place, Variant } from '../../examples/sets/variants/variant.ts'
import { Coverage } from '../../src/spec/coverage.ts'
import { checkEffects, emits } from '../../src/spec/effects.ts'
import {
  type Bounds,
  crashAnywhere,
  cutAnywhere,
  exhaust,
  simulateAnywhere,
  togetherAnywhere,
  upgradeAnywhere
} from '../../src/spec/histories.ts'
import { type Line, type Rule, type Violation, written } from '../../src/spec/judge.ts'
import { type Droppable, droppable } from '../../src/spec/knowledge.ts'
import { breaches } from '../../src/spec/laws.ts'
import { MemoryStage } from '../../src/spec/memory.ts'
import { mutatorsOf } from '../../src/spec/specification.ts'
import type { CheckedCode } from '../../src/spec/subject.ts'
import type { Loaded } from './modules.ts'

type Weave = Parameters<typeof exhaust>[2]
export type Pass = readonly [weave: Weave, bounds: Bounds]

/** Lengths of histories: `short` suffices for every wrong design, `full` is what the right ones must stand, `quick` what they stand in a test. */
export type Extent = Readonly<Record<Place | 'memory', readonly Pass[]>>
const one = (mutators: number): Bounds => ({ mutators, alike: 1 })
const elsewhere = (cut: number): Omit<Extent, 'memory'> => ({
  disk: [[cutAnywhere, one(cut)]],
  restarts: [[crashAnywhere, one(1)]],
  callers: [[upgradeAnywhere, one(3)]]
})
export const EXTENTS: Readonly<Record<'quick' | 'short' | 'full', Extent>> = {
  quick: {
    memory: [
      [upgradeAnywhere, one(3)],
      [simulateAnywhere, one(2)],
      [togetherAnywhere, one(1)],
      [crashAnywhere, one(1)],
      [cutAnywhere, one(1)]
    ],
    ...elsewhere(1)
  },
  short: {
    memory: [
      [upgradeAnywhere, one(3)],
      [simulateAnywhere, one(2)],
      [togetherAnywhere, one(2)],
      [crashAnywhere, one(1)],
      [cutAnywhere, one(1)]
    ],
    ...elsewhere(2)
  },
  full: {
    memory: [
      [upgradeAnywhere, one(5)],
      [upgradeAnywhere, { mutators: 4 }],
      [simulateAnywhere, one(3)],
      [togetherAnywhere, one(2)],
      [crashAnywhere, one(2)],
      [cutAnywhere, one(2)]
    ],
    ...elsewhere(2)
  }
}

export interface Found {
  rule: Rule
  /** Calls and, between asterisks, events. */
  history: string[]
  answers: string
  must: string
  calls: number
}

export interface Verdict {
  found: Found | null
  /** What is wrong with the specification alone. */
  laws: string[]
  /** Refusals that this design does not need, and that one which intercepts everything would not. */
  droppable: string[]
  needless: string[]
  coverage: { histories: number; calls: number }
}

/** `effects`: what SOs say passes below them is looked at, too; designs of two versions need not say it right. */
export async function verdictOf(
  { bench, code, sight }: Loaded,
  passes: readonly Pass[],
  { effects = false }: { effects?: boolean } = {}
): Promise<Verdict> {
  const coverage = new Coverage(bench.spec)
  const everything = { before: mutatorsOf(bench.spec.old), after: mutatorsOf(bench.spec.new) }
  let violation: Violation | undefined
  for (const [weave, bounds] of passes) {
    violation ??= await exhaust(bench, bounds, weave, coverage)
  }
  for (const phase of ['before', 'after'] as const)
    if (effects && emits(code, phase)) violation ??= await checkEffects(bench.spec, code, phase, stacked, coverage)
  return {
    found: violation === undefined ? null : foundIn(violation, bench),
    laws: breaches(bench.spec).map(({ law, text }) => `${law}: ${text}`),
    droppable: droppable(bench.spec, sight).map(refusal),
    needless: droppable(bench.spec, everything).map(refusal),
    coverage: { histories: coverage.histories, calls: coverage.calls }
  }
}

const stacked = (codes: readonly CheckedCode[]): MemoryStage =>
  new MemoryStage(codes, { defer: (callback) => queueMicrotask(callback) })

function foundIn({ rule, lines, expected }: Violation, versions: Pick<Family, 'from' | 'to'>): Found {
  const calls = lines.reduce((sum, { step }) => sum + ({ call: 1, cut: 1, together: 2 }[step.do as string] ?? 0), 0)
  const history = lines.flatMap((line) => stepWords(line, versions))
  return { rule, history, answers: bare(lines.at(-1)!.got), must: bare(expected), calls }
}

/** The future SO's start goes without saying: the first call of its version brings it. */
function stepWords({ step }: Line, versions: Pick<Family, 'from' | 'to'>): string[] {
  switch (step.do) {
    case 'call':
      return [written(versions, step)]
    case 'together':
      return [`${written(versions, step.first)} || ${written(versions, step.second)}`]
    case 'cut':
      return [`${written(versions, step.first)} killed`]
    case 'simulate':
      return []
    default:
      return [`*${step.do}*`]
  }
}

const bare = (value: string): string => value.replaceAll('"', '')
const refusal = ({ method, phase, args }: Droppable): string =>
  `${method}${args === null ? '' : `(${args.join(', ')})`} ${phase}`

const withoutArguments = (refused: string): string => refused.replace(/\(.*\)/, '')

/** Calls in a history in words. */
const callsIn = (history: readonly string[]): number =>
  history.filter((step) => !step.startsWith('*')).reduce((sum, step) => sum + step.split(' || ').length, 0)

/** What differs from what the tables say: nothing if the check is right. */
export function disagreements(
  { expected }: Pick<Variant, 'expected'>,
  { found, laws, droppable, needless }: Verdict
): string[] {
  const wrong = [...laws]
  if (expected.is === 'correct') {
    if (found !== null) wrong.push(`it is correct, and the check found ${found.history.join('; ')}`)
    const { droppable: expectedRefusals = [] } = expected
    for (const one of expectedRefusals)
      if (!droppable.includes(one) && !needless.includes(one)) wrong.push(`the refusal of ${one} can be dropped`)
    // Of a method that only another design could serve, single arguments may be served by this one.
    for (const one of droppable.map(withoutArguments))
      if (!expectedRefusals.includes(one)) wrong.push(`the refusal of ${one} is needed, and was called droppable`)
    return wrong
  }
  if (found === null) return [...wrong, 'it is wrong, and the check found nothing']
  if (found.rule !== expected.rule) wrong.push(`it violates ${expected.rule}, and the check says ${found.rule}`)
  const atMost = callsIn(expected.history)
  if (found.calls > atMost) wrong.push(`${atMost} calls suffice, and the check found ${found.calls}`)
  return wrong
}
