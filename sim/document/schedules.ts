/**
 * Schedules in a scenario: the combinators that authors write, as YAML (SPEC M28). `{ canary: { fraction: 0.05, soak: 1h } }`
 * is canary({ fraction: 0.05, soak: '1h' }), a list is several arguments, a bare word is a call without any; so every
 * combinator of src/schedule is known here by its name. What `upstart pack` stores (`kind: …`) is understood as well.
 */
import { z } from 'zod'
import * as combinators from '../../src/schedule/combinators.ts'
import { type Schedule, scheduleSchema } from '../../src/schedule/schedule.ts'
import { say } from './quantities.ts'

const { durationMs: _, defaultSchedule: __, ...known } = combinators
const functions = known as unknown as Readonly<Record<string, (...args: unknown[]) => object>>
/** Their arguments are conditions. */
const OF_CONDITIONS: ReadonlySet<string> = new Set(['all', 'any', 'sequence', 'not', 'notWhile'])
/** In their arguments conditions may stand. */
const WITH_CONDITIONS: ReadonlySet<string> = new Set(['deadline', 'byLabel', 'byClass'])
const names = Object.keys(functions).sort()

class Misread extends Error {
  readonly path: (string | number)[]
  constructor(message: string, path: (string | number)[]) {
    super(message)
    this.name = 'Misread'
    this.path = path
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function called(name: string, written: unknown, path: (string | number)[]): object {
  const args = written === undefined || written === null ? [] : [written].flat()
  const read = OF_CONDITIONS.has(name) ? conditionOf : WITH_CONDITIONS.has(name) ? nested : (one: unknown) => one
  try {
    return functions[name]!(...args.map((one, index) => read(one, [...path, index])))
  } catch (error) {
    if (error instanceof Misread) throw error
    // A combinator that is handed what it does not take says so, or fails on it: either way it is these arguments.
    const text = error instanceof Error ? error.message : String(error)
    throw new Misread(text.startsWith(`${name}:`) ? text : `${name}: ${text}`, path)
  }
}

/** An argument of a combinator that takes conditions: a condition, or a map or list with conditions in it. */
function nested(value: unknown, path: (string | number)[]): unknown {
  const condition = conditionIn(value, path)
  if (condition !== undefined) return condition
  if (Array.isArray(value)) return value.map((one, index) => nested(one, [...path, index]))
  if (!isMap(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, nested(one, [...path, key])]))
}

function conditionIn(value: unknown, path: (string | number)[]): object | undefined {
  if (typeof value === 'string') return value in functions ? called(value, undefined, path) : undefined
  if (!isMap(value)) return undefined
  if (typeof value['kind'] === 'string') return value
  const [name, ...more] = Object.keys(value)
  return name !== undefined && more.length === 0 && name in functions
    ? called(name, value[name], [...path, name])
    : undefined
}

function conditionOf(value: unknown, path: (string | number)[]): object {
  const condition = conditionIn(value, path)
  if (condition === undefined) throw new Misread(`${say(value)} is no condition; there are ${names.join(', ')}`, path)
  return condition
}

/** Undefined constraints: the fleet's own, one of a group at a time. */
export interface WrittenSchedule {
  when: Schedule['when']
  constraints: Schedule['constraints'] | undefined
}

/** What a bare word stands for, if it is a combinator that takes nothing. */
export function bare(word: string): WrittenSchedule | undefined {
  if (!(word in functions) || functions[word]!.length > 0) return undefined
  return { when: functions[word]!() as Schedule['when'], constraints: undefined }
}

/** A condition alone, or `{ when, constraints }`. A bare word may be the name of a schedule, which comes first. */
export const scheduleOrName = z.unknown().transform((value, context): WrittenSchedule | string => {
  if (typeof value === 'string') return value
  try {
    const whole = isMap(value) && 'when' in value ? value : { when: value }
    const inWhen = whole === value ? ['when'] : []
    const list = whole['constraints']
    if (list !== undefined && !Array.isArray(list))
      throw new Misread('constraints are a list, like [{ rolling: { by: group, unavailable: 1 } }]', ['constraints'])
    const when = conditionOf(whole['when'], inWhen)
    const constraints = list?.map((one, index) => conditionOf(one, ['constraints', index]))
    const parsed = scheduleSchema.parse({ when, constraints: constraints ?? [] })
    return { when: parsed.when, constraints: constraints === undefined ? undefined : parsed.constraints }
  } catch (error) {
    const path = error instanceof Misread ? error.path : []
    const [issue] = error instanceof z.ZodError ? error.issues : []
    const message = issue === undefined ? (error as Error).message : `${issue.path.join('.')}: ${issue.message}`
    context.issues.push({ code: 'custom', input: value, path, message })
    return z.NEVER
  }
})
