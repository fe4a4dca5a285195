/**
 * Ballots: hybrid logical time ⟨ms, counter, issuer⟩ as text that sorts by time (SPEC K2).
 * Text, because ballots are keys of maps, parts of files and, as the version of a value, seen by clients.
 */
import { randomUUID } from 'node:crypto'

export type Ballot = string

/** Lower than every ballot that is ever issued. */
export const NO_BALLOT: Ballot = ''

const write = (ms: number, counter: number, issuer: string): Ballot =>
  `${String(ms).padStart(15, '0')}.${String(counter).padStart(6, '0')}.${issuer}`

export const timeOf = (ballot: Ballot): number => Number(ballot.slice(0, 15))

/** The lowest ballot of a moment: nothing was issued at it, everything of that millisecond is above it. */
export const atTime = (ms: number): Ballot => write(Math.max(0, ms), 0, '')

/** Issues ballots that grow, run ahead of every ballot it was shown, and that no other clock ever issues. */
export class Clock {
  latest: Ballot = NO_BALLOT
  readonly now: () => number
  readonly #issuer: string

  /**
   * Past, current and future links of one node each have a clock, and a restarted one must not repeat itself: so the
   * issuer is the peer, the version of the code, and a random part.
   */
  constructor(peer: string, version: number, now: () => number = () => Date.now()) {
    this.now = now
    this.#issuer = `${peer}.${version}.${randomUUID().slice(0, 8)}`
  }

  next(): Ballot {
    const latestMs = this.latest === NO_BALLOT ? 0 : timeOf(this.latest)
    const counter = Number(this.latest.slice(16, 22)) + 1
    const ms = Math.max(this.now(), latestMs)
    if (ms > latestMs) this.latest = write(ms, 0, this.#issuer)
    else if (counter < 1_000_000) this.latest = write(ms, counter, this.#issuer)
    else this.latest = write(ms + 1, 0, this.#issuer)
    return this.latest
  }

  observe(ballot: Ballot): void {
    if (ballot > this.latest) this.latest = ballot
  }
}
