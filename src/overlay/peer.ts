/**
 * One peer of a fleet, without I/O: `step(event, now) → ordered effects` (SPEC O1). The daemon and the simulator are two
 * loops around this class; what is simulated is what runs.
 */
import { Generator } from '../prng.ts'
import { UpgradeLog } from '../upgrade/log.ts'
import type { Schema } from '../upgrade/schema.ts'
import { StatementSet } from '../upgrade/statements.ts'
import { AntiEntropy } from './antientropy.ts'
import { Census } from './census.ts'
import { Chronicle } from './chronicle.ts'
import {
  type Authority,
  DEFAULT_LIMITS,
  type Effect,
  type Event,
  type PeerInit,
  type PeerLimits,
  type Topic
} from './events.ts'
import { listedMembers } from './group.ts'
import { Guards } from './guards.ts'
import { Injections } from './injections.ts'
import { Keepers } from './keepers.ts'
import { hostedStates, keptBytes, keptObjects } from './kept.ts'
import { allPins, Laggards } from './laggards.ts'
import { type Learned, Learning } from './learning.ts'
import { Leaving } from './leaving.ts'
import type { ObjectState } from './lifecycle.ts'
import { Locality } from './locality.ts'
import type { Lock } from './locks.ts'
import { Membership } from './membership.ts'
import type { Message } from './messages.ts'
import type { Neighbours } from './neighbours.ts'
import { HostedObject } from './object.ts'
import { Outbox } from './outbox.ts'
import { OwnPermit } from './own-permit.ts'
import { OwnRecord } from './own-record.ts'
import { Panels } from './panels.ts'
import type { Contact } from './passive.ts'
import type { PermitState } from './permits.ts'
import type { Pieces } from './pieces.ts'
import { Questions } from './questions.ts'
import { hasLeft, type ObjectRecord, type PeerRecord } from './record.ts'
import { type Resolved, resolveClass } from './resolve.ts'
import { type Surroundings, surroundingsOf } from './surroundings.ts'
import { Telling } from './telling.ts'
import { OF_OBJECTS, Turns } from './turns.ts'
import { View } from './view.ts'

export class Peer {
  readonly id: string
  readonly log: UpgradeLog
  readonly statements: StatementSet
  readonly view: View
  readonly membership: Membership
  readonly pieces: Pieces
  readonly census: Census
  readonly chronicle: Chronicle
  readonly laggards: Laggards
  readonly objects = new Map<string, HostedObject>()
  readonly limits: PeerLimits
  readonly #init: PeerInit
  readonly #hash53: (text: string) => number
  readonly #outbox = new Outbox()
  readonly #antiEntropy: AntiEntropy
  readonly #learning: Learning
  readonly #injections: Injections
  readonly #panels: Panels
  readonly #guards: Guards
  readonly #locality: Locality
  readonly #questions: Questions
  readonly #keepers: Keepers
  readonly #states: ReadonlyMap<string, ObjectState>
  readonly #telling: Telling
  readonly #permit: OwnPermit
  readonly #around: Surroundings
  #addresses: string[]
  readonly #ownRecord: OwnRecord
  readonly #leaving: Leaving
  readonly #turns: Turns
  #wakeAt = Number.POSITIVE_INFINITY
  #knownLog = -1
  #now = 0

  /** @param snapshot what earlier steps persisted: key → plain value. */
  constructor(init: PeerInit, authority: Authority, snapshot: ReadonlyMap<string, unknown>) {
    this.id = init.peer
    this.#init = init
    this.limits = { ...DEFAULT_LIMITS, ...init.limits }
    this.#addresses = init.addresses
    const generator = new Generator(init.seed)
    this.#hash53 = (text) => authority.hash53(text)
    this.log = new UpgradeLog(authority.fleet)
    this.statements = new StatementSet(this.#hash53)
    const isNeighbour = (peer: string): boolean => this.neighbours.has(peer)
    this.#panels = new Panels({
      self: init.peer,
      group: init.group,
      log: this.log,
      statements: this.statements,
      room: Math.floor((this.limits.view - this.limits.degreeMax) / 2),
      hash53: this.#hash53,
      view: () => this.view,
      isNeighbour,
      isCutOff: () => this.membership.isCutOff
    })
    this.chronicle = new Chronicle(this.#outbox, snapshot, () => this.#now)
    const room = Math.floor(this.limits.view / 8)
    this.laggards = new Laggards({ log: this.log, room, hash53: this.#hash53, view: () => this.view })
    this.view = new View({
      self: init.peer,
      size: this.limits.view,
      strangers: this.limits.strangers,
      hash53: this.#hash53,
      keeps: (record) => this.neighbours.has(record.peer) || (init.group !== null && record.group === init.group),
      pins: allPins(this.#panels, this.laggards),
      lost: () => this.census.lost(this.#now)
    })
    const parts = {
      self: init.peer,
      group: init.group,
      authority,
      log: this.log,
      statements: this.statements,
      view: this.view,
      limits: this.limits,
      generator,
      outbox: this.#outbox,
      hash53: this.#hash53,
      now: () => this.#now
    }
    this.#locality = new Locality({ outbox: this.#outbox, kept: snapshot.get('locks'), isNeighbour })
    this.#leaving = new Leaving({ ...parts, kept: snapshot.get('left') })
    this.#ownRecord = new OwnRecord(init, authority, this.view, this.#outbox, snapshot.get('peer'))
    const contacts = (snapshot.get('contacts') as Contact[] | undefined) ?? []
    this.membership = new Membership({ ...parts, init, addresses: () => this.#addresses, kept: contacts })
    this.#keepers = new Keepers({
      ...parts,
      objects: () => this.objects.values(),
      connect: (peer) => this.membership.connect(peer)
    })
    this.pieces = this.#keepers.pieces
    this.census = new Census(init.peer, this.#hash53, parts)
    const freshen = () => this.#ownRecord.seal(this.#now)
    this.#antiEntropy = new AntiEntropy({ ...parts, census: this.census, freshen })
    this.#learning = new Learning({ ...parts, chronicle: this.chronicle })
    this.#injections = this.#makeInjections()
    this.#guards = new Guards({ ...parts, census: this.census })
    const { pieces, objects, census } = this
    this.#questions = new Questions({ ...parts, init, pieces, objects, census, isNeighbour })
    this.#permit = new OwnPermit({ ...parts, connected: this.neighbours.connected, kept: snapshot.get('permit') })
    const { membership } = this
    const told = { ownRecord: this.#ownRecord, panels: this.#panels, antiEntropy: this.#antiEntropy }
    this.#telling = new Telling({ ...parts, ...told, membership, census })
    this.#turns = this.#makeTurns()
    this.#around = this.#surroundings(generator)
    this.#states = keptObjects(snapshot)
    this.#restore(snapshot)
  }

  /** Why this peer, which is to leave the fleet, is still here; undefined if it is to stay. */
  get leaving(): string | undefined {
    return this.#leaving.isOrdered ? (this.#turns.obstacleToLeaving() ?? 'says farewell') : undefined
  }
  get neighbours(): Neighbours {
    return this.membership.neighbours
  }
  /** The permit's state, for operators and checkers. */
  get permit(): Readonly<PermitState> {
    return this.#permit.state
  }
  /** What local programs hold upgrades up with. */
  get locks(): readonly Lock[] {
    return this.#locality.locks(this.#now)
  }
  /** What its objects are now, and since when, as its next record will say. */
  get standing(): Readonly<Record<string, ObjectRecord>> {
    return this.#ownRecord.objects
  }
  get addresses(): readonly string[] {
    return this.#addresses
  }
  get now(): number {
    return this.#now
  }

  /** The newest roster of the own group; empty without one. Never a guess: objects count majorities of it. */
  members(): { peer: string; self: boolean; reachable: boolean }[] {
    return listedMembers(this.#init, this.statements, this.neighbours.connected)
  }

  /** What a caller means by a class: by the chain, or by a branch that an object here runs. */
  resolve(className: string, version: number): Resolved | undefined {
    return resolveClass(this.log, this.objects.values(), className, version)
  }

  /** The schema that knows the version that an object runs, or is on its way to, whatever branch that is on. */
  schemaFor(object: string, version: number): Schema {
    const current = this.objects.get(object)?.state.current
    return current?.version === version ? this.log.schemaOf(current.entry) : this.log.schema
  }

  /** Judges what is broadcast before it is passed on: only what verifies is (O6). */
  judge(topic: Topic, bytes: Uint8Array): 'accept' | 'reject' {
    return this.#learning.verifies(topic, bytes) ? 'accept' : 'reject'
  }

  step(event: Event, now: number): Effect[] {
    this.#now = Math.max(this.#now, now)
    this.#handle(event)
    this.#settle()
    return this.#outbox.drain()
  }

  // ---- events

  #handle(event: Event): void {
    if (OF_OBJECTS.has(event.type)) this.#turns.touch()
    switch (event.type) {
      case 'boot':
        return this.#boot(event.bundles)
      case 'wake':
        this.#wakeAt = Number.POSITIVE_INFINITY
        return
      case 'message':
        return this.#onMessage(event.from, event.message)
      case 'connected':
        this.membership.onConnected(event.peer, this.#now)
        this.#antiEntropy.greet(event.peer)
        return
      case 'disconnected':
        this.membership.onDisconnected(event.peer, this.#now)
        this.#antiEntropy.forget(event.peer)
        this.#locality.clock.forget(event.peer)
        this.pieces.forget(event.peer)
        return
      case 'connect-failed':
        return this.membership.onConnectFailed(event.peer, this.#now)
      case 'found':
        return this.membership.onFound(event, this.#now)
      case 'published': {
        const learned =
          event.topic === 'entry' ? this.#learning.entry(event.bytes) : this.#learning.statement(event.bytes)
        this.#weigh(event.from, learned)
        // Its parent was missed, or others may have missed it too.
        if (learned.what === 'orphan') this.#askOnce(event.from)
        if (learned.what === 'new') this.#antiEntropy.wake(this.#now)
        return
      }
      case 'inject':
        return this.#injections.take(event, this.#now)
      case 'head-seen':
        return this.#onHeadSeen(event)
      case 'wanted':
        return this.objects.get(event.object)?.onWanted(event.version)
      case 'called':
        return this.census.called(event.object, event.version, this.#now)
      case 'piece-stored': {
        const guilty = this.pieces.onStored(event, this.#now)
        if (guilty !== undefined)
          this.#blame(guilty, `piece ${event.index} of bundle ${event.bundle.slice(0, 12)} is not what its hash says`)
        return
      }
      case 'unpacked':
        this.pieces.onUnpacked(event, this.#now)
        if (event.ok) return
        this.#outbox.send({ type: 'alarm', name: event.wrong ? 'WrongBundle' : 'UnpackFailed', text: event.reason })
        return
      case 'done':
        return this.objects.get(event.object)?.onDone(event, this.#now)
      case 'measured':
        return this.objects.get(event.object)?.onMeasured(event)
      case 'died':
        return this.objects.get(event.object)?.onDied(event, this.#now)
      case 'schedule-answer':
        return this.#questions.onAnswer(event, this.#now)
      case 'quarantined':
        return this.objects.get(event.object)?.onQuarantined(event.version, event.reason)
      case 'lock':
      case 'unlock':
      case 'load':
        return this.#locality.on(event, this.#now)
      case 'addresses':
        this.#addresses = event.addresses
        this.#turns.touch()
        return
    }
  }

  #boot(bundles: Extract<Event, { type: 'boot' }>['bundles']): void {
    this.#outlive(0)
    this.pieces.boot(bundles)
    this.#onLogChange()
    for (const object of this.objects.values()) object.boot()
  }

  #onMessage(from: string, message: Message): void {
    switch (message.kind) {
      case 'summary':
        this.#locality.clock.note(from, message.time, this.#now)
        this.census.onSummary(from, message.census)
        return this.#antiEntropy.onSummary(from, message, this.#now)
      case 'census': {
        const soonMs = this.census.onMessage(from, message, this.#now)
        if (soonMs !== undefined) this.#antiEntropy.within(soonMs, this.#now)
        return
      }
      case 'digest':
        return this.#antiEntropy.onDigest(from, message, this.#now)
      case 'delta':
        return this.#onDelta(from, message)
      case 'have':
        return this.pieces.onHave(from, message)
      case 'want':
        return this.pieces.onWant(from, message, this.#now)
      case 'piece':
        return this.pieces.onPiece(from, message)
      case 'lack':
        return this.pieces.onLack(from, message)
      case 'neighbour': {
        const added = this.membership.onNeighbour(from, message, this.#now)
        if (added !== undefined) this.#welcome(added)
        return
      }
      case 'shuffle':
        return this.membership.onShuffle(from, message, this.#now)
    }
  }

  /** A new neighbour is told at once what it needs to begin: who we are, what we know, what we hold. */
  #welcome(peer: string): void {
    // A fellow may have missed what was told to the neighbours since it was greeted.
    if (this.membership.isFellow(peer))
      for (const { bytes } of this.view.forFellows()) this.#antiEntropy.push([peer], bytes)
    this.#antiEntropy.greet(peer)
    this.pieces.announceTo(peer)
    this.#antiEntropy.wake(this.#now)
  }

  #onDelta(from: string, delta: Extract<Message, { kind: 'delta' }>): void {
    let news = false
    let orphans = false
    for (const bytes of delta.entries) {
      const learned = this.#learning.entry(bytes)
      if (!this.#weigh(from, learned)) return
      news ||= learned.what === 'new'
      orphans ||= learned.what === 'orphan'
    }
    for (const bytes of delta.statements) {
      const learned = this.#learning.statement(bytes)
      if (!this.#weigh(from, learned)) return
      news ||= learned.what === 'new'
    }
    // Broadcast missed it: tell the neighbours now rather than in the next round.
    if (news) for (const peer of this.neighbours.all()) if (peer !== from) this.#antiEntropy.summarise(peer)
    for (const bytes of delta.records) {
      const learned = this.#learning.record(bytes, this.#now)
      if (!this.#weigh(from, learned)) return
      if (learned.what === 'new' && learned.signed !== undefined) this.#onRecord(learned.signed.record)
    }
    if (orphans || delta.more) this.#antiEntropy.ask(from)
  }

  #onRecord(record: PeerRecord): void {
    if (hasLeft(record)) this.membership.onLeft(record.peer)
    if (record.peer === this.id) this.#outlive(record.incarnation)
    else if (this.#guards.isAlarming(record)) this.#antiEntropy.wake(this.#now, true)
    else if (record.group !== null && record.group === this.#init.group) this.#antiEntropy.wake(this.#now)
  }

  #outlive(incarnation: number): void {
    this.#ownRecord.outlive(incarnation)
    this.#turns.touch()
  }

  /** Whether the sender may go on. A forgery costs it its session, and only that. */
  #weigh(from: string, learned: Learned): boolean {
    if (learned.what === 'forged') {
      this.#blame(from, `${learned.refusal.name}: ${learned.refusal.message}`)
      return false
    }
    if (learned.what === 'unfit')
      this.#outbox.send({ type: 'alarm', name: learned.refusal.name, text: learned.refusal.message })
    return true
  }

  #blame(peer: string, reason: string): void {
    this.#outbox.send({ type: 'disconnect', peer, reason, blame: true })
  }

  #onHeadSeen(event: Extract<Event, { type: 'head-seen' }>): void {
    const behind =
      !this.log.has(event.head.hash) && event.head.version >= this.log.head.version && event.head.version > 0
    if (!behind && event.statements === this.statements.digest) return
    this.#askOnce(event.from)
  }

  #askOnce(peer: string): void {
    if (!this.neighbours.connected.has(peer)) return
    this.#antiEntropy.askOnce(peer, this.#now)
  }

  /** Everything that follows from the new state. */
  #settle(): void {
    if (this.#knownLog !== this.log.size) this.#onLogChange()
    if (this.#panels.takeNews()) this.#antiEntropy.wake(this.#now, true)
    this.#wake(this.#leaving.isGone ? this.#leaving.turn(this.#now) : this.#turns.take(this.#now))
  }

  #wake(at: number): void {
    const next = Math.max(at, this.#now + 1)
    if (next === this.#wakeAt || !Number.isFinite(next)) return
    this.#wakeAt = next
    this.#outbox.send({ type: 'wake', at: next })
  }

  /** New entries: new classes may be hosted here, and bundles are wanted before anybody says what it waits for. */
  #onLogChange(): void {
    this.#knownLog = this.log.size
    for (const state of hostedStates(this.#states, this.log, this.#init.classes))
      if (!this.objects.has(state.object)) this.objects.set(state.object, new HostedObject(state, this.#around))
    this.#turns.touch()
    this.#keepers.turn(this.#now)
    this.#antiEntropy.wake(this.#now)
  }

  /** O5: what members of the group act on they hear at once; all else goes with the next round, which it may bring forward. */
  #refreshOwnRecord(): void {
    const objects: Record<string, ObjectRecord> = {}
    for (const [name, object] of this.objects) objects[name] = object.record()
    const left = this.#leaving.isGone
    const present = { head: this.log.head, addresses: this.#addresses, objects, permit: this.#permit.record, left }
    this.#telling.tell(present, this.#now)
  }

  #makeTurns(): Turns {
    return new Turns({
      log: this.log,
      statements: this.statements,
      view: this.view,
      objects: this.objects,
      hasGroup: this.#init.group !== null,
      permit: this.#permit,
      keepers: this.#keepers,
      leaving: this.#leaving,
      membership: this.membership,
      antiEntropy: this.#antiEntropy,
      locality: this.#locality,
      census: this.census,
      refresh: () => this.#refreshOwnRecord()
    })
  }

  // ---- what is known of others

  #makeInjections(): Injections {
    return new Injections({
      learning: this.#learning,
      leaving: this.#leaving,
      pieces: this.pieces,
      antiEntropy: this.#antiEntropy,
      outbox: this.#outbox,
      neighbours: () => this.neighbours.all(),
      onLogChange: () => this.#onLogChange()
    })
  }

  #surroundings(generator: Generator): Surroundings {
    return surroundingsOf({
      init: this.#init,
      limits: this.limits,
      generator,
      log: this.log,
      statements: this.statements,
      pieces: this.pieces,
      objects: this.objects,
      outbox: this.#outbox,
      chronicle: this.chronicle,
      panels: this.#panels,
      guards: this.#guards,
      questions: this.#questions,
      permit: this.#permit,
      locality: this.#locality,
      leaving: this.#leaving,
      hash53: this.#hash53,
      now: () => this.#now
    })
  }

  // ---- restart

  #restore(snapshot: ReadonlyMap<string, unknown>): void {
    this.#learning.restore(keptBytes(snapshot, 'entry/'))
    for (const bytes of keptBytes(snapshot, 'statement/')) this.#learning.statement(bytes)
    // What was just read is durable already.
    this.#outbox.drain()
  }
}
