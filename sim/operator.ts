/**
 * The simulated operator (SPEC M10): makes entries and statements, injects each at some live peer, and tries another
 * one after a refusal or when no answer comes, as `upstart inject` would be repeated by hand.
 */

import type { Effect } from '../src/overlay/events.ts'
import type { Generator } from '../src/prng.ts'
import type { Entry } from '../src/upgrade/manifest.ts'
import type { Statement } from '../src/upgrade/statement.ts'
import type { SimulatedRoot } from './authority.ts'
import { atVersion } from './judging.ts'
import { EventKind } from './kernel.ts'
import { EPOCH_MS, type Machine } from './machine.ts'
import { groupName, peerName } from './names.ts'
import type { Action } from './scenario.ts'
import type { Simulator } from './simulator.ts'

const RETRY_MS = 5000
/** No disk is slower than this: what was not answered by then died with its peer, or is durable. */
const RIVAL_MS = 60_000
/** Request numbers of rivals begin here. */
const RIVALS = 1_000_000

type Upgrade = Extract<Action, { what: 'upgrade' }>

interface Progress {
  made: Entry | Statement | SimulatedRoot | undefined
  /** What another signer made on the same parent, whether it was answered and taken, and until when an answer may come, ms. */
  rival?: { entry: Entry; answered: boolean; isTaken: boolean; untilMs: number }
  /** Accepted by a peer, or given up: nobody accepts a pause that has expired meanwhile, or its lifting. */
  settled: boolean
  givenUp: boolean
}

export class Operator {
  /** Of the newest entry made: what everything has to reach. */
  lastVersion = 0
  lastAcceptedMs = 0
  readonly #simulator: Simulator
  readonly #random: Generator
  readonly #progress: Progress[]
  #sequence = 0

  constructor(simulator: Simulator, random: Generator) {
    this.#simulator = simulator
    this.#random = random
    this.#progress = simulator.scenario.actions.map(() => ({ made: undefined, settled: false, givenUp: false }))
  }

  get finished(): boolean {
    const { actions } = this.#simulator.scenario
    return this.#progress.every((one, index) => one.settled || actions[index]!.what === 'forget')
  }

  /** What was done in former times: it is known everywhere (SPEC M32). */
  settle(indexes: readonly number[]): void {
    for (const index of indexes) {
      const made = this.#make(this.#simulator.scenario.actions[index]!)
      this.#progress[index] = { made, settled: true, givenUp: false }
    }
  }

  /** Does an action, or tries it again; request numbers are the actions' indexes. */
  act(index: number): void {
    const progress = this.#progress[index]!
    if (progress.settled) return
    const { kernel, machines } = this.#simulator
    kernel.after(RETRY_MS, EventKind.operator, 0, index)
    const action = this.#simulator.scenario.actions[index]!
    if (action.what === 'resume' && this.#progress[action.pause]!.givenUp) {
      progress.settled = true
      return
    }
    if (progress.made === undefined) {
      if (!this.#mayMake(action)) return
      progress.made = this.#make(action)
    }
    // A peer that spoils every piece it sends may be the only one to hold a bundle, and needs it for seconds only.
    const up = machines.filter((machine) => machine.up && !(action.what === 'upgrade' && machine.rotten))
    if (up.length === 0) return
    const machine = this.#random.pick(up)
    const topic = action.what === 'upgrade' ? 'entry' : action.what === 'rotate' ? 'root' : 'statement'
    if (action.what === 'upgrade') this.#bringBundle(machine, progress.made as Entry)
    machine.step({ type: 'inject', request: index, topic, bytes: progress.made.bytes, bundleHeld: true })
    const elsewhere = up.filter((other) => other !== machine)
    if (action.what !== 'upgrade' || action.rival !== true || progress.rival !== undefined) return
    if (elsewhere.length > 0) this.#makeRival(this.#random.pick(elsewhere), action, progress)
  }

  /** The other signer does not try again. */
  #makeRival(machine: Machine, action: Upgrade, progress: Progress): void {
    const { world, scenario } = this.#simulator
    const schedule = atVersion(action.schedule, world.entries.length)
    const rival = world.makeRival({ ...action, schedule, lineages: scenario.lineages, replaces: undefined })
    progress.rival = { entry: rival, answered: false, isTaken: false, untilMs: this.#simulator.kernel.now + RIVAL_MS }
    this.#bringBundle(machine, rival)
    const request = RIVALS + this.#progress.indexOf(progress)
    machine.step({ type: 'inject', request, topic: 'entry', bytes: rival.bytes, bundleHeld: true })
  }

  onAnswer(node: number, answer: Extract<Effect, { type: 'answer' }>): void {
    const disputed = this.#progress[answer.request - RIVALS]?.rival
    if (disputed !== undefined) {
      disputed.answered = true
      disputed.isTaken = answer.ok
    }
    const progress = this.#progress[answer.request]
    if (progress === undefined || progress.settled) return
    const { machines, scenario, checkers, kernel } = this.#simulator
    const action = scenario.actions[answer.request]!
    // The peer that took it died with it, and everybody knows the other one by now: the chain goes by that.
    if (answer.refusal === 'StaleParent' && progress.rival !== undefined && this.#isTaken(progress)) {
      const { rival, made } = progress
      this.#simulator.world.yieldTo(rival.entry)
      progress.rival = { ...rival, entry: made as Entry }
      progress.made = rival.entry
      progress.settled = true
      return
    }
    progress.givenUp = !answer.ok && answer.refusal === 'Expired'
    if (!answer.ok && !progress.givenUp) return
    progress.settled = true
    if (answer.ok) checkers.onAccepted(machines[node]!, progress.made!)
    if (action.what === 'upgrade') this.lastAcceptedMs = kernel.now
  }

  /** Whether a rival came first: its answer may have been lost with the peer that gave it, but the log tells. */
  #isTaken({ rival, made }: Progress): boolean {
    return rival!.isTaken || (this.#isKept(rival!.entry) && !this.#isKept(made!))
  }

  /** Whether a machine that is not gone for ever has it on its disk. */
  #isKept({ bytes }: { bytes: Uint8Array }): boolean {
    return this.#simulator.machines.some(({ departed, durable }) => !departed && [...durable.values()].includes(bytes))
  }

  /** Whoever had a bundle alone, or an entry, may be gone for ever: it is injected again. */
  bringAgain(): void {
    const { machines, world } = this.#simulator
    for (const [index, progress] of this.#progress.entries()) {
      const { made, settled, givenUp } = progress
      if (made === undefined || !settled || givenUp || this.#isKept(made)) continue
      progress.settled = false
      this.act(index)
    }
    const up = machines.filter((machine) => machine.up && !machine.rotten)
    for (const { bytes } of world.roots.slice(1)) {
      if (up.length === 0 || up.some(({ durable }) => [...durable.values()].includes(bytes))) continue
      this.#random.pick(up).step({ type: 'inject', request: -1, topic: 'root', bytes, bundleHeld: true })
    }
    for (const { manifest, bytes } of [...world.entries, ...world.rivals]) {
      if (up.length === 0 || up.some((machine) => machine.disk.isUnpacked(manifest.bundle.sha256))) continue
      const knowing = up.filter((machine) => [...machine.durable.values()].includes(bytes))
      if (knowing.length === 0) continue
      const machine = this.#random.pick(knowing)
      for (let index = 0; index < manifest.bundle.pieces.length; index++) machine.hold(manifest.bundle.sha256, index)
      machine.step({ type: 'inject', request: -1, topic: 'entry', bytes, bundleHeld: true })
    }
  }

  /** An operator signs v + 1 when v is accepted, and lifts a pause that exists. */
  #mayMake(action: Action): boolean {
    if (action.what === 'resume') return this.#progress[action.pause]?.made !== undefined
    const about = 'version' in action ? action.version : null
    if (about !== null) return this.#simulator.world.entries.length >= about
    if ('upgrade' in action && this.#progress[action.upgrade]?.made === undefined) return false
    if (action.what === 'forget') return this.#isPast((this.#progress[action.upgrade]!.made as Entry).version)
    if (action.what !== 'upgrade') return true
    if (action.replaces !== undefined && !this.#isClear(this.#progress[action.replaces])) return false
    return this.#simulator.scenario.actions.every(
      (one, index) =>
        one.what !== 'upgrade' || this.#progress[index]!.made === undefined || this.#progress[index]!.settled
    )
  }

  /** Whether it is known what an upgrade that ends this one has to replace. */
  #isClear(progress: Progress | undefined): boolean {
    const { made, rival } = progress ?? {}
    if (made === undefined) return false
    return rival === undefined || rival.answered || this.#simulator.kernel.now >= rival.untilMs
  }

  /** Whether everybody who may ever need the bundle of a version is past it; the tool refuses to forget it before. */
  #isPast(version: number): boolean {
    const runs = ({ departed, record }: Machine) =>
      departed || (record !== undefined && Object.values(record.objects).every((one) => one.version >= version))
    return this.#simulator.machines.every(runs)
  }

  /** What an upgrade replaces: from the first one on, and a rival that anybody took. */
  #replacedBy({ replaces: index }: Upgrade): Entry[] | undefined {
    const { world, machines } = this.#simulator
    if (index === undefined) return undefined
    const { made, rival } = this.#progress[index]!
    const isKnown = ({ bytes }: Entry) => machines.some((machine) => [...machine.durable.values()].includes(bytes))
    return [
      ...world.entries.slice((made as Entry).version - 1),
      ...(rival !== undefined && isKnown(rival.entry) ? [rival.entry] : [])
    ]
  }

  #make(action: Action): Entry | Statement | SimulatedRoot {
    const { world, scenario, kernel } = this.#simulator
    if (!('equivocates' in action && action.equivocates)) this.#sequence += 1
    const common = { format: 1 as const, fleet: world.fleet, sequence: this.#sequence, note: '' }
    const targetOf = (index: number) => (this.#progress[index]!.made as Entry).hash
    switch (action.what) {
      case 'upgrade': {
        const { replaces: _, broken, errors, effort, ...request } = action
        const schedule = atVersion(action.schedule, world.entries.length + 1)
        const replaces = this.#replacedBy(action)
        const entry = world.makeEntry({ ...request, schedule, lineages: scenario.lineages, replaces })
        if (broken !== undefined) world.broken.set(entry.version, broken)
        if (errors !== undefined) world.errors.set(entry.version, errors)
        if (effort !== undefined) world.efforts.set(entry.version, effort)
        this.lastVersion = entry.version
        this.#simulator.onMade()
        return entry
      }
      case 'roster': {
        const first = action.group * scenario.groupSize
        const all = Array.from(
          { length: Math.min(scenario.groupSize, scenario.peers - first) },
          (_, member) => first + member
        )
        const members = (action.members ?? all).map(peerName)
        return world.makeStatement({
          ...common,
          what: 'roster',
          group: groupName(action.group),
          number: action.number,
          members
        })
      }
      case 'abort':
      case 'approve':
      case 'hasten':
      case 'forget':
        return world.makeStatement({ ...common, what: action.what, target: targetOf(action.upgrade) })
      case 'retry': {
        const { upgrade, peer, discardFuture } = action
        const said = { peer: peer === null ? null : peerName(peer), ...(discardFuture ? { discardFuture } : {}) }
        return world.makeStatement({ ...common, what: 'retry', target: targetOf(upgrade), ...said })
      }
      case 'exclude': {
        const { node, group, roster } = action
        this.#simulator.checkers.onExcluded(this.#simulator.machines[node]!)
        return world.makeStatement({
          ...common,
          what: 'exclude',
          peer: peerName(node),
          group: groupName(group),
          roster
        })
      }
      case 'rotate':
        return world.makeRoot()
      case 'leave':
        return world.makeStatement({ ...common, what: 'leave', peer: peerName(action.node) })
      case 'revoke':
        return world.makeStatement({ ...common, what: 'revoke', peer: peerName(action.node), upTo: 1 })
      case 'retire': {
        const target = world.entries[action.version - 1]!.hash
        return world.makeStatement({ ...common, what: 'retire', target, callers: false })
      }
      case 'pause': {
        const target = action.version === null ? null : world.entries[action.version - 1]!.hash
        const of = action.of === undefined ? {} : { of: action.of }
        const expires = EPOCH_MS + kernel.now + action.lastsMs
        return world.makeStatement({ ...common, what: 'pause', target, ...of }, expires)
      }
      case 'resume':
        return world.makeStatement({
          ...common,
          what: 'resume',
          lifts: (this.#progress[action.pause]!.made as Statement).hash
        })
    }
  }

  /** The driver verifies and stores the bundle that comes with an entry before the peer hears of it. */
  #bringBundle(machine: Machine, entry: Entry): void {
    const { sha256, pieces } = entry.manifest.bundle
    for (let index = 0; index < pieces.length; index++) machine.hold(sha256, index)
  }
}
