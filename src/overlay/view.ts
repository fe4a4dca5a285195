/**
 * The bounded view: the newest signed record of each peer worth knowing (SPEC O3). A small fleet is fully known; in a
 * large one neighbours and the own group stay, the rest is a sample chosen by a hash that each peer salts for itself.
 */

import { SetDigest } from '../digest.ts'
import type { Generator } from '../prng.ts'
import { SmallMap } from '../small.ts'
import type { PeerLimits } from './events.ts'
import { hasLeft, type PeerRecord, type SignedRecord } from './record.ts'

/** Unknown peers that are offered to a full view, so that its sample still mixes. */
const STRANGERS_WHEN_FULL = 8
/** Dropped records that are remembered, so that neighbours which keep them longer do not bring them back. */
const MAX_GONE = 1024

interface Stamp {
  incarnation: number
  counter: number
}

export const newer = (a: Stamp, b: Stamp): boolean =>
  a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.counter > b.counter)

/** Records that are kept and offered before others, for what they prove to everybody (SPEC O9). */
export interface Pins {
  has(peer: string): boolean
  /** Whether a record that is not kept yet would be pinned. */
  wants(record: PeerRecord): boolean
  /** A record was kept, or dropped. */
  note(record: PeerRecord): void
  forget(peer: string): void
}

export interface ViewInit {
  readonly self: string
  readonly group: string | null
  /** How many records are kept, and how many of strangers once the fleet is known to be larger. */
  readonly limits: Pick<PeerLimits, 'view' | 'strangers'>
  hash53(text: string): number
  /** Records that are never dropped for others: neighbours and the own group. */
  isKept(record: PeerRecord): boolean
  readonly pins: readonly Pins[]
  /** A peer that was known has gone for good. */
  lost(): void
}

interface Known {
  signed: SignedRecord
  /** Its place in the order in which this peer keeps strangers; undefined until it matters. */
  rank: number | undefined
  /** When there was last a sign of life of the peer, in whole seconds: fractions would take a heap number each. */
  heardS: number
}

export class View {
  readonly #init: ViewInit
  readonly #mostStrangers: number
  readonly #records = new SmallMap<string, Known>()
  /** Dropped for good, unless a newer record comes. */
  readonly #gone = new SmallMap<string, Stamp>()
  readonly #digest = new SetDigest()
  /** There were more peers than have place: of the strangers among them only a sample is kept. */
  #isLarge = false
  /** Strangers kept, as of the last count. */
  #strangers = 0
  /** The stranger that would go first, where that is known. */
  #worst: PeerRecord | undefined
  /** Grows with every change: what a neighbour was last told is compared with it. */
  changes = 0
  /** Grows with those of records of the own group. */
  fellowChanges = 0

  constructor(init: ViewInit) {
    this.#init = init
    this.#mostStrangers = init.limits.strangers
  }

  get size(): number {
    return this.#records.size
  }
  /** The fleet is larger than what is kept of it, as far as is known. */
  get isFull(): boolean {
    return this.#isLarge || this.#records.size >= this.#init.limits.view
  }
  get(peer: string): PeerRecord | undefined {
    return this.#records.get(peer)?.signed.record
  }
  /** When there was last a sign of life of a peer, ms; 0 if it is not known. */
  heardAt(peer: string): number {
    return (this.#records.get(peer)?.heardS ?? 0) * 1000
  }
  signed(peer: string): SignedRecord | undefined {
    return this.#records.get(peer)?.signed
  }
  *all(): IterableIterator<SignedRecord> {
    for (const { signed } of this.#records.values()) yield signed
  }
  get digest(): string {
    return this.#digest.text
  }

  /**
   * Records by which shares can be told: a full view prefers strangers that failed, and those that it keeps for that
   * alone would make the share of failures too large.
   */
  *sample(): IterableIterator<PeerRecord> {
    const biased = (record: PeerRecord) => hasFailed(record) && this.#isStranger(record)
    let last = Number.POSITIVE_INFINITY
    if (this.isFull) {
      const ranks: number[] = []
      for (const { record } of this.all())
        if (this.#isStranger(record) && !hasFailed(record)) ranks.push(this.#rank(record.peer))
      if (ranks.length > 0) last = Math.max(...ranks)
    }
    for (const { record } of this.all()) if (!biased(record) || this.#rank(record.peer) <= last) yield record
  }

  #isStranger(record: PeerRecord): boolean {
    return record.peer !== this.#init.self && !this.#init.isKept(record) && !this.#isPinned(record)
  }

  /** Keeps a verified record if it is newer than the one known. `heardAt`: when there was last a sign of life of its peer. */
  put(signed: SignedRecord, heardAt: number): boolean {
    const { record } = signed
    const known = this.#records.get(record.peer)
    if (known !== undefined && !newer(record, known.signed.record)) return false
    if (known === undefined && (this.#isPast(record) || this.#isGone(record.peer, record) || !this.#admits(record)))
      return false
    if (known !== undefined) {
      this.#digest.remove(known.signed.weight)
      if (hasLeft(record)) this.#init.lost()
      known.signed = signed
      known.heardS = Math.max(known.heardS, Math.floor(heardAt / 1000))
    } else {
      this.#gone.delete(record.peer)
      this.#records.set(record.peer, { signed, rank: undefined, heardS: Math.floor(heardAt / 1000) })
    }
    this.#digest.add(signed.weight)
    this.#note(record)
    for (const pins of this.#init.pins) pins.note(record)
    this.#noteWorst(record)
    if (known === undefined) this.#bound(record)
    return this.#records.has(record.peer)
  }

  /** There was a sign of life of a peer at this time. */
  heard(peer: string, at: number): void {
    const known = this.#records.get(peer)
    if (known !== undefined) known.heardS = Math.max(known.heardS, Math.floor(at / 1000))
  }

  /** The peer whose last sign of life is the oldest and before `before`, of those that may be dropped. */
  mostSilent(before: number): string | undefined {
    let found: string | undefined
    let oldest = before
    for (const [peer, { signed, heardS }] of this.#records) {
      const heardAt = heardS * 1000
      if (heardAt >= oldest || peer === this.#init.self || this.#init.isKept(signed.record)) continue
      found = peer
      oldest = heardAt
    }
    return found
  }

  /** The oldest last sign of life, of those that may be dropped, ms; Infinity if there are none. */
  get oldestSign(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { signed, heardS } of this.#records.values()) {
      const heardAt = heardS * 1000
      const isBound = signed.record.peer === this.#init.self || this.#init.isKept(signed.record)
      if (heardAt < oldest && !isBound) oldest = heardAt
    }
    return oldest
  }

  /** Drops a record for good: the same one is not taken again. */
  drop(peer: string): void {
    const record = this.get(peer)
    if (record === undefined) return
    if (!hasLeft(record)) this.#init.lost()
    this.#gone.set(peer, { incarnation: record.incarnation, counter: record.counter })
    if (this.#gone.size > MAX_GONE) this.#gone.delete(this.#gone.keys().next().value!)
    this.#remove(record)
  }

  /** ⟨peer, incarnation, counter⟩ of all records. */
  vector(): [string, number, number][] {
    return Array.from(this.#records.values(), ({ signed }) => signed.stamp)
  }

  /** How many peers that this view does not know may be offered to it: all it has place for; a few for the sample, when full. */
  get room(): number {
    const places = this.#isLarge
      ? this.#mostStrangers - this.#countStrangers()
      : this.#init.limits.view - this.#records.size
    return Math.max(places, STRANGERS_WHEN_FULL)
  }

  /** Records newer than those of a neighbour's vector, and at most `room` of peers that it does not name. */
  newerThan(
    vector: readonly (readonly [string, number, number])[],
    room: number,
    generator: Generator
  ): SignedRecord[] {
    const theirs = new Map<string, readonly [string, number, number]>()
    for (const one of vector) theirs.set(one[0], one)
    const fresher: SignedRecord[] = []
    const strangers: SignedRecord[] = []
    for (const { signed } of this.#records.values()) {
      const known = theirs.get(signed.record.peer)
      if (known !== undefined ? !isNewer(signed.record, known) : this.#isPast(signed.record)) continue
      // Few, and nobody says again what they said: not left to a draw.
      if (known === undefined && !hasLeft(signed.record)) strangers.push(signed)
      else fresher.push(signed)
    }
    const pinned = strangers.filter((one) => this.#isPinned(one.record))
    const others = pinned.length === 0 ? strangers : strangers.filter((one) => !this.#isPinned(one.record))
    const left = Math.max(0, room - pinned.length)
    return fresher.concat(pinned, others.length <= left ? others : generator.sample(others, left))
  }

  /** Whether a neighbour's vector names anything newer that this view would keep. */
  lacks(vector: readonly (readonly [string, number, number])[]): boolean {
    return vector.some(([peer, incarnation, counter]) => {
      const known = this.get(peer)
      if (known !== undefined) return newer({ incarnation, counter }, known)
      return !this.isFull && !this.#isGone(peer, { incarnation, counter })
    })
  }

  #isPinned({ peer }: PeerRecord): boolean {
    for (const pins of this.#init.pins) if (pins.has(peer)) return true
    return false
  }

  /** A full view takes a stranger only in place of one that it would rather lose. */
  #admits(record: PeerRecord): boolean {
    const isFull = this.#records.size >= this.#init.limits.view
    if (record.peer === this.#init.self || this.#init.isKept(record)) return true
    if (!isFull && (!this.#isLarge || this.#strangers < this.#mostStrangers)) return true
    // Pinned in place of a stranger only: who keeps nothing but neighbours and its group has no room for it.
    if (this.#init.pins.some((pins) => pins.wants(record))) return !isFull || this.#findWorst() !== undefined
    const worst = this.#currentWorst()
    return worst !== undefined && this.#preference(record) < this.#preference(worst)
  }

  /** Beyond its size the view knows that the fleet is large: then it keeps what it must and a sample of strangers. */
  #bound(record: PeerRecord): void {
    if (this.#isStranger(record)) this.#strangers += 1
    if (this.#records.size > this.#init.limits.view) {
      this.#isLarge = true
      this.#evict()
    } else if (this.#records.size < this.#mostStrangers / 2) this.#isLarge = false
    if (!this.#isLarge || this.#strangers <= this.#mostStrangers) return
    const excess = this.#countStrangers() - this.#mostStrangers
    const strangers = excess > 0 ? [...this.all()].filter((one) => this.#isStranger(one.record)) : []
    strangers.sort((a, b) => this.#preference(b.record) - this.#preference(a.record))
    for (const one of strangers.slice(0, Math.max(0, excess))) this.#remove(one.record)
  }

  #countStrangers(): number {
    this.#strangers = 0
    for (const { signed } of this.#records.values()) if (this.#isStranger(signed.record)) this.#strangers += 1
    return this.#strangers
  }

  /** The record known as the worst, if it is still there and still a stranger's. */
  #currentWorst(): PeerRecord | undefined {
    const known = this.#worst
    if (known === undefined || this.get(known.peer) !== known || !this.#isStranger(known))
      this.#worst = this.#findWorst()
    return this.#worst
  }

  /** A record that is worse than the worst takes its place. */
  #noteWorst(record: PeerRecord): void {
    const worst = this.#worst
    if (worst === undefined || record.peer === worst.peer) this.#worst = undefined
    else if (this.#isStranger(record) && this.#preference(record) > this.#preference(worst)) this.#worst = record
  }

  /** The own record, and the last ones of members that left: what they gave back they say to nobody any more. */
  *forFellows(): IterableIterator<SignedRecord> {
    for (const { signed } of this.#records.values())
      if (signed.record.peer === this.#init.self || (hasLeft(signed.record) && this.#init.isKept(signed.record)))
        yield signed
  }

  /** O12: who left is news only to those who knew it, and to its group: its last record gives back what it held (P3). */
  #isPast(record: PeerRecord): boolean {
    return hasLeft(record) && !this.#init.isKept(record)
  }

  #isGone(peer: string, stamp: Stamp): boolean {
    const gone = this.#gone.get(peer)
    return gone !== undefined && !newer(stamp, gone)
  }

  /** Order in which this peer keeps strangers, salted with its own name. Remembered: hashing is most of an eviction. */
  #rank(peer: string): number {
    const known = this.#records.get(peer)
    if (known?.rank !== undefined) return known.rank
    // 31 bits are order enough, and need no heap number for each record.
    const rank = Math.floor(this.#init.hash53(`${this.#init.self}/${peer}`) / 2 ** 22)
    if (known !== undefined) known.rank = rank
    return rank
  }

  /** The lower, the rather kept: failures are worth knowing. */
  #preference(record: PeerRecord): number {
    return this.#rank(record.peer) / (hasFailed(record) ? 4 : 1)
  }

  #findWorst(): PeerRecord | undefined {
    let worst: PeerRecord | undefined
    let least = -1
    for (const { signed } of this.#records.values()) {
      const { record } = signed
      if (!this.#isStranger(record)) continue
      const preference = this.#preference(record)
      if (preference <= least) continue
      least = preference
      worst = record
    }
    return worst
  }

  #evict(): void {
    // Everything left may be to be kept: the bound still holds. What is pinned goes first, then the newest neighbour
    // rather than a member of the own group, without whose record no permit can be had.
    const victim = this.#findWorst() ?? this.#leastNeeded()
    if (victim === undefined) return
    this.#remove(victim)
  }

  #remove(record: PeerRecord): void {
    this.#digest.remove(this.#records.get(record.peer)?.signed.weight ?? 0)
    this.#records.delete(record.peer)
    for (const pins of this.#init.pins) pins.forget(record.peer)
    if (this.#worst?.peer === record.peer) this.#worst = undefined
    if (this.#isStranger(record)) this.#strangers -= 1
    this.#note(record)
  }

  #note({ group }: PeerRecord): void {
    this.changes += 1
    if (group !== null && group === this.#init.group) this.fellowChanges += 1
  }

  #leastNeeded(): PeerRecord | undefined {
    const own = this.get(this.#init.self)?.group ?? null
    const others = [...this.all()].map((one) => one.record).filter((one) => one.peer !== this.#init.self)
    const pinned = others.findLast((record) => this.#isPinned(record) && !this.#init.isKept(record))
    return pinned ?? others.findLast((record) => own === null || record.group !== own) ?? others.at(-1)
  }
}

function hasFailed({ objects }: PeerRecord): boolean {
  for (const name in objects) if (objects[name]!.failed.length > 0) return true
  return false
}

const isNewer = (a: Stamp, [, incarnation, counter]: readonly [string, number, number]): boolean =>
  a.incarnation > incarnation || (a.incarnation === incarnation && a.counter > counter)
