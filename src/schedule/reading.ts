/**
 * Schedules as a peer reads them in signed entries (SPEC S45). A kind that only a later release knows must not keep an
 * entry out of the log: peers of two releases would have two logs. It is read as *unknown*, and the peer holds.
 */
import { z } from 'zod'
import { type Condition, type Constraint, constraintSchema, type Schedule, whenSchema } from './schedule.ts'

/** What is not understood is only kept: nested no deeper than conditions may ever be, and of integers, as U4 asks. */
const MAX_UNKNOWN_DEPTH = 32
const MAX_STRATEGY_LENGTH = 64

export type Unknown = { kind: 'unknown'; strategy: string; because: string }

/** A condition or a constraint that this release knows, or what it can say of one that it does not. */
const reading = <Known>(schema: z.ZodType<Known>): z.ZodType<Known | Unknown> =>
  z.unknown().transform((value, context): Known | Unknown => {
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const strategy = strategyOf(value, parsed.error)
    if (strategy !== undefined && isPlain(value, MAX_UNKNOWN_DEPTH)) return { kind: 'unknown', ...strategy }
    const [issue] = parsed.error.issues
    context.addIssue({ code: 'custom', path: issue!.path, message: issue!.message })
    return z.NEVER
  })

export const readConditionSchema: z.ZodType<Condition> = reading(whenSchema)

export const readScheduleSchema: z.ZodType<Schedule> = z.strictObject({
  when: readConditionSchema,
  constraints: z.array(reading<Constraint>(constraintSchema)).max(8)
})

/** The kind nearest to what was not understood, and why, where the kind itself is known. */
function strategyOf(value: unknown, error: z.ZodError): { strategy: string; because: string } | undefined {
  const issue = error.issues.find((one) => one.path.at(-1) === 'kind') ?? error.issues[0]!
  let strategy: string | undefined
  let at: any = value
  for (const key of [...issue.path, '']) {
    if (typeof at?.kind === 'string') strategy = at.kind.slice(0, MAX_STRATEGY_LENGTH)
    at = at?.[key]
  }
  if (strategy === undefined) return undefined
  const because = issue.path.at(-1) === 'kind' ? '' : `${issue.path.join('.')}: ${issue.message}`.slice(0, 200)
  return { strategy, because }
}

function isPlain(value: unknown, depth: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (depth === 0 || typeof value !== 'object') return false
  return Object.values(value).every((one) => isPlain(one, depth - 1))
}

/** What of a schedule this release does not know, in words for whoever has to mend it; undefined if it knows all. */
export function sayUnknown(parts: readonly (Condition | Constraint | undefined)[]): string | undefined {
  const found = parts.find((one): one is Unknown => one?.kind === 'unknown')
  if (found === undefined) return undefined
  const said = found.because === '' ? '' : `, or not in this form (${found.because})`
  return `this release of upstart-peer does not know the schedule "${found.strategy}"${said}; install a newer one`
}
