/** Conditions on the node itself (SPEC S25, S26): its load, and what local programs hold. */
import { sayDuration } from './duration.ts'
import type { Facts, Progress, Verdict } from './evaluate.ts'
import type { Condition } from './schedule.ts'

type Local = Pick<Facts, 'isQuiet' | 'locks'>

/** S25. Time counts only from one look to the next at which it was quiet; a start of the peer does not set it back. */
export function evaluateQuiet(
  { loadBelow, forMs }: Extract<Condition, { kind: 'quiet' }>,
  path: string,
  progress: Progress,
  passedMs: number,
  { isQuiet }: Local
): Verdict {
  const mark = `${path}/quiet`
  const counted = progress[path] ?? 0
  const quiet = isQuiet(loadBelow)
  if (quiet === undefined) {
    const reason = { kind: 'quiet', sentence: 'measures its load' } as const
    return { go: false, progress: without(progress, mark), reason, inMs: undefined, unsure: true }
  }
  if (!quiet) {
    const sentence = `waits until it answers fewer than ${loadBelow} calls a second, for ${sayDuration(forMs)}`
    return {
      go: false,
      progress: without(progress, mark, path),
      reason: { kind: 'quiet', sentence },
      inMs: undefined
    }
  }
  const elapsed = Math.min(forMs, counted + (mark in progress ? passedMs : 0))
  const next = { ...progress, [path]: elapsed, [mark]: 1 }
  if (elapsed >= forMs) return { go: true, progress: next }
  const leftMs = forMs - elapsed
  const sentence = `is quiet, and waits another ${sayDuration(leftMs)} of ${sayDuration(forMs)}`
  return { go: false, progress: next, reason: { kind: 'quiet', sentence }, inMs: leftMs }
}

/** S26. All locks together hold it up for `timeoutMs`, counted while one is held: no program holds it for ever. */
export function evaluateLock(
  { timeoutMs }: Extract<Condition, { kind: 'lock' }>,
  path: string,
  progress: Progress,
  passedMs: number,
  { locks }: Local
): Verdict {
  const mark = `${path}/held`
  const [first] = locks
  if (first === undefined) return { go: true, progress: without(progress, mark) }
  const elapsed = Math.min(timeoutMs, (progress[path] ?? 0) + (mark in progress ? passedMs : 0))
  const next = { ...progress, [path]: elapsed, [mark]: 1 }
  const leftMs = timeoutMs - elapsed
  if (leftMs <= 0) return { go: true, progress: next }
  const more = locks.length > 1 ? ` and ${locks.length - 1} more` : ''
  const sentence = `is held by lock "${first.name}" (${first.reason})${more}, for another ${sayDuration(leftMs)} at most`
  return { go: false, progress: next, reason: { kind: 'lock', sentence }, inMs: leftMs }
}

const without = (progress: Progress, ...keys: string[]): Progress =>
  keys.some((key) => key in progress)
    ? Object.fromEntries(Object.entries(progress).filter(([key]) => !keys.includes(key)))
    : progress
