/**
 * Evaluates a schedule's condition to *go* or *wait, because …* (SPEC S). Pure: progress in, progress out, so that soaks
 * count elapsed time and survive restarts.
 */
import { type CanaryFacts, evaluateCanary } from './canary.ts'
import { sayDuration } from './duration.ts'
import type { Condition } from './schedule.ts'

/** Path of a condition within its schedule → elapsed ms (`after`, `canary`) or steps passed (`sequence`). */
export type Progress = Readonly<Record<string, number>>

export type Verdict =
  | { go: true; progress: Progress }
  | {
      go: false
      progress: Progress
      /** What it waits for, as data and as one sentence. */
      reason: { kind: Condition['kind'] | 'pause' | 'permit' | 'bundle' | 'turn'; sentence: string }
      /** Evaluate again after this many ms; undefined: when something changes. */
      inMs: number | undefined
    }

/** What conditions look at beside time. */
export interface Facts {
  /** An operator approved the upgrade. */
  approved: boolean
  /** What is known of the upgrade's canaries; asked for only where the condition names some. */
  canaries(): CanaryFacts
}

/** `passedMs`: time since the last evaluation with this progress, while the peer was up. */
export function evaluate(condition: Condition, progress: Progress, passedMs: number, facts: Facts): Verdict {
  return at(condition, '', progress, { passedMs, ...facts })
}

type Moment = Facts & { passedMs: number }

function at(condition: Condition, path: string, progress: Progress, moment: Moment): Verdict {
  switch (condition.kind) {
    case 'immediately':
      return { go: true, progress }
    case 'manual': {
      if (moment.approved) return { go: true, progress }
      return { go: false, progress, reason: { kind: 'manual', sentence: 'waits for an approval' }, inMs: undefined }
    }
    case 'after': {
      // No more than it asks for: what cannot change any more is not written again and again.
      const elapsed = path in progress ? Math.min(condition.delayMs, progress[path]! + moment.passedMs) : 0
      const next = { ...progress, [path]: elapsed }
      if (elapsed >= condition.delayMs) return { go: true, progress: next }
      const left = condition.delayMs - elapsed
      return {
        go: false,
        progress: next,
        reason: { kind: 'after', sentence: `waits another ${sayDuration(left)} of ${sayDuration(condition.delayMs)}` },
        inMs: left
      }
    }
    case 'canary':
      return evaluateCanary(condition, path, progress, moment.passedMs, moment.canaries())
    case 'all': {
      let verdict = { go: true, progress } as Verdict
      for (const [index, child] of condition.of.entries()) {
        const one = at(child, `${path}/${index}`, verdict.progress, moment)
        verdict = verdict.go
          ? one
          : { ...verdict, progress: one.progress, inMs: earlier(verdict.inMs, one.go ? undefined : one.inMs) }
      }
      return verdict
    }
    case 'sequence':
      return sequence(condition.of, path, progress, moment)
  }
}

/** Steps come true in their order; one that has come true stays so. A step's time begins when its turn comes. */
function sequence(steps: readonly Condition[], path: string, progress: Progress, moment: Moment): Verdict {
  let next = progress
  let passed = progress[path] ?? 0
  for (; passed < steps.length; passed++) {
    const one = at(steps[passed]!, `${path}/${passed}`, next, moment)
    next = { ...one.progress, [path]: passed }
    if (!one.go) {
      const sentence = `step ${passed + 1} of ${steps.length}: ${one.reason.sentence}`
      return { go: false, progress: next, reason: { kind: one.reason.kind, sentence }, inMs: one.inMs }
    }
  }
  return { go: true, progress: { ...next, [path]: passed } }
}

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)
