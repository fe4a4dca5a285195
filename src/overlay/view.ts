/**
 * The bounded view: the newest signed record of each peer worth knowing (SPEC O3). A small fleet is fully known; in a
 * large one neighbours and the own group stay, the rest is a sample chosen by a hash that each peer salts for itself.
 */
import { SetDigest } from '../digest.ts'
import type { PeerRecord, SignedRecord } from './record.ts'

export const newer = (
  a: { incarnation: number; counter: number },
  b: { incarnation: number; counter: number }
): boolean => a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.counter > b.counter)

export interface ViewInit {
  self: string
  size: number
  hash53(text: string): number
  /** Records that are never dropped for others: neighbours and the own group. */
  keeps(record: PeerRecord): boolean
}

export class View {
  readonly #init: ViewInit
  readonly #records = new Map<string, SignedRecord>()
  readonly #ranks = new Map<string, number>()
  readonly #digest = new SetDigest()
  /** Grows with every change: what a neighbour was last told is compared with it. */
  changes = 0

  constructor(init: ViewInit) {
    this.#init = init
  }

  get size(): number {
    return this.#records.size
  }
  get(peer: string): PeerRecord | undefined {
    return this.#records.get(peer)?.record
  }
  signed(peer: string): SignedRecord | undefined {
    return this.#records.get(peer)
  }
  all(): IterableIterator<SignedRecord> {
    return this.#records.values()
  }
  get digest(): string {
    return this.#digest.text
  }

  /** Keeps a verified record if it is newer than the one known. */
  put(signed: SignedRecord): boolean {
    const { record } = signed
    const known = this.#records.get(record.peer)
    if (known !== undefined && !newer(record, known.record)) return false
    if (known !== undefined) this.#digest.remove(this.#weight(known.record))
    this.#records.set(record.peer, signed)
    this.#digest.add(this.#weight(record))
    this.changes += 1
    if (this.#records.size > this.#init.size) this.#evict()
    return this.#records.has(record.peer)
  }

  /** ⟨peer, incarnation, counter⟩ of all records. */
  vector(): [string, number, number][] {
    return [...this.#records.values()].map(({ record }) => [record.peer, record.incarnation, record.counter])
  }

  /** Records newer than those of a neighbour's vector. */
  newerThan(vector: readonly (readonly [string, number, number])[]): SignedRecord[] {
    const theirs = new Map(vector.map(([peer, incarnation, counter]) => [peer, { incarnation, counter }]))
    return [...this.#records.values()].filter(({ record }) => {
      const known = theirs.get(record.peer)
      return known === undefined || newer(record, known)
    })
  }

  /** Whether a neighbour's vector names anything newer that this view would keep. */
  lacks(vector: readonly (readonly [string, number, number])[]): boolean {
    return vector.some(([peer, incarnation, counter]) => {
      const known = this.#records.get(peer)
      return known === undefined ? this.#records.size < this.#init.size : newer({ incarnation, counter }, known.record)
    })
  }

  /** Order in which this peer keeps strangers, salted with its own name. Remembered: hashing is most of an eviction. */
  #rank(peer: string): number {
    const known = this.#ranks.get(peer)
    if (known !== undefined) return known
    const rank = this.#init.hash53(`${this.#init.self}/${peer}`)
    this.#ranks.set(peer, rank)
    return rank
  }

  #weight(record: PeerRecord): number {
    return this.#init.hash53(`${record.peer}.${record.incarnation}.${record.counter}`)
  }

  #evict(): void {
    let victim: PeerRecord | undefined
    let worst = -1
    for (const { record } of this.#records.values()) {
      if (record.peer === this.#init.self || this.#init.keeps(record)) continue
      const failing = Object.values(record.objects).some((object) => object.failed.length > 0)
      const rank = this.#rank(record.peer) / (failing ? 4 : 1)
      if (rank > worst) {
        worst = rank
        victim = record
      }
    }
    // Everything left is to be kept: the bound still holds. The newest neighbour goes rather than a member of the own
    // group, without whose record no permit can be had.
    const own = this.#records.get(this.#init.self)?.record.group ?? null
    const others = [...this.#records.values()].map((one) => one.record).filter((one) => one.peer !== this.#init.self)
    victim ??= others.findLast((record) => own === null || record.group !== own) ?? others.at(-1)
    if (victim === undefined) return
    this.#records.delete(victim.peer)
    this.#ranks.delete(victim.peer)
    this.#digest.remove(this.#weight(victim))
    this.changes += 1
  }
}
