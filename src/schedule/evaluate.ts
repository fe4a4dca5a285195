/**
 * Evaluates a schedule's condition to *go* or *wait, because …* (SPEC S). Pure: progress in, progress out, so that soaks
 * count elapsed time and survive restarts.
 */
import { evaluateCustom, type Opinion } from './custom.ts'
import { evaluateAfterClass, evaluateDomains } from './domains.ts'
import { sayDuration } from './duration.ts'
import { evaluateLock, evaluateQuiet } from './local.ts'
import type { Others } from './panel.ts'
import { sayUnknown } from './reading.ts'
import { branchOf, type Condition, type Constraint } from './schedule.ts'
import { evaluateSignalled } from './signals.ts'
import { evaluateWaves } from './waves.ts'
import { evaluateWindow } from './window.ts'

/** Path of a condition within its schedule → elapsed ms (`after`, soaks), steps passed (`sequence`), what was drawn or met. */
export type Progress = Readonly<Record<string, number>>

/** What a node waits for, as data and as one sentence. */
export interface Reason {
  kind: Condition['kind'] | Constraint['kind'] | 'clock' | 'pause' | 'permit' | 'bundle' | 'turn'
  sentence: string
  /** Whom it waits for, the first few. */
  peers?: readonly string[]
  /** Hash of the statement that holds it. */
  statement?: string
}

export type Verdict =
  | {
      go: true
      progress: Progress
      /** For so many ms at most; absent: until something changes. */
      forMs?: number
    }
  | {
      go: false
      progress: Progress
      reason: Reason
      /** Evaluate again after this many ms; undefined: when something changes. */
      inMs: number | undefined
      /** It cannot be told whether it holds: then neither it nor its opposite is acted on. */
      unsure?: true
    }

/** What conditions look at beside time. */
export interface Facts {
  /** An operator approved the upgrade. */
  approved: boolean
  /** What is known of other peers; asked for only where a condition looks at them. */
  others(): Others
  /** What the code of a custom schedule thinks of it; asked for only where a condition is of code. */
  opinion(module: string): Opinion
  /** The wall clock, ms. */
  now: number
  /** The peer's own labels. */
  labels: Readonly<Record<string, string>>
  /** The peer's place from 0 to 1 for this upgrade and a salt: the same at every evaluation. */
  place(salt: string): number
  /** From the peer's own generator, from 0 to 1: another one at every evaluation. */
  draw(): number
  /** All names that the object's class ever had. */
  classes(): readonly string[]
  /** What is wrong with the peer's clock, in words; undefined while it can be trusted for moments of time (S27). */
  clockDoubt(): string | undefined
  /** Whether this node answers fewer calls a second than that; undefined until it was measured (S25). */
  isQuiet(loadBelow: number): boolean | undefined
  /** What local programs hold (S26). */
  locks: readonly { readonly name: string; readonly reason: string }[]
}

/**
 * `passedMs`: time since the last evaluation with this progress, while the peer was up; `path`: where this condition
 * keeps its progress, if there are others beside it.
 */
export function evaluate(condition: Condition, progress: Progress, passedMs: number, facts: Facts, path = ''): Verdict {
  return at(condition, path, progress, { passedMs, ...facts })
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
    case 'waves':
      return evaluateWaves(condition, path, progress, moment.passedMs, moment.others())
    case 'domains':
      return evaluateDomains(condition, path, progress, moment.passedMs, moment.labels, moment.others)
    case 'afterClass':
      return evaluateAfterClass(condition, path, progress, moment.passedMs, moment.others())
    case 'signalled':
      return evaluateSignalled(condition, path, progress, moment.others)
    case 'unknown':
      return waits('unknown', progress, sayUnknown([condition])!)
    case 'custom':
      return evaluateCustom(condition, progress, moment.opinion(condition.module))
    case 'random':
      return random(condition, path, progress, moment)
    case 'byClass': {
      const [name, branch] = branchOf(condition, moment.classes())
      return at(branch, `${path}/${name}`, progress, moment)
    }
    case 'never':
      return waits('never', progress, 'is never for this node')
    case 'at': {
      const doubt = doubted(progress, moment)
      if (doubt !== undefined) return doubt
      const inMs = condition.timeMs - moment.now
      if (inMs <= 0) return { go: true, progress }
      const time = new Date(condition.timeMs).toISOString().replace(/\.000Z$/, 'Z')
      return waits('at', progress, `waits for ${time}, in ${sayDuration(inMs)}`, inMs)
    }
    case 'gradual':
      return gradual(condition, path, progress, moment)
    case 'window':
      return doubted(progress, moment) ?? evaluateWindow(condition, progress, moment.now)
    case 'quiet':
      return evaluateQuiet(condition, path, progress, moment.passedMs, moment)
    case 'lock':
      return evaluateLock(condition, path, progress, moment.passedMs, moment)
    case 'where':
      return where(condition.labels, progress, moment.labels)
    case 'not':
      return not(condition.of, path, progress, moment)
    case 'any':
      return any(condition.of, path, progress, moment)
    case 'all': {
      let verdict = { go: true, progress } as Verdict
      for (const [index, child] of condition.of.entries()) {
        const one = at(child, `${path}/${index}`, verdict.progress, moment)
        verdict = both(verdict, one)
      }
      return verdict
    }
    case 'sequence':
      return sequence(condition.of, path, progress, moment)
  }
}

export const waits = (
  kind: Reason['kind'],
  progress: Progress,
  sentence: string,
  inMs?: number
): Extract<Verdict, { go: false }> => ({
  go: false,
  progress,
  reason: { kind, sentence },
  inMs
})

/** S27: who does not know the time acts on no moment of it, nor on its absence. */
function doubted(progress: Progress, { clockDoubt }: Moment): Verdict | undefined {
  const sentence = clockDoubt()
  if (sentence === undefined) return undefined
  return { go: false, progress, reason: { kind: 'clock', sentence }, inMs: undefined, unsure: true }
}

/** How much faster the last nodes go than the first, where the rate grows. */
const GROWTH = 64

/** Each node at its own share of the time, which counts as that of `after` does. */
function gradual(
  { overMs, shape }: Extract<Condition, { kind: 'gradual' }>,
  path: string,
  progress: Progress,
  moment: Moment
): Verdict {
  const place = moment.place(`gradual${path}`)
  const share = shape === 'even' ? place : Math.log(1 + place * (GROWTH - 1)) / Math.log(GROWTH)
  const verdict = at({ kind: 'after', delayMs: Math.floor(overMs * share) }, path, progress, moment)
  if (verdict.go) return verdict
  const sentence = `its turn within ${sayDuration(overMs)} comes in ${sayDuration(verdict.inMs ?? 0)}`
  return { ...verdict, reason: { kind: 'gradual', sentence } }
}

/** Drawn once, and kept with the time that has passed since (S44). */
function random(
  { withinMs }: Extract<Condition, { kind: 'random' }>,
  path: string,
  progress: Progress,
  moment: Moment
): Verdict {
  const drawnMs = progress[`${path}/drawn`] ?? Math.floor(moment.draw() * withinMs)
  const drawn = { ...progress, [`${path}/drawn`]: drawnMs }
  const verdict = at({ kind: 'after', delayMs: drawnMs }, path, drawn, moment)
  if (verdict.go) return verdict
  const left = sayDuration(verdict.inMs ?? 0)
  const sentence = `its turn, drawn at random within ${sayDuration(withinMs)}, comes in ${left}`
  return { ...verdict, reason: { kind: 'random', sentence } }
}

function where(wanted: Record<string, string[]>, progress: Progress, labels: Facts['labels']): Verdict {
  const odd = Object.entries(wanted).find(([label, values]) => !values.includes(labels[label] ?? ''))
  if (odd === undefined) return { go: true, progress }
  const [label, values] = odd
  return waits(
    'where',
    progress,
    `is for peers with ${label}=${values.join('|')}; this one has ${labels[label] ?? 'none'}`
  )
}

function not(child: Condition, path: string, progress: Progress, moment: Moment): Verdict {
  const one = at(child, `${path}/0`, progress, moment)
  if (!one.go && one.unsure === true) return one
  if (!one.go) return { go: true, progress: one.progress, ...(one.inMs === undefined ? {} : { forMs: one.inMs }) }
  return waits('not', one.progress, `waits until this does not hold any more: ${child.kind}`, one.forMs)
}

function any(conditions: readonly Condition[], path: string, progress: Progress, moment: Moment): Verdict {
  let next = progress
  const sentences: string[] = []
  let inMs: number | undefined
  let found: Verdict | undefined
  let unsure = false
  // All are looked at, so that the time of each goes on; one that holds is enough.
  for (const [index, child] of conditions.entries()) {
    const one = at(child, `${path}/${index}`, next, moment)
    next = one.progress
    if (one.go) found ??= one
    else {
      sentences.push(one.reason.sentence)
      inMs = earlier(inMs, one.inMs)
      unsure ||= one.unsure === true
    }
  }
  if (found !== undefined) return { ...found, progress: next }
  const verdict = waits('any', next, `any of these: ${sentences.join('; ')}`, inMs)
  return unsure ? { ...verdict, unsure } : verdict
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
      return { ...one, progress: next, reason: { ...one.reason, sentence } }
    }
  }
  return { go: true, progress: { ...next, [path]: passed } }
}

/** The first that waits says why; what both hold for, they hold for together. */
function both(first: Verdict, second: Verdict): Verdict {
  const { progress } = second
  if (!first.go) {
    const { unsure: firstIs, ...rest } = first
    const both = { ...rest, progress, inMs: earlier(first.inMs, second.go ? undefined : second.inMs) }
    // One that surely does not hold settles it.
    return firstIs === true && (second.go || second.unsure === true) ? { ...both, unsure: true } : both
  }
  if (!second.go) return second
  const forMs = earlier(first.forMs, second.forMs)
  return forMs === undefined ? { go: true, progress } : { go: true, progress, forMs }
}

export const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)
