/** The load of one simulated machine: set by the scenario, told as a driver tells it (SPEC S25). */
import type { Event } from '../src/overlay/events.ts'
import { staysQuiet } from '../src/overlay/load.ts'

export class SimulatedLoad {
  readonly #tell: (event: Event) => void
  #perSecond = 0
  /** Threshold → what the peer was told of it. */
  #watched = new Map<number, boolean | undefined>()

  /** @param tell in the order in which it changes */
  constructor(tell: (event: Event) => void) {
    this.#tell = tell
  }

  /** The process ended: nobody watches any more. */
  forget(): void {
    this.#watched.clear()
  }

  watch(thresholds: readonly number[]): void {
    this.#watched = new Map(thresholds.map((below) => [below, this.#watched.get(below)]))
    this.#look()
  }

  change(perSecond: number): void {
    this.#perSecond = perSecond
    this.#look()
  }

  #look(): void {
    for (const [below, was] of this.#watched) {
      const quiet = staysQuiet(was ?? true, this.#perSecond, below)
      if (quiet === was) continue
      this.#watched.set(below, quiet)
      this.#tell({ type: 'load', below, quiet })
    }
  }
}
