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
/** What a neighbour's clock showed counts for so long: in a large fleet each is heard from every two hours. */
const HEARD_MS = 14_400_000

export class Clock {
  readonly #around: { isNeighbour(peer: string): boolean }
  readonly #heard = new SmallMap<string, { aheadMs: number; at: number }>()
  #doubted = false
  /** Grows when the clock comes to be doubted, or no longer is. */
  changes = 0

  constructor(around: { isNeighbour(peer: string): boolean }) {
    this.#around = around
  }

  /** A peer's summary came: how far its clock is ahead, the way of the message left aside. */
  note(peer: string, theirs: number | undefined, now: number): void {
    if (theirs === undefined) return
    this.#heard.set(peer, { aheadMs: theirs - now, at: now })
    // Where all agree there is nothing to compute.
    if (!this.#doubted && Math.abs(theirs - now) <= MOST_MS) return
    const doubted = this.doubt(now) !== undefined
    if (doubted !== this.#doubted) this.changes += 1
    this.#doubted = doubted
  }

  forget(peer: string): void {
    this.#heard.delete(peer)
  }

  /** What is wrong with the own clock, in words; undefined while nothing is known to be. */
  doubt(now: number): string | undefined {
    const ahead: number[] = []
    for (const [peer, { aheadMs, at }] of this.#heard)
      if (this.#around.isNeighbour(peer) && now - at <= HEARD_MS) ahead.push(aheadMs)
    if (ahead.length < LEAST) return undefined
    ahead.sort((a, b) => a - b)
    const middle = ahead.length >> 1
    const medianMs = ahead.length % 2 === 1 ? ahead[middle]! : (ahead[middle - 1]! + ahead[middle]!) / 2
    if (Math.abs(medianMs) <= MOST_MS) return undefined
    const wrong = `${sayDuration(Math.abs(medianMs))} ${medianMs > 0 ? 'behind' : 'ahead of'}`
    return `the clock of this peer is ${wrong} those of ${ahead.length} neighbours; set it right and restart this peer`
  }
}
