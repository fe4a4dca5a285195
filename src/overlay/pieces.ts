/**
 * Bundles travel in pieces (SPEC O7): announced, asked for rarest first, each verified before it is kept, taken up again
 * after a restart, passed on at once. The bytes never enter the core's state.
 */

import type { Generator } from '../prng.ts'
import { SmallMap } from '../small.ts'
import type { BundleTable } from '../upgrade/manifest.ts'
import type { Event, PeerLimits } from './events.ts'
import type { MessageOf } from './messages.ts'
import type { Outbox } from './outbox.ts'
import { PieceSet } from './piece-set.ts'

const PER_NEIGHBOUR = 4
const MAX_UNPACK_FAILURES = 3
/** Bundles of which one neighbour's offers are kept, beside those that the log names. */
const MAX_OFFERS = 16
const NOTHING = new Uint8Array()
const NOBODY: never[] = []
const LAST_UNPACK_MS = 10 * 60_000

interface Bundle {
  table: BundleTable
  version: number
  /** Place in the order of fetching; Infinity: it is not fetched. */
  place: number
  /** Its code is needed here: whole, it is unpacked. Else it is only kept for others. */
  runs: boolean
  held: PieceSet
  /** Pieces asked for: index → from whom, until when. Being stored: deadline Infinity. */
  asked: SmallMap<number, { from: string; deadline: number }>
  unpacked: boolean
  unpacking: boolean
  /** It was removed, and neighbours have not been told yet. */
  isToBeDenied: boolean
  /** When somebody last asked for a piece of it, ms. */
  wantedAt: number
  /** Pieces held when neighbours were last told. */
  announced: number
  failures: number
  /** When a neighbour is asked for a piece that none is known to hold (Infinity: no need), and after how long again. */
  searchAt: number
  searchMs: number
  searches: number
  /** When a bundle that the disk would not take is unpacked again (Infinity: no need), and after how long the next time. */
  unpackAt: number
  unpackMs: number
}

/** How a bundle is found that no neighbour holds. */
export interface Reach {
  /** Peers that should keep a bundle, the likeliest first. */
  holders(sha256: string): string[]
  /** Whether a peer is connected; if not, it is dialled. */
  connect(peer: string): boolean
}

export class Pieces {
  readonly #limits: PeerLimits
  readonly #generator: Generator
  readonly #reach: Reach
  readonly #outbox: Outbox
  readonly #bundles = new SmallMap<string, Bundle>()
  /** bundle → neighbour → pieces it announced. */
  readonly #offers = new SmallMap<string, SmallMap<string, PieceSet>>()
  readonly #atBoot = new SmallMap<string, { pieces: Uint8Array; unpacked: boolean }>()

  constructor(limits: PeerLimits, generator: Generator, outbox: Outbox, reach: Reach) {
    this.#limits = limits
    this.#reach = reach
    this.#generator = generator
    this.#outbox = outbox
  }

  boot(bundles: readonly { bundle: string; pieces: Uint8Array; unpacked: boolean }[]): void {
    for (const one of bundles) this.#atBoot.set(one.bundle, one)
  }

  /** Grows when an operator brings a bundle: it may be one that is not needed here. */
  arrivals = 0
  /** Grows with everything heard of pieces that may lead to something here. */
  changes = 0

  /** An entry of the log names this bundle. It is fetched as far as `arrange` says. */
  want(table: BundleTable, version: number): void {
    if (this.#bundles.has(table.sha256)) return
    this.changes += 1
    const stored = this.#atBoot.get(table.sha256)
    this.#atBoot.delete(table.sha256)
    const unpacked = stored?.unpacked ?? false
    const count = table.pieces.length
    const held = unpacked ? PieceSet.all(count) : PieceSet.of(stored?.pieces ?? NOTHING, count)
    const bundle: Bundle = {
      table,
      version,
      place: Number.POSITIVE_INFINITY,
      runs: false,
      held,
      asked: new SmallMap(),
      unpacked,
      unpacking: false,
      isToBeDenied: false,
      wantedAt: 0,
      announced: held.size,
      failures: 0,
      searchAt: Number.POSITIVE_INFINITY,
      searchMs: this.#limits.pieceTimeoutMs,
      searches: 0,
      unpackAt: Number.POSITIVE_INFINITY,
      unpackMs: this.#limits.pieceTimeoutMs
    }
    this.#bundles.set(table.sha256, bundle)
  }

  /** Whether and when a bundle is fetched, and whether its code is to be run (B1). */
  arrange(sha256: string, place: number | undefined, runs: boolean): void {
    const bundle = this.#bundles.get(sha256)
    if (bundle === undefined) return
    bundle.place = place ?? Number.POSITIVE_INFINITY
    bundle.runs = runs
    if (place !== undefined) this.#unpackIfWhole(bundle)
  }

  holdsAny(sha256: string): boolean {
    const bundle = this.#bundles.get(sha256)
    return bundle !== undefined && (bundle.held.size > 0 || bundle.unpacked)
  }

  /** When somebody last asked for a bundle, ms. */
  wantedAt(sha256: string): number {
    return this.#bundles.get(sha256)?.wantedAt ?? 0
  }

  /** B5: it is deleted, and neighbours are told, so that nobody asks in vain. False while the disk works on it. */
  remove(sha256: string): boolean {
    this.changes += 1
    const bundle = this.#bundles.get(sha256)
    if (bundle === undefined) return true
    if (bundle.unpacking || [...bundle.asked.values()].some((one) => !Number.isFinite(one.deadline))) return false
    bundle.held.clear()
    bundle.asked.clear()
    bundle.unpacked = false
    bundle.announced = 0
    bundle.isToBeDenied = true
    this.#outbox.run({ type: 'remove-bundle', bundle: sha256 })
    return true
  }

  /** All pieces were verified and stored by the driver (an operator's injection). */
  holdAll(sha256: string): void {
    this.changes += 1
    const bundle = this.#bundles.get(sha256)
    if (bundle === undefined) return
    bundle.held.fill()
    bundle.asked.clear()
    this.arrivals += 1
    this.#unpackIfWhole(bundle)
  }

  isReady(sha256: string): boolean {
    return this.#bundles.get(sha256)?.unpacked ?? false
  }
  /** Whether a neighbour said that it holds all of a bundle. */
  isHeldBy(peer: string, sha256: string): boolean {
    return this.#offers.get(sha256)?.get(peer)?.size === this.#bundles.get(sha256)?.table.pieces.length
  }
  #isDeniedBy(peer: string, sha256: string): boolean {
    return this.#offers.get(sha256)?.get(peer)?.size === 0
  }
  /** ⟨held, all⟩ pieces of a bundle. */
  share(sha256: string): [number, number] {
    const bundle = this.#bundles.get(sha256)
    return bundle === undefined ? [0, 0] : [bundle.held.size, bundle.table.pieces.length]
  }

  /** Tells a neighbour what is held of every bundle. */
  announceTo(peer: string): void {
    for (const [sha256, bundle] of this.#bundles) if (bundle.held.size > 0) this.#have(peer, sha256, bundle)
  }

  /**
   * Tells neighbours of new pieces: the first, then each eighth of the bundle, then the whole (one message each). Who has
   * it all wants none of it, but may leave when it knows that others have it (O12).
   */
  announce(neighbours: Iterable<string>, leaves: (peer: string) => boolean): void {
    let peers: string[] | undefined
    for (const [sha256, bundle] of this.#bundles) {
      const { size } = bundle.held
      if (size === bundle.announced && !bundle.isToBeDenied) continue
      peers ??= [...neighbours]
      // Who has it all, or had it and gave it up, asks for none of it.
      if (bundle.isToBeDenied)
        for (const peer of peers)
          if (!this.isHeldBy(peer, sha256) && !this.#isDeniedBy(peer, sha256)) this.#have(peer, sha256, bundle)
      bundle.isToBeDenied = false
      if (size === bundle.announced) continue
      const all = bundle.table.pieces.length
      const due = size === all || bundle.announced === 0 || size - bundle.announced >= all / 8
      if (!due) continue
      bundle.announced = size
      for (const peer of peers)
        if (!this.isHeldBy(peer, sha256) || (size === all && leaves(peer))) this.#have(peer, sha256, bundle)
    }
  }

  onHave(from: string, message: MessageOf<'have'>): void {
    const known = this.#bundles.get(message.bundle)
    // Offers of bundles not heard of yet are kept, bounded: the entry may be on its way.
    if (known === undefined && this.#strangeOffersBy(from) >= MAX_OFFERS) return
    const count = known?.table.pieces.length ?? message.pieces.byteLength * 8
    const offered = PieceSet.of(message.pieces, count)
    this.#offersOf(message.bundle).set(from, offered.isWhole ? wholeOf(count) : offered)
    // Who has it all looks for no more of it.
    if (known === undefined || !known.held.isWhole) this.changes += 1
  }

  onWant(from: string, message: MessageOf<'want'>, now: number): void {
    const { bundle, index } = message
    const known = this.#bundles.get(bundle)
    if (known !== undefined) known.wantedAt = now
    if (known?.held.has(index)) this.#outbox.send({ type: 'send-piece', to: from, bundle, index })
    else this.#outbox.send({ type: 'send', to: from, message: { kind: 'lack', bundle, index } })
  }

  onLack(from: string, message: MessageOf<'lack'>): void {
    this.changes += 1
    this.#lacks(from, message.bundle, message.index)
    const asked = this.#bundles.get(message.bundle)?.asked
    if (asked?.get(message.index)?.from === from) asked.delete(message.index)
  }

  /** A late piece is as good as one in time: on a thin link all are late. A wrong one costs its sender the session. */
  onPiece(from: string, message: MessageOf<'piece'>): void {
    this.changes += 1
    const bundle = this.#bundles.get(message.bundle)
    if (bundle === undefined || message.index >= bundle.table.pieces.length) return
    const storing = bundle.asked.get(message.index)?.deadline === Number.POSITIVE_INFINITY
    if (storing || bundle.held.has(message.index)) return
    this.#noteHolder(from, bundle, message.index)
    bundle.asked.set(message.index, { from, deadline: Number.POSITIVE_INFINITY })
    const { index, bytes } = message
    this.#outbox.run({
      type: 'store-piece',
      bundle: message.bundle,
      index,
      from,
      bytes,
      sha256: bundle.table.pieces[index]!
    })
  }

  /** Whoever had a piece that it did not announce, or not any more, may have them all; what it lacks it says. */
  #noteHolder(from: string, bundle: Bundle, index: number): void {
    const offers = this.#offersOf(bundle.table.sha256)
    if (!offers.get(from)?.has(index)) offers.set(from, wholeOf(bundle.table.pieces.length))
  }

  #offersOf(sha256: string): SmallMap<string, PieceSet> {
    const offers = this.#offers.get(sha256) ?? new SmallMap()
    this.#offers.set(sha256, offers)
    return offers
  }

  #lacks(peer: string, sha256: string, index: number): void {
    const offers = this.#offers.get(sha256)
    const offered = offers?.get(peer)
    if (offered?.has(index)) offers?.set(peer, offered.without(index))
  }

  /** How many bundles a neighbour offers that the log does not name. */
  #strangeOffersBy(peer: string): number {
    let count = 0
    for (const [sha256, offers] of this.#offers) if (!this.#bundles.has(sha256) && offers.has(peer)) count += 1
    return count
  }

  /** Returns the peer to blame if the piece was not what its hash says. */
  onStored(event: Extract<Event, { type: 'piece-stored' }>, now: number): string | undefined {
    this.changes += 1
    const { index, from } = event
    const bundle = this.#bundles.get(event.bundle)
    if (bundle === undefined) return undefined
    if (event.outcome === 'failed') {
      // Our disk refused it: it is asked for again when this ask has timed out, not at once.
      bundle.asked.set(index, { from, deadline: now + this.#limits.pieceTimeoutMs })
      return undefined
    }
    bundle.asked.delete(index)
    if (event.outcome === 'wrong') {
      this.#offers.get(event.bundle)?.delete(from)
      return from
    }
    bundle.held.add(index)
    bundle.searchAt = Number.POSITIVE_INFINITY
    bundle.searchMs = this.#limits.pieceTimeoutMs
    this.#unpackIfWhole(bundle)
    return undefined
  }

  /** D8: it is fetched again, and neighbours are told of what is held. */
  onLost(sha256: string, index: number): void {
    const bundle = this.#bundles.get(sha256)
    if (bundle === undefined || !bundle.held.has(index)) return
    this.changes += 1
    bundle.held = bundle.held.without(index)
    bundle.announced = 0
  }

  onUnpacked(event: Extract<Event, { type: 'unpacked' }>, now: number): void {
    this.changes += 1
    const bundle = this.#bundles.get(event.bundle)
    // Code that was found damaged is fetched anew already, however often it is looked for meanwhile.
    if (bundle === undefined || !(event.ok || bundle.unpacking || bundle.unpacked)) return
    bundle.unpacking = false
    bundle.unpacked = event.ok
    if (event.ok) return
    if (!event.wrong) {
      // The disk is full, or ails: the pieces are good, and it may be mended at any time.
      bundle.unpackAt = now + bundle.unpackMs
      bundle.unpackMs = Math.min(2 * bundle.unpackMs, LAST_UNPACK_MS)
      return
    }
    // The disk lost or damaged something: fetch it anew, but not for ever.
    bundle.failures += 1
    if (bundle.failures >= MAX_UNPACK_FAILURES) return
    bundle.held.clear()
    bundle.announced = 0
  }

  forget(peer: string): void {
    this.changes += 1
    for (const [sha256, offers] of this.#offers) {
      offers.delete(peer)
      if (offers.size === 0) this.#offers.delete(sha256)
    }
    for (const bundle of this.#bundles.values()) {
      for (const [index, asked] of bundle.asked)
        if (asked.from === peer && Number.isFinite(asked.deadline)) bundle.asked.delete(index)
    }
  }

  /** Asks for pieces, by the order of bundles, rarest piece first. Returns when to look again, ms. */
  ask(neighbours: Iterable<string>, now: number): number {
    let next = Number.POSITIVE_INFINITY
    const load = new Map<string, number>()
    let inFlight = 0
    for (const bundle of this.#bundles.values()) {
      next = Math.min(next, this.#unpackAgain(bundle, now))
      for (const [index, asked] of bundle.asked) {
        if (asked.deadline <= now) {
          bundle.asked.delete(index)
          this.#lacks(asked.from, bundle.table.sha256, index)
          continue
        }
        inFlight += 1
        load.set(asked.from, (load.get(asked.from) ?? 0) + 1)
        next = Math.min(next, asked.deadline)
      }
    }
    const incomplete = [...this.#bundles.values()].filter(isWanting)
    if (incomplete.length === 0) return next
    const peers = [...neighbours]
    for (const bundle of incomplete.sort((a, b) => a.place - b.place)) {
      for (const [index, holders] of this.#rarest(bundle)) {
        if (inFlight >= this.#limits.piecesInFlight) return next
        const free = holders.filter((peer) => (load.get(peer) ?? 0) < PER_NEIGHBOUR)
        if (free.length === 0) continue
        const from = this.#generator.pick(free)
        const deadline = now + this.#limits.pieceTimeoutMs
        bundle.asked.set(index, { from, deadline })
        load.set(from, (load.get(from) ?? 0) + 1)
        inFlight += 1
        next = Math.min(next, deadline)
        this.#outbox.send({ type: 'send', to: from, message: { kind: 'want', bundle: bundle.table.sha256, index } })
      }
      next = Math.min(next, this.#search(bundle, peers, now))
    }
    return next
  }

  /**
   * Nothing is under way and no neighbour is known to hold what is missing: an announcement was lost, or every holder
   * was too slow once. Then a peer that should keep it (B4), or any neighbour, is asked for any piece, ever more rarely (O7).
   */
  #search(bundle: Bundle, neighbours: readonly string[], now: number): number {
    if (bundle.asked.size > 0 || neighbours.length === 0) return Number.POSITIVE_INFINITY
    if (bundle.searchAt === Number.POSITIVE_INFINITY) bundle.searchAt = now + bundle.searchMs
    if (now < bundle.searchAt) return bundle.searchAt
    const { roundMaxMs, keepMs, pieceTimeoutMs } = this.#limits
    // More often than a holder that needs it no more forgets who asked (B3).
    bundle.searchMs = Math.min(2 * bundle.searchMs, Math.max(Math.min(roundMaxMs, keepMs / 2), pieceTimeoutMs))
    bundle.searchAt = now + bundle.searchMs
    const missing = [...bundle.table.pieces.keys()].filter((index) => !bundle.held.has(index))
    const index = this.#generator.pick(missing)
    bundle.searches += 1
    const from = this.#keeperOf(bundle) ?? this.#generator.pick(neighbours)
    const deadline = now + this.#limits.pieceTimeoutMs
    bundle.asked.set(index, { from, deadline })
    this.#outbox.send({ type: 'send', to: from, message: { kind: 'want', bundle: bundle.table.sha256, index } })
    return deadline
  }

  /** In every other search one of the peers that should keep the bundle, which is reached for first. */
  #keeperOf(bundle: Bundle): string | undefined {
    if (bundle.searches % 2 === 0) return undefined
    const holders = this.#reach.holders(bundle.table.sha256)
    const keeper = holders[((bundle.searches - 1) / 2) % Math.max(1, holders.length)]
    return keeper !== undefined && this.#reach.connect(keeper) ? keeper : undefined
  }

  /** Missing pieces with their holders, rarest first, equals in random order. */
  #rarest(bundle: Bundle): [number, string[]][] {
    const holders = new Map<number, string[]>()
    for (const [peer, offered] of this.#offers.get(bundle.table.sha256) ?? NOBODY) {
      for (const index of offered) {
        if (index >= bundle.table.pieces.length || bundle.held.has(index) || bundle.asked.has(index)) continue
        const list = holders.get(index)
        if (list === undefined) holders.set(index, [peer])
        else list.push(peer)
      }
    }
    return this.#generator.shuffle([...holders]).sort((a, b) => a[1].length - b[1].length)
  }

  #unpackAgain(bundle: Bundle, now: number): number {
    if (bundle.unpackAt > now) return bundle.unpackAt
    bundle.unpackAt = Number.POSITIVE_INFINITY
    this.#unpackIfWhole(bundle)
    return Number.POSITIVE_INFINITY
  }

  #unpackIfWhole(bundle: Bundle): void {
    if (!bundle.runs || bundle.unpacked || bundle.unpacking || bundle.held.size < bundle.table.pieces.length) return
    bundle.unpacking = true
    this.#outbox.run({ type: 'unpack', bundle: bundle.table.sha256, version: bundle.version })
  }

  #have(to: string, sha256: string, bundle: Bundle): void {
    this.#outbox.send({ type: 'send', to, message: { kind: 'have', bundle: sha256, pieces: bundle.held.bits } })
  }
}

/** Most neighbours offer all: they share one. */
const WHOLE = new Map<number, PieceSet>()

function wholeOf(count: number): PieceSet {
  const known = WHOLE.get(count) ?? PieceSet.all(count)
  WHOLE.set(count, known)
  return known
}

const isWanting = ({ held, table, place }: Bundle): boolean =>
  held.size < table.pieces.length && place < Number.POSITIVE_INFINITY
