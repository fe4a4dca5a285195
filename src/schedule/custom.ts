/**
 * The condition `custom` (SPEC S60 to S63): code of the bundle says go, or wait because … It runs in a process of its
 * own, never here: what this side has is the last answer, and whether that was one.
 */
import { z } from 'zod'
import type { ScheduleAnswer } from './context.ts'
import type { Progress, Verdict } from './evaluate.ts'
import { type Condition, MAX_DELAY_MS } from './schedule.ts'

/** Between two questions lie at least so many ms, whatever changes and whatever the code asks for. */
export const REST_MS = 5_000
export const MAX_PEERS_SHOWN = 64
const MAX_SAID = 200

const inMs = z.int().min(0).max(MAX_DELAY_MS).optional()
const answerSchema = z.union([
  z.strictObject({ go: z.literal(true), inMs }),
  z.strictObject({ wait: z.string().min(1), inMs })
])

/** @throws Error for what is no answer */
export function readAnswer(value: unknown): ScheduleAnswer {
  const parsed = answerSchema.safeParse(value)
  if (!parsed.success)
    throw new Error('its answer is neither { go: true } nor { wait: "because …" }, perhaps with inMs, a whole number')
  const answer = parsed.data
  const again = answer.inMs === undefined ? {} : { inMs: Math.max(REST_MS, answer.inMs) }
  return 'go' in answer ? { go: true, ...again } : { wait: answer.wait.slice(0, MAX_SAID), ...again }
}

/** What is known of the code's mind. `inMs`: when to look again. */
export type Opinion =
  | { known: 'asked' }
  | { known: 'answer'; answer: ScheduleAnswer; inMs: number | undefined }
  | { known: 'failure'; reason: string; againMs: number; inMs: number | undefined }

/** What failed is treated as *wait*, and never as its opposite: `not` of it does not hold either (S62). */
export function evaluateCustom(
  { module }: Extract<Condition, { kind: 'custom' }>,
  progress: Progress,
  opinion: Opinion
): Verdict {
  const wait = (sentence: string, after?: number): Verdict & { go: false } => ({
    go: false,
    progress,
    reason: { kind: 'custom', sentence: `${module} ${sentence}` },
    inMs: after
  })
  switch (opinion.known) {
    case 'asked':
      return { ...wait('is asked'), unsure: true }
    case 'failure': {
      const again = Math.round(opinion.againMs / 1000)
      return { ...wait(`failed: ${opinion.reason}; it is asked again ${again} s later`, opinion.inMs), unsure: true }
    }
    case 'answer': {
      const { answer, inMs } = opinion
      if ('wait' in answer) return wait(`says: ${answer.wait}`, inMs)
      return { go: true, progress, ...(inMs === undefined ? {} : { forMs: inMs }) }
    }
  }
}

/** Plain data with every custom condition's module named as `place` says. */
export function relocated<Plain>(data: Plain, place: (module: string) => string): Plain {
  if (data === null || typeof data !== 'object') return data
  if (Array.isArray(data)) return data.map((one) => relocated(one, place)) as Plain
  const copy = Object.fromEntries(Object.entries(data).map(([key, one]) => [key, relocated(one, place)]))
  return (copy['kind'] === 'custom' ? { ...copy, module: place(String(copy['module'])) } : copy) as Plain
}
