/**
 * The passive set: a bounded sample of the fleet's peers, and where they can be dialled (SPEC O10). Its contents come
 * from strangers, so they are worth an attempt to dial and nothing else: a connection proves who answers.
 */

import type { Generator } from '../prng.ts'
import { SmallMap } from '../small.ts'

export interface Contact {
  peer: string
  addresses: readonly string[]
}

/** `heardAt`: when somebody last had a sign of life of it, as far as that was told, ms. */
export interface PassiveContact extends Contact {
  heardAt: number
}

export class PassiveSet {
  readonly #size: number
  readonly #generator: Generator
  readonly #contacts = new SmallMap<string, PassiveContact>()

  constructor(size: number, generator: Generator) {
    this.#size = size
    this.#generator = generator
  }

  get size(): number {
    return this.#contacts.size
  }
  get isHalfFull(): boolean {
    return this.#contacts.size >= this.#size / 2
  }
  get(peer: string): PassiveContact | undefined {
    return this.#contacts.get(peer)
  }
  peers(): IterableIterator<string> {
    return this.#contacts.keys()
  }

  sample(count: number): PassiveContact[] {
    return this.#generator.sample([...this.#contacts.values()], count)
  }

  drop(peer: string): void {
    this.#contacts.delete(peer)
  }

  /** Drops those of which nobody had a sign of life since. */
  forget(before: number): void {
    for (const { peer, heardAt } of [...this.#contacts.values()]) if (heardAt < before) this.#contacts.delete(peer)
  }

  /**
   * Keeps a contact. Of two about one peer the fresher stays. A full set gives up first what was just given to somebody
   * else (`spare`), so that each shuffle exchanges contacts instead of multiplying some (as Cyclon does), then any other.
   */
  note(contact: PassiveContact, spare: string[] = []): void {
    const known = this.#contacts.get(contact.peer)
    if (known !== undefined && known.heardAt >= contact.heardAt) return
    if (known === undefined && this.#contacts.size >= this.#size) this.#evict(spare)
    this.#contacts.set(contact.peer, contact)
  }

  #evict(spare: string[]): void {
    for (let peer = spare.pop(); peer !== undefined; peer = spare.pop()) if (this.#contacts.delete(peer)) return
    this.#contacts.delete(this.#generator.pick([...this.#contacts.keys()]))
  }
}
