/**
 * Schedules as data (DESIGN: "data first"). A schedule is `{ when: condition, constraints: […] }`; peers and the
 * simulator evaluate the same data and say why they wait. Combinators for authors stand in `combinators.ts`,
 * evaluation in `evaluate.ts`.
 */
import { z } from 'zod'
import { nameSchema, pathSchema, versionSchema } from '../names.ts'
import type { Unknown } from './reading.ts'
import { windowError } from './window.ts'

/** Nesting and width of conditions are bounded, so that a schedule costs little to parse and to evaluate. */
export const MAX_CONDITION_DEPTH = 8
export const MAX_CONDITIONS = 64
/** Sets of other peers that one schedule judges: each takes room in every view (SPEC O9). */
export const MAX_PANELS = 16
/** Shares are whole millionths: canonical JSON has no fractions. */
export const MILLION = 1_000_000
/** A year: no delay of a roll-out is longer. */
export const MAX_DELAY_MS = 366 * 24 * 3600 * 1000

export type Condition =
  | { kind: 'immediately' }
  | { kind: 'manual' }
  | { kind: 'after'; delayMs: number }
  | { kind: 'canary'; share: { perMillion: number } | { count: number }; soakMs: number; success?: number }
  | { kind: 'never' }
  | { kind: 'at'; timeMs: number }
  | { kind: 'gradual'; overMs: number; shape: 'even' | 'growing' }
  | { kind: 'window'; cron: string; timezone: string; durationMs: number }
  | { kind: 'where'; labels: Record<string, string[]> }
  | { kind: 'quiet'; loadBelow: number; forMs: number }
  | { kind: 'lock'; timeoutMs: number }
  | { kind: 'not'; of: Condition }
  | { kind: 'any'; of: Condition[] }
  | { kind: 'all'; of: Condition[] }
  | { kind: 'sequence'; of: Condition[] }
  | { kind: 'waves'; ends: number[]; everyMs: number; success: number }
  | { kind: 'domains'; by: string; order: string[][]; everyMs: number; success: number }
  | { kind: 'afterClass'; class: string; version: number; success: number }
  | { kind: 'signalled'; of: Signalling; share: number }
  | { kind: 'random'; withinMs: number }
  | { kind: 'byClass'; classes: Record<string, Condition>; otherwise: Condition }
  /** The module's path: beside upgrade.ts as an author writes it, in the bundle once it is packed. */
  | { kind: 'custom'; module: string }
  | Unknown

/** Whose readiness counts: the peers it is connected with, the members of its group, or all that it knows of. */
export type Signalling = 'neighbours' | 'group' | 'sample'

export type Constraint =
  /** `minimumAlive`: so many other members must be known to serve. */
  | { kind: 'rolling'; by: 'group'; unavailable: number; minimumAlive?: number }
  | { kind: 'notWhile'; condition: Condition }
  /** Shares of the peers known; at least one of them is given. */
  | { kind: 'guard'; failedPerMillion?: number; unhealthyPerMillion?: number; worse?: Worse }
  | Unknown

/** Shares of failed calls against those before the upgrade: more than so many per cent of it, and so much more in all. */
export interface Worse {
  factorPercent: number
  differencePerMillion: number
  /** Fewer calls, before or since, say nothing. */
  calls: number
}

export interface Schedule {
  when: Condition
  constraints: Constraint[]
}

const shareSchema = z.int().min(1).max(MILLION)
const labelSchema = z.string().max(64)

/** Conditions that look at other peers. */
const ofOthers = [
  z.strictObject({
    kind: z.literal('waves'),
    /** Up to which share of the fleet each wave goes, per million. */
    ends: z
      .array(shareSchema)
      .min(1)
      .max(MAX_PANELS + 1)
      .refine((ends) => ends.every((end, at) => at === 0 || end > ends[at - 1]!), 'shares of waves ascend')
      .refine((ends) => ends.at(-1) === MILLION, 'the last wave is all: 1'),
    everyMs: z.int().min(0).max(MAX_DELAY_MS),
    /** Share of each wave that must run well, per million. */
    success: shareSchema
  }),
  z.strictObject({
    kind: z.literal('domains'),
    by: labelSchema.min(1),
    /** One domain after another, each of one or several values of the label. */
    order: z
      .array(z.array(labelSchema.min(1)).min(1).max(MAX_CONDITIONS))
      .min(1)
      .max(MAX_PANELS)
      .refine((order) => new Set(order.flat()).size === order.flat().length, 'each value is in one domain, once'),
    everyMs: z.int().min(0).max(MAX_DELAY_MS),
    success: shareSchema
  }),
  z.strictObject({
    kind: z.literal('afterClass'),
    class: nameSchema,
    version: versionSchema,
    success: shareSchema
  }),
  z.strictObject({
    kind: z.literal('signalled'),
    of: z.enum(['neighbours', 'group', 'sample']),
    share: shareSchema
  })
] as const

/** Conditions on the node itself. */
const ofItself = [
  z.strictObject({
    kind: z.literal('quiet'),
    /** Calls a second. */
    loadBelow: z.int().min(1).max(1_000_000),
    forMs: z.int().min(0).max(MAX_DELAY_MS)
  }),
  z.strictObject({ kind: z.literal('lock'), timeoutMs: z.int().min(1000).max(MAX_DELAY_MS) })
] as const

const leaf = [
  ...ofOthers,
  ...ofItself,
  z.strictObject({ kind: z.literal('random'), withinMs: z.int().min(1).max(MAX_DELAY_MS) }),
  z.strictObject({ kind: z.literal('immediately') }),
  z.strictObject({
    kind: z.literal('custom'),
    module: z
      .string()
      .refine(
        (module) => pathSchema.safeParse(module.replace(/^\.\//, '')).success,
        'a module is named by its path beside upgrade.ts: "./schedule.ts"'
      )
  }),
  z.strictObject({ kind: z.literal('manual') }),
  z.strictObject({ kind: z.literal('after'), delayMs: z.int().min(0).max(MAX_DELAY_MS) }),
  z.strictObject({
    kind: z.literal('canary'),
    /** A share of the fleet, or a number of peers (not more than are judged). */
    share: z.union([
      z.strictObject({ perMillion: z.int().min(1).max(999_999) }),
      z.strictObject({ count: z.int().min(1).max(64) })
    ]),
    soakMs: z.int().min(0).max(MAX_DELAY_MS),
    /** Share of the judged that must run well, per million; absent: all. */
    success: shareSchema.optional()
  }),
  z.strictObject({ kind: z.literal('never') }),
  z.strictObject({ kind: z.literal('at'), timeMs: z.int().min(0).max(8_640_000_000_000_000) }),
  z.strictObject({
    kind: z.literal('gradual'),
    overMs: z.int().min(1).max(MAX_DELAY_MS),
    shape: z.enum(['even', 'growing'])
  }),
  z
    .strictObject({
      kind: z.literal('window'),
      cron: z.string().max(100),
      timezone: z.string().max(64),
      durationMs: z.int().min(1000).max(MAX_DELAY_MS)
    })
    .superRefine((window, context) => {
      const message = windowError(window)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    }),
  z.strictObject({
    kind: z.literal('where'),
    labels: z
      .record(z.string().max(64), z.array(z.string().max(64)).min(1).max(MAX_CONDITIONS))
      .refine((labels) => Object.keys(labels).length > 0 && Object.keys(labels).length <= 16, '1 to 16 labels')
  })
] as const

/** A kind that is none is named, with those that are. */
const noSuch = (what: string) => ({
  error: ({ input, options }: { input?: any; options?: unknown }): string | undefined =>
    Array.isArray(options)
      ? `there is no ${what} "${String(input?.kind).slice(0, 64)}"; there are ${options.join(', ')}`
      : undefined
})

const conditionAt = (depth: number): z.ZodType<Condition> => {
  if (depth === 0) return z.discriminatedUnion('kind', [...leaf], noSuch('condition'))
  const children = z
    .array(z.lazy(() => conditionAt(depth - 1)))
    .min(1)
    .max(MAX_CONDITIONS)
  return z.discriminatedUnion(
    'kind',
    [
      ...leaf,
      z.strictObject({ kind: z.literal('not'), of: z.lazy(() => conditionAt(depth - 1)) }),
      z.strictObject({ kind: z.literal('any'), of: children }),
      z.strictObject({ kind: z.literal('all'), of: children }),
      z.strictObject({ kind: z.literal('sequence'), of: children }),
      z.strictObject({
        kind: z.literal('byClass'),
        classes: z
          .record(
            nameSchema,
            z.lazy(() => conditionAt(depth - 1))
          )
          .refine((classes) => Object.keys(classes).length > 0, 'at least one class')
          .refine((classes) => Object.keys(classes).length <= MAX_CONDITIONS, `at most ${MAX_CONDITIONS} classes`),
        otherwise: z.lazy(() => conditionAt(depth - 1))
      })
    ],
    noSuch('condition')
  ) as z.ZodType<Condition>
}

export const conditionSchema: z.ZodType<Condition> = conditionAt(MAX_CONDITION_DEPTH)

const perMillion = z.int().min(0).max(1_000_000)

export const constraintSchema: z.ZodType<Constraint> = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('rolling'),
      by: z.literal('group'),
      unavailable: z.int().min(1).max(64),
      minimumAlive: z.int().min(1).max(64).optional()
    }),
    z.strictObject({ kind: z.literal('notWhile'), condition: conditionSchema }),
    z
      .strictObject({
        kind: z.literal('guard'),
        failedPerMillion: perMillion.optional(),
        unhealthyPerMillion: perMillion.optional(),
        worse: z
          .strictObject({
            factorPercent: z.int().min(100).max(1_000_000),
            differencePerMillion: perMillion,
            calls: z.int().min(32).max(MILLION)
          })
          .optional()
      })
      .refine((guard) => Object.keys(guard).length > 1, 'a guard names at least one share that halts')
  ],
  noSuch('constraint')
)

export const whenSchema: z.ZodType<Condition> = conditionSchema.refine(
  (when) => panelsOf(when).length <= MAX_PANELS,
  `it looks at more than ${MAX_PANELS} sets of other peers (waves, domains, classes); name fewer`
)

export const scheduleSchema: z.ZodType<Schedule> = z
  .strictObject({ when: whenSchema, constraints: z.array(constraintSchema).max(8) })
  .refine(
    (schedule) => panelsOf(wholeOf(schedule)).length <= MAX_PANELS,
    `it looks at more than ${MAX_PANELS} sets of other peers (waves, domains, classes); name fewer`
  )

/** The conditions that one is made of; of `byClass`, only what is meant for a class of these names, where they are given. */
export function partsOf(condition: Condition, classes?: readonly string[]): readonly Condition[] {
  if (condition.kind === 'not') return [condition.of]
  if ('of' in condition && Array.isArray(condition.of)) return condition.of
  if (condition.kind !== 'byClass') return []
  return classes === undefined
    ? [...Object.values(condition.classes), condition.otherwise]
    : [branchOf(condition, classes)[1]]
}

/** What `byClass` asks of an object whose class has these names, with the name under which it says so. */
export function branchOf(
  { classes: branches, otherwise }: Extract<Condition, { kind: 'byClass' }>,
  classes: readonly string[]
): [name: string, condition: Condition] {
  const name = classes.find((one) => Object.hasOwn(branches, one))
  return name === undefined ? ['', otherwise] : [name, branches[name]!]
}

/** A condition and all that it is made of. */
export function* conditionsOf(condition: Condition, classes?: readonly string[]): IterableIterator<Condition> {
  yield condition
  for (const part of partsOf(condition, classes)) yield* conditionsOf(part, classes)
}

/** Who may be in a panel: the lowest by place from one place to another (per million), of those with a label, or of a class. */
export type Filter =
  | { by: 'place'; from: number; to: number }
  | { by: 'label'; label: string; values: readonly string[] }
  | { by: 'class'; class: string; version: number }

/** The panels that a condition looks at, each once; `classes`: names of the class that it is for. */
export function panelsOf(condition: Condition, classes?: readonly string[]): Filter[] {
  const found = new Map<string, Filter>()
  for (const one of conditionsOf(condition, classes))
    for (const filter of filtersOf(one)) found.set(keyOf(filter), filter)
  return [...found.values()]
}

export const keyOf = (filter: Filter): string => JSON.stringify(filter)

/** Of one condition, without those that it is made of. The last wave and the last domain are judged by nobody else. */
export function filtersOf(condition: Condition): Filter[] {
  switch (condition.kind) {
    case 'canary':
      return [placesTo(0, MILLION)]
    case 'waves':
      return condition.ends.slice(0, -1).map((end, at) => waveOf(condition.ends, at, end))
    case 'domains':
      return condition.order.map((values) => ({ by: 'label', label: condition.by, values }))
    case 'afterClass':
      return [{ by: 'class', class: condition.class, version: condition.version }]
    default:
      return []
  }
}

const placesTo = (from: number, to: number): Filter => ({ by: 'place', from, to })

/** The first wave is of the lowest known, wherever they lie: it has at least one peer (S40). */
const waveOf = (ends: readonly number[], at: number, end: number): Filter =>
  at === 0 ? placesTo(0, MILLION) : placesTo(ends[at - 1]!, end)

/** All that a schedule looks at as one condition: the one that must hold, and those that its constraints name. */
export function wholeOf({ when, constraints }: Schedule): Condition {
  return { kind: 'all', of: [when, ...constraints.flatMap((one) => (one.kind === 'notWhile' ? [one.condition] : []))] }
}

/** Whether a condition judges others, so that one of them may hold a fleet up by design. */
export function judgesOthers(condition: Condition): boolean {
  return [...conditionsOf(condition)].some((one) => one.kind === 'signalled' || filtersOf(one).length > 0)
}
