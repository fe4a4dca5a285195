/**
 * Runs a scenario (SPEC M1): dispatches the kernel's events, plays operator and faults, watches for convergence.
 */

import type { Event, PeerInit } from '../src/overlay/events.ts'
import type { ObjectState } from '../src/overlay/lifecycle.ts'
import type { Message } from '../src/overlay/messages.ts'
import { Peer } from '../src/overlay/peer.ts'
import { Generator } from '../src/prng.ts'
import { World } from './authority.ts'
import { type Availability, Callers, type CallersAround } from './callers.ts'
import { Checkers, type Violation } from './checkers.ts'
import { Convergence } from './convergence.ts'
import { applyFault } from './faults.ts'
import { FormedStart } from './formed.ts'
import type { InFlight } from './host.ts'
import { Hostility } from './hostile.ts'
import { EventKind, Kernel } from './kernel.ts'
import { Links } from './links.ts'
import { Machine, type Surroundings } from './machine.ts'
import { Measures, type Percentiles, percentiles } from './measures.ts'
import { addressOf, groupName, indexOfPeer, peerName } from './names.ts'
import { Network } from './network.ts'
import { Operator } from './operator.ts'
import { type Shape, shapeOf } from './overlay.ts'
import { Introductions, labelsOf } from './places.ts'
import { PowerCuts } from './power.ts'
import { Processors } from './processors.ts'
import type { Scenario } from './scenario.ts'
import type { MakePeer } from './simulated.ts'
import { Timers } from './timers.ts'

/** How often the simulator looks whether everything has converged, virtual ms. */
const LOOK_MS = 1000
const MINUTE_MS = 60_000
/** Events between two calls of `watch`. */
const WATCH_EVENTS = 16_384
/** A run ends early with this many violations: what follows from the first is noise. */
const MAX_VIOLATIONS = 5

/** Of a formed fleet nobody is told of anybody at start. */
const NOBODY: ReadonlySet<number> = new Set()
const NO_CONTACTS: PeerInit['bootstrap'] = []

const contactOf = (node: number) => ({ peer: peerName(node), addresses: [addressOf(node)] })

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
  /** Where the power may go at any durable step. */
  readonly power: PowerCuts | undefined
  readonly checkers: Checkers
  readonly network: Network
  readonly machines: Machine[] = []
  readonly operator: Operator
  readonly links: Links
  /** Undefined: what peers compute costs no time. */
  readonly processors: Processors | undefined
  readonly callers: Callers
  readonly hostility: Hostility
  readonly measures: Measures
  readonly convergence: Convergence
  readonly alarms: Record<string, number> = {}
  readonly #formed: FormedStart | undefined
  readonly #options: RunOptions
  readonly #workload: Generator
  readonly #messagesPerMinute: number[] = []
  #writes = 0
  #sentAtLook = 0
  #sentBeforeMinute = 0

  constructor(scenario: Scenario, options: RunOptions) {
    const { seed, peers } = scenario
    this.scenario = scenario
    this.#options = options
    // Each concern has a stream of its own, so that a change of one does not shift the draws of the others.
    this.random = new Generator(seed, 1)
    this.#workload = new Generator(seed, 2)
    this.world = new World(seed, scenario.strict)
    if (scenario.powerCuts !== undefined) this.power = new PowerCuts(new Generator(seed, 41), scenario.powerCuts)
    this.world.isPrivate = scenario.private === true
    const groups = scenario.groupSize > 0 ? Math.ceil(peers / scenario.groupSize) : 0
    this.checkers = new Checkers(this.world, groups, scenario.unavailable, scenario.strict, (rule, machine, text) => ({
      rule,
      atMs: this.kernel.now,
      peer: machine.id,
      text,
      history: this.machines[machine.index]?.history() ?? []
    }))
    if (scenario.processors !== null)
      this.processors = new Processors(this.kernel, scenario.processors, peers, this.world)
    this.links = new Links(this.kernel, scenario, (bundle) => this.world.pieceBytes(bundle), this.processors)
    this.network = new Network(this.kernel, this.links, scenario.network, new Generator(seed, 3), {
      lifeOf: (node) => this.machines[node]!.process,
      isUp: (node) => this.machines[node]!.up
    })
    this.operator = new Operator(this, new Generator(seed, 4))
    this.hostility = new Hostility(this, new Generator(seed, 9))
    this.measures = new Measures(peers, () => this.kernel.now, {
      bytes: () => this.links.bytes,
      calls: () => this.callers.counts.calls,
      failed: () => this.callers.counts.failed
    })
    this.convergence = new Convergence(this)
    this.#makeMachines()
    if (scenario.start === 'formed') this.#formed = new FormedStart(this, new Generator(seed, 11))
    this.callers = new Callers(this.#callersAround(), scenario.calls, new Generator(seed, 8))
    this.#schedule()
  }

  run(): Result {
    const { durationMs } = this.scenario
    const { kernel } = this
    while (
      this.checkers.violations.length < MAX_VIOLATIONS &&
      kernel.next(Math.min(durationMs, this.convergence.restedMs))
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
    const node = indexOfPeer(peer)
    return node < this.machines.length ? node : undefined
  }

  // ---- setting up

  #makeMachines(): void {
    const { scenario, random } = this
    const around = this.#surroundings()
    const introductions = new Introductions(scenario, random)
    for (let index = 0; index < scenario.peers; index++) {
      const peer = peerName(index)
      const group = scenario.groupSize > 0 ? Math.floor(index / scenario.groupSize) : -1
      const earlier = scenario.start === 'formed' ? NOBODY : introductions.of(index)
      const init = {
        peer,
        group: group < 0 ? null : groupName(group),
        labels: labelsOf(scenario, index),
        addresses: [addressOf(index)],
        classes: null,
        bootstrap: earlier.size === 0 ? NO_CONTACTS : [...earlier].map(contactOf),
        seed: random.bits(),
        limits: scenario.limits,
        ...(scenario.private === true ? { ticket: this.world.admit(peer) } : {})
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
      authority: this.world.authorityOf((signed) => {
        const node = this.indexOf(signed.record.peer)
        if (node === undefined) return
        const machine = this.machines[node]!
        machine.signed = signed
        this.checkers.claims.onSealed(machine, signed.record, (object) => machine.host.links(object))
        this.measures.onSealed(node, signed.record)
        this.#checkFailures(node)
      }),
      timers: new Timers(this.kernel, scenario.peers),
      disk: scenario.disk,
      host: scenario.host,
      strict: scenario.strict,
      power: this.power,
      history: scenario.history,
      indexOf: (peer) => this.indexOf(peer),
      addressOf,
      answered: (node, answer) => this.operator.onAnswer(node, answer),
      failed: (node) => this.convergence.failed.add(this.machines[node]!),
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
        return machine.onWake()
      case EventKind.arrive: {
        const from = this.network.arrival(machine.index, about)
        if (from < 0) return
        const message = kernel.payload as Message
        this.hostility.hears(machine.index, message)
        return machine.step({ type: 'message', from: this.machines[from]!.id, message })
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
        return applyFault(this, this.scenario.faults[about]!, about)
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
    const { topic, bytes } = publication
    const verdict = machine.judge(topic, bytes)
    if (verdict === 'reject') return
    if (verdict === 'accept') gossip.passOn(machine.index, from, publication)
    const event: Event = { type: 'published', from: this.machines[from]!.id, topic, bytes }
    // With a processor to share the peer's turn comes after what its process does for the sockets.
    if (this.processors === undefined) machine.step(event)
    else this.kernel.after(0, EventKind.completion, machine.index, machine.process, event)
  }

  #write(): void {
    const machine = this.#workload.pick(this.machines)
    for (const object of machine.host.objects())
      if (machine.host.write(object, (versions) => this.#workload.pick(versions))) this.#writes++
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
    if (minute >= this.#messagesPerMinute.length) this.#sentBeforeMinute = this.#sentAtLook
    this.#messagesPerMinute[minute] = this.network.sent - this.#sentBeforeMinute
    this.#sentAtLook = this.network.sent
    this.convergence.look()
    this.kernel.after(LOOK_MS, EventKind.minute, 0)
  }

  #result(): Result {
    const { scenario, checkers, kernel } = this
    const { isReached: converged, atMs } = this.convergence
    const stuck = converged ? [] : this.convergence.stuck()
    this.convergence.checkIdle()
    const overlay = shapeOf(this.machines, (peer) => this.indexOf(peer))
    this.convergence.checkShape(overlay)
    const unended = this.callers.unended()
    if (unended !== undefined) checkers.violation('M44', this.machines[0]!, unended)
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
      endedAtMs: converged ? atMs : kernel.now,
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
}
