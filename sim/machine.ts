/**
 * One simulated machine: a disk, a host, and a process that runs the peer (SPEC M7, M9). It performs effects as
 * src/overlay/events.ts asks (E1 to E4): a step's effects wait for its persist, later steps wait behind it, and a crash
 * loses what was not durable together with everything that waited for it.
 */

import {
  type Authority,
  DEFAULT_LIMITS,
  type Effect,
  type Event,
  type HostCommandName,
  type PeerInit,
  type Topic
} from '../src/overlay/events.ts'
import { MOST_INTERRUPTIONS, type ObjectState, targetOf } from '../src/overlay/lifecycle.ts'
import type { PeerRecord, PhaseName, SignedRecord } from '../src/overlay/record.ts'
import type { Generator } from '../src/prng.ts'
import { SmallMap } from '../src/small.ts'
import type { World } from './authority.ts'
import type { Checkers, Watched } from './checkers.ts'
import { Disk, type Image } from './disk.ts'
import { History } from './history.ts'
import { type Curve, type HostEvents, type HostOptions, type InFlight, SimulatedHost } from './host.ts'
import { EventKind, type Kernel } from './kernel.ts'
import { SimulatedLoad } from './load.ts'
import type { Network } from './network.ts'
import { type PowerCuts, stepOf } from './power.ts'
import type { DiskOptions } from './scenario.ts'
import type { MakePeer, Simulated } from './simulated.ts'
import type { Timers } from './timers.ts'

/** Virtual time 0 on the clocks of peers: statements' expiry and the like are wall-clock times. */
export const EPOCH_MS = 1_800_000_000_000

/** What a machine needs of the fleet around it. */
export interface Surroundings {
  readonly kernel: Kernel
  readonly network: Network
  readonly world: World
  readonly checkers: Checkers
  readonly makePeer: MakePeer
  /** Whoever signs a record names itself in it: one authority serves all. */
  readonly authority: Authority
  readonly timers: Timers
  readonly disk: DiskOptions
  readonly host: HostOptions
  readonly strict: boolean
  /** Where the power may go at any durable step. */
  readonly power: PowerCuts | undefined
  readonly history: number
  indexOf(peer: string): number | undefined
  addressOf(node: number): string
  answered(node: number, answer: Extract<Effect, { type: 'answer' }>): void
  alarmed(node: number, alarm: Extract<Effect, { type: 'alarm' }>): void
  /** A version has failed there. */
  failed(node: number): void
  /** Something is durable. */
  stored(node: number, key: string, value: unknown): void
  unpacked(node: number, bundle: string): void
  serving(node: number, object: string, version: number): void
}

type PersistEffect = Extract<Effect, { type: 'persist' }>

export class Machine implements Watched, HostEvents {
  readonly index: number
  readonly id: string
  readonly init: PeerInit
  readonly group: number
  /** Grows with every start of the process: completions of earlier ones are nothing to it. */
  process = 0
  /** Never started or off. */
  up = false
  /** Off for ever; nobody waits for it. */
  departed = false
  peer: Simulated | undefined
  disk = new Disk()
  readonly host: SimulatedHost
  /** The newest record that the peer signed. */
  signed: SignedRecord | undefined
  /** Versions of which the host reported a failure, or that were cut short too often: only these may the peer call failed. */
  failures: ReadonlySet<number> = NO_FAILURES
  #interruptions: SmallMap<number, number> | undefined
  skewMs = 0
  slowFactor = 1
  rotten = false
  readonly #around: Surroundings
  readonly #random: Generator
  /** Effects that wait, of which the first ones are done up to the position; undefined: none wait. */
  #queue: Effect[][] | undefined
  #position = 0
  #syncing: PersistEffect | undefined
  #isCut = false
  #load: SimulatedLoad | undefined
  readonly #history: History | undefined

  constructor(around: Surroundings, init: PeerInit, index: number, group: number, random: Generator) {
    this.#around = around
    this.#random = random
    this.index = index
    this.id = init.peer
    this.init = init
    this.group = group
    this.host = new SimulatedHost(this)
    if (around.history > 0) this.#history = new History(around.history)
  }

  get node(): number {
    return this.index
  }
  get kernel(): Kernel {
    return this.#around.kernel
  }
  get hostOptions(): HostOptions {
    return this.#around.host
  }
  /** Of its disk and its host. */
  get random(): Generator {
    return this.#random
  }
  get record(): PeerRecord | undefined {
    return this.signed?.record
  }
  get durable(): ReadonlyMap<string, unknown> {
    return this.disk.durable
  }
  get viewLimit(): number {
    return this.init.limits?.view ?? DEFAULT_LIMITS.view
  }
  /** What its driver asks about a broadcast (O6). */
  judge(topic: Topic, bytes: Uint8Array): 'accept' | 'ignore' | 'reject' {
    if (!this.#around.world.isAuthentic(topic, bytes)) return 'reject'
    return this.peer?.judge?.(topic, bytes) ?? 'accept'
  }
  get viewSize(): number {
    return this.peer?.view.size ?? 0
  }
  get clockMs(): number {
    return this.#around.timers.shown(this.index, EPOCH_MS + this.#around.kernel.now + this.skewMs)
  }
  get contacts(): number {
    return this.peer?.membership?.passive.size ?? 0
  }
  get contactLimit(): number {
    return this.init.limits?.passive ?? DEFAULT_LIMITS.passive
  }
  *known(): Iterable<PeerRecord> {
    for (const { record } of this.peer?.view.all?.() ?? []) yield record
  }

  /** Before its first start: a disk that others begin with too, and on it the first version of these objects (SPEC M32). */
  install(image: Image, objects: readonly string[]): void {
    this.disk = new Disk(image)
    for (const object of objects) this.host.install(object)
  }

  // ---- life of the process

  boot(): void {
    if (this.up || this.departed) return
    this.up = true
    this.process += 1
    // Another seed for each life; those before it are gone.
    this.init.seed += 1
    try {
      this.peer = this.#around.makePeer(this.init, this.#around.authority, this.disk.durable)
    } catch (error) {
      this.#threw(error)
      return
    }
    this.step({ type: 'boot', bundles: this.disk.bundles() })
  }

  /** Its operator gives it a new ticket: it is read now, and at every later start. */
  admit(ticket: string): void {
    this.init.ticket = ticket
    if (this.up) this.step({ type: 'ticket', ticket })
  }

  crash(): void {
    if (!this.up) return
    this.up = false
    this.peer = undefined
    this.#around.timers.clear(this.index)
    // The disk may have finished the sync that was under way; nothing that waited for it has happened (E2).
    if (this.#syncing !== undefined && this.#random.chance(0.5)) this.#apply(this.#syncing)
    this.#syncing = undefined
    this.#queue = undefined
    this.#position = 0
    for (const [key, state] of this.durable) {
      const { phase } = key.startsWith('object/') ? (state as ObjectState) : { phase: undefined }
      if (phase !== undefined && CUT_SHORT.has(phase.name)) this.interrupted(targetOf(phase))
    }
    this.#load?.forget()
    this.host.crash()
    this.#around.network.crash(this.index)
  }

  step(event: Event): void {
    if (this.peer === undefined) return
    const now = this.#around.timers.shown(this.index, EPOCH_MS + this.#around.kernel.now + this.skewMs)
    let effects: Effect[]
    try {
      effects = this.peer.step(event, now)
    } catch (error) {
      this.#history?.note(this.#around.kernel.now, event, [])
      this.#threw(error)
      return
    }
    this.#history?.note(this.#around.kernel.now, event, effects)
    this.#around.checkers.onStep(this, effects)
    if (effects.length === 0) return
    const wanted = this.#around.strict ? effects.map(detached) : effects
    if (this.#queue !== undefined) {
      this.#queue.push(wanted)
      return
    }
    // Most steps want nothing durable: they are performed at once, and nothing is allocated for them.
    if (this.#performAll(wanted, 0)) return
    this.#queue = [wanted]
  }

  /** Performs effects from a position on, up to the next persist, which has to be durable first (E1). Returns whether all are done. */
  #performAll(effects: readonly Effect[], from: number): boolean {
    for (let position = from; position < effects.length; position++) {
      const effect = effects[position]!
      if (effect.type === 'persist') {
        this.#position = position + 1
        this.#sync(effect)
        return false
      }
      this.#around.kernel.note(effect.type.length)
      this.#performOne(effect)
    }
    return true
  }

  #sync(effect: PersistEffect): void {
    this.#syncing = effect
    const [least, most] = this.#around.disk.syncMs
    const syncMs = (least + this.#random.fraction() * (most - least)) * this.slowFactor
    this.#around.kernel.after(syncMs, EventKind.synced, this.index, this.process)
  }

  #threw(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.violation('M19', `it threw: ${text.split('\n').slice(0, 6).join(' | ')}`)
    this.crash()
  }

  // ---- effects

  /** Performs what is queued, in order (E3). */
  #perform(): void {
    for (let effects = this.#queue?.[0]; effects !== undefined; effects = this.#queue?.[0]) {
      if (!this.#performAll(effects, this.#position)) return
      this.#queue?.shift()
      this.#position = 0
    }
    this.#queue = undefined
  }

  onSynced(process: number): void {
    const syncing = this.#syncing
    if (process !== this.process || syncing === undefined) return
    this.#syncing = undefined
    const isDone = this.#isPowered(stepOf(syncing), () => this.#apply(syncing))
    if (isDone) this.#perform()
  }

  #apply(persist: PersistEffect): void {
    for (const [key, value] of persist.put) {
      this.#around.checkers.onPut(this, key, value, this.durable.get(key))
      this.#around.stored(this.index, key, value)
      this.disk.durable.set(key, value)
    }
    for (const key of persist.delete) this.disk.durable.delete(key)
  }

  #performOne(effect: Exclude<Effect, { type: 'persist' }>): void {
    const { network } = this.#around
    switch (effect.type) {
      case 'send': {
        const to = this.#around.indexOf(effect.to)
        if (to !== undefined) network.send(this.index, to, effect.message)
        return
      }
      case 'send-piece':
        return this.#sendPiece(effect)
      case 'publish':
        return network.gossip.publish(this.index, effect.topic, effect.bytes)
      case 'connect': {
        const to = this.#around.indexOf(effect.peer)
        if (to === undefined) throw new Error(`${this.id} dials ${effect.peer}, which is not of this fleet`)
        return network.dial(this.index, to, effect.addresses.includes(this.#around.addressOf(to)))
      }
      case 'disconnect': {
        const from = this.#around.indexOf(effect.peer)
        if (from !== undefined) network.close(this.index, from)
        return
      }
      case 'store-piece':
        return this.#storePiece(effect)
      case 'unpack': {
        const bundle = this.#around.world.bundles.get(effect.bundle)
        const ok = bundle?.pieces.every((_, index) => this.disk.holds(effect.bundle, index)) ?? false
        const reason = ok ? '' : 'a piece is missing'
        return this.#complete({ type: 'unpacked', bundle: effect.bundle, ok, wrong: !ok, reason })
      }
      case 'remove-bundle':
        return this.disk.removeBundle(effect.bundle)
      case 'run':
        return this.host.run(effect.command)
      case 'ask-schedule':
        return this.#complete(this.#around.world.answerOf(effect))
      case 'answer':
        return this.#around.answered(this.index, effect)
      case 'alarm':
        return this.#around.alarmed(this.index, effect)
      case 'left':
        this.#around.kernel.after(0, EventKind.left, this.index, this.process)
        return
      case 'watch-load':
        return this.load.watch(effect.thresholds)
      case 'wake':
        return this.#around.timers.set(this.index, effect.at - EPOCH_MS - this.skewMs)
    }
  }

  #sendPiece(effect: Extract<Effect, { type: 'send-piece' }>): void {
    const to = this.#around.indexOf(effect.to)
    if (to === undefined) return
    const { bundle, index } = effect
    const sound = this.#around.world.bundles.get(bundle)?.bytes[index]
    if (sound === undefined || !this.disk.holds(bundle, index)) {
      this.#around.network.send(this.index, to, { kind: 'lack', bundle, index })
      return
    }
    const bytes = this.rotten ? this.#around.world.forgeBytes(1) : sound
    this.#around.network.send(this.index, to, { kind: 'piece', bundle, index, bytes }, 5 * this.slowFactor)
  }

  #storePiece(effect: Extract<Effect, { type: 'store-piece' }>): void {
    const { bundle, index, from } = effect
    const outcome = this.#around.world.pieceHash(effect.bytes) === effect.sha256 ? 'stored' : 'wrong'
    this.#complete({ type: 'piece-stored', bundle, index, from, outcome })
  }

  #complete(event: Event): void {
    const [least, most] = this.#around.disk.storeMs
    const storeMs = (least + this.#random.fraction() * (most - least)) * this.slowFactor
    this.#around.kernel.after(storeMs, EventKind.completion, this.index, this.process, event)
  }

  /** Work of the piece store has ended: it is on the disk, and the peer hears of it. */
  onCompletion(process: number, event: Event): void {
    if (process !== this.process) return
    if (event.type === 'piece-stored' && event.outcome === 'stored') {
      if (!this.#isPowered('store a piece', () => this.hold(event.bundle, event.index))) return
    }
    if (event.type === 'unpacked' && event.ok) {
      if (!this.#isPowered('unpack a bundle', () => this.disk.unpack(event.bundle))) return
      this.#around.unpacked(this.index, event.bundle)
    }
    this.step(event)
  }

  /** The peer has left, and ended its process: what it sent arrives. */
  onLeft(process: number): void {
    if (process !== this.process) return
    this.departed = true
    this.crash()
  }

  /** Puts a verified piece on the disk. */
  hold(bundle: string, index: number): void {
    this.disk.hold(bundle, index, this.#around.world.bundles.get(bundle)?.pieces.length ?? 0)
  }

  onHostDone(process: number, inFlight: InFlight): void {
    if (process !== this.process) return
    this.#isPowered(`host: ${inFlight.command.command}`, (cut) => {
      this.#isCut = cut
      this.host.finish(inFlight)
      this.#isCut = false
    })
  }

  /** Does what makes a step durable, unless the power goes before it. Returns whether the machine is still on after it. */
  #isPowered(step: string, act: (cut: boolean) => void): boolean {
    const { power, kernel } = this.#around
    const cut = power?.at(step)
    if (cut !== 'before') act(cut === 'after')
    if (cut === undefined) return true
    this.crash()
    kernel.after(power!.downMs(), EventKind.restart, this.index)
    return false
  }

  // ---- the one timer

  onWake(): void {
    if (this.#around.timers.fire(this.index)) this.step({ type: 'wake' })
  }

  /** The clock is set. A wake that was asked for in its time comes when it shows that time. */
  skew(skewMs: number): void {
    const { timers } = this.#around
    const at = timers.wakeAt(this.index)
    if (at !== Number.POSITIVE_INFINITY) timers.set(this.index, at + this.skewMs - skewMs)
    this.skewMs = skewMs
  }

  get load(): SimulatedLoad {
    const tell = (event: Event) => this.#around.kernel.after(1, EventKind.completion, this.index, this.process, event)
    this.#load ??= new SimulatedLoad(tell)
    return this.#load
  }

  // ---- what the host reports

  deliver(event: Event): void {
    // The power went after the command did its work: nobody hears of it.
    if (this.#isCut) return
    this.step(event)
  }
  violation(rule: string, text: string): void {
    this.#around.checkers.violation(rule as 'M13', this, text)
  }
  runs(version: number): void {
    this.#around.checkers.onRuns(this, version)
  }
  committedAttempt(object: string): number | undefined {
    return (this.durable.get(`object/${object}`) as ObjectState | undefined)?.current?.attempt
  }
  withheld(object: string): readonly number[] {
    return (this.durable.get(`object/${object}`) as ObjectState | undefined)?.withheld ?? []
  }
  mayDiscard(): boolean {
    const { statements } = this.#around.world
    return statements.some(
      ({ hash, body }) => body.what === 'retry' && body.discardFuture === true && this.durable.has(`statement/${hash}`)
    )
  }
  down(object: string): void {
    this.#around.checkers.onDown(this, object)
  }
  serving(object: string, version: number): void {
    this.#around.checkers.onServing(this, object, version)
    this.#around.serving(this.index, object, version)
  }
  failed(version: number): void {
    this.failures = new Set(this.failures).add(version)
    this.#around.failed(this.index)
  }
  interrupted(version: number): void {
    this.#interruptions ??= new SmallMap()
    const count = (this.#interruptions.get(version) ?? 0) + 1
    this.#interruptions.set(version, count)
    if (count >= MOST_INTERRUPTIONS) this.failed(version)
  }
  broken(version: number): boolean {
    return this.#around.world.breaks(version, this.init)
  }
  times(command: HostCommandName, version: number): Curve | undefined {
    return this.#around.world.efforts.get(version)?.times?.[command]
  }

  errors(version: number): number {
    return this.#around.world.errors.get(version) ?? 0
  }

  // ---- history

  history(): string[] {
    return this.#history?.said() ?? []
  }
}

const NO_FAILURES: ReadonlySet<number> = new Set()

/** A restart in these phases begins the transform again (L20). */
const CUT_SHORT: ReadonlySet<PhaseName> = new Set(['draining', 'transforming', 'proving'])

/** A persist's values as the disk takes them: later changes of the peer's objects do not reach it. Bytes stay theirs. */
function detached(effect: Effect): Effect {
  if (effect.type !== 'persist') return effect
  return { type: 'persist', put: effect.put.map(([key, value]) => [key, copied(value)]), delete: [...effect.delete] }
}

function copied(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(copied)
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, copied(one)]))
}
