/** A drawn scenario as a file that can be run again (SPEC M47): JSON, with the code of schedules by its name. */
import { z } from 'zod'
import { Refusal } from '../../src/errors.ts'
import { codes } from '../faults.ts'
import { type Scenario, scenario } from '../scenario.ts'

/** Only what every run reads before anything else; the rest is a scenario of ours, or fails as one. */
const fileSchema = z.object({
  format: z.literal(1),
  rule: z.string().max(8),
  commit: z.string().max(64),
  scenario: z.looseObject({
    seed: z.int().min(0),
    peers: z.int().min(1).max(100_000),
    actions: z.array(z.looseObject({ atMs: z.number(), what: z.string() })).max(1000),
    faults: z.array(z.looseObject({ atMs: z.number(), what: z.string() })).max(100_000)
  })
})

export interface Written {
  /** The rule that it broke, at this commit. */
  rule: string
  commit: string
  scenario: Scenario
}

export function textOf({ rule, commit, scenario }: Written): string {
  const plain = (_: string, value: unknown): unknown => {
    if (value === Number.POSITIVE_INFINITY) return 'Infinity'
    return Object.entries(codes).find(([, code]) => code === value)?.[0] ?? value
  }
  return `${JSON.stringify({ format: 1, rule, commit, scenario }, plain, 1)}\n`
}

/** @throws Refusal Malformed */
export function writtenIn(file: string, text: string): Written {
  const revive = (key: string, value: unknown): unknown => {
    if (value === 'Infinity') return Number.POSITIVE_INFINITY
    if (key !== 'code') return value
    const code = codes[value as string]
    if (code === undefined) throw new Refusal('Malformed', `${file}: there is no code of schedules named ${value}`)
    return code
  }
  let value: unknown
  try {
    value = JSON.parse(text, revive)
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal('Malformed', `${file}: ${(error as Error).message}; name a file that scripts/swarm wrote`)
  }
  const parsed = fileSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue?.path.join('.') ?? ''
    throw new Refusal('Malformed', `${file}: ${where}: ${issue?.message}; name a file that scripts/swarm wrote`)
  }
  const { rule, commit } = parsed.data
  return { rule, commit, scenario: scenario(parsed.data.scenario as unknown as Scenario) }
}
