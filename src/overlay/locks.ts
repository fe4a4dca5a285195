/** Locks that local programs hold on this node's upgrades (SPEC S26): few, named, and each ends by itself. */
import { Refusal } from '../errors.ts'
import type { Outbox } from './outbox.ts'

const MAX_LOCKS = 16
export const MAX_LOCK_MS = 7 * 24 * 3_600_000
export const MAX_LOCK_NAME = 64
export const MAX_LOCK_REASON = 200

const NONE: readonly Lock[] = []

export interface Lock {
  readonly name: string
  readonly reason: string
  /** Unix ms. */
  readonly until: number
}

export class Locks {
  readonly #outbox: Outbox
  #locks: readonly Lock[]

  /** @param kept what an earlier life persisted as `locks` */
  constructor(outbox: Outbox, kept: unknown) {
    this.#outbox = outbox
    this.#locks = (kept as Lock[] | undefined) ?? NONE
  }

  held(now: number): readonly Lock[] {
    if (this.#locks.some(({ until }) => until <= now)) this.#locks = this.#locks.filter(({ until }) => until > now)
    return this.#locks
  }

  /** When the next one ends, ms. */
  nextLapse(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const { until } of this.held(now)) next = Math.min(next, until)
    return next
  }

  /** Taken, or renewed under its name. Durable before it is answered. */
  take(name: string, reason: string, forMs: number, now: number): string | Refusal {
    const others = this.held(now).filter((one) => one.name !== name)
    if (others.length >= MAX_LOCKS) {
      const names = others.map((one) => one.name).join(', ')
      return new Refusal('Usage', `${MAX_LOCKS} locks are held already (${names}); release one with "upstart unlock"`)
    }
    const until = Math.round(now + Math.min(MAX_LOCK_MS, forMs))
    this.#keep([...others, { name, reason, until }])
    return `lock ${name} is held until ${new Date(until).toISOString()}`
  }

  release(name: string, now: number): string | Refusal {
    const held = this.held(now)
    const others = held.filter((one) => one.name !== name)
    if (others.length === held.length) {
      const names = held.map((one) => one.name).join(', ') || 'none'
      return new Refusal('Usage', `no lock ${name} is held; held: ${names}`)
    }
    this.#keep(others)
    return `lock ${name} is released`
  }

  #keep(locks: readonly Lock[]): void {
    this.#locks = locks
    this.#outbox.persist('locks', locks)
  }
}
