/**
 * One peer of a fleet, without I/O: `step(event, now) → ordered effects` (SPEC O1). The daemon and the simulator are two
 * loops around this class; what is simulated is what runs.
 */
import type { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Schema } from '../upgrade/schema.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Admission } from './admission.ts'
import type { Census } from './census.ts'
import type { Chronicle } from './chronicle.ts'
import type { Authority, Effect, Event, PeerInit, PeerLimits, Topic } from './events.ts'
import { listedMembers } from './group.ts'
import { Injections } from './injections.ts'
import { hostedStates, keptBytes, keptObjects } from './kept.ts'
import type { Laggards } from './laggards.ts'
import type { Learned } from './learning.ts'
import type { ObjectState } from './lifecycle.ts'
import type { Lock } from './locks.ts'
import type { Membership } from './membership.ts'
import type { Message } from './messages.ts'
import type { Neighbours } from './neighbours.ts'
import { HostedObject } from './object.ts'
import { Parts } from './parts.ts'
import type { PermitState } from './permits.ts'
import type { Pieces } from './pieces.ts'
import { hasLeft, type ObjectRecord, type PeerRecord } from './record.ts'
import { type Resolved, resolveClass } from './resolve.ts'
import type { Roots } from './roots.ts'
import { OF_OBJECTS } from './turns.ts'
import type { View } from './view.ts'

export class Peer {
  readonly #parts: Parts
  /** What the snapshot holds of objects that are not hosted yet. */
  readonly #states: SmallMap<string, ObjectState>
  #wakeAt = Number.POSITIVE_INFINITY
  #knownLog = -1

  /** @param snapshot what earlier steps persisted: key → plain value. */
  constructor(init: PeerInit, authority: Authority, snapshot: ReadonlyMap<string, unknown>) {
    this.#parts = new Parts(init, authority, snapshot)
    this.#states = keptObjects(snapshot)
    this.#restore(snapshot)
  }

  get id(): string {
    return this.#parts.self
  }
  get log(): UpgradeLog {
    return this.#parts.log
  }
  get roots(): Roots {
    return this.#parts.roots
  }
  get statements(): StatementSet {
    return this.#parts.statements
  }
  get view(): View {
    return this.#parts.view
  }
  get membership(): Membership {
    return this.#parts.membership
  }
  get admission(): Admission {
    return this.#parts.admission
  }
  get pieces(): Pieces {
    return this.#parts.pieces
  }
  get census(): Census {
    return this.#parts.census
  }
  get chronicle(): Chronicle {
    return this.#parts.chronicle
  }
  get laggards(): Laggards {
    return this.#parts.laggards
  }
  get objects(): ReadonlyMap<string, HostedObject> {
    return this.#parts.objects
  }
  get limits(): PeerLimits {
    return this.#parts.limits
  }
  /** Why this peer, which is to leave the fleet, is still here; undefined if it is to stay. */
  get leaving(): string | undefined {
    const { leaving, turns } = this.#parts
    return leaving.isOrdered ? (turns.obstacleToLeaving() ?? 'says farewell') : undefined
  }
  get neighbours(): Neighbours {
    return this.#parts.membership.neighbours
  }
  /** The permit's state, for operators and checkers. */
  get permit(): Readonly<PermitState> {
    return this.#parts.permit.state
  }
  /** What local programs hold upgrades up with. */
  get locks(): readonly Lock[] {
    return this.#parts.locality.locks(this.now)
  }
  /** What its objects are now, and since when, as its next record will say. */
  get standing(): Readonly<Record<string, ObjectRecord>> {
    return this.#parts.ownRecord.objects
  }
  get addresses(): readonly string[] {
    return this.#parts.addresses
  }
  get now(): number {
    return this.#parts.time
  }

  /** The newest roster of the own group; empty without one. Never a guess: objects count majorities of it. */
  members(): { peer: string; self: boolean; reachable: boolean }[] {
    return listedMembers(this.#parts.init, this.statements, this.neighbours.connected)
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
  judge(topic: Topic, bytes: Uint8Array): 'accept' | 'ignore' | 'reject' {
    return this.#parts.learning.judge(topic, bytes)
  }

  step(event: Event, now: number): Effect[] {
    this.#parts.time = Math.max(this.now, now)
    this.#handle(event)
    this.#settle()
    return this.#parts.outbox.drain()
  }

  // ---- events

  #handle(event: Event): void {
    if (OF_OBJECTS.has(event.type)) this.#parts.turns.touch()
    const object = 'object' in event ? this.objects.get(event.object) : undefined
    switch (event.type) {
      case 'boot':
        return this.#boot(event.bundles)
      case 'wake':
        this.#wakeAt = Number.POSITIVE_INFINITY
        return
      case 'message':
        return this.#onMessage(event.from, event.message)
      case 'connected':
        this.admission.onConnected(event.peer)
        return this.membership.onConnected(event.peer, this.now)
      case 'disconnected':
        this.membership.onDisconnected(event.peer, this.now)
        this.#parts.antiEntropy.forget(event.peer)
        this.#parts.roots.forget(event.peer)
        this.#parts.locality.clock.forget(event.peer)
        this.pieces.forget(event.peer)
        this.admission.forget(event.peer)
        return
      case 'connect-failed':
        return this.membership.onConnectFailed(event.peer, this.now)
      case 'found':
        return this.membership.onFound(event, this.now)
      case 'published':
        return this.#onPublished(event)
      case 'inject':
        return new Injections(this.#parts, () => this.#onLogChange()).take(event, this.now)
      case 'head-seen':
        return this.#onHeadSeen(event)
      case 'wanted':
        return object?.onWanted(event.version)
      case 'called':
        return this.census.called(event.object, event.version, this.now)
      case 'piece-stored': {
        const guilty = this.pieces.onStored(event, this.now)
        if (guilty !== undefined)
          this.#blame(guilty, `piece ${event.index} of bundle ${event.bundle.slice(0, 12)} is not what its hash says`)
        return
      }
      case 'piece-lost':
        return this.pieces.onLost(event.bundle, event.index)
      case 'unpacked':
        return this.#onUnpacked(event)
      case 'done':
        return object?.onDone(event, this.now)
      case 'measured':
        return object?.onMeasured(event)
      case 'died':
        return object?.onDied(event, this.now)
      case 'schedule-answer':
        return this.#parts.questions.onAnswer(event, this.now)
      case 'quarantined':
        return object?.onQuarantined(event.version, event.reason)
      case 'lock':
      case 'unlock':
      case 'load':
        return this.#parts.locality.on(event, this.now)
      case 'ticket':
        this.#parts.turns.touch()
        return this.admission.renew(event.ticket)
      case 'addresses':
        this.#parts.addresses = event.addresses
        this.#parts.turns.touch()
        return
    }
  }

  #onUnpacked(event: Extract<Event, { type: 'unpacked' }>): void {
    this.pieces.onUnpacked(event, this.now)
    if (event.ok) return
    const name = event.wrong === true ? 'WrongBundle' : 'UnpackFailed'
    this.#parts.outbox.send({ type: 'alarm', name, text: event.reason })
  }

  #boot(bundles: Extract<Event, { type: 'boot' }>['bundles']): void {
    this.#outlive(0)
    this.roots.keep()
    this.pieces.boot(bundles)
    this.#onLogChange()
    for (const object of this.objects.values()) object.boot()
  }

  #onPublished({ from, topic, bytes }: Extract<Event, { type: 'published' }>): void {
    const { learning, roots, antiEntropy } = this.#parts
    if (!this.admission.admits(from) && !this.admission.spend()) return
    const learned = topic === 'entry' ? learning.entry(bytes) : learning.statement(bytes)
    const isStrange = learned.what === 'forged' && learned.refusal.code === 'UnknownKey'
    if (isStrange && roots.tolerates(from)) return this.#askOnce(from)
    this.#weigh(from, learned)
    // Its parent was missed, or others may have missed it too.
    if (learned.what === 'orphan') this.#askOnce(from)
    if (learned.what === 'new') antiEntropy.wake(this.now)
  }

  #onMessage(from: string, message: Message): void {
    if (message.kind === 'neighbour' && message.record !== undefined)
      this.admission.onIntroduction(from, message.record)
    if (!this.admission.takes(from, message.kind)) return
    switch (message.kind) {
      case 'ticket':
        return this.admission.onTicket(from, message.ticket, message.root)
      case 'summary':
        this.membership.onSummary(from)
        this.#parts.locality.clock.note(from, message.time, this.now)
        this.#parts.antiEntropy.within(this.census.onSummary(from, message, this.now), this.now)
        return this.#parts.antiEntropy.onSummary(from, message, this.now)
      case 'census':
        return this.#parts.antiEntropy.within(this.census.onMessage(from, message, this.now), this.now)
      case 'digest':
        return this.#parts.antiEntropy.onDigest(from, message, this.now)
      case 'delta':
        return this.#onDelta(from, message)
      case 'have':
        return this.pieces.onHave(from, message)
      case 'want':
        return this.pieces.onWant(from, message, this.now)
      case 'piece':
        return this.pieces.onPiece(from, message)
      case 'lack':
        return this.pieces.onLack(from, message)
      case 'neighbour': {
        const added = this.membership.onNeighbour(from, message, this.now)
        if (message.record !== undefined && !this.#onRecordBytes(from, message.record, this.now)) return
        if (added !== undefined) this.#welcome(added)
        return
      }
      case 'shuffle':
        return this.membership.onShuffle(from, message, this.now)
    }
  }

  /** A new neighbour is told at once what it needs to begin: who we are, what we know, what we hold. */
  #welcome(peer: string): void {
    // A fellow may have missed what was told to the neighbours since it was greeted.
    if (this.membership.isFellow(peer))
      for (const { bytes } of this.view.forFellows()) this.#parts.antiEntropy.push([peer], bytes)
    this.#parts.antiEntropy.greet(peer)
    this.pieces.announceTo(peer)
    // Others of a small fleet wait to hear of whom this peer knows now.
    if (!this.view.isFull) this.#parts.antiEntropy.wake(this.now)
  }

  #onDelta(from: string, delta: Extract<Message, { kind: 'delta' }>): void {
    let news = false
    let orphans = false
    const isMember = this.admission.admits(from)
    const isTaken = (): boolean => isMember || this.admission.spend()
    for (const bytes of delta.roots ?? []) {
      if (!isTaken()) return
      const learned = this.#parts.roots.learn(bytes)
      if (!this.#weigh(from, learned)) return
      news ||= learned.what === 'new'
    }
    for (const bytes of delta.entries) {
      if (!isTaken()) return
      const learned = this.#parts.learning.entry(bytes)
      if (!this.#weigh(from, learned)) return
      news ||= learned.what === 'new'
      orphans ||= learned.what === 'orphan'
    }
    for (const bytes of delta.statements) {
      if (!isTaken()) return
      const learned = this.#parts.learning.statement(bytes)
      if (!this.#weigh(from, learned)) return
      news ||= learned.what === 'new'
    }
    // Broadcast missed it: tell the neighbours now rather than in the next round.
    if (news) for (const peer of this.neighbours.all()) if (peer !== from) this.#parts.antiEntropy.summarise(peer)
    if (!isMember) return
    for (const [at, bytes] of delta.records.entries()) {
      if (!this.#onRecordBytes(from, bytes, this.now - (delta.agesMs?.[at] ?? 0))) return
    }
    if (delta.more) this.#parts.antiEntropy.ask(from)
    // Nobody who is honest sends what rests on something that he does not: not at once again.
    else if (orphans) this.#askOnce(from)
  }

  /** Whether the sender may go on. */
  #onRecordBytes(from: string, bytes: Uint8Array, heardAt: number): boolean {
    const learned = this.#parts.learning.record(bytes, heardAt)
    if (!this.#weigh(from, learned)) return false
    if (learned.what === 'new' && learned.signed !== undefined) this.#onRecord(learned.signed.record)
    return true
  }

  #onRecord(record: PeerRecord): void {
    if (hasLeft(record)) this.membership.onLeft(record.peer)
    if (record.peer === this.id) this.#outlive(record.incarnation)
    else if (this.#parts.guards.isAlarming(record)) this.#parts.antiEntropy.wake(this.now, true)
    else if (record.group !== null && record.group === this.#parts.init.group) this.#parts.antiEntropy.wake(this.now)
  }

  #outlive(incarnation: number): void {
    this.#parts.ownRecord.outlive(incarnation)
    this.#parts.turns.touch()
  }

  /** Whether the sender may go on. A forgery costs it its session, and only that. */
  #weigh(from: string, learned: Learned): boolean {
    if (learned.what === 'forged') {
      this.#blame(from, `${learned.refusal.name}: ${learned.refusal.message}`)
      return false
    }
    if (learned.what === 'unfit')
      this.#parts.outbox.send({ type: 'alarm', name: learned.refusal.name, text: learned.refusal.message })
    return true
  }

  #blame(peer: string, reason: string): void {
    this.#parts.outbox.send({ type: 'disconnect', peer, reason, blame: true })
  }

  #onHeadSeen(event: Extract<Event, { type: 'head-seen' }>): void {
    const behind =
      !this.log.has(event.head.hash) && event.head.version >= this.log.head.version && event.head.version > 0
    if (!behind && event.statements === this.statements.digest) return
    this.#askOnce(event.from)
  }

  #askOnce(peer: string): void {
    if (!this.neighbours.connected.has(peer) || !this.admission.admits(peer)) return
    this.#parts.antiEntropy.askOnce(peer, this.now)
  }

  #host(state: ObjectState): void {
    this.#parts.objects.set(state.object, new HostedObject(state, this.#parts))
    this.#states.delete(state.object)
  }

  /** Everything that follows from the new state. */
  #settle(): void {
    if (this.#knownLog !== this.log.size) this.#onLogChange()
    if (this.#parts.panels.takeNews()) this.#parts.antiEntropy.wake(this.now, true)
    this.#wake(this.#parts.leaving.isGone ? this.#parts.leaving.turn(this.now) : this.#parts.turns.take(this.now))
  }

  #wake(at: number): void {
    const next = Math.max(at, this.now + 1)
    if (next === this.#wakeAt || !Number.isFinite(next)) return
    this.#wakeAt = next
    this.#parts.outbox.send({ type: 'wake', at: next })
  }

  /** New entries: new classes may be hosted here, and bundles are wanted before anybody says what it waits for. */
  #onLogChange(): void {
    this.#knownLog = this.log.size
    for (const state of hostedStates(this.#states, this.log, this.#parts.init.classes))
      if (!this.objects.has(state.object)) this.#host(state)
    this.#parts.turns.touch()
    this.#parts.keepers.turn(this.now)
    this.#parts.antiEntropy.wake(this.now)
  }

  // ---- restart

  #restore(snapshot: ReadonlyMap<string, unknown>): void {
    this.#parts.roots.restore(keptBytes(snapshot, 'root/'))
    this.#parts.learning.restore(keptBytes(snapshot, 'entry/'), keptBytes(snapshot, 'statement/'))
    // What was just read is durable already.
    this.#parts.outbox.drain()
  }
}
