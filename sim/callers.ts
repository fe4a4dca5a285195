/**
 * Calls between simulated peers (SPEC M27): each at the version that its caller runs, at any peer. They show what a
 * roll-out costs those who call: what is answered by an SO, what waits, what fails. A call at a version that its callee
 * does not serve yet makes the callee want it, as a real one does.
 */

import type { Generator } from '../src/prng.ts'
import { EventKind, type Kernel } from './kernel.ts'
import type { Machine } from './machine.ts'
import { linksOf } from './reference.ts'
import type { CallOptions, Scenario } from './scenario.ts'

/** How often a call that found nobody who serves it is tried again, ms. */
const AGAIN_MS = 200

export interface Availability {
  calls: number
  failed: number
  /** Refused by an SO. */
  disallowed: number
  /** Answered by an SO: the callee runs another version. */
  simulated: number
  /** Answered by another member of the callee's group. */
  elsewhere: number
  /** Answered, but not at once; and the longest that one took, ms. */
  waited: number
  longestMs: number
  /** Mean of what SOs added to a call, over all answered calls, ms. */
  simulationMs: number
}

interface Waiting {
  version: number
  callee: number
  begunAt: number
}

/** What an upgrade's SOs cost and refuse; told with the upgrade. */
export interface Simulation {
  /** Added to a call, ms. */
  costMs: number
  /** Share of calls that the SO refuses. */
  disallows: number
}

export interface CallersAround {
  readonly kernel: Kernel
  readonly machines: readonly Machine[]
  readonly scenario: Scenario
  simulationOf(version: number): Simulation | undefined
}

type Found = 'answered' | 'disallowed' | 'nobody'

export class Callers {
  readonly counts: Availability = {
    calls: 0,
    failed: 0,
    disallowed: 0,
    simulated: 0,
    elsewhere: 0,
    waited: 0,
    longestMs: 0,
    simulationMs: 0
  }
  readonly #around: CallersAround
  readonly #options: CallOptions
  readonly #random: Generator
  readonly #object: string
  /** What a peer was told that it is called at: once for each version. */
  readonly #wanted: Int32Array
  #simulationMs = 0
  /** Calls that have not ended. */
  readonly #open = new Set<Waiting>()
  #answered = 0

  constructor(around: CallersAround, options: CallOptions, random: Generator) {
    this.#around = around
    this.#options = options
    this.#random = random
    // An object keeps the name of the class that its node installed first.
    this.#object = `${around.scenario.lineages[0]!}v1`
    this.#wanted = new Int32Array(options.perSecond > 0 ? around.scenario.peers : 0)
    if (options.perSecond > 0) this.#next()
  }

  /** The event of a new call, or of one that is tried again. */
  act(payload: unknown): void {
    if (payload !== undefined) return this.#try(payload as Waiting)
    this.#next()
    const { machines } = this.#around
    const caller = this.#random.pick(machines)
    const callee = this.#random.below(machines.length)
    const version = caller.up ? caller.host.servedVersion(this.#object) : 0
    // Who does not serve calls nobody, and nobody knows of who never was there or is gone for ever.
    const { process, departed } = machines[callee]!
    if (version === 0 || process === 0 || departed) return
    this.counts.calls += 1
    const call = { version, callee, begunAt: this.#around.kernel.now }
    this.#open.add(call)
    this.#try(call)
  }

  /** M44: every call is answered or fails by its deadline. In words what is not so. */
  unended(): string | undefined {
    const { calls, failed, disallowed } = this.counts
    const { now } = this.#around.kernel
    for (const { version, begunAt } of this.#open)
      if (now - begunAt > this.#options.deadlineMs)
        return `a call at version ${version} is without an end since ${begunAt} ms`
    const ended = this.#answered + failed + disallowed
    return ended + this.#open.size === calls
      ? undefined
      : `of ${calls} calls ${ended} ended, and ${this.#open.size} wait`
  }

  end(): Availability {
    const answered = this.counts.calls - this.counts.failed - this.counts.disallowed
    this.counts.simulationMs = Math.round((this.#simulationMs / Math.max(1, answered)) * 1000) / 1000
    return this.counts
  }

  #next(): void {
    this.#around.kernel.after(1000 / this.#options.perSecond, EventKind.call, 0, 1)
  }

  #try(call: Waiting): void {
    const { kernel } = this.#around
    const found = this.#findOne(call)
    const passedMs = kernel.now - call.begunAt
    if (found !== 'nobody' || passedMs + AGAIN_MS > this.#options.deadlineMs) this.#open.delete(call)
    if (found === 'disallowed') this.counts.disallowed += 1
    else if (found === 'answered') {
      this.#answered += 1
      this.counts.longestMs = Math.max(this.counts.longestMs, Math.round(passedMs))
      if (passedMs > 0) this.counts.waited += 1
    } else if (passedMs + AGAIN_MS > this.#options.deadlineMs) this.counts.failed += 1
    else kernel.after(AGAIN_MS, EventKind.call, 0, 1, call)
  }

  /** The callee, else the others of its group: replicas serve the same. */
  #findOne({ version, callee }: Waiting): Found {
    const { machines, scenario } = this.#around
    const direct = this.#ask(machines[callee]!, version)
    if (direct !== 'nobody' || scenario.groupSize === 0) return direct
    const first = Math.floor(callee / scenario.groupSize) * scenario.groupSize
    for (let node = first; node < Math.min(first + scenario.groupSize, machines.length); node++) {
      if (node === callee) continue
      const found = this.#ask(machines[node]!, version)
      if (found === 'nobody') continue
      this.counts.elsewhere += 1
      return found
    }
    return 'nobody'
  }

  #ask(machine: Machine, version: number): Found {
    const current = machine.up ? machine.host.servedVersion(this.#object) : 0
    if (current === 0) return 'nobody'
    if (current === version) return 'answered'
    const links = machine.host.links(this.#object)
    if (links === undefined || !linksOf(links).includes(version)) {
      if (version > current) this.#want(machine, version)
      return 'nobody'
    }
    return this.#simulate(Math.min(version, current) + 1)
  }

  /** @param upgrade the version that brought the SO */
  #simulate(upgrade: number): Found {
    const simulation = this.#around.simulationOf(upgrade)
    if (this.#random.chance(simulation?.disallows ?? 0)) return 'disallowed'
    this.counts.simulated += 1
    this.#simulationMs += simulation?.costMs ?? 0
    return 'answered'
  }

  #want(machine: Machine, version: number): void {
    if (this.#wanted[machine.index]! >= version) return
    this.#wanted[machine.index] = version
    machine.step({ type: 'wanted', object: this.#object, version })
  }
}
