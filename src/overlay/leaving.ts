/**
 * How a peer leaves the fleet for good, because a signed statement says so (SPEC O12, P11): it begins nothing, ends what
 * it has begun, waits until its group has a roster without it, says farewell, and then its process ends. A crash at any
 * moment only makes it leave in the next life; who has left and is started again is back.
 */
import type { Statement } from '../upgrade/statement.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Outbox } from './outbox.ts'
import { type PermitState, shortPeer } from './permits.ts'
import { MAX_OBEYED } from './record.ts'
import type { View } from './view.ts'

/** Between the farewell and the end: the neighbours are to hear it. */
const FAREWELL_MS = 500
const NONE: readonly string[] = []

export class Leaving {
  readonly #self: string
  readonly #group: string | null
  readonly #statements: StatementSet
  readonly #view: View
  readonly #outbox: Outbox
  /** Hashes of the orders that were carried out: whoever starts the peer again wants it back. */
  #obeyed: readonly string[]
  #endsAt = Number.POSITIVE_INFINITY

  /** @param kept what an earlier life persisted as `left` */
  constructor(
    parts: {
      readonly self: string
      readonly group: string | null
      readonly statements: StatementSet
      readonly view: View
      readonly outbox: Outbox
    },
    kept: unknown
  ) {
    this.#self = parts.self
    this.#group = parts.group
    this.#statements = parts.statements
    this.#view = parts.view
    this.#outbox = parts.outbox
    this.#obeyed = (kept as string[] | undefined) ?? NONE
  }

  /** Whether this peer is on its way out: it begins nothing any more. */
  get isOrdered(): boolean {
    return this.#orders().length > 0
  }
  /** Orders that earlier lives carried out. */
  get obeyed(): number {
    return this.#obeyed.length
  }
  /** It has said farewell. */
  get isGone(): boolean {
    return this.#endsAt < Number.POSITIVE_INFINITY
  }

  /** Why it is still here, in one sentence; undefined if nothing holds it. */
  obstacle(permit: PermitState, busy: string | undefined): string | undefined {
    if (busy !== undefined) return `finishes what ${busy} has begun`
    if (permit.asking > 0) return 'gives its permit back'
    if (this.#group === null) return undefined
    const newest = this.#statements.newestRoster(this.#group)
    const members = this.#statements.roster(this.#group, newest)?.members ?? []
    const others = members.filter((peer) => peer !== this.#self)
    // Nobody is left whose permits could need this peer.
    if (others.length === 0) return undefined
    if (others.length < members.length)
      return `waits for a roster of group ${this.#group} without it; "upstart leave" or "upstart roster" states one`
    if (permit.adopted >= newest && others.some((peer) => this.#hasTakenOver(peer, newest))) return undefined
    return `waits until a member of roster ${newest} of group ${this.#group} has taken it over: ${others.map(shortPeer).join(', ')}`
  }

  /** P11: where one member grants under the new roster, its majority of the old one has been heard. */
  #hasTakenOver(peer: string, roster: number): boolean {
    const permit = this.#view.get(peer)?.permit
    return permit?.group === this.#group && permit !== null && permit.active >= roster
  }

  farewell(now: number): void {
    this.#endsAt = now + FAREWELL_MS
  }

  /** After the farewell: ends the process when it is time. Returns when that is, ms. */
  turn(now: number): number {
    if (now < this.#endsAt) return this.#endsAt
    const hashes = this.#orders().map(({ hash }) => hash)
    if (hashes.length === 0) return Number.POSITIVE_INFINITY
    this.#obeyed = [...this.#obeyed, ...hashes].slice(-MAX_OBEYED)
    this.#outbox.persist('left', this.#obeyed)
    this.#outbox.send({ type: 'left' })
    return Number.POSITIVE_INFINITY
  }

  #orders(): readonly Statement[] {
    const stated = this.#statements.leaves(this.#self)
    return stated.length === 0 ? stated : stated.filter(({ hash }) => !this.#obeyed.includes(hash))
  }
}
