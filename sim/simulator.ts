/**
 * Runs a scenario (SPEC M1): dispatches the kernel's events, plays operator and faults, watches for convergence.
 */

import type { Event } from '../src/overlay/events.ts'
import type { ObjectState } from '../src/overlay/lifecycle.ts'
import type { Message } from '../src/overlay/messages.ts'
import { Peer } from '../src/overlay/peer.ts'
import { Generator } from '../src/prng.ts'
import { judgesOthers, type Schedule, wholeOf } from '../src/schedule/schedule.ts'
import { World } from './authority.ts'
import { type Availability, Callers, type CallersAround } from './callers.ts'
import { Checkers, type Violation } from './checkers.ts'
import { applyFault } from './faults.ts'
import { FormedStart } from './formed.ts'
import type { InFlight } from './host.ts'
import { EventKind, Kernel } from './kernel.ts'
import { Links } from './links.ts'
import { Machine, type MakePeer, type Surroundings } from './machine.ts'
import { Measures, type Percentiles, percentiles } from './measures.ts'
import { addressOf, groupName, peerName } from './names.ts'
import { Network } from './network.ts'
import { Operator } from './operator.ts'
import { type Shape, shapeOf } from './overlay.ts'
import { Introductions, labelsOf } from './places.ts'
import { Processors } from './processors.ts'
import type { Scenario } from './scenario.ts'

/** How often the simulator looks whether everything has converged, virtual ms. */
const LOOK_MS = 1000
const MINUTE_MS = 60_000
/** Events between two calls of `watch`. */
const WATCH_EVENTS = 16_384
/** A run ends early with this many violations: what follows from the first is noise. */
const MAX_VIOLATIONS = 5

export interface Result {
  seed: number
  commit: string
  peers: number
  events: number
  /** Hash of the event trace: same scenario, same hash. */
  trace: string
  converged: boolean
  /** Virtual time of convergence, or of giving up. */
  endedAtMs: number
  /** Of the last upgrade, from its acceptance on; peers that were off meanwhile count as what they took. Milliseconds. */
  informed: Percentiles
  fetched: Percentiles
  upgraded: Percentiles
  availability: Availability
  groupDownMax: number
  /** Means of a peer's, and copies of broadcasts that came again. */
  traffic: { bytesPerPeer: number; duplicates: number }
  /** At the end. */
  overlay: Shape
  messages: number
  messagesByKind: Record<string, number>
  messagesPerMinute: number[]
  writes: number
  alarms: Record<string, number>
  violations: Violation[]
  /** Peers that have not reached the last version, and what each says that it waits for. */
  stuck: { peer: string; why: string }[]
}

export interface RunOptions {
  /** @default the production Peer */
  makePeer?: MakePeer
  /** Named in failures. @default '' */
  commit?: string
  /** Called with the simulator before the first event: tests put their own stand-ins and probes in. */
  prepare?: (simulator: Simulator) => void
  /** Called now and then while it runs, for whoever shows how it stands. */
  watch?: (simulator: Simulator) => void
}

export function run(scenario: Scenario, options: RunOptions = {}): Result {
  const simulator = new Simulator(scenario, options)
  options.prepare?.(simulator)
  return simulator.run()
}

export class Simulator {
  readonly scenario: Scenario
  readonly kernel = new Kernel()
  readonly random: Generator
  readonly world: World
  readonly checkers: Checkers
  readonly network: Network
  readonly machines: Machine[] = []
  readonly operator: Operator
  readonly links: Links
  /** Undefined: what peers compute costs no time. */
  readonly processors: Processors | undefined
  readonly callers: Callers
  readonly measures: Measures
  readonly alarms: Record<string, number> = {}
  readonly #formed: FormedStart | undefined
  readonly #options: RunOptions
  readonly #byPeer = new Map<string, number>()
  readonly #workload: Generator
  readonly #messagesPerMinute: number[] = []
  #writes = 0
  /** Where the last look for convergence stopped: most looks end at the same laggard. */
  #laggard = 0
  #convergedAt = Number.POSITIVE_INFINITY
  #sentBeforeLastMinute = 0

  constructor(scenario: Scenario, options: RunOptions) {
    const { seed, peers } = scenario
    this.scenario = scenario
    this.#options = options
    // Each concern has a stream of its own, so that a change of one does not shift the draws of the others.
    this.random = new Generator(seed, 1)
    this.#workload = new Generator(seed, 2)
    this.world = new World(seed, scenario.strict)
    const groups = scenario.groupSize > 0 ? Math.ceil(peers / scenario.groupSize) : 0
    this.checkers = new Checkers(this.world, groups, scenario.unavailable, scenario.strict, (rule, machine, text) => ({
      rule,
      atMs: this.kernel.now,
      peer: machine.id,
      text,
      history: this.machines[machine.index]?.history() ?? []
    }))
    if (scenario.processors !== null) this.processors = new Processors(this.kernel, scenario.processors, this.world)
    this.links = new Links(this.kernel, scenario, (bundle) => this.world.pieceBytes(bundle), this.processors)
    this.network = new Network(this.kernel, this.links, scenario.network, new Generator(seed, 3), {
      lifeOf: (node) => this.machines[node]!.process,
      isUp: (node) => this.machines[node]!.up
    })
    this.operator = new Operator(this, new Generator(seed, 4))
    this.measures = new Measures(peers, () => this.kernel.now, {
      bytes: () => this.links.bytes,
      calls: () => this.callers.counts.calls,
      failed: () => this.callers.counts.failed
    })
    this.#makeMachines()
    if (scenario.start === 'formed') this.#formed = new FormedStart(this, new Generator(seed, 11))
    this.callers = new Callers(this.#callersAround(), scenario.calls, new Generator(seed, 8))
    this.#schedule()
  }

  run(): Result {
    const { durationMs, idleMs } = this.scenario
    const { kernel } = this
    while (
      this.checkers.violations.length < MAX_VIOLATIONS &&
      kernel.next(Math.min(durationMs, this.#convergedAt + idleMs))
    ) {
      this.#dispatch()
      if (this.kernel.events % WATCH_EVENTS === 0) this.#options.watch?.(this)
    }
    return this.#result()
  }

  /** Plays the scenario up to a moment, for whoever looks at the fleet between two. */
  advance(untilMs: number): void {
    while (this.kernel.next(untilMs)) this.#dispatch()
  }

  /** A new version is what everything has to reach now: times are of the last upgrade. */
  onMade(): void {
    this.measures.onMade()
  }

  indexOf(peer: string): number | undefined {
    return this.#byPeer.get(peer)
  }

  // ---- setting up

  #makeMachines(): void {
    const { scenario, random } = this
    const around = this.#surroundings()
    const introductions = new Introductions(scenario, random)
    for (let index = 0; index < scenario.peers; index++) {
      const peer = peerName(index)
      this.#byPeer.set(peer, index)
      const group = scenario.groupSize > 0 ? Math.floor(index / scenario.groupSize) : -1
      const earlier = scenario.start === 'formed' ? [] : introductions.of(index)
      const init = {
        peer,
        group: group < 0 ? null : groupName(group),
        labels: labelsOf(scenario, index),
        addresses: [addressOf(index)],
        classes: null,
        bootstrap: [...earlier].map((one) => ({ peer: peerName(one), addresses: [addressOf(one)] })),
        seed: random.bits(),
        limits: scenario.limits
      }
      this.machines.push(new Machine(around, init, index, group, random.fork()))
    }
  }

  #callersAround(): CallersAround {
    const { kernel, machines, scenario, world } = this
    return { kernel, machines, scenario, simulationOf: (version) => world.efforts.get(version)?.simulation }
  }

  #surroundings(): Surroundings {
    const { scenario } = this
    return {
      kernel: this.kernel,
      network: this.network,
      world: this.world,
      checkers: this.checkers,
      makePeer: this.#options.makePeer ?? ((init, authority, snapshot) => new Peer(init, authority, snapshot)),
      disk: scenario.disk,
      host: scenario.host,
      strict: scenario.strict,
      history: scenario.history,
      indexOf: (peer) => this.#byPeer.get(peer),
      addressOf,
      answered: (node, answer) => this.operator.onAnswer(node, answer),
      alarmed: (_, alarm) => {
        this.alarms[alarm.name] = (this.alarms[alarm.name] ?? 0) + 1
      },
      stored: (node, key, value) => {
        if (key.startsWith('object/')) this.measures.onPhase(node, (value as ObjectState).phase.name)
        if (value === this.world.entries[this.operator.lastVersion - 1]?.bytes) this.measures.onInformed(node)
      },
      unpacked: (node, bundle) => {
        if (this.world.bundles.get(bundle)?.version === this.operator.lastVersion) this.measures.onFetched(node)
      },
      serving: (node, _, version) => {
        this.measures.onServing(node, version)
        if (version === this.operator.lastVersion) this.measures.onUpgraded(node)
      },
      sealed: (node, record) => {
        this.measures.onSealed(node, record)
        this.#checkFailures(node)
      }
    }
  }

  #schedule(): void {
    const { scenario, kernel, random } = this
    const late = new Set<number>()
    for (const { index } of this.machines) {
      const isLate = random.chance(scenario.lateShare) && index > 0
      if (isLate) late.add(index)
      const atMs = this.#formed !== undefined && !isLate ? 0 : random.fraction() * scenario.startMs
      kernel.at(atMs + (isLate ? scenario.lateMs : 0), EventKind.restart, index)
    }
    this.#formed?.install(late)
    scenario.actions.forEach((action, index) => {
      kernel.at(action.atMs, EventKind.operator, 0, index)
    })
    scenario.faults.forEach((fault, index) => {
      kernel.at(fault.atMs, EventKind.fault, 0, index)
    })
    if (scenario.writesPerSecond > 0) kernel.after(1000 / scenario.writesPerSecond, EventKind.call, 0)
    kernel.after(LOOK_MS, EventKind.minute, 0)
  }

  // ---- events

  #dispatch(): void {
    const { kernel } = this
    if (this.processors?.admit() === false) return
    const machine = this.machines[kernel.node]!
    const { about } = kernel
    switch (kernel.kind) {
      case EventKind.wake:
        return machine.onWake(about)
      case EventKind.arrive: {
        const from = this.network.arrival(machine.index, about)
        if (from >= 0)
          machine.step({ type: 'message', from: this.machines[from]!.id, message: kernel.payload as Message })
        return
      }
      case EventKind.gossip:
        return this.#onGossip(machine, about, kernel.payload)
      case EventKind.dial: {
        const { gone, connected } = this.network.dialled(machine.index, about, kernel.payload as number)
        if (gone) machine.step({ type: 'disconnected', peer: this.machines[about]!.id })
        if (connected) machine.step({ type: 'connected', peer: this.machines[about]!.id })
        return
      }
      case EventKind.connected: {
        const other = this.network.established(machine.index, about)
        if (other >= 0) machine.step({ type: 'connected', peer: this.machines[other]!.id })
        return
      }
      case EventKind.connectFailed: {
        const { life, reason } = kernel.payload as { life: number; reason: string }
        if (life === machine.process) machine.step({ type: 'connect-failed', peer: this.machines[about]!.id, reason })
        return
      }
      case EventKind.disconnected: {
        const other = this.network.ended(machine.index, about)
        if (other >= 0) machine.step({ type: 'disconnected', peer: this.machines[other]!.id })
        return
      }
      case EventKind.synced:
        return machine.onSynced(about)
      case EventKind.hostDone:
        return machine.onHostDone(about, kernel.payload as InFlight)
      case EventKind.completion:
        return machine.onCompletion(about, kernel.payload as Event)
      case EventKind.fault:
        return applyFault(this, this.scenario.faults[about]!)
      case EventKind.operator:
        return this.operator.act(about)
      case EventKind.call:
        return about === 0 ? this.#write() : this.callers.act(kernel.payload)
      case EventKind.restart:
        return machine.boot()
      case EventKind.form:
        return this.#formed?.form()
      case EventKind.left:
        return machine.onLeft(about)
      case EventKind.free:
        return
      case EventKind.minute:
        return this.#look()
    }
  }

  /** The driver opens what gossip brings before it is passed on or given to the peer. */
  #onGossip(machine: Machine, from: number, payload: unknown): void {
    const { gossip } = this.network
    const publication = gossip.act(machine.index, from, payload)
    if (publication === undefined) return
    this.processors?.opens(machine.index)
    if (!this.world.isAuthentic(publication.topic, publication.bytes)) return
    gossip.passOn(machine.index, from, publication)
    const { topic, bytes } = publication
    const event: Event = { type: 'published', from: this.machines[from]!.id, topic, bytes }
    // With a processor to share the peer's turn comes after what its process does for the sockets.
    if (this.processors === undefined) machine.step(event)
    else this.kernel.after(0, EventKind.completion, machine.index, machine.process, event)
  }

  #write(): void {
    const machine = this.#workload.pick(this.machines)
    for (const object of machine.host.objects()) if (machine.host.write(object)) this.#writes++
    this.kernel.after(1000 / this.scenario.writesPerSecond, EventKind.call, 0)
  }

  /** M14: a peer calls a version failed only where its host said so. */
  #checkFailures(node: number): void {
    const machine = this.machines[node]
    for (const object of Object.values(machine?.record?.objects ?? {})) {
      for (const { version, reason } of object.failed) {
        if (machine === undefined || machine.failures.has(version)) continue
        this.checkers.violation('M13', machine, `it calls version ${version} failed, its host does not: ${reason}`)
      }
    }
  }

  // ---- convergence

  #look(): void {
    const minute = Math.floor(this.kernel.now / MINUTE_MS)
    const before = this.#messagesPerMinute.slice(0, minute).reduce((total, one) => total + (one ?? 0), 0)
    this.#messagesPerMinute[minute] = this.network.sent - before
    if (this.#convergedAt === Number.POSITIVE_INFINITY && this.#allConverged()) {
      this.#convergedAt = this.kernel.now
    }
    if (this.kernel.now <= this.#convergedAt + this.scenario.idleMs - MINUTE_MS)
      this.#sentBeforeLastMinute = this.network.sent
    this.kernel.after(LOOK_MS, EventKind.minute, 0)
  }

  #allConverged(): boolean {
    const last = Math.max(
      ...this.scenario.faults.map((fault) => fault.atMs),
      ...this.scenario.actions.map((one) => one.atMs),
      0
    )
    if (this.kernel.now < last || !this.operator.finished) return false
    const { length } = this.machines
    for (let looked = 0; looked < length; looked++) {
      if (this.whyNot(this.machines[this.#laggard]!) !== undefined) return false
      this.#laggard = (this.#laggard + 1) % length
    }
    return true
  }

  /** Why a machine has not settled at the last version; undefined if it has. */
  whyNot(machine: Machine): string | undefined {
    if (machine.departed) return undefined
    if (!machine.up) return 'is off'
    if (this.#isToLeave(machine)) return `is still here: ${machine.peer?.leaving ?? 'it has not heard that it leaves'}`
    const objects = Object.entries(machine.record?.objects ?? {})
    if (objects.length < this.scenario.lineages.length)
      return `knows of ${objects.length} objects, at head ${machine.record?.head.version ?? 'none'}`
    const target = this.operator.lastVersion
    for (const [name, object] of objects) {
      const served = machine.host.servedVersion(name)
      // A failure that the host reported holds a node where it is until an operator says otherwise (L5), and an
      // object that never came to serve for it holds its group: it is down for other reasons.
      const failed = object.failed.some((one) => one.version > object.version)
      const settled = served === object.version && object.phase === 'idle' && (served === target || failed)
      const waits = served === object.version && object.phase === 'waiting'
      const held = waits && (this.#heldByFellow(machine) || this.#heldByOthers(object))
      if (settled || held) continue
      return `${name} is ${object.phase} at version ${object.version} (served ${served}, on its way to ${object.target}): ${object.reason || 'no reason given'}`
    }
    return undefined
  }

  #isToLeave({ index }: Machine): boolean {
    return this.scenario.actions.some((action) => action.what === 'leave' && action.node === index)
  }

  #heldByFellow(machine: Machine): boolean {
    if (machine.group < 0) return false
    const never = (other: Machine) =>
      Object.values(other.record?.objects ?? {}).some((object) => object.version === 0 && object.failed.length > 0)
    return this.machines.some((other) => other.group === machine.group && other !== machine && never(other))
  }

  /** M21: a fleet that has come to rest is one, and neighbours agree that they are. */
  #checkShape(shape: Shape): void {
    const { components, oneSided } = shape
    const rested = this.#convergedAt + this.scenario.idleMs <= this.kernel.now
    if (!rested || this.scenario.idleMs < 2 * MINUTE_MS || this.machines[0]!.peer?.neighbours === undefined) return
    if (components === 1 && oneSided === 0) return
    const text = `the neighbours of an idle fleet form ${components} parts, ${oneSided} are neighbours on one side only`
    this.checkers.violation('M21', this.machines[0]!, text)
  }

  /** S8, S22, S40 to S43: a failure of this version, or of one before it, holds others up by design, where they are judged. */
  #heldByOthers({ target, reason }: { target: number; reason: string }): boolean {
    const classes = this.world.entries[target - 1]?.manifest.classes ?? []
    const judges = ({ schedule }: { schedule: Schedule }) =>
      judgesOthers(wholeOf(schedule)) || reason.startsWith('halted: ')
    if (!classes.some(judges)) return false
    const below = (other: Machine) => Object.values(other.record?.objects ?? {}).some((one) => one.version < target)
    const failed = (other: Machine) => [...other.failures].some((version) => version <= target)
    return this.machines.some((other) => below(other) && (failed(other) || this.#heldByFellow(other)))
  }

  /** M17: in the last minute of a long idle time a peer begins about one round; four messages are twice what that costs. */
  #checkIdle(): void {
    const idle = this.#convergedAt < Number.POSITIVE_INFINITY && this.scenario.idleMs >= 2 * MINUTE_MS
    if (!idle || this.kernel.now < this.#convergedAt + this.scenario.idleMs) return
    const sent = this.network.sent - this.#sentBeforeLastMinute
    const most = (4 * this.scenario.peers * MINUTE_MS) / (this.scenario.limits.roundMaxMs ?? MINUTE_MS)
    if (sent <= most) return
    this.checkers.violation('M17', this.machines[0]!, `${sent} messages in the last idle minute; ${most} at most`)
  }

  #result(): Result {
    const { scenario, checkers, kernel } = this
    const converged = this.#convergedAt < Number.POSITIVE_INFINITY
    const stuck = converged ? [] : this.#stuck()
    this.#checkIdle()
    const overlay = shapeOf(this.machines, (peer) => this.#byPeer.get(peer))
    this.#checkShape(overlay)
    if (!converged && checkers.violations.length === 0) {
      const first = stuck[0]
      const machine = this.machines[this.indexOf(first?.peer ?? '') ?? 0]!
      checkers.violation(
        'M18',
        machine,
        `${stuck.length} peers are stuck after ${kernel.now} ms; the first ${first?.why ?? 'has no reason; the operator waits'}`
      )
    }
    const since = this.operator.lastAcceptedMs
    return {
      seed: scenario.seed,
      commit: this.#options.commit ?? '',
      peers: scenario.peers,
      events: kernel.events,
      trace: kernel.trace,
      converged,
      endedAtMs: converged ? this.#convergedAt : kernel.now,
      informed: percentiles(this.measures.informed.at, since),
      fetched: percentiles(this.measures.fetched.at, since),
      upgraded: percentiles(this.measures.upgraded.at, since),
      availability: this.callers.end(),
      groupDownMax: checkers.groupDownMax,
      traffic: {
        bytesPerPeer: Math.round(this.links.bytes / scenario.peers),
        duplicates: this.network.gossip.duplicates
      },
      overlay,
      messages: this.network.sent,
      messagesByKind: this.network.sentByKind,
      messagesPerMinute: this.#messagesPerMinute,
      writes: this.#writes,
      alarms: this.alarms,
      violations: checkers.violations,
      stuck
    }
  }

  #stuck(): { peer: string; why: string }[] {
    return this.machines.flatMap((machine) => {
      const why = this.whyNot(machine)
      return why === undefined ? [] : [{ peer: machine.id, why }]
    })
  }
}
