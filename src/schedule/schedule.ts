/**
 * Schedules as data (DESIGN: "data first"). A schedule is `{ when: condition, constraints: […] }`; peers and the
 * simulator evaluate the same data and say why they wait. Combinators for authors stand in `combinators.ts`,
 * evaluation in `evaluate.ts`.
 */
import { z } from 'zod'
import { windowError } from './window.ts'

/** Nesting and width of conditions are bounded, so that a schedule costs little to parse and to evaluate. */
export const MAX_CONDITION_DEPTH = 8
export const MAX_CONDITIONS = 64
/** A year: no delay of a roll-out is longer. */
export const MAX_DELAY_MS = 366 * 24 * 3600 * 1000

export type Condition =
  | { kind: 'immediately' }
  | { kind: 'manual' }
  | { kind: 'after'; delayMs: number }
  | { kind: 'canary'; share: { perMillion: number } | { count: number }; soakMs: number }
  | { kind: 'never' }
  | { kind: 'at'; timeMs: number }
  | { kind: 'gradual'; overMs: number; shape: 'even' | 'growing' }
  | { kind: 'window'; cron: string; timezone: string; durationMs: number }
  | { kind: 'where'; labels: Record<string, string[]> }
  | { kind: 'not'; of: Condition }
  | { kind: 'any'; of: Condition[] }
  | { kind: 'all'; of: Condition[] }
  | { kind: 'sequence'; of: Condition[] }

export type Constraint = { kind: 'rolling'; by: 'group'; unavailable: number }

export interface Schedule {
  when: Condition
  constraints: Constraint[]
}

const leaf = [
  z.strictObject({ kind: z.literal('immediately') }),
  z.strictObject({ kind: z.literal('manual') }),
  z.strictObject({ kind: z.literal('after'), delayMs: z.int().min(0).max(MAX_DELAY_MS) }),
  z.strictObject({
    kind: z.literal('canary'),
    /** A share of the fleet, or a number of peers (not more than are judged). */
    share: z.union([
      z.strictObject({ perMillion: z.int().min(1).max(999_999) }),
      z.strictObject({ count: z.int().min(1).max(64) })
    ]),
    soakMs: z.int().min(0).max(MAX_DELAY_MS)
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

const conditionAt = (depth: number): z.ZodType<Condition> => {
  if (depth === 0) return z.discriminatedUnion('kind', [...leaf])
  const children = z
    .array(z.lazy(() => conditionAt(depth - 1)))
    .min(1)
    .max(MAX_CONDITIONS)
  return z.discriminatedUnion('kind', [
    ...leaf,
    z.strictObject({ kind: z.literal('not'), of: z.lazy(() => conditionAt(depth - 1)) }),
    z.strictObject({ kind: z.literal('any'), of: children }),
    z.strictObject({ kind: z.literal('all'), of: children }),
    z.strictObject({ kind: z.literal('sequence'), of: children })
  ]) as z.ZodType<Condition>
}

export const conditionSchema: z.ZodType<Condition> = conditionAt(MAX_CONDITION_DEPTH)

export const constraintSchema: z.ZodType<Constraint> = z.strictObject({
  kind: z.literal('rolling'),
  by: z.literal('group'),
  unavailable: z.int().min(1).max(64)
})

export const scheduleSchema: z.ZodType<Schedule> = z.strictObject({
  when: conditionSchema,
  constraints: z.array(constraintSchema).max(8)
})

/** Whether a condition names canaries, at any depth. */
export function namesCanaries(condition: Condition): boolean {
  if (condition.kind === 'not') return namesCanaries(condition.of)
  if ('of' in condition) return condition.of.some(namesCanaries)
  return condition.kind === 'canary'
}
