/**
 * Constraints (SPEC S5, S20 to S23): looked at last, when the conditions say go, and again before the object stops.
 * Nothing overrides them. Pure, like conditions: what is known of other peers comes as facts. The permit of `rolling` is
 * the group's to give (SPEC P); what else a constraint asks for is judged here.
 */
import { sayDuration } from './duration.ts'
import { earlier, evaluate, type Facts, type Progress, type Verdict, waits } from './evaluate.ts'
import { sayUnknown } from './reading.ts'
import type { Constraint, Worse } from './schedule.ts'

/** How the version fares, as one kind of evidence shows it. */
export interface Evidence {
  /** Whom it is about: 'the peers known'. */
  readonly of: string
  /** Peers that run the version or a later one, or went back from it. */
  readonly tried: number
  readonly failed: number
  /** Peers that run it or a later one. */
  readonly run: number
  readonly unhealthy: number
  /** Of those that run just it, and tell what became of their calls before, too. */
  readonly calls: ComparedCalls
  /** Some of those that failed or are unhealthy, with their own words. */
  readonly culprits: readonly Culprit[]
}

export interface ComparedCalls {
  readonly calls: number
  readonly failed: number
  /** How many would have failed had each peer gone on as before; and from how many calls that is known. */
  readonly expected: number
  readonly before: number
}

export interface Culprit {
  readonly peer: string
  readonly what: 'failed' | 'unhealthy' | 'worse'
  readonly reason: string
}

/** What constraints look at beside what conditions do. */
export interface ConstraintFacts extends Facts {
  /** The upgrade of this object elsewhere. Each piece of evidence may halt alone; none can speak for the version. */
  evidence(): readonly Evidence[]
  /** Other members of the own group, by its newest roster; undefined without one. */
  fellows(): { group: string; serving: number; down: number } | undefined
}

/**
 * All but permits. `serves`: the object holds state and answers calls, so that its stop costs service: without that
 * `rolling` asks for nothing (S5).
 */
export function evaluateConstraints(
  constraints: readonly Constraint[],
  progress: Progress,
  passedMs: number,
  facts: ConstraintFacts,
  serves: boolean
): Verdict {
  let next = progress
  let forMs: number | undefined
  for (const [index, constraint] of constraints.entries()) {
    const verdict = judge(constraint, `constraint/${index}`, next, passedMs, facts, serves)
    next = verdict.progress
    if (!verdict.go) return verdict
    forMs = earlier(forMs, verdict.forMs)
  }
  return { go: true, progress: next, ...(forMs === undefined ? {} : { forMs }) }
}

function judge(
  constraint: Constraint,
  path: string,
  progress: Progress,
  passedMs: number,
  facts: ConstraintFacts,
  serves: boolean
): Verdict {
  switch (constraint.kind) {
    case 'rolling':
      return serves ? minimumAlive(constraint, progress, facts) : { go: true, progress }
    case 'notWhile':
      return notWhile(constraint, path, progress, passedMs, facts)
    case 'guard':
      return guard(constraint, progress, facts)
    case 'unknown':
      return waits('unknown', progress, sayUnknown([constraint])!)
  }
}

/**
 * S20: as many others as may go down beside this one, by their own permits, are taken to do so: two that look at each
 * other at the same moment do not count on one another. Who has no group is told so by its permit.
 */
function minimumAlive(
  { unavailable, minimumAlive: least }: Extract<Constraint, { kind: 'rolling' }>,
  progress: Progress,
  facts: ConstraintFacts
): Verdict {
  const fellows = least === undefined ? undefined : facts.fellows()
  if (fellows === undefined || least === undefined) return { go: true, progress }
  const beside = Math.max(0, unavailable - 1 - fellows.down)
  if (fellows.serving - beside >= least) return { go: true, progress }
  const others = beside === 0 ? '' : `, and ${beside} more may stop beside this one`
  const sentence = `${fellows.serving} others of group ${fellows.group} are known to serve${others}; at least ${least} must go on`
  return { go: false, progress, reason: { kind: 'rolling', sentence }, inMs: undefined }
}

/** S21. */
function notWhile(
  { condition }: Extract<Constraint, { kind: 'notWhile' }>,
  path: string,
  progress: Progress,
  passedMs: number,
  facts: Facts
): Verdict {
  const one = evaluate(condition, progress, passedMs, facts, path)
  if (!one.go && one.unsure !== true)
    return { go: true, progress: one.progress, ...(one.inMs === undefined ? {} : { forMs: one.inMs }) }
  const inMs = one.go ? one.forMs : one.inMs
  const over = one.go && inMs !== undefined ? `, which ends in ${sayDuration(inMs)}` : ''
  const sentence = one.go
    ? `must not begin while this holds: ${condition.kind}${over}`
    : `must not begin while it cannot be told whether this holds: ${condition.kind} (${one.reason.sentence})`
  const peers = one.go ? {} : { peers: one.reason.peers ?? [] }
  return { go: false, progress: one.progress, reason: { kind: 'notWhile', sentence, ...peers }, inMs }
}

/** S22, S23. */
function guard(
  { failedPerMillion, unhealthyPerMillion, worse }: Extract<Constraint, { kind: 'guard' }>,
  progress: Progress,
  facts: ConstraintFacts
): Verdict {
  for (const one of facts.evidence()) {
    const found = tripped(one, failedPerMillion, unhealthyPerMillion) ?? worsened(one, worse)
    if (found === undefined) continue
    const culprits = one.culprits.filter(({ what }) => what === found.what)
    const [first] = culprits
    const by = first === undefined ? '' : `; …${first.peer.slice(-6)}: ${first.reason}`
    const reason = {
      kind: 'guard' as const,
      sentence: `halted: ${found.sentence}${by}`,
      peers: culprits.map(({ peer }) => peer)
    }
    return { go: false, progress, reason, inMs: undefined }
  }
  return { go: true, progress }
}

type Tripped = { what: Culprit['what']; sentence: string } | undefined

function tripped(one: Evidence, failedPerMillion?: number, unhealthyPerMillion?: number): Tripped {
  const { of, failed, tried, unhealthy, run } = one
  if (above(failed, tried, failedPerMillion)) {
    const sentence = `${failed} of ${of} went back from it, of ${tried} that tried it (at most ${percent(failedPerMillion!)})`
    return { what: 'failed', sentence }
  }
  if (!above(unhealthy, run, unhealthyPerMillion)) return undefined
  const sentence = `${unhealthy} of ${of} run it in bad health, of ${run} that run it (at most ${percent(unhealthyPerMillion!)})`
  return { what: 'unhealthy', sentence }
}

/** S23: worse by factor, by difference, and by more than chance: three standard errors of two shares. */
function worsened({ of, calls: compared }: Evidence, worse: Worse | undefined): Tripped {
  const { calls, failed, expected, before } = compared
  if (worse === undefined || calls < worse.calls || before < worse.calls) return undefined
  const [share, base] = [failed / calls, expected / calls]
  const excess = share - base
  const pooled = (failed + base * before) / (calls + before)
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / calls + 1 / before))
  const isWorse = share * 100 > base * worse.factorPercent && excess * 1_000_000 > worse.differencePerMillion
  if (!isWorse || excess <= 3 * error) return undefined
  const said = (one: number) => `${(one * 100).toPrecision(2)} %`
  const sentence = `of ${calls} calls at ${of} ${said(share)} fail with it; before it ${said(base)} did`
  return { what: 'worse', sentence }
}

/** One peer's trouble is no share of a fleet: alone it halts only where none is allowed. */
function above(bad: number, all: number, perMillion: number | undefined): boolean {
  if (perMillion === undefined || bad === 0) return false
  return bad * 1_000_000 > all * perMillion && (bad > 1 || perMillion === 0)
}

const percent = (perMillion: number): string => `${perMillion / 10_000} %`
