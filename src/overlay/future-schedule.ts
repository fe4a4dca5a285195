/** When a future SO is started that nobody has called yet (SPEC L21): when the `simulate` condition of its upgrade says so. */

import { evaluate, type Progress } from '../schedule/evaluate.ts'
import { SmallMap } from '../small.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { FutureOwner } from './futures.ts'
import { Stopwatch } from './stopwatch.ts'
import { forbidden, pauseOf } from './target.ts'

export class FutureSchedule {
  readonly #owner: FutureOwner
  /** By the hash of the upgrade's entry. */
  readonly #stopwatches = new SmallMap<string, Stopwatch>()

  constructor(owner: FutureOwner) {
    this.#owner = owner
  }

  /** Whether the SO of this version is to be started now; else why not, and when to look again, ms. */
  judge(one: LineageVersion, now: number): { go: true } | { go: false; reason: string; inMs: number | undefined } {
    const { around, state } = this.#owner
    const { simulate } = one.upgrade
    if (simulate === undefined) return { go: false, reason: '', inMs: undefined }
    // What is stopped is started by nobody but a caller, who has no other way to be served.
    const forbids = forbidden(around, one.entry.hash)
    if (forbids !== undefined) return { go: false, reason: forbids, inMs: undefined }
    const stopwatch = this.#stopwatch(one)
    const known = state.simulations?.[one.entry.hash] ?? {}
    const facts = around.facts(one.entry, state.object)
    const verdict = stopwatch.look(
      known,
      now,
      (passedMs) => evaluate(simulate, known, passedMs, facts),
      (progress, durable) => this.#keep(one, progress, durable)
    )
    const pause = pauseOf(one, around, now)
    if (pause !== undefined)
      return { go: false, reason: `paused by statement ${pause.hash.slice(0, 12)}`, inMs: pause.expires - now }
    return verdict.go
      ? { go: true }
      : { go: false, reason: verdict.reason.sentence, inMs: stopwatch.lookAgain(verdict, now) }
  }

  #stopwatch({ entry }: LineageVersion): Stopwatch {
    let found = this.#stopwatches.get(entry.hash)
    if (found === undefined) {
      found = new Stopwatch()
      this.#stopwatches.set(entry.hash, found)
    }
    return found
  }

  /** Of upgrades that the object has behind it nothing is kept. */
  #keep({ entry }: LineageVersion, progress: Progress, durable: boolean): void {
    const { state, around } = this.#owner
    const ahead = Object.entries(state.simulations ?? {}).filter(
      ([hash]) => (around.log.get(hash)?.version ?? 0) > (state.current?.version ?? 0)
    )
    const next = { ...state, simulations: { ...Object.fromEntries(ahead), [entry.hash]: progress } }
    if (durable) this.#owner.keep(next)
    else this.#owner.remember(next)
  }
}
