/**
 * What a run measures (SPEC M26): when each peer was informed of the last upgrade, held its bundle and served it; and how
 * the fleet looked at moments in between. Every hook costs a constant time; nothing here looks through the fleet.
 */

import { type PeerRecord, PHASES, type PhaseName } from '../src/overlay/record.ts'

/** A series has at most so many points; when it is full every second one goes, and it goes on half as often. */
const MOST_POINTS = 512
const FIRST_INTERVAL_MS = 20
/** Different waiting reasons that are told apart. */
const MOST_REASONS = 40

export interface Percentiles {
  p50: number
  p99: number
  p9999: number
  max: number
}

/** How the fleet looked at one moment. */
export interface Point {
  atMs: number
  /** Of the newest upgrade, so many peers. */
  informed: number
  fetched: number
  upgraded: number
  /** Peers that last came to serve each version; by version. */
  versions: Record<number, number>
  /** Peers in each phase that is not idle. */
  phases: Record<string, number>
  /** Peers that wait, by what for. */
  reasons: Record<string, number>
  /** Since the start. */
  bytes: number
  calls: number
  failed: number
}

/** Which peers did something, and when. */
class Times {
  readonly at: Float64Array
  count = 0
  constructor(peers: number) {
    this.at = new Float64Array(peers).fill(Number.NaN)
  }
  note(node: number, now: number): void {
    if (!Number.isNaN(this.at[node])) return
    this.at[node] = now
    this.count += 1
  }
  forget(): void {
    this.at.fill(Number.NaN)
    this.count = 0
  }
}

/** Of what has a value in each peer: how many have which. */
class Tally {
  readonly #of: Int32Array
  readonly counts: number[] = []
  constructor(peers: number) {
    this.#of = new Int32Array(peers).fill(-1)
  }
  /** @param value 0 …; −1: none */
  set(node: number, value: number): void {
    const before = this.#of[node]!
    if (before === value) return
    this.#of[node] = value
    if (before >= 0) this.counts[before]! -= 1
    if (value >= 0) this.counts[value] = (this.counts[value] ?? 0) + 1
  }
}

/** What others count, told at each point. */
export interface Counts {
  bytes(): number
  calls(): number
  failed(): number
}

export class Measures {
  readonly informed: Times
  readonly fetched: Times
  readonly upgraded: Times
  readonly points: Point[] = []
  readonly #versions: Tally
  readonly #phases: Tally
  readonly #waits: Tally
  readonly #reasons: string[] = []
  readonly #reasonOf = new Map<string, number>()
  readonly #counts: Counts
  readonly #now: () => number
  #intervalMs = FIRST_INTERVAL_MS
  #pointAt = 0

  constructor(peers: number, now: () => number, counts: Counts) {
    this.#now = now
    this.#counts = counts
    this.informed = new Times(peers)
    this.fetched = new Times(peers)
    this.upgraded = new Times(peers)
    this.#versions = new Tally(peers)
    this.#phases = new Tally(peers)
    this.#waits = new Tally(peers)
  }

  /** A new version is what everything has to reach now. */
  onMade(): void {
    this.#look()
    for (const times of [this.informed, this.fetched, this.upgraded]) times.forget()
  }

  onInformed(node: number): void {
    this.informed.note(node, this.#now())
    this.#look()
  }
  onFetched(node: number): void {
    this.fetched.note(node, this.#now())
    this.#look()
  }
  onUpgraded(node: number): void {
    this.upgraded.note(node, this.#now())
    this.#look()
  }
  onServing(node: number, version: number): void {
    this.#versions.set(node, version)
    this.#look()
  }
  /** What a peer does is what it wrote down; records tell it later. */
  onPhase(node: number, phase: PhaseName): void {
    this.#phases.set(node, phase === 'idle' ? -1 : PHASES.indexOf(phase))
    this.#look()
  }
  /** A peer signed a new record: what its first object waits for. */
  onSealed(node: number, { objects }: PeerRecord): void {
    for (const name in objects) {
      const { phase, reason } = objects[name]!
      this.#waits.set(node, phase === 'waiting' ? this.#reason(reason) : -1)
      break
    }
    this.#look()
  }

  /** The last point of a series is the end of the run. */
  end(): Point[] {
    this.#point()
    return this.points
  }

  #look(): void {
    if (this.#now() >= this.#pointAt) this.#point()
  }

  /** How the fleet looks now. */
  now(): Point {
    return {
      atMs: this.#now(),
      informed: this.informed.count,
      fetched: this.fetched.count,
      upgraded: this.upgraded.count,
      versions: told(this.#versions.counts, String),
      phases: told(this.#phases.counts, (phase) => PHASES[phase]!),
      reasons: told(this.#waits.counts, (reason) => this.#reasons[reason]!),
      bytes: this.#counts.bytes(),
      calls: this.#counts.calls(),
      failed: this.#counts.failed()
    }
  }

  #point(): void {
    this.points.push(this.now())
    // Thinned by time: of every other point a quiet stretch after a burst would keep none.
    while (this.points.length >= MOST_POINTS) {
      this.#intervalMs *= 2
      let lastMs = Number.NEGATIVE_INFINITY
      const kept = this.points.filter(({ atMs }) => {
        if (atMs - lastMs < this.#intervalMs) return false
        lastMs = atMs
        return true
      })
      this.points.splice(0, this.points.length, ...kept)
    }
    this.#pointAt = this.#now() + this.#intervalMs
  }

  /** Index of a reason without its names and numbers, so that peers that wait for the same are counted together. */
  #reason(sentence: string): number {
    const reason = withoutNames(sentence)
    let index = this.#reasonOf.get(reason)
    if (index === undefined) {
      index = Math.min(this.#reasons.length, MOST_REASONS)
      if (index === this.#reasons.length) this.#reasons.push(index === MOST_REASONS ? 'something else' : reason)
      // Reasons past the bound share one index; they are not remembered, so that the map stays small too.
      if (index < MOST_REASONS) this.#reasonOf.set(reason, index)
    }
    return index
  }
}

function told(counts: readonly number[], name: (index: number) => string): Record<string, number> {
  const all: Record<string, number> = {}
  for (let index = 0; index < counts.length; index++) {
    const count = counts[index] ?? 0
    if (count > 0) all[name(index)] = count
  }
  return all
}

/** The first part of a waiting reason, of whatever step: details stand behind a colon or semicolon, peers' names and numbers differ. */
export function withoutNames(sentence: string): string {
  const [first = ''] = sentence.replace(/^(step \d+ of \d+: )+/, '').split(/[:;(]/, 1)
  return first.trim().replace(/…?\b[PG]?\d[\w.]*/g, '…')
}

/** Percentiles of times since a moment, rounded to ms; of what was never done, nothing. */
export function percentiles(times: Float64Array, since: number): Percentiles {
  const passed = times
    .filter((time) => !Number.isNaN(time))
    .map((time) => Math.max(0, time - since))
    .sort()
  const at = (share: number) =>
    Math.round(passed[Math.min(passed.length - 1, Math.ceil(share * passed.length) - 1)] ?? 0)
  return { p50: at(0.5), p99: at(0.99), p9999: at(0.9999), max: at(1) }
}

/** Of times since a moment, 201 quantiles from the least to the most; none of what never happened. */
export function quantilesOf(times: Float64Array, since: number): number[] {
  const passed = times
    .filter((time) => !Number.isNaN(time))
    .map((time) => Math.max(0, time - since))
    .sort()
  if (passed.length === 0) return []
  const at = (index: number) => passed[Math.min(passed.length - 1, Math.floor((index / 200) * passed.length))]!
  return Array.from({ length: 201 }, (_, index) => Math.round(at(index) * 1000) / 1000)
}
