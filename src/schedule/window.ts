/** The condition `window` (SPEC S12): quiet times, as a cron expression in a time zone says when they begin. */
import { Cron } from 'croner'
import { sayDuration } from './duration.ts'
import type { Progress, Verdict } from './evaluate.ts'
import type { Condition } from './schedule.ts'

type Window = Extract<Condition, { kind: 'window' }>

/** Parsed expressions, few and shared by all peers of a process: they stand in signed entries. */
const parsed = new Map<string, Cron>()
const MAX_PARSED = 256

function cronOf({ cron, timezone }: Pick<Window, 'cron' | 'timezone'>): Cron {
  const key = `${timezone} ${cron}`
  let found = parsed.get(key)
  if (found === undefined) {
    if (parsed.size >= MAX_PARSED) parsed.clear()
    // Paused: it is only asked for times, and starts no timer.
    found = new Cron(cron, { timezone, paused: true })
    parsed.set(key, found)
  }
  return found
}

/** What is wrong with an expression or a time zone, in words with the mend; undefined if it names times. */
export function windowError({ cron, timezone }: Pick<Window, 'cron' | 'timezone'>): string | undefined {
  // The zone first: of a bad one the expression's parser speaks as of a bad date.
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch {
    return `there is no time zone "${timezone}"; name one like "Europe/Berlin" or "UTC"`
  }
  try {
    const next = cronOf({ cron, timezone }).nextRun(new Date('2026-01-01T00:00:00Z'))
    return next === null ? `the cron expression "${cron}" never comes true` : undefined
  } catch (error) {
    const why = (error as Error).message.replace(/^Cron\w+: /, '')
    return `the cron expression "${cron}" is wrong: ${why}; write minute, hour, day, month and weekday, like "0 2 * * *"`
  }
}

export function evaluateWindow(window: Window, progress: Progress, nowMs: number): Verdict {
  const cron = cronOf(window)
  const now = new Date(nowMs)
  // A run at this very moment is not a previous one: a millisecond later it is.
  const begun = cron.previousRuns(1, new Date(nowMs + 1))[0]
  const leftMs = begun === undefined ? 0 : begun.getTime() + window.durationMs - nowMs
  if (leftMs > 0) return { go: true, progress, forMs: leftMs }
  const next = cron.nextRun(now)
  const at = next === null ? 'never' : `at ${next.toISOString().replace(/\.000Z$/, 'Z')}`
  const inMs = next === null ? undefined : next.getTime() - nowMs
  const when = inMs === undefined ? at : `${at}, in ${sayDuration(inMs)}`
  return {
    go: false,
    progress,
    reason: {
      kind: 'window',
      sentence: `waits for its window (${window.cron} ${window.timezone}), which opens ${when}`
    },
    inMs
  }
}
