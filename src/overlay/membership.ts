/**
 * Who else is there (SPEC O2, O10 to O12): the active set of neighbours, the passive set of contacts that shuffles keep
 * fresh, the own group, and the silence of peers that went away without a word.
 */
import { MAX_GROUP_MEMBERS } from '../names.ts'
import type { Generator } from '../prng.ts'
import { Contacts } from './contacts.ts'
import type { PeerInit, PeerLimits } from './events.ts'
import { type GroupInit, OwnGroup } from './group.ts'
import type { MessageOf } from './messages.ts'
import { Neighbours, type Places } from './neighbours.ts'
import type { Outbox } from './outbox.ts'
import { type Contact, PassiveSet } from './passive.ts'
import { hasLeft } from './record.ts'
import { type Acquaintance, Shuffles } from './shuffles.ts'
import type { View } from './view.ts'

/** Distance between two looks at a peer that has been silent for long. */
const PROBE_MS = 5 * 60_000
/** Longest time without one: whoever is no neighbour any more may have been silent for as long as it was one. */
const LAST_PROBE_MS = 60 * 60_000

const NOBODY: readonly Contact[] = []

export interface MembershipInit extends GroupInit {
  readonly init: PeerInit
  /** Where this peer can be dialled. */
  readonly addresses: readonly string[]
  readonly limits: PeerLimits
  /** Makes the own record say what is so now. */
  freshen(): void
  readonly generator: Generator
  readonly outbox: Outbox
}

export class Membership implements Places, Acquaintance {
  readonly neighbours: Neighbours
  readonly passive: PassiveSet
  readonly #group: OwnGroup
  readonly #contacts: Contacts
  readonly #shuffles: Shuffles
  readonly #view: View
  readonly self: string
  readonly #parts: MembershipInit
  readonly #hasGroup: boolean
  readonly #outbox: Outbox
  readonly #limits: PeerLimits
  readonly #generator: Generator
  /** Grows with everything heard of other peers' places: connections, neighbours, contacts. */
  changes = 0
  #probeAt = 0
  #probed = ''
  /** This peer has said farewell itself. */
  #left = false

  /** @param kept what an earlier life persisted as `contacts` */
  constructor(parts: MembershipInit, kept: unknown) {
    const { init, limits, view, generator, outbox } = parts
    this.#parts = parts
    this.self = init.peer
    this.#hasGroup = init.group !== null
    this.#outbox = outbox
    this.#view = view
    this.#limits = limits
    this.#generator = generator
    this.passive = new PassiveSet(limits.passive, generator)
    const { bootstrap } = init
    const known = (kept as Contact[] | undefined) ?? NOBODY
    this.#contacts = new Contacts({ bootstrap, kept: known, view, passive: this.passive, outbox })
    this.#group = new OwnGroup(parts)
    this.neighbours = new Neighbours(this, limits, generator, outbox)
    this.#shuffles = new Shuffles({ around: this, passive: this.passive, generator, outbox, silentMs: limits.silentMs })
  }

  // ---- what neighbours and shuffles see of other peers

  get ownAddresses(): readonly string[] {
    return this.#parts.addresses
  }
  addresses(peer: string): readonly string[] {
    return this.#contacts.addresses(peer)
  }
  fit(peer: string): boolean {
    return !this.#left && !hasLeft(this.#view.get(peer))
  }
  isWelcome(peer: string): boolean {
    return !this.neighbours.has(peer) && !hasLeft(this.#view.get(peer))
  }
  isLarge(): boolean {
    return this.#view.isFull
  }
  group(): ReadonlySet<string> {
    return this.#group.members
  }
  seeds(): readonly Contact[] {
    return this.#contacts.seeds()
  }
  ownRecord(): Uint8Array | undefined {
    this.#parts.freshen()
    return this.#view.signed(this.self)?.bytes
  }
  introduce({ peer, addresses }: Contact, now: number): void {
    if (peer !== this.self && this.isWelcome(peer) && addresses.length > 0)
      this.passive.note({ peer, addresses, heardAt: now })
  }
  heard(peer: string, at: number): void {
    this.#view.heard(peer, at)
  }

  // ---- events

  /** Whether new records may change whom this peer dials: members of its group, or strangers while it has too few. */
  get watchesView(): boolean {
    return this.#hasGroup || this.neighbours.isShortOf > 0
  }

  /** Without any neighbour, though others are known of: what this peer knows may be old. */
  get isCutOff(): boolean {
    return this.neighbours.size === 0 && (this.#contacts.seeds().length > 0 || this.passive.size > 0)
  }

  /** Whether a peer is connected. If not it is dialled, for one errand: it need not become a neighbour. */
  connect(peer: string): boolean {
    if (this.neighbours.connected.has(peer)) return true
    const addresses = this.#contacts.addresses(peer)
    if (addresses.length > 0) this.#outbox.send({ type: 'connect', peer, addresses })
    return false
  }

  onConnected(peer: string, now: number): void {
    this.changes += 1
    this.#view.heard(peer, now)
    this.neighbours.onConnected(peer, now)
  }

  onDisconnected(peer: string, now: number): void {
    this.changes += 1
    this.#view.heard(peer, now)
    if (this.neighbours.has(peer)) this.#shuffles.wake(now)
    this.#shuffles.forget(peer)
    this.neighbours.onDisconnected(peer, now)
  }

  onConnectFailed(peer: string, now: number): void {
    this.changes += 1
    this.passive.drop(peer)
    this.neighbours.onConnectFailed(peer, now)
    // O11: silent for long, and not to be reached either.
    if (peer !== this.#probed) return
    this.#probed = ''
    this.#view.drop(peer)
  }

  /** Members of the own group that are neighbours: they act on each other's words. */
  fellows(): string[] {
    return [...this.#group.members].filter((peer) => this.neighbours.has(peer))
  }

  /** Whoever says that it is of the group may be, as long as there is a place: the roster's members have theirs. */
  mayBeFellow(peer: string): boolean {
    // This peer has a place, too.
    return this.#group.members.has(peer) || this.#group.members.size < MAX_GROUP_MEMBERS - 1
  }

  isFellow(peer: string): boolean {
    return this.#group.members.has(peer)
  }

  /** Somebody announced itself: by multicast on the local network, say. */
  onFound(contact: Contact, now: number): void {
    this.changes += 1
    if (contact.peer !== this.self && !this.neighbours.has(contact.peer))
      this.passive.note({ ...contact, heardAt: now })
  }

  /** Returns the peer if it has just become a neighbour. */
  onNeighbour(from: string, message: MessageOf<'neighbour'>, now: number): string | undefined {
    this.changes += 1
    const was = this.neighbours.has(from)
    const added = this.neighbours.onMessage(from, message, now)
    if (added !== undefined) {
      this.passive.drop(added)
      this.#contacts.note(this.neighbours.all())
      // Explorations change neighbours too: they must not keep a fleet busy that is otherwise quiet.
      if (!this.passive.isHalfFull) this.#shuffles.wake(now)
    } else if (was && !this.neighbours.has(from)) this.#demote(from, now)
    return added
  }

  onShuffle(from: string, message: MessageOf<'shuffle'>, now: number): void {
    if (this.neighbours.isShortOf > 0) this.changes += 1
    if (this.neighbours.has(from)) this.#shuffles.onMessage(from, message, now)
    else this.neighbours.disown(from)
  }

  /** A round is for neighbours: whoever holds one with a peer that is none does not know it yet. */
  onSummary(from: string): void {
    if (!this.neighbours.has(from)) this.neighbours.disown(from)
  }

  /** A peer has said farewell: it is looked for no more. */
  onLeft(peer: string): void {
    this.changes += 1
    this.passive.drop(peer)
    this.neighbours.part(peer)
  }

  /** This peer's own farewell. */
  leave(): void {
    this.#left = true
    for (const peer of [...this.neighbours.all()]) this.neighbours.part(peer)
  }

  /** Dials, asks, shuffles and probes what is due. Returns when to look again, ms. */
  turn(now: number): number {
    return Math.min(this.neighbours.fill(now), this.#shuffles.turn(now), this.#probe(now))
  }

  /** Whoever was a neighbour and is still there stays known. */
  #demote(peer: string, now: number): void {
    const addresses = this.#contacts.addresses(peer)
    if (addresses.length > 0) this.passive.note({ peer, addresses, heardAt: now })
  }

  /**
   * The passive set and the view in turns: the one is fresh, but strangers choose what is in it; the other is chosen by
   * this peer's own salt, but may be old.
   */
  candidates(): string[] {
    const passive = this.#generator.shuffle([...this.passive.peers()])
    const known: string[] = []
    for (const { record } of this.#view.all())
      if (record.peer !== this.self && this.passive.get(record.peer) === undefined) known.push(record.peer)
    this.#generator.shuffle(known)
    const order: string[] = []
    for (let index = 0; index < Math.max(passive.length, known.length); index++) {
      if (index < passive.length) order.push(passive[index]!)
      if (index < known.length) order.push(known[index]!)
    }
    return order
  }

  /** O11: of the peers silent for long one is looked for now and then; a record without a living peer goes. */
  #probe(now: number): number {
    if (this.#probeAt === 0) this.#probeAt = now + this.#jitter()
    if (now < this.#probeAt) return this.#probeAt
    this.#probeAt = now + this.#jitter()
    const silent = this.#view.mostSilent(now - this.#limits.silentMs)
    // Nobody can have been silent for long before the one that is silent longest now has.
    if (silent === undefined) {
      const silentAt = Math.min(this.#view.oldestSign, now) + this.#limits.silentMs
      this.#probeAt = Math.max(this.#probeAt, Math.min(silentAt, now + LAST_PROBE_MS))
      return this.#probeAt
    }
    if (hasLeft(this.#view.get(silent))) this.#view.drop(silent)
    else if (this.neighbours.connected.has(silent)) this.#view.heard(silent, now)
    else if (this.#contacts.addresses(silent).length === 0) this.#view.drop(silent)
    else if (this.neighbours.probe(silent, now)) this.#probed = silent
    return this.#probeAt
  }

  #jitter(): number {
    return Math.ceil(PROBE_MS * (0.75 + this.#generator.fraction() / 2))
  }
}
