/** Where peers can be dialled: by their records, by the configuration, and by what earlier lives of this peer knew (SPEC O2). */
import type { Outbox } from './outbox.ts'
import type { View } from './view.ts'

const MAX_CONTACTS = 32

export interface Contact {
  peer: string
  addresses: string[]
}

export class Contacts {
  readonly #bootstrap: readonly Contact[]
  readonly #view: View
  readonly #outbox: Outbox
  /** Neighbours of this life and earlier ones: durable, so that a restart does not depend on bootstrap peers. */
  #kept: Contact[]

  constructor(bootstrap: readonly Contact[], kept: Contact[], view: View, outbox: Outbox) {
    this.#bootstrap = bootstrap
    this.#kept = kept
    this.#view = view
    this.#outbox = outbox
  }

  /** Peers to begin with. */
  seeds(): readonly Contact[] {
    return [...this.#bootstrap, ...this.#kept]
  }

  addresses(peer: string): readonly string[] {
    const known = this.#view.get(peer)?.addresses
    if (known !== undefined && known.length > 0) return known
    return this.seeds().find((one) => one.peer === peer)?.addresses ?? []
  }

  /** Keeps the neighbours' addresses where they are more than those kept so far. */
  note(neighbours: Iterable<string>): void {
    const contacts: Contact[] = []
    for (const peer of neighbours) {
      const addresses = this.#view.get(peer)?.addresses ?? []
      if (addresses.length > 0 && contacts.length < MAX_CONTACTS) contacts.push({ peer, addresses })
    }
    if (contacts.length <= this.#kept.length) return
    this.#kept = contacts
    this.#outbox.persist('contacts', contacts)
  }
}
