/**
 * Neighbours, the active set: a bounded, symmetric set of peers to gossip with (SPEC O2). One's own group always belongs
 * to it; others fill it up to `degree`. Dials are repeated with back-off and spread at random; nothing is dialled without need.
 */

import type { Generator } from '../prng.ts'
import { SmallMap, SmallSet } from '../small.ts'
import type { PeerLimits } from './events.ts'
import { MAX_INTRODUCED, type MessageOf } from './messages.ts'
import type { Outbox } from './outbox.ts'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000
/** Longest wait before a peer that refuses is asked again. */
const LAST_REFUSAL_MS = 15 * 60_000
/** Dials under way at once; a fleet that starts on one host must not storm. */
const DIALS_AT_ONCE = 4
/** An `ask` that nobody answered is forgotten after this time. */
const ASK_TIMEOUT_MS = 5_000

/** Distance of one peer's explorations. Any peer of a split fleet that crosses mends it, so fifty mend it in a minute. */
const EXPLORE_MS = 30 * 60_000
/** In a fleet that is larger than a view: there are more to cross, and each new neighbour changes what full views hold. */
const EXPLORE_LARGE_MS = 8 * EXPLORE_MS
/** Share of the explorations that go to a peer it was told to start with, or knew in an earlier life. */
const SEEDS_EXPLORED = 0.25

const NOBODY: readonly string[] = []

/** What is known of other peers' places; the peer's view answers it. */
export interface Places {
  self: string
  /** Addresses to dial, empty if none are known. */
  addresses(peer: string): readonly string[]
  /** Peers that might become neighbours, the rather wanted first. */
  candidates(): readonly string[]
  /** Whether a peer may be a neighbour at all: not if it has left. */
  fit(peer: string): boolean
  /** Members of the own group: always neighbours. */
  group(): ReadonlySet<string>
  /** Whether the fleet is larger than what one peer knows of it. */
  isLarge(): boolean
  /** The own record, as it is now; undefined while there is nothing to say. */
  ownRecord(): Uint8Array | undefined
  /** Keeps a contact that somebody told, if it is worth an attempt. */
  introduce(contact: Contact, now: number): void
  /** Peers to begin with. */
  seeds(): readonly { peer: string; addresses: readonly string[] }[]
}

type Contact = { peer: string; addresses: readonly string[] }

interface Dial {
  failures: number
  /** No dial before this time. */
  notBefore: number
  underWay: boolean
}

export class Neighbours {
  readonly #places: Places
  readonly #limits: PeerLimits
  readonly #generator: Generator
  readonly #outbox: Outbox
  readonly connected = new SmallSet<string>()
  readonly #neighbours = new SmallSet<string>()
  readonly #asked = new SmallMap<string, number>()
  readonly #dials = new SmallMap<string, Dial>()
  #exploreAt = 0
  /** Who is said to have a place free: asked before others. */
  #introduced: readonly string[] = NOBODY
  /** The stranger that is to become a neighbour beyond need. */
  #explored = ''

  constructor(places: Places, limits: PeerLimits, generator: Generator, outbox: Outbox) {
    this.#places = places
    this.#limits = limits
    this.#generator = generator
    this.#outbox = outbox
  }

  has(peer: string): boolean {
    return this.#neighbours.has(peer)
  }
  all(): IterableIterator<string> {
    return this.#neighbours.values()
  }
  get size(): number {
    return this.#neighbours.size
  }

  /** How many strangers are missing. */
  get isShortOf(): number {
    return Math.max(0, this.#limits.degree - this.#strangers())
  }

  onConnected(peer: string, now: number): void {
    this.connected.add(peer)
    // The other asks if it has dialled for that: two asks would need two answers.
    const isDialled = this.#dials.get(peer)?.underWay === true
    this.#dials.delete(peer)
    if (isDialled && !this.#neighbours.has(peer) && this.#wants(peer)) this.#ask(peer, now)
  }

  #wants(peer: string): boolean {
    if (!this.#places.fit(peer)) return false
    return this.#isGroup(peer) || this.#strangers() < this.#limits.degree || peer === this.#explored
  }

  onDisconnected(peer: string, now: number): void {
    this.connected.delete(peer)
    this.#asked.delete(peer)
    if (!this.#neighbours.delete(peer)) return
    // Whoever was a neighbour is looked for again first: it is probably only restarting.
    this.#dials.set(peer, { failures: 0, notBefore: now + this.#jitter(FIRST_RETRY_MS), underWay: false })
  }

  onConnectFailed(peer: string, now: number): void {
    const failures = (this.#dials.get(peer)?.failures ?? 0) + 1
    const waitMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10))
    this.#dials.set(peer, { failures, notBefore: now + this.#jitter(waitMs), underWay: false })
    this.#boundDials()
  }

  /** Answers a neighbourhood message. Returns the peer if it has just become a neighbour. */
  onMessage(from: string, message: MessageOf<'neighbour'>, now: number): string | undefined {
    switch (message.what) {
      case 'ask': {
        const room = this.#isGroup(from) || this.#neighbours.has(from) || this.#strangers() < this.#limits.degreeMax
        if (!this.#places.fit(from) || (!room && !message.urgent)) {
          const others = this.#generator.sample([...this.#neighbours], MAX_INTRODUCED)
          this.#tell(from, 'refuse', this.#contactsOf(others))
          return undefined
        }
        // Who looks for several neighbours comes between two that there are.
        const dropped = room ? undefined : this.#dropOne()
        const record = this.#places.ownRecord()
        const own = record === undefined ? {} : { record }
        this.#tell(from, 'accept', { ...own, ...(dropped === undefined ? {} : this.#contactsOf([dropped])) })
        return this.#add(from)
      }
      case 'accept':
        this.#introduce(message, now)
        // It came too late, and somebody else has the place meanwhile: the other must not go on believing in it.
        if (!this.#asked.delete(from) && !this.#neighbours.has(from) && !this.#wants(from)) {
          this.#tell(from, 'leave')
          return undefined
        }
        if (from === this.#explored && this.#strangers() >= this.#limits.degree) this.#dropOne()
        return this.#add(from)
      case 'refuse':
        this.#asked.delete(from)
        for (const contact of message.contacts ?? []) this.#places.introduce(contact, now)
        this.#onRefused(from, now)
        return undefined
      case 'leave':
        this.#neighbours.delete(from)
        return undefined
    }
  }

  /** Someone takes us for its neighbour that is none: a word was lost. */
  disown(peer: string): void {
    if (!this.#asked.has(peer)) this.#tell(peer, 'leave')
  }

  /** Whoever gave its place up for this peer is asked for that place, so that its neighbours are no fewer by it. */
  #introduce({ contacts = [] }: MessageOf<'neighbour'>, now: number): void {
    for (const contact of contacts) {
      if (contact.peer === this.#places.self || this.#neighbours.has(contact.peer)) continue
      this.#places.introduce(contact, now)
      this.#introduced = [contact.peer, ...this.#introduced].slice(0, this.#limits.degree)
    }
  }

  #contactsOf(peers: readonly string[]): { contacts?: { peer: string; addresses: string[] }[] } {
    const contacts = peers
      .map((peer) => ({ peer, addresses: [...this.#places.addresses(peer)] }))
      .filter(({ addresses }) => addresses.length > 0)
    return contacts.length === 0 ? {} : { contacts }
  }

  /** Gives a neighbour up that leaves the fleet, or that this peer leaves. */
  part(peer: string): void {
    this.#asked.delete(peer)
    if (this.#neighbours.delete(peer)) this.#tell(peer, 'leave')
  }

  /** Dials a peer only to learn whether it is there. Returns whether it is under way. */
  probe(peer: string, now: number): boolean {
    if (this.connected.has(peer) || this.#dials.get(peer)?.underWay === true) return false
    return this.#dial(peer, now)
  }

  /** Where all others have neighbours enough, a peer that is short of some must not ask them for ever at one pace. */
  #onRefused(peer: string, now: number): void {
    const failures = (this.#dials.get(peer)?.failures ?? 0) + 1
    const waitMs = Math.min(LAST_REFUSAL_MS, LAST_RETRY_MS * 2 ** Math.min(failures - 1, 10))
    this.#dials.set(peer, { failures, notBefore: now + this.#jitter(waitMs), underWay: false })
    this.#boundDials()
  }

  /** Dials and asks for what is missing. Returns when to look again, ms. */
  fill(now: number): number {
    for (const [peer, at] of this.#asked) if (at + ASK_TIMEOUT_MS <= now) this.#asked.delete(peer)
    let next = Number.POSITIVE_INFINITY
    for (const peer of this.#places.group())
      if (!this.#neighbours.has(peer)) next = Math.min(next, this.#reach(peer, now))
    const missing = this.isShortOf
    if (missing > 0) next = Math.min(next, this.#reachStrangers(missing, now))
    for (const at of this.#asked.values()) next = Math.min(next, at + ASK_TIMEOUT_MS)
    return Math.min(next, this.#explore(now))
  }

  /**
   * Now and then a stranger takes the place of a neighbour: two halves of a fleet whose neighbours filled up while a
   * partition lasted would never find each other again.
   */
  #explore(now: number): number {
    const everyMs = this.#places.isLarge() ? EXPLORE_LARGE_MS : EXPLORE_MS
    if (this.#exploreAt === 0) this.#exploreAt = now + this.#jitter(everyMs)
    if (now < this.#exploreAt) return this.#exploreAt
    this.#exploreAt = now + this.#jitter(everyMs)
    const isStranger = (peer: string) => !this.#neighbours.has(peer) && !this.#isGroup(peer) && this.#places.fit(peer)
    // Those it began with are tried too: of a split longer than any memory they may be all that is known.
    const seeds = this.#generator.chance(SEEDS_EXPLORED) ? this.#seeds() : []
    const strangers = [seeds, this.#places.candidates()].map((list) => list.filter(isStranger))
    const list = strangers.find((one) => one.length > 0)
    if (list !== undefined) {
      this.#explored = this.#generator.pick(list)
      this.#dials.delete(this.#explored)
      this.#reach(this.#explored, now)
    }
    return this.#exploreAt
  }

  #reachStrangers(missing: number, now: number): number {
    const group = this.#places.group()
    const isStranger = (peer: string) => !this.#neighbours.has(peer) && !group.has(peer) && this.#places.fit(peer)
    const known = new Set([...this.#introduced, ...this.#places.candidates()])
    const order = [...known, ...this.#seeds().filter((peer) => !known.has(peer))].filter(isStranger)
    let next = Number.POSITIVE_INFINITY
    let begun = 0
    for (const peer of order) {
      if (begun >= missing) break
      const at = this.#reach(peer, now)
      if (at <= now || this.#asked.has(peer) || this.#dials.get(peer)?.underWay === true) begun += 1
      else next = Math.min(next, at)
    }
    if (this.#introduced.length > 0)
      this.#introduced = this.#introduced.filter((peer) => !this.#asked.has(peer) && !this.#dials.has(peer))
    return next
  }

  #seeds(): string[] {
    return this.#places
      .seeds()
      .map((one) => one.peer)
      .filter((peer) => peer !== this.#places.self)
  }

  /** One step toward having `peer` as a neighbour. Returns when to try again, ms. */
  #reach(peer: string, now: number): number {
    if (this.#asked.has(peer)) return this.#asked.get(peer)! + ASK_TIMEOUT_MS
    const dial = this.#dials.get(peer)
    if (dial?.underWay === true) return Number.POSITIVE_INFINITY
    if (dial !== undefined && dial.notBefore > now) return dial.notBefore
    if (this.connected.has(peer)) {
      this.#ask(peer, now)
      return now + ASK_TIMEOUT_MS
    }
    if (this.#places.addresses(peer).length === 0) return Number.POSITIVE_INFINITY
    return this.#dial(peer, now) ? Number.POSITIVE_INFINITY : now + this.#jitter(FIRST_RETRY_MS)
  }

  #dial(peer: string, now: number): boolean {
    const underWay = [...this.#dials.values()].filter((one) => one.underWay).length
    if (underWay >= DIALS_AT_ONCE) return false
    this.#dials.set(peer, { failures: this.#dials.get(peer)?.failures ?? 0, notBefore: now, underWay: true })
    this.#outbox.send({ type: 'connect', peer, addresses: this.#places.addresses(peer) })
    return true
  }

  #ask(peer: string, now: number): void {
    this.#asked.set(peer, now)
    const record = this.#places.ownRecord()
    const own = record === undefined ? {} : { record }
    this.#outbox.send({
      type: 'send',
      to: peer,
      message: { kind: 'neighbour', what: 'ask', urgent: this.#isShort(), ...own }
    })
  }

  /**
   * With no neighbour, or with so few that they may be an island of peers that all others refused, an ask must not be
   * refused: whoever is full gives one of its many neighbours up, which looks for another.
   */
  #isShort(): boolean {
    return this.#neighbours.size === 0 || this.#strangers() < this.#limits.degree / 2
  }

  #tell(
    peer: string,
    what: 'accept' | 'refuse' | 'leave',
    more: Pick<MessageOf<'neighbour'>, 'record' | 'contacts'> = {}
  ): void {
    this.#outbox.send({ type: 'send', to: peer, message: { kind: 'neighbour', what, urgent: false, ...more } })
  }

  #add(peer: string): string | undefined {
    this.#asked.delete(peer)
    if (this.#neighbours.has(peer)) return undefined
    this.#neighbours.add(peer)
    return peer
  }

  #dropOne(): string | undefined {
    const others = [...this.#neighbours].filter((peer) => !this.#isGroup(peer))
    const victim = others[this.#generator.below(Math.max(1, others.length))]
    if (victim === undefined) return undefined
    this.#neighbours.delete(victim)
    this.#tell(victim, 'leave')
    return victim
  }

  #strangers(): number {
    let count = 0
    for (const peer of this.#neighbours) if (!this.#isGroup(peer)) count += 1
    return count
  }

  #isGroup(peer: string): boolean {
    return this.#places.group().has(peer)
  }

  /** Back-off is remembered for a bounded number of peers. */
  #boundDials(): void {
    for (const [peer, dial] of this.#dials) {
      if (this.#dials.size <= 512) return
      if (!dial.underWay) this.#dials.delete(peer)
    }
  }

  #jitter(ms: number): number {
    return Math.ceil(ms * (0.5 + this.#generator.fraction()))
  }
}
