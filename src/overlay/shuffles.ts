/**
 * Shuffles: neighbours exchange a few contacts, now and then (SPEC O10). Contacts so wander over the whole fleet, and
 * each peer's passive set stays a fresh sample of it, at a cost that falls with quiet.
 */

import type { Generator } from '../prng.ts'
import { SmallMap } from '../small.ts'
import { MAX_SHUFFLED, type MessageOf } from './messages.ts'
import type { Outbox } from './outbox.ts'
import type { Contact, PassiveContact, PassiveSet } from './passive.ts'

/** First and longest distance between the shuffles that a peer begins: a quiet one sends and answers one in half an hour. */
const FIRST_SHUFFLE_MS = 5_000
const LAST_SHUFFLE_MS = 30 * 60_000
/** By which that distance grows: while the passive set is filling, and once it is half full. */
const [GROWTH, FILLED_GROWTH] = [2, 4]
/** More often than this a neighbour's contacts are not taken: its word is not to fill the set. */
const TAKE_AGAIN_MS = 2_000
/** Of what is sent: oneself, some neighbours, the rest from the passive set (as HyParView does). */
const NEIGHBOURS_SENT = 3

/** What shuffles need to know of their peer. */
export interface Acquaintance {
  self: string
  /** Where this peer can be dialled. */
  readonly ownAddresses: readonly string[]
  readonly neighbours: { all(): Iterable<string> }
  addresses(peer: string): readonly string[]
  /** Whether a contact is worth keeping; a neighbour is known without it. */
  isWelcome(peer: string): boolean
  /** Someone had a sign of life of this peer at that time, or so one hears. */
  heard(peer: string, at: number): void
}

export class Shuffles {
  readonly #around: Acquaintance
  readonly #passive: PassiveSet
  readonly #generator: Generator
  readonly #outbox: Outbox
  /** Contacts not heard of for longer are not taken. */
  readonly #silentMs: number
  #intervalMs = FIRST_SHUFFLE_MS
  #nextAt = 0
  /** The last shuffle that was begun and not answered yet. */
  #begun: { with: string; sent: string[] } | undefined
  readonly #takenAt = new SmallMap<string, number>()

  constructor(parts: {
    around: Acquaintance
    passive: PassiveSet
    generator: Generator
    outbox: Outbox
    silentMs: number
  }) {
    this.#around = parts.around
    this.#passive = parts.passive
    this.#generator = parts.generator
    this.#outbox = parts.outbox
    this.#silentMs = parts.silentMs
  }

  /** The neighbours changed: others may need to hear of it. */
  wake(now: number): void {
    this.#intervalMs = FIRST_SHUFFLE_MS
    this.#nextAt = Math.min(this.#nextAt, now + this.#jitter())
  }

  forget(peer: string): void {
    this.#takenAt.delete(peer)
  }

  /** Begins a shuffle if it is time. Returns when the next one is due, ms. */
  turn(now: number): number {
    const neighbours = [...this.#around.neighbours.all()]
    if (neighbours.length === 0) return Number.POSITIVE_INFINITY
    if (this.#nextAt === 0) this.#nextAt = now + this.#jitter()
    if (now < this.#nextAt) return this.#nextAt
    const other = this.#generator.pick(neighbours)
    this.#begun = { with: other, sent: this.#send(other, true, now) }
    const growth = this.#passive.isHalfFull ? FILLED_GROWTH : GROWTH
    this.#intervalMs = Math.min(LAST_SHUFFLE_MS, this.#intervalMs * growth)
    this.#nextAt = now + this.#jitter()
    return this.#nextAt
  }

  /** Only a neighbour's are taken, in answer to ours or now and then. */
  onMessage(from: string, message: MessageOf<'shuffle'>, now: number): void {
    let sent: string[] = []
    if (message.answer) {
      if ((this.#takenAt.get(from) ?? Number.NEGATIVE_INFINITY) + TAKE_AGAIN_MS > now) return
      this.#takenAt.set(from, now)
      sent = this.#send(from, false, now)
    } else {
      if (this.#begun?.with !== from) return
      sent = this.#begun.sent
      this.#begun = undefined
    }
    for (const { peer, addresses, ageMs } of message.contacts) {
      if (ageMs > this.#silentMs || peer === this.#around.self) continue
      const heardAt = now - ageMs
      this.#around.heard(peer, heardAt)
      if (addresses.length > 0 && this.#around.isWelcome(peer)) this.#passive.note({ peer, addresses, heardAt }, sent)
    }
  }

  /** Returns whom it told of, from the passive set: these may go in exchange. */
  #send(to: string, answer: boolean, now: number): string[] {
    const self: Contact = { peer: this.#around.self, addresses: this.#around.ownAddresses }
    const others = [...this.#around.neighbours.all()].filter((peer) => peer !== to)
    const alive = this.#generator
      .sample(others, NEIGHBOURS_SENT)
      .map((peer) => ({ peer, addresses: this.#around.addresses(peer) }))
    const contacts: PassiveContact[] = [self, ...alive]
      .filter(({ addresses }) => addresses.length > 0)
      .map((contact) => ({ ...contact, heardAt: now }))
    this.#passive.forget(now - this.#silentMs)
    const wandering = this.#passive.sample(MAX_SHUFFLED - contacts.length).filter(({ peer }) => peer !== to)
    this.#outbox.send({
      type: 'send',
      to,
      message: {
        kind: 'shuffle',
        contacts: [...contacts, ...wandering].map(({ peer, addresses, heardAt }) => ({
          peer,
          addresses,
          ageMs: Math.max(0, Math.round(now - heardAt))
        })),
        answer
      }
    })
    return wandering.map(({ peer }) => peer)
  }

  #jitter(): number {
    return Math.ceil(this.#intervalMs * (0.75 + this.#generator.fraction() / 2))
  }
}
