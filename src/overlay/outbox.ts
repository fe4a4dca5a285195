/** Collects one step's effects in the order that their duties ask for: persist, then send, then run (SPEC O1). */
import { SmallMap, SmallSet } from '../small.ts'
import type { Effect } from './events.ts'

export class Outbox {
  readonly #put = new SmallMap<string, unknown>()
  readonly #delete = new SmallSet<string>()
  #sends: Effect[] = []
  #runs: Effect[] = []

  persist(key: string, value: unknown): void {
    this.#delete.delete(key)
    this.#put.set(key, value)
  }

  forget(key: string): void {
    this.#put.delete(key)
    this.#delete.add(key)
  }

  /** Anything that leaves the peer: messages, connections, answers, alarms. */
  send(
    effect: Exclude<Effect, { type: 'persist' | 'run' | 'ask-schedule' | 'store-piece' | 'unpack' | 'remove-bundle' }>
  ): void {
    this.#sends.push(effect)
  }

  /** Work for the host or the piece store, answered by a completion event. */
  run(effect: Extract<Effect, { type: 'run' | 'ask-schedule' | 'store-piece' | 'unpack' | 'remove-bundle' }>): void {
    this.#runs.push(effect)
  }

  drain(): Effect[] {
    const effects: Effect[] = []
    if (this.#put.size > 0 || this.#delete.size > 0)
      effects.push({ type: 'persist', put: [...this.#put], delete: [...this.#delete] })
    for (const effect of this.#sends) effects.push(effect)
    for (const effect of this.#runs) effects.push(effect)
    this.#put.clear()
    this.#delete.clear()
    this.#sends = []
    this.#runs = []
    return effects
  }
}
