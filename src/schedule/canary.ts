/**
 * The condition `canary` (SPEC S7 to S9): a few peers go at once, all others when those have run the version in good
 * health for a while. Pure: what is known of other peers comes as facts, made of their signed records (SPEC O9).
 */
import { sayDuration } from './duration.ts'
import type { Progress, Verdict } from './evaluate.ts'
import type { Condition } from './schedule.ts'

/** Judged are at most the lowest so many: evidence enough at any size of the fleet, at constant cost. */
export const MAX_JUDGED = 64
/** Who are the lowest known counts only once that has not changed for so long: gossip needs a few rounds. */
export const SETTLE_MS = 15_000
/** For so long, in all, do canaries that have shown nothing yet hold the others up, where half of them run well. */
export const PATIENCE_MS = 3_600_000

/** What a candidate's record shows. `failed`: it went back; `sick`: it runs the version, or a later one, and fails. */
export type CanaryState = 'runs' | 'behind' | 'failed' | 'sick'

export interface Candidate {
  readonly peer: string
  /** From 0 to 1. */
  readonly place: number
  readonly state: CanaryState
  /** What holds it, in its own words. */
  readonly reason: string
}

export interface CanaryFacts {
  readonly self: string
  readonly version: number
  /** The peer's own place. */
  readonly place: number
  /** The lowest known by place, ascending, itself included if it is one of them. */
  readonly lowest: readonly Candidate[]
  /** For how long these have been the same peers, ms; undefined while it is cut off from all others. */
  readonly settledMs: number | undefined
  /** Of the other peers known above a place: how many there are, and how many run the version. */
  above(place: number): { known: number; run: number }
}

type CanaryCondition = Extract<Condition, { kind: 'canary' }>

/** Progress keys: time soaked, patience spent, and which of the two was counted when last looked at. */
const SOAKS = 1
const WAITS = 2

export function evaluateCanary(
  condition: CanaryCondition,
  path: string,
  progress: Progress,
  passedMs: number,
  facts: CanaryFacts
): Verdict {
  const { share, soakMs } = condition
  const fraction = 'perMillion' in share ? share.perMillion / 1_000_000 : 0
  if (facts.place < fraction) return { go: true, progress }
  const judged = judgedOf(facts, share, fraction)
  const wait = (next: Progress, sentence: string, inMs?: number, peers: readonly string[] = []): Verdict => ({
    go: false,
    progress: next,
    reason: { kind: 'canary', sentence, peers },
    inMs
  })
  if (judged.some((one) => one.peer === facts.self)) {
    if (facts.settledMs !== undefined && facts.settledMs >= SETTLE_MS) return { go: true, progress }
    const leftMs = facts.settledMs === undefined ? undefined : SETTLE_MS - facts.settledMs
    const long = leftMs === undefined ? 'when it has a neighbour' : `in ${sayDuration(leftMs)}`
    return wait(progress, `is a canary, as one of the lowest known; goes ${long} if it hears of none lower`, leftMs)
  }
  if (judged.length === 0) return wait(progress, 'waits for canaries: no peer that could be one is known')
  let clock = clockOf(progress, path)
  const running = judged.filter((one) => one.state === 'runs').length
  const said = `waits for canaries: ${running} of ${judged.length} run version ${facts.version}`
  const bad = judged.find((one) => one.state === 'failed' || one.state === 'sick')
  if (bad !== undefined) {
    const did = bad.state === 'failed' ? 'went back' : 'fails'
    return wait(clock.begunAnew(), `${said}; ${short(bad.peer)} ${did}${because(bad)}`, undefined, [bad.peer])
  }
  const silent = judged.find((one) => one.state === 'behind')
  const enough = running > 0 && 2 * running >= judged.length
  if (silent !== undefined && !(enough && clock.patienceMs >= PATIENCE_MS)) {
    const sentence = `${said}; ${short(silent.peer)} does not yet${because(silent)}`
    const awaited = judged.filter((one) => one.state === 'behind').map((one) => one.peer)
    if (!enough) return wait(clock.stopped(), sentence, undefined, awaited)
    clock = clock.counted(WAITS, passedMs, PATIENCE_MS)
    const leftMs = PATIENCE_MS - clock.patienceMs
    if (leftMs > 0)
      return wait(clock.progress, `${sentence}; it is waited for for another ${sayDuration(leftMs)}`, leftMs, awaited)
  }
  const border = 'perMillion' in share && judged.at(-1)!.place < fraction ? fraction : judged.at(-1)!.place
  const others = facts.above(border)
  if (2 * others.run > others.known) return { go: true, progress: clock.progress }
  if (facts.settledMs === undefined) return wait(clock.stopped(), `${said}; is cut off from all other peers`)
  if (facts.settledMs < SETTLE_MS)
    return wait(clock.stopped(), `${said}; makes sure that there are no others`, SETTLE_MS - facts.settledMs)
  const soaking = clock.counted(SOAKS, passedMs, soakMs)
  const leftMs = soakMs - soaking.soakedMs
  if (leftMs <= 0) return { go: true, progress: soaking.progress }
  const soak = `soak: another ${sayDuration(leftMs)} of ${sayDuration(soakMs)}`
  return wait(soaking.progress, `${running} canaries run version ${facts.version}; ${soak}`, leftMs)
}

/** S8: those below the fraction, or the lowest. */
function judgedOf(facts: CanaryFacts, share: CanaryCondition['share'], fraction: number): readonly Candidate[] {
  const lowest = facts.lowest.slice(0, MAX_JUDGED)
  if ('count' in share) return lowest.slice(0, share.count)
  const below = lowest.filter((one) => one.place < fraction)
  return below.length > 0 ? below : lowest.slice(0, 1)
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
const short = (peer: string): string => `…${peer.slice(-6)}`
