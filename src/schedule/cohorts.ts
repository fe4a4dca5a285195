/**
 * Waiting for others (SPEC S8, S40 to S42): one cohort after another has to run the version well, then comes a soak.
 * Pure: what is known of other peers comes as facts, made of their signed records (SPEC O9).
 */
import { sayDuration } from './duration.ts'
import { earlier, type Progress, type Verdict } from './evaluate.ts'
import { type Candidate, SETTLE_MS } from './panel.ts'
import { type Condition, MILLION } from './schedule.ts'

/** For so long, in all, do those that have shown nothing yet hold the others up, where half of their cohort run well. */
export const PATIENCE_MS = 3_600_000

/** Peers that must run the version before this one may. */
export interface Cohort {
  /** As sentences name it: 'canaries', 'wave 2 of 4'. */
  readonly name: string
  readonly judged: readonly Candidate[]
  readonly settledMs: number | undefined
}

export interface Terms {
  readonly kind: Condition['kind']
  readonly version: number
  /** Share of each cohort that must run well, per million. */
  readonly success: number
  readonly soakMs: number
  /** Which of those that do not run it yet are waited for no longer than the patience: all, or those that have not heard of it. */
  readonly patientWith: 'nobody' | 'whoever knows'
  /** Others in this peer's own place: where most of them went, their soak was its own. */
  fellows?(): { known: number; run: number }
}

/** Progress keys: time soaked, patience spent, and which of the two was counted when last looked at. */
const SOAKS = 1
const WAITS = 2

export function awaitCohorts(
  cohorts: readonly Cohort[],
  terms: Terms,
  path: string,
  progress: Progress,
  passedMs: number
): Verdict {
  let clock = clockOf(progress, path)
  const settledMs = least(cohorts)
  // What is known may be old, or not be all: neither yes nor no.
  const unsure = settledMs === undefined || settledMs < SETTLE_MS ? ({ unsure: true } as const) : {}
  const settlesInMs = settledMs === undefined || settledMs >= SETTLE_MS ? undefined : SETTLE_MS - settledMs
  const wait = (next: Progress, sentence: string, inMs?: number, peers: readonly string[] = []): Verdict => ({
    go: false,
    progress: next,
    reason: { kind: terms.kind, sentence, peers },
    inMs: earlier(inMs, settlesInMs),
    ...unsure
  })
  for (const cohort of cohorts) {
    const bad = halting(cohort, terms)
    const [first] = bad
    if (first === undefined) continue
    const did = first.state === 'failed' ? 'went back' : 'fails'
    const sentence = `waits for ${say(cohort, terms)}; ${short(first.peer)} ${did}${because(first)}`
    return wait(clock.begunAnew(), sentence, undefined, namesOf(bad))
  }
  for (const cohort of cohorts) {
    const { slow, leave } = laggards(cohort, terms)
    const [first] = slow
    if (first === undefined || (leave && clock.patienceMs >= PATIENCE_MS)) continue
    const sentence = `waits for ${say(cohort, terms)}; ${short(first.peer)} does not yet${because(first)}`
    if (!leave) return wait(clock.stopped(), sentence, undefined, namesOf(slow))
    clock = clock.counted(WAITS, passedMs, PATIENCE_MS)
    const leftMs = PATIENCE_MS - clock.patienceMs
    if (leftMs > 0)
      return wait(
        clock.progress,
        `${sentence}; it is waited for for another ${sayDuration(leftMs)}`,
        leftMs,
        namesOf(slow)
      )
  }
  const fellows = terms.fellows?.()
  if (fellows !== undefined && 2 * fellows.run > fellows.known) return { go: true, progress: clock.progress }
  const last = cohorts.findLast((one) => one.judged.length > 0) ?? cohorts.at(-1)
  const said = last === undefined ? 'waits' : `waits for ${say(last, terms)}`
  if (settledMs === undefined) return wait(clock.stopped(), `${said}; is cut off from all other peers`)
  if (settledMs < SETTLE_MS) return wait(clock.stopped(), `${said}; makes sure that there are no others`)
  if (last === undefined || last.judged.length === 0) return { go: true, progress: clock.progress }
  const soaking = clock.counted(SOAKS, passedMs, terms.soakMs)
  const leftMs = terms.soakMs - soaking.soakedMs
  if (leftMs <= 0) return { go: true, progress: soaking.progress }
  const soak = `soak: another ${sayDuration(leftMs)} of ${sayDuration(terms.soakMs)}`
  return wait(soaking.progress, `${say(last, terms)}; ${soak}`, leftMs)
}

const running = ({ judged }: Cohort): number => judged.filter((one) => one.state === 'runs').length
/** At least one of those that there are. */
const needed = ({ judged }: Cohort, { success }: Terms): number => Math.ceil((judged.length * success) / MILLION)
const say = (cohort: Cohort, { version }: Terms): string =>
  `${cohort.name}: ${running(cohort)} of ${cohort.judged.length} run version ${version}`

/** Those that failed, where more did than may. */
function halting(cohort: Cohort, terms: Terms): readonly Candidate[] {
  const bad = cohort.judged.filter((one) => one.state === 'failed' || one.state === 'sick')
  return bad.length > cohort.judged.length - needed(cohort, terms) ? bad : []
}

/** Those that are waited for, and whether the cohort may be left without all of them after the patience. */
function laggards(cohort: Cohort, terms: Terms): { slow: readonly Candidate[]; leave: boolean } {
  const runs = running(cohort)
  if (runs >= needed(cohort, terms)) return { slow: [], leave: false }
  const knowing = cohort.judged.filter((one) => one.state === 'waits')
  const unknowing = cohort.judged.filter((one) => one.state === 'behind')
  if (knowing.length > 0 && terms.patientWith === 'whoever knows') return { slow: knowing, leave: false }
  return { slow: [...unknowing, ...knowing], leave: runs > 0 && 2 * runs >= cohort.judged.length }
}

function least(cohorts: readonly Cohort[]): number | undefined {
  let settledMs = Number.POSITIVE_INFINITY
  for (const one of cohorts) {
    if (one.settledMs === undefined) return undefined
    settledMs = Math.min(settledMs, one.settledMs)
  }
  return settledMs
}

interface Clock {
  progress: Progress
  soakedMs: number
  patienceMs: number
  /** Time that passed is counted only where the same was counted when last looked at. */
  counted(what: typeof SOAKS | typeof WAITS, passedMs: number, atMost: number): Clock
  stopped(): Progress
  begunAnew(): Progress
}

function clockOf(progress: Progress, path: string): Clock {
  const [patience, counts] = [`${path}/patience`, `${path}/counts`]
  const soakedMs = progress[path] ?? 0
  const patienceMs = progress[patience] ?? 0
  const without = (...keys: string[]): Progress =>
    keys.some((key) => key in progress)
      ? Object.fromEntries(Object.entries(progress).filter(([key]) => !keys.includes(key)))
      : progress
  return {
    progress,
    soakedMs,
    patienceMs,
    stopped: () => without(counts),
    begunAnew: () => without(path, counts),
    counted: (what, passedMs, atMost) => {
      const key = what === SOAKS ? path : patience
      const before = what === SOAKS ? soakedMs : patienceMs
      const elapsed = Math.min(atMost, before + (progress[counts] === what ? passedMs : 0))
      return clockOf({ ...progress, [key]: elapsed, [counts]: what }, path)
    }
  }
}

const because = ({ reason }: Candidate): string => (reason === '' ? '' : `: ${reason}`)
const namesOf = (candidates: readonly Candidate[]): string[] => candidates.map((one) => one.peer)
const short = (peer: string): string => `…${peer.slice(-6)}`
