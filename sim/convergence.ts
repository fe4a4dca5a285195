/**
 * When a run has come to its end (SPEC M17, M18, M21): everybody has settled at the last version, or stays where a failure
 * holds it; what is stuck is named. Looked at once a second of virtual time: most looks end at the laggard of the last one.
 */
import { judgesOthers, type Schedule, wholeOf } from '../src/schedule/schedule.ts'
import { rootKey } from './checkers.ts'
import type { Machine } from './machine.ts'
import type { Shape } from './overlay.ts'
import type { Simulator } from './simulator.ts'

const MINUTE_MS = 60_000

export class Convergence {
  /** When everything had converged, virtual ms; Infinity: it has not. */
  atMs = Number.POSITIVE_INFINITY
  /** Machines of which the host reported a failure: nobody else holds others up. */
  readonly failed = new Set<Machine>()
  readonly #simulator: Simulator
  /** Nothing ends before what the scenario still has to do. */
  readonly #lastMs: number
  /** Peers that are to leave. */
  readonly #leavers: ReadonlySet<number>
  /** Where the last look stopped. */
  #laggard = 0
  #sentBeforeLastMinute = 0

  constructor(simulator: Simulator) {
    const { faults, actions } = simulator.scenario
    this.#simulator = simulator
    this.#lastMs = [...faults, ...actions].reduce((last, { atMs }) => Math.max(last, atMs), 0)
    this.#leavers = new Set(actions.flatMap((action) => (action.what === 'leave' ? [action.node] : [])))
  }

  get isReached(): boolean {
    return this.atMs < Number.POSITIVE_INFINITY
  }
  /** End of the time that is watched after it. */
  get restedMs(): number {
    return this.atMs + this.#simulator.scenario.idleMs
  }

  look(): void {
    const { kernel, network } = this.#simulator
    if (!this.isReached && this.#isNow()) this.atMs = kernel.now
    if (kernel.now <= this.restedMs - MINUTE_MS) this.#sentBeforeLastMinute = network.sent
  }

  #isNow(): boolean {
    const { kernel, operator, machines } = this.#simulator
    if (kernel.now < this.#lastMs || !operator.finished) return false
    for (let looked = 0; looked < machines.length; looked++) {
      if (this.whyNot(machines[this.#laggard]!) !== undefined) return false
      this.#laggard = (this.#laggard + 1) % machines.length
    }
    return true
  }

  stuck(): { peer: string; why: string }[] {
    return this.#simulator.machines.flatMap((machine) => {
      const why = this.whyNot(machine)
      return why === undefined ? [] : [{ peer: machine.id, why }]
    })
  }

  /** Why a machine has not settled at the last version; undefined if it has. */
  whyNot(machine: Machine): string | undefined {
    const { scenario, operator } = this.#simulator
    if (machine.departed) return undefined
    if (!machine.up) return 'is off'
    // The power went between its last write and its end: it had left, and was started again.
    if (this.#leavers.has(machine.index) && machine.durable.has('left')) return undefined
    if (this.#leavers.has(machine.index))
      return `is still here: ${machine.peer?.leaving ?? 'it has not heard that it leaves'}`
    const root = this.#simulator.world.roots.at(-1)!
    if (root.version > 1 && !machine.durable.has(rootKey(root))) return `has not heard of root ${root.version}`
    const objects = Object.entries(machine.record?.objects ?? {})
    if (objects.length < scenario.lineages.length)
      return `knows of ${objects.length} objects, at head ${machine.record?.head.version ?? 'none'}`
    const target = operator.lastVersion
    for (const [name, object] of objects) {
      const served = machine.host.servedVersion(name)
      // A failure that the host reported holds a node where it is until an operator says otherwise (L5), and an
      // object that never came to serve for it holds its group: it is down for other reasons.
      const failed = object.failed.some((one) => one.version > object.version)
      const settled = served === object.version && object.phase === 'idle' && (served === target || failed)
      const waits = served === object.version && object.phase === 'waiting'
      const held = waits && (this.#isHeldByFellow(machine) || this.#isHeldByOthers(object))
      if (settled || held) continue
      return `${name} is ${object.phase} at version ${object.version} (served ${served}, on its way to ${object.target}): ${object.reason || 'no reason given'}`
    }
    return undefined
  }

  #isHeldByFellow(machine: Machine): boolean {
    if (machine.group < 0) return false
    for (const other of this.failed)
      if (other.group === machine.group && other !== machine && neverServed(other)) return true
    return false
  }

  /** S8, S22, S40 to S43: a failure of this version, or of one before it, holds others up by design, where they are judged. */
  #isHeldByOthers({ target, reason }: { target: number; reason: string }): boolean {
    const classes = this.#simulator.world.entries[target - 1]?.manifest.classes ?? []
    const judges = ({ schedule }: { schedule: Schedule }) =>
      judgesOthers(wholeOf(schedule)) || reason.startsWith('halted: ')
    if (!classes.some(judges)) return false
    const isBelow = (other: Machine) => Object.values(other.record?.objects ?? {}).some((one) => one.version < target)
    for (const other of this.failed) {
      if (isBelow(other) && [...other.failures].some((version) => version <= target)) return true
      if (neverServed(other) && this.#fellows(other).some(isBelow)) return true
    }
    return false
  }

  #fellows(machine: Machine): Machine[] {
    const { machines, scenario } = this.#simulator
    if (machine.group < 0) return []
    const first = machine.group * scenario.groupSize
    return machines.slice(first, first + scenario.groupSize).filter((other) => other !== machine)
  }

  /** M21: a fleet that has come to rest is one, and neighbours agree that they are. */
  checkShape({ components, oneSided }: Shape): void {
    const { machines, checkers } = this.#simulator
    if (!this.#isRested || machines[0]!.peer?.neighbours === undefined) return
    if (components === 1 && oneSided === 0) return
    const text = `the neighbours of an idle fleet form ${components} parts, ${oneSided} are neighbours on one side only`
    checkers.violation('M21', machines[0]!, text)
  }

  /** M17: in the last minute of a long idle time a peer begins about one round; four messages are twice what that costs. */
  checkIdle(): void {
    const { machines, checkers, network, scenario } = this.#simulator
    if (!this.#isRested) return
    const sent = network.sent - this.#sentBeforeLastMinute
    const most = (4 * scenario.peers * MINUTE_MS) / (scenario.limits.roundMaxMs ?? MINUTE_MS)
    if (sent > most)
      checkers.violation('M17', machines[0]!, `${sent} messages in the last idle minute; ${most} at most`)
  }

  get #isRested(): boolean {
    const { kernel, scenario } = this.#simulator
    return this.isReached && scenario.idleMs >= 2 * MINUTE_MS && kernel.now >= this.restedMs
  }
}

const neverServed = ({ record }: Machine): boolean =>
  Object.values(record?.objects ?? {}).some((object) => object.version === 0 && object.failed.length > 0)
