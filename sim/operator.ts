/**
 * The simulated operator (SPEC M10): makes entries and statements, injects each at some live peer, and tries another
 * one after a refusal or when no answer comes, as `upstart inject` would be repeated by hand.
 */

import type { Effect } from '../src/overlay/events.ts'
import type { Generator } from '../src/prng.ts'
import type { Entry } from '../src/upgrade/manifest.ts'
import type { Statement } from '../src/upgrade/statement.ts'
import { atVersion } from './judging.ts'
import { EventKind } from './kernel.ts'
import { EPOCH_MS, type Machine } from './machine.ts'
import { groupName, peerName } from './names.ts'
import type { Action } from './scenario.ts'
import type { Simulator } from './simulator.ts'

const RETRY_MS = 5000

interface Progress {
  made: Entry | Statement | undefined
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
    return this.#progress.every((one) => one.settled)
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
    const topic = action.what === 'upgrade' ? 'entry' : 'statement'
    if (action.what === 'upgrade') this.#bringBundle(machine, progress.made as Entry)
    machine.step({ type: 'inject', request: index, topic, bytes: progress.made.bytes, bundleHeld: true })
  }

  onAnswer(_: number, answer: Extract<Effect, { type: 'answer' }>): void {
    const progress = this.#progress[answer.request]
    if (progress === undefined || progress.settled) return
    progress.givenUp = !answer.ok && answer.refusal === 'Expired'
    if (!answer.ok && !progress.givenUp) return
    progress.settled = true
    const action = this.#simulator.scenario.actions[answer.request]!
    if (action.what === 'upgrade') this.lastAcceptedMs = this.#simulator.kernel.now
  }

  /** An operator signs v + 1 when v is accepted, and lifts a pause that exists. */
  #mayMake(action: Action): boolean {
    if (action.what === 'resume') return this.#progress[action.pause]?.made !== undefined
    const about = 'version' in action ? action.version : null
    if (about !== null) return this.#simulator.world.entries.length >= about
    if (action.what === 'abort') return this.#progress[action.upgrade]?.made !== undefined
    if (action.what !== 'upgrade') return true
    if (action.replaces !== undefined && this.#progress[action.replaces]?.made === undefined) return false
    return this.#simulator.scenario.actions.every(
      (one, index) =>
        one.what !== 'upgrade' || this.#progress[index]!.made === undefined || this.#progress[index]!.settled
    )
  }

  #make(action: Action): Entry | Statement {
    const { world, scenario, kernel } = this.#simulator
    const common = { format: 1 as const, fleet: world.fleet, sequence: ++this.#sequence, note: '' }
    switch (action.what) {
      case 'upgrade': {
        const { replaces: index, broken, errors, effort, ...request } = action
        const schedule = atVersion(action.schedule, world.entries.length + 1)
        const first = index === undefined ? undefined : (this.#progress[index]!.made as Entry)
        const replaces = first === undefined ? undefined : world.entries.slice(first.version - 1)
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
        return world.makeStatement({
          ...common,
          what: 'abort',
          target: (this.#progress[action.upgrade]!.made as Entry).hash
        })
      case 'leave':
        return world.makeStatement({ ...common, what: 'leave', peer: peerName(action.node) })
      case 'retire': {
        const target = world.entries[action.version - 1]!.hash
        return world.makeStatement({ ...common, what: 'retire', target, callers: false })
      }
      case 'pause': {
        const target = action.version === null ? null : world.entries[action.version - 1]!.hash
        return world.makeStatement({ ...common, what: 'pause', target }, EPOCH_MS + kernel.now + action.lastsMs)
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
