/** The deaths of one object: how long its restart waits, and whether its future SOs are held to be the cause (SPEC L4, L14, L16, L20, D28). */

const FIRST_RESTART_MS = 200
const LAST_RESTART_MS = 30_000
/** Deaths of its own in a row after which future SOs are held to be the cause. */
const DEATHS_WITH_FUTURES = 3
/** The same, kills from outside included. */
const KILLS_WITH_FUTURES = 10
/** An object that has served for this long is started again at once. */
const PROMPT_MS = 5_000
/** Deaths of its own in a row from which on it counts as unsteady. */
const UNSTEADY = 2
/** An object that has served for this long is forgiven its earlier deaths. */
const STEADY_MS = 60_000

/** Its own fault, a kill from outside, or a full disk. */
export type Cause = 'own' | 'kill' | 'space'

export class Deaths {
  /** In a row. */
  count = 0
  /** In a row, each soon after the start. */
  #hasty = 0
  #kills = 0
  #servingSince = 0

  served(now: number): void {
    this.#servingSince = now
  }

  /**
   * Counts one more; one for want of space is only waited for.
   * @returns how long the restart waits, ms
   */
  add(wasServing: boolean, cause: Cause, now: number): number {
    const servedMs = wasServing ? now - this.#servingSince : 0
    if (servedMs > STEADY_MS) this.count = this.#kills = 0
    if (servedMs > PROMPT_MS) this.#hasty = 0
    const waitMs =
      this.#hasty === 0 ? 0 : Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.min(this.#hasty - 1, 10))
    this.#hasty += 1
    if (cause === 'space') return waitMs
    this.count += 1
    if (cause === 'kill') this.#kills += 1
    return waitMs
  }

  /** L16: deaths of its own in a row, where it is not steady; 0 otherwise. */
  get crashes(): number {
    const own = this.count - this.#kills
    return own >= UNSTEADY ? own : 0
  }

  /** Whether a served object is steady by now, and forgiven. @returns when it will be, where that is to come */
  settle(serves: boolean, now: number): number {
    if (this.count === 0 || !serves) return Number.POSITIVE_INFINITY
    const steadyAt = this.#servingSince + STEADY_MS
    if (now <= steadyAt) return this.crashes === 0 ? Number.POSITIVE_INFINITY : steadyAt + 1
    this.count = this.#kills = 0
    return Number.POSITIVE_INFINITY
  }

  /** Whether it is to be started without its future SOs. */
  get blameFutures(): boolean {
    return this.count - this.#kills >= DEATHS_WITH_FUTURES || this.count >= KILLS_WITH_FUTURES
  }
}
