/** Where peers can be dialled: by their records, by what wanders through the fleet, by the configuration, and by earlier lives (SPEC O2, O10). */
import type { Outbox } from './outbox.ts'
import type { Contact, PassiveSet } from './passive.ts'
import type { View } from './view.ts'

const MAX_CONTACTS = 16

export class Contacts {
  readonly #bootstrap: readonly Contact[]
  readonly #view: View
  readonly #passive: PassiveSet
  readonly #outbox: Outbox
  /** Peers met in this life and earlier ones: durable, so that a restart does not depend on bootstrap peers. */
  #kept: readonly Contact[]

  constructor(parts: {
    bootstrap: readonly Contact[]
    kept: readonly Contact[]
    view: View
    passive: PassiveSet
    outbox: Outbox
  }) {
    this.#bootstrap = parts.bootstrap
    // More were kept once: they would never be outnumbered.
    this.#kept = parts.kept.length > MAX_CONTACTS ? parts.kept.slice(0, MAX_CONTACTS) : parts.kept
    this.#view = parts.view
    this.#passive = parts.passive
    this.#outbox = parts.outbox
  }

  /** Peers to begin with. */
  seeds(): readonly Contact[] {
    return this.#kept.length === 0 ? this.#bootstrap : [...this.#bootstrap, ...this.#kept]
  }

  addresses(peer: string): readonly string[] {
    const known = this.#view.get(peer)?.addresses
    if (known !== undefined && known.length > 0) return known
    return this.#passive.get(peer)?.addresses ?? this.seeds().find((one) => one.peer === peer)?.addresses ?? []
  }

  /**
   * Keeps neighbours and others of the passive set for the next life, where they are more than those kept so far, or
   * where most of those kept are of a fleet that is not any more.
   */
  note(neighbours: Iterable<string>): void {
    const peers = new Set([...neighbours, ...this.#passive.peers()])
    const contacts: Contact[] = []
    for (const peer of peers) {
      const addresses = this.addresses(peer)
      if (addresses.length > 0 && contacts.length < MAX_CONTACTS) contacts.push({ peer, addresses })
    }
    // A peer that has just started knows nobody yet: it must not forget whom it knew before.
    if (contacts.length < this.#kept.length) return
    const alive = this.#kept.filter(({ peer }) => peers.has(peer) || this.#view.get(peer) !== undefined)
    if (contacts.length === this.#kept.length && alive.length >= this.#kept.length / 2) return
    // A copy has no room for more, which a list that grew has.
    this.#kept = contacts.slice()
    this.#outbox.persist('contacts', this.#kept)
  }
}
