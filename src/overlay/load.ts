/**
 * The node's load as far as schedules look at it (SPEC S25): the driver measures while a threshold is watched, and says
 * only when the load crosses one. Nobody watches what no schedule asked for lately.
 */
import { SmallMap } from '../small.ts'
import type { Outbox } from './outbox.ts'

/** A threshold is watched for so long after it was last looked at: nothing is looked at while new code is imported. */
const WATCHED_MS = 600_000
/** Quiet again only well below the threshold: a load that hovers around it is none. */
const AGAIN = 0.8

/** Calls a second, against a threshold that the load was, or was not, below of. */
export function staysQuiet(was: boolean, load: number, below: number): boolean {
  return load < (was ? below : below * AGAIN)
}

export class Load {
  readonly #outbox: Outbox
  /** Threshold → when a schedule last looked at it. */
  readonly #asked = new SmallMap<number, number>()
  readonly #quiet = new SmallMap<number, boolean>()
  #watched = ''

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /** Whether this node answers fewer calls a second; undefined until it was measured. */
  isQuiet(below: number, now: number): boolean | undefined {
    this.#asked.set(below, now)
    return this.#quiet.get(below)
  }

  onLoad(below: number, quiet: boolean): void {
    if (this.#asked.has(below)) this.#quiet.set(below, quiet)
  }

  /**
   * At the end of a step: tells the driver what to watch. Returns when schedules are to be looked at once more, ms: who
   * still waits for the load says so then, and a threshold that nobody asks for is given up.
   */
  settle(now: number): number {
    if (this.#asked.size === 0 && this.#watched === '') return Number.POSITIVE_INFINITY
    for (const [below, at] of this.#asked) {
      if (now - at < WATCHED_MS) continue
      this.#asked.delete(below)
      this.#quiet.delete(below)
    }
    const thresholds = [...this.#asked.keys()].sort((a, b) => a - b)
    const watched = thresholds.join()
    if (watched !== this.#watched) this.#outbox.send({ type: 'watch-load', thresholds })
    this.#watched = watched
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#asked.values()].map((at) => at + WATCHED_MS))
  }
}
