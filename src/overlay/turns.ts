/**
 * What follows from an event (SPEC O13): each part of the peer is looked at only if something that it looks at changed,
 * or if its time has come. What a part looks at is known by counters, so that no event has to say whom it concerns.
 */
import type { StatementSet } from '../upgrade/statements.ts'
import type { Admission } from './admission.ts'
import type { AntiEntropy } from './antientropy.ts'
import type { Census } from './census.ts'
import type { Event } from './events.ts'
import type { Keepers } from './keepers.ts'
import type { Leaving } from './leaving.ts'
import type { Locality } from './locality.ts'
import type { Membership } from './membership.ts'
import type { HostedObject } from './object.ts'
import type { OwnPermit } from './own-permit.ts'
import type { Roots } from './roots.ts'
import type { Telling } from './telling.ts'
import type { View } from './view.ts'

/** Events after which objects are looked at. */
export const OF_OBJECTS: ReadonlySet<Event['type']> = new Set([
  'wanted',
  'done',
  'measured',
  'died',
  'schedule-answer',
  'quarantined'
])

export interface TurnsInit {
  readonly log: { readonly size: number }
  readonly statements: StatementSet
  readonly roots: Roots
  readonly view: View
  readonly objects: ReadonlyMap<string, HostedObject>
  readonly group: string | null
  readonly permit: OwnPermit
  readonly keepers: Keepers
  readonly leaving: Leaving
  readonly membership: Membership
  readonly admission: Admission
  readonly antiEntropy: AntiEntropy
  readonly locality: Locality
  readonly census: Census
  readonly telling: Telling
}

export class Turns {
  readonly #init: TurnsInit
  /** An object was told something of its own. */
  #touched = true
  /** Counters when the parts were last looked at. */
  #view = -1
  #words = -1
  #pieces = -1
  #contacts = -1
  #counts = -1
  #local = -1
  /** When each part has something to do without an event, ms. */
  #objectsAt = 0
  #keepersAt = 0
  #piecesAt = 0
  #membershipAt = 0
  #lapseAt = 0
  #localAt = 0

  constructor(init: TurnsInit) {
    this.#init = init
  }

  /** Objects have heard of a completion, a death, a call from the future; or the own record has something new to say. */
  touch(): void {
    this.#touched = true
  }

  /** Takes what turns there are. Returns when the next one is, without an event, ms. */
  take(now: number): number {
    const { log, statements, view, keepers, leaving, membership, antiEntropy, locality, census, admission } = this.#init
    const { pieces } = keepers
    const admittedAt = admission.turn(now)
    const words = log.size + statements.size
    const wordsMoved = words !== this.#words
    const viewMoved = view.changes !== this.#view
    const contactsMoved = membership.changes !== this.#contacts
    const piecesMoved = pieces.changes !== this.#pieces
    const countsMoved = census.changes !== this.#counts && this.#readsCensus()
    const localMoved = locality.changes !== this.#local || this.#localAt <= now
    const touched = this.#touched || wordsMoved || localMoved || leaving.isOrdered
    this.#touched = false
    this.#words = words
    this.#view = view.changes
    this.#contacts = membership.changes
    this.#counts = census.changes
    this.#pieces = pieces.changes
    this.#local = locality.changes
    if (wordsMoved) this.#answerLeaving()
    if (wordsMoved || this.#lapseAt <= now) this.#lapseAt = statements.nextLapse(now)
    const seen = countsMoved || ((viewMoved || contactsMoved) && this.#areWatchful())
    const objects = touched || piecesMoved || seen || this.#objectsAt <= now
    if (objects) this.#objectsAt = this.#advance(now)
    this.#localAt = locality.settle(now)
    const duties = objects || (viewMoved && keepers.watchesView) || this.#keepersAt <= now
    if (duties) this.#keepersAt = keepers.turn(now)
    if (duties || contactsMoved || this.#piecesAt <= now) {
      this.#piecesAt = pieces.ask(membership.neighbours.all(), now)
      pieces.announce(membership.neighbours.all(), (peer) => statements.leaves(peer).length > 0)
    }
    if (leaving.isOrdered && this.obstacleToLeaving() === undefined) return this.#sayFarewell(now)
    if (objects || contactsMoved) this.#init.telling.tell(now)
    // What one object shows, another one of this peer may wait for.
    const known = this.#init.objects.size > 1 && this.#areWatchful() ? this.#view : view.changes
    const places = contactsMoved || wordsMoved || (viewMoved && membership.watchesView)
    if (places || this.#membershipAt <= now) this.#membershipAt = membership.turn(now)
    // A bundle that was removed, a record that was dropped: who was looked at before that is looked at again at once.
    if (view.changes !== known || pieces.changes !== this.#pieces) return now
    const counts = census.turn(now)
    if (census.changes !== this.#counts && this.#readsCensus()) return now
    const rounds = antiEntropy.round(membership.neighbours, now)
    const own = Math.min(this.#objectsAt, this.#keepersAt, this.#piecesAt, this.#lapseAt, this.#localAt, counts)
    return Math.min(own, this.#membershipAt, rounds, admittedAt, this.#init.roots.turn(now))
  }

  /** O12: a neighbour that is to leave waits until it knows that another one holds what it does; it was not told before. */
  #answerLeaving(): void {
    const { statements, keepers, membership } = this.#init
    for (const peer of membership.neighbours.all())
      if (statements.leaves(peer).length > 0) keepers.pieces.announceTo(peer)
  }

  obstacleToLeaving(): string | undefined {
    const { objects, leaving, permit, keepers, membership } = this.#init
    const busy = [...objects.values()].find((object) => object.busy)
    const obstacle = leaving.obstacle(permit.state, busy?.state.object)
    return obstacle ?? keepers.soleCopy(membership.neighbours.all())
  }

  /** An object's wish changes the permit, a permit lets an object go, and one that ends lets the next: a few turns settle all. */
  #advance(now: number): number {
    const { objects, permit } = this.#init
    for (let turn = 0; turn < 4; turn++) {
      let next = Number.POSITIVE_INFINITY
      const busy = this.#busy()
      for (const object of objects.values()) next = Math.min(next, object.advance(now))
      if (!permit.decide(objects.values()) && this.#busy() === busy) return next
    }
    // There is more to settle, in a step of its own.
    return now
  }

  #busy(): number {
    let count = 0
    for (const object of this.#init.objects.values()) if (object.busy) count += 1
    return count
  }

  /** Whether an object, or the permits of the group, look at other peers now. */
  #areWatchful(): boolean {
    if (this.#init.group !== null) return true
    for (const { state, futureReason } of this.#init.objects.values()) {
      if (state.current === null || futureReason !== '') return true
      if (state.phase.name === 'waiting' || state.phase.name === 'fetching') return true
    }
    return false
  }

  /** Only who does not know the whole fleet reads the census. */
  #readsCensus(): boolean {
    return this.#init.view.isFull && [...this.#init.objects.values()].some((object) => object.readsCensus)
  }

  /** O12: the last record, then the neighbours are given up. */
  #sayFarewell(now: number): number {
    const { leaving, membership } = this.#init
    leaving.farewell(now)
    this.#init.telling.tell(now)
    membership.leave()
    return leaving.turn(now)
  }
}
