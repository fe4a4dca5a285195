/** What a node knows of itself beside its objects: its clock, its load, and the locks of local programs (SPEC S25 to S27). */
import { Refusal } from '../errors.ts'
import { Clock } from './clock.ts'
import type { Event } from './events.ts'
import { Load } from './load.ts'
import { type Lock, Locks } from './locks.ts'
import type { Outbox } from './outbox.ts'

type LocalEvent = Extract<Event, { type: 'lock' | 'unlock' | 'load' }>

export class Locality {
  readonly clock: Clock
  readonly load: Load
  readonly #locks: Locks
  readonly #outbox: Outbox
  #changes = 0

  /** @param kept what an earlier life persisted as `locks` */
  constructor(parts: { readonly outbox: Outbox; isNeighbour(peer: string): boolean }, kept: unknown) {
    this.#outbox = parts.outbox
    this.clock = new Clock(parts)
    this.load = new Load(parts.outbox)
    this.#locks = new Locks(parts.outbox, kept)
  }

  /** Grows when something changed that schedules look at. */
  get changes(): number {
    return this.#changes + this.clock.changes
  }

  locks(now: number): readonly Lock[] {
    return this.#locks.held(now)
  }

  on(event: LocalEvent, now: number): void {
    this.#changes += 1
    if (event.type === 'load') return this.load.onLoad(event.below, event.quiet)
    const { request, name } = event
    const done =
      event.type === 'lock' ? this.#locks.take(name, event.reason, event.forMs, now) : this.#locks.release(name, now)
    if (!(done instanceof Refusal)) return this.#outbox.send({ type: 'answer', request, ok: true, text: done })
    this.#outbox.send({ type: 'answer', request, ok: false, refusal: done.code, text: done.message })
  }

  /** At the end of a step. Returns when to look again without an event, ms. */
  settle(now: number): number {
    return Math.min(this.load.settle(now), this.#locks.nextLapse(now))
  }
}
