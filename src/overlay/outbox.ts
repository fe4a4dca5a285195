/** Collects one step's effects in the order that their duties ask for: persist, then send, then run (SPEC O1). */
import { SmallMap, SmallSet } from '../small.ts'
import type { Effect } from './events.ts'
import type { Message } from './messages.ts'

export interface Gate {
  readonly admission: { sends(to: string, kind: Message['kind']): boolean }
}

const OPEN: Gate = { admission: { sends: () => true } }

export class Outbox {
  readonly #put = new SmallMap<string, unknown>()
  readonly #delete = new SmallSet<string>()
  #sends: Effect[] = []
  #runs: Effect[] = []
  /** Who may be sent what; decided in one place, whoever has something to say (SPEC A4). */
  readonly #gate: Gate

  constructor(gate: Gate = OPEN) {
    this.#gate = gate
  }

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
    if (effect.type === 'send' && !this.#gate.admission.sends(effect.to, effect.message.kind)) return
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
