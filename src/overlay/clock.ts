/**
 * Whether this peer's clock can be trusted for moments of the wall clock (SPEC S27): neighbours' summaries say what
 * theirs show. Durations are not concerned: they are counted, not read.
 */

import { sayDuration } from '../schedule/duration.ts'
import { SmallMap } from '../small.ts'

/** So far may it be from the median of its neighbours'. */
const MOST_MS = 300_000
/** Fewer neighbours than these prove nothing. */
const LEAST = 3

export class Clock {
  readonly #around: { isNeighbour(peer: string): boolean }
  /** How far the clock of each was ahead when it was heard last, s. */
  readonly #heard = new SmallMap<string, number>()
  #doubted = false
  /** Grows when the clock comes to be doubted, or no longer is. */
  changes = 0

  constructor(around: { isNeighbour(peer: string): boolean }) {
    this.#around = around
  }

  /** A peer's summary came: how far its clock is ahead, the way of the message left aside. */
  note(peer: string, theirs: number | undefined, now: number): void {
    if (theirs === undefined) return
    this.#heard.set(peer, Math.round((theirs - now) / 1000))
    // Where all agree there is nothing to compute.
    if (!this.#doubted && Math.abs(theirs - now) <= MOST_MS) return
    const doubted = this.doubt() !== undefined
    if (doubted !== this.#doubted) this.changes += 1
    this.#doubted = doubted
  }

  forget(peer: string): void {
    this.#heard.delete(peer)
  }

  /** What is wrong with the own clock, in words; undefined while nothing is known to be. */
  doubt(): string | undefined {
    const ahead: number[] = []
    for (const [peer, aheadS] of this.#heard) if (this.#around.isNeighbour(peer)) ahead.push(aheadS * 1000)
    if (ahead.length < LEAST) return undefined
    ahead.sort((a, b) => a - b)
    const middle = ahead.length >> 1
    const medianMs = ahead.length % 2 === 1 ? ahead[middle]! : (ahead[middle - 1]! + ahead[middle]!) / 2
    if (Math.abs(medianMs) <= MOST_MS) return undefined
    const wrong = `${sayDuration(Math.abs(medianMs))} ${medianMs > 0 ? 'behind' : 'ahead of'}`
    return `the clock of this peer is ${wrong} those of ${ahead.length} neighbours; set it right and restart this peer`
  }
}
