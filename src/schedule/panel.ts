/**
 * What schedules see of other peers (SPEC S8, S40 to S43, O9): *panels*, bounded sets that every peer of a fleet of any
 * size comes to know alike, and what the signed record of each member shows of a version.
 */
import type { Filter, Signalling } from './schedule.ts'

/** Judged are at most the lowest so many: evidence enough at any size of the fleet, at constant cost. */
export const MAX_JUDGED = 64
/** Who are in a panel counts only once that has not changed for so long: gossip needs a few rounds. */
export const SETTLE_MS = 15_000

/**
 * What a record shows of a version. `failed`: it went back; `sick`: it runs the version, or a later one, and fails;
 * `waits`: it has heard of the upgrade, and is on its way or waits; `behind`: not even that.
 */
export type Shown = 'runs' | 'waits' | 'behind' | 'failed' | 'sick'

export interface Candidate {
  readonly peer: string
  /** From 0 to 1. */
  readonly place: number
  readonly state: Shown
  /** What holds it, in its own words. */
  readonly reason: string
}

export interface Panel {
  /** Ascending by place; itself included if it is one of them. By label: also all others that the peer knows of. */
  readonly judged: readonly Candidate[]
  /** For how long these have been the same peers, ms; undefined while it is cut off from all others. */
  readonly settledMs: number | undefined
}

export interface Others {
  readonly self: string
  readonly version: number
  /** The peer's own place, from 0 to 1. */
  readonly place: number
  panel(filter: Filter): Panel
  /** Of the other peers known above one place and below another: how many there are, and how many run the version. */
  between(from: number, to: number): { known: number; run: number }
  /** Of itself and those: how many are known, and how many hold the upgrade ready or run it. */
  ready(of: Signalling): { known: number; ready: number; settledMs: number | undefined }
}
