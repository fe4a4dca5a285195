/**
 * Who takes part in a private fleet (SPEC A3 to A6): peers show their tickets when they meet, and to one that has shown
 * none, or none that is good, nothing is served. In an open fleet everybody takes part, and this costs nothing.
 */
import { attempt, Refusal } from '../errors.ts'
import { SmallMap } from '../small.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import { type Admitted, checkCovers, type Ticket } from '../upgrade/ticket.ts'
import type { AntiEntropy } from './antientropy.ts'
import type { Authority, PeerInit } from './events.ts'
import type { Membership } from './membership.ts'
import type { Message } from './messages.ts'
import type { Outbox } from './outbox.ts'
import type { OwnRecord } from './own-record.ts'
import type { Head, SignedRecord } from './record.ts'
import type { Roots } from './roots.ts'
import type { View } from './view.ts'

/** Entries and statements taken from strangers at once, from all of them together; one more each second. */
export const STRANGERS_CREDIT = 64
const CREDIT_MS = 1_000
/** Distance between two looks at whose time has passed. */
const LOOK_MS = 60_000
/** How long before its end a peer's own ticket is complained about. */
const WARN_MS = 7 * 24 * 3_600_000

/** What goes to a connected peer before its ticket has come. */
const TO_STRANGERS: ReadonlySet<Message['kind']> = new Set(['ticket', 'neighbour', 'want'])
/** What is taken from one: of a delta only entries and statements. */
const FROM_STRANGERS: ReadonlySet<Message['kind']> = new Set(['ticket', 'delta'])

export interface Admission {
  /** What this peer shows; undefined in an open fleet. */
  readonly own: Ticket | undefined
  /** Whether a connected peer has shown that it is a member. */
  admits(peer: string): boolean
  /** Whether the peer of a ticket is admitted now. */
  isGood(ticket: Ticket): boolean
  /** Whether a record may be kept and passed on. */
  covers(signed: SignedRecord): boolean
  sends(to: string, kind: Message['kind']): boolean
  takes(from: string, kind: Message['kind']): boolean
  /** Whether one more entry or statement of a stranger is looked at. */
  spend(): boolean
  onConnected(peer: string): void
  /** @param root the newest that its sender trusts, if it says so */
  onTicket(from: string, text: string, root?: Head): void
  /** Whoever asks for a place shows its record, and with it its ticket. */
  onIntroduction(from: string, record: Uint8Array): void
  /** This peer has been given a new ticket. */
  renew(text: string): void
  forget(peer: string): void
  /** Parts with whoever is admitted no more. Returns when to look again, ms. */
  turn(now: number): number
}

/** Of an open fleet; all of its peers in one process share it. */
export const EVERYBODY: Admission = {
  own: undefined,
  admits: () => true,
  isGood: () => true,
  covers: () => true,
  sends: () => true,
  takes: () => true,
  spend: () => true,
  onConnected: () => undefined,
  onTicket: () => undefined,
  onIntroduction: () => undefined,
  renew: () => undefined,
  forget: () => undefined,
  turn: () => Number.POSITIVE_INFINITY
}

export interface AdmissionInit {
  readonly init: PeerInit
  readonly authority: Authority
  readonly statements: StatementSet
  readonly roots: Roots
  readonly view: View
  readonly membership: Membership
  readonly ownRecord: OwnRecord
  readonly outbox: Outbox
  readonly antiEntropy: AntiEntropy
  now(): number
}

export class TicketAdmission implements Admission {
  readonly #parts: AdmissionInit
  /** Tickets of connected peers. */
  readonly #shown = new SmallMap<string, Ticket>()
  #own: Ticket
  #credit = STRANGERS_CREDIT
  #creditAt = 0
  #lookAt = 0
  /** Revocations and roots that were known when it was looked last. */
  #changes = 0
  /** What was complained about last. */
  #warned = ''

  /** @throws Refusal NotAdmitted without a ticket of this peer */
  constructor(parts: AdmissionInit) {
    this.#parts = parts
    this.#own = this.#opened(parts.init.ticket)
  }

  get own(): Ticket {
    return this.#own
  }

  admits(peer: string): boolean {
    if (peer === this.#parts.init.peer) return true
    const ticket = this.#shown.get(peer)
    return ticket !== undefined && this.isGood(ticket)
  }

  isGood(ticket: Ticket): boolean {
    const { roots, statements } = this.#parts
    if (this.#parts.now() >= ticket.expires || ticket.number <= statements.revokedUpTo(ticket.peer)) return false
    // By the newest root: a rotation may end what an earlier one admitted.
    return !(attempt(() => roots.trust.openTicket(ticket.text)) instanceof Refusal)
  }

  covers({ record: { peer, labels, objects, ticket } }: SignedRecord): boolean {
    // Its own word reaches a peer back whatever became of its ticket: it has to speak after it.
    if (peer === this.#parts.init.peer) return true
    if (ticket === undefined) return false
    const opened = this.#open(ticket, { peer, labels, objects: Object.keys(objects) })
    return !(opened instanceof Refusal) && this.isGood(opened)
  }

  sends(to: string, kind: Message['kind']): boolean {
    return TO_STRANGERS.has(kind) || this.admits(to)
  }

  takes(from: string, kind: Message['kind']): boolean {
    return FROM_STRANGERS.has(kind) || this.admits(from)
  }

  spend(): boolean {
    const now = this.#parts.now()
    const earned = Math.floor((now - this.#creditAt) / CREDIT_MS)
    if (earned > 0) {
      this.#credit = Math.min(STRANGERS_CREDIT, this.#credit + earned)
      this.#creditAt = now
    }
    if (this.#credit === 0) return false
    this.#credit -= 1
    return true
  }

  onConnected(peer: string): void {
    const ticket = this.#own.text
    const { said } = this.#parts.roots
    this.#parts.outbox.send({ type: 'send', to: peer, message: { kind: 'ticket', ticket, ...said } })
  }

  onTicket(from: string, text: string, root?: Head): void {
    const ticket = this.#open(text, { peer: from, labels: {}, objects: [] })
    // A10: a newer root, not heard of here, may let its signer admit. Until then it is a stranger.
    if (ticket instanceof Refusal && ticket.code === 'UnknownKey') return
    if (ticket instanceof Refusal) {
      const reason = `${ticket.name}: ${ticket.message}`
      this.#parts.outbox.send({ type: 'disconnect', peer: from, reason, blame: true })
    } else if (this.isGood(ticket)) {
      this.#shown.set(from, ticket)
      this.#catchUp(from, root)
    }
  }

  /** A10: whoever has not heard of a root may take this peer's ticket for nobody's: it is told first, and shown again. */
  #catchUp(peer: string, root: Head | undefined): void {
    const { roots, antiEntropy } = this.#parts
    if (roots.standing(root) !== 'behind') return
    antiEntropy.tellRoots(peer, root)
    this.onConnected(peer)
  }

  onIntroduction(from: string, bytes: Uint8Array): void {
    if (this.admits(from)) return
    const signed = attempt(() => this.#parts.authority.openRecord(bytes))
    if (signed instanceof Refusal || signed.record.peer !== from || signed.record.ticket === undefined) return
    if (this.covers(signed)) this.onTicket(from, signed.record.ticket, this.#parts.roots.said.root)
  }

  renew(text: string): void {
    const ticket = attempt(() => this.#opened(text))
    if (ticket instanceof Refusal) {
      const alarm = `the new ticket is of no use: ${ticket.message}`
      this.#parts.outbox.send({ type: 'alarm', name: ticket.name, text: alarm })
      return
    }
    this.#own = ticket
    this.#parts.ownRecord.renew(text)
    for (const peer of this.#parts.membership.neighbours.connected) this.onConnected(peer)
  }

  forget(peer: string): void {
    this.#shown.delete(peer)
  }

  turn(now: number): number {
    const changes = this.#parts.statements.revocations + this.#parts.roots.head.version
    if (now < this.#lookAt && changes === this.#changes) return this.#lookAt
    this.#changes = changes
    this.#lookAt = now + LOOK_MS
    this.#warn(now)
    const { view, membership, outbox } = this.#parts
    for (const signed of [...view.all()]) if (!this.covers(signed)) view.drop(signed.record.peer)
    for (const [peer, ticket] of [...this.#shown]) {
      if (this.isGood(ticket)) continue
      this.#shown.delete(peer)
      membership.onLeft(peer)
      outbox.send({ type: 'disconnect', peer, reason: 'its ticket admits it no more', blame: true })
    }
    return this.#lookAt
  }

  #opened(text: string | undefined): Ticket {
    const { init, ownRecord } = this.#parts
    const objects = Object.keys(ownRecord.objects)
    if (text === undefined) {
      const mend = `let "upstart admit ${init.peer}" write one, and give it with --ticket`
      throw new Refusal('NotAdmitted', `this fleet is private, and peer ${init.peer} has no ticket; ${mend}`)
    }
    const ticket = this.#open(text, { peer: init.peer, labels: init.labels, objects })
    if (ticket instanceof Refusal) throw ticket
    return ticket
  }

  #open(text: string, peer: Admitted): Ticket | Refusal {
    return attempt(() => {
      const ticket = this.#parts.roots.trust.openTicket(text)
      checkCovers(ticket, peer)
      return ticket
    })
  }

  /** A9: in time for a new one. */
  #warn(now: number): void {
    const { expires, number, peer } = this.#own
    const until = new Date(expires).toISOString()
    const isRevoked = number <= this.#parts.statements.revokedUpTo(peer)
    const isOver = isRevoked || (now < expires && !this.isGood(this.#own))
    const over = isRevoked ? 'was revoked' : 'is of an earlier root'
    const state = isOver ? over : `${now >= expires ? 'ended' : 'ends'} at ${until}`
    if ((!isOver && now < expires - WARN_MS) || state === this.#warned) return
    this.#warned = state
    const text = `the ticket of this peer ${state}; without a good one nobody serves it: "upstart admit ${peer}"`
    this.#parts.outbox.send({ type: 'alarm', name: 'NotAdmitted', text })
  }
}
