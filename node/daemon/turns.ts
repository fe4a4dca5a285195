/**
 * The turns of a peer's loop as programs may watch them (SPEC D30): over a channel of node's own `diagnostics_channel`,
 * so that nothing is passed through and nothing is paid where nobody listens.
 */
import { channel } from 'node:diagnostics_channel'
import type { Effect, Event } from '../../src/overlay/events.ts'

/** One turn: the events taken together, and what came of them. Listeners only look. */
export interface Turn {
  peer: string
  events: readonly Event[]
  /** Keys made durable by the one commit of the turn. */
  put: readonly string[]
  /** All but persists, in their order. */
  effects: readonly Effect[]
  /** On the clock of `performance.now()`, ms. */
  begunAt: number
  durableAt: number
  /** What the steps and the commit took of this thread's processor, ms. */
  stepsMs: number
  commitMs: number
}

export const TURNS = 'upstart-peer:turn'

/** What the loop tells: channels carry anything. */
export const turns = channel(TURNS)

/** Of this thread since it began, ms: what others do on the host does not count. */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Times one turn. */
export class TurnWatch {
  readonly #begunAt = performance.now()
  readonly #begunMs = processorMs()
  #steppedMs = 0
  #durableMs = 0
  #durableAt = 0

  stepped(): void {
    this.#steppedMs = processorMs()
  }
  durable(): void {
    this.#durableMs = processorMs()
    this.#durableAt = performance.now()
  }
  ended(peer: string, events: readonly Event[], put: readonly string[], effects: readonly Effect[]): Turn {
    return {
      peer,
      events,
      put,
      effects,
      begunAt: this.#begunAt,
      durableAt: this.#durableAt,
      stepsMs: this.#steppedMs - this.#begunMs,
      commitMs: this.#durableMs - this.#steppedMs
    }
  }
}
