/**
 * The future SOs of one object (SPEC L8, L14, L15): which are started for calls from the future, lowest first, since each
 * rests on the one below; which the object is started without; and what an operator's retry discards.
 */
import { SmallSet } from '../small.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { Event, HostCommand } from './events.ts'
import { FutureSchedule } from './future-schedule.ts'
import type { ObjectState } from './lifecycle.ts'
import type { Surroundings } from './surroundings.ts'

type Done = Extract<Event, { type: 'done' }>

const NONE: readonly number[] = []

/** What the object lets its future SOs see and do. */
export interface FutureOwner {
  readonly state: ObjectState
  readonly around: Surroundings
  readonly isServing: boolean
  keep(state: ObjectState): void
  /** In memory only. */
  remember(state: ObjectState): void
  run(command: HostCommand): void
  /** Why it waits, or what went wrong. */
  reason: string
}

export class Futures {
  readonly #owner: FutureOwner
  readonly #schedule: FutureSchedule
  /** Why the next one that its upgrade wants started by itself is not started yet. */
  reason = ''
  /** The highest version that a call, or a schedule, asked for and that is not served yet. */
  #wanted = 0
  /** The version whose future SO is starting; 0 if none. */
  #simulating = 0
  /** Versions that are being taken out. */
  #discarding: readonly number[] = NONE
  /** Retries known when taking out failed in this process. */
  #vain = 0
  /** Versions whose future SO did not start here; not tried again by this process. */
  readonly #unsimulable = new SmallSet<number>()

  constructor(owner: FutureOwner) {
    this.#owner = owner
    this.#schedule = new FutureSchedule(owner)
  }

  /** The version that a call asked for, while it is on its way; its bundles are needed. 0 if none. */
  get wanted(): number {
    return this.#wanted
  }

  /** Why the object must not stop now, if it must not. */
  get obstacle(): string | undefined {
    if (this.#simulating > 0) return `the future SO of version ${this.#simulating} is starting`
    return this.#discarding.length > 0 ? 'future SOs are being discarded' : undefined
  }

  /** Versions whose future SO the object is started with. */
  loaded(): number[] {
    const { futures, withheld } = this.#owner.state
    return futures.filter((version) => !withheld.includes(version))
  }

  /** The highest version that calls are answered at, `current` if no future SO serves. */
  highest(current: number): number {
    return Math.max(current, ...this.loaded().filter((version) => version !== this.#simulating))
  }

  /** L14: the version of a future SO that missed calls and that an upgrade to `target` would need; 0 if none. */
  stale(target: number): number {
    return this.#owner.state.withheld.find((version) => version <= target) ?? 0
  }

  want(version: number): void {
    this.#wanted = Math.max(this.#wanted, version)
  }

  /** Takes the next step that is possible now. Returns when to look again without an event, ms. */
  advance(now: number): number {
    const { current, phase } = this.#owner.state
    this.reason = ''
    const never = Number.POSITIVE_INFINITY
    if (current === null || !this.#owner.isServing || this.obstacle !== undefined) return never
    if (phase.name !== 'idle' && phase.name !== 'fetching' && phase.name !== 'waiting') return never
    this.#considerDiscard()
    if (this.#discarding.length > 0) return never
    const next = this.#considerSchedules(current, now)
    if (this.#wanted > 0) this.#considerSimulation(current)
    return next
  }

  /** L21: those that an upgrade wants started before anybody calls them. */
  #considerSchedules(current: { version: number; entry: string }, now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const one of this.#ahead(current)) {
      if (one.upgrade.simulate === undefined || this.#owner.state.futures.includes(one.version)) continue
      const verdict = this.#schedule.judge(one, now)
      if (verdict.go) {
        this.want(one.version)
        continue
      }
      if (this.reason === '') this.reason = `the future SO of version ${one.version}: ${verdict.reason}`
      next = Math.min(next, now + (verdict.inMs ?? Number.POSITIVE_INFINITY))
    }
    return next
  }

  /** A call from the future came, or a schedule said so. That an SO was started is durable before it answers (L8). */
  #considerSimulation(current: { version: number; entry: string }): void {
    const { around, state } = this.#owner
    const next = this.#next(current)
    if (next === undefined) {
      this.#wanted = 0
      return
    }
    // The bundle is on its way; the call waits as long as it can.
    if (!around.pieces.isReady(next.entry.manifest.bundle.sha256)) return
    this.#simulating = next.version
    const simulated = { ...state.simulated, [next.version]: next.entry.hash }
    this.#owner.keep({ ...state, futures: [...state.futures, next.version], simulated })
    this.#owner.run({ command: 'simulate', object: state.object, version: next.version })
  }

  /** The lowest version up to the wanted one that has no future SO yet; undefined if none can be added. */
  #next(current: { version: number; entry: string }): LineageVersion | undefined {
    for (const one of this.#ahead(current)) {
      if (one.version > this.#wanted) return undefined
      if (!this.#owner.state.futures.includes(one.version)) return one
    }
    return undefined
  }

  /** Versions above the current one that future SOs serve, or could, ascending: each rests on the one below. */
  *#ahead(current: { version: number; entry: string }): Generator<LineageVersion> {
    const { around, state } = this.#owner
    const { schema } = around.log
    if (around.log.at(current.version)?.hash !== current.entry) return
    for (let below = current.version; ; ) {
      const one = schema.next(state.object, below)
      if (one === undefined || one.upgrade.future === null) return
      if (state.withheld.includes(one.version) || this.#unsimulable.has(one.version)) return
      yield one
      below = one.version
    }
  }

  onSimulated(event: Done): void {
    if (event.version !== this.#simulating) return
    this.#simulating = 0
    if (event.ok || !this.#owner.isServing) return
    this.#wanted = 0
    this.#without([event.version], event.interrupted === true)
    const reason = `the future SO of version ${event.version} did not start: ${event.reason}`
    this.#owner.reason = reason
    this.#alarm('SimulationFailed', reason)
  }

  /** The object died. A future SO that was starting never answered a call: it is left out of the next start. */
  onDied(interrupted: boolean): void {
    this.#discarding = []
    if (this.#simulating === 0) return
    this.#without([this.#simulating], interrupted)
    this.#simulating = 0
  }

  /** L14: durably before the object serves so. */
  withhold(deaths: number): void {
    const loaded = this.loaded()
    if (loaded.length === 0) return
    this.#keepWithheld(this.#owner.state.futures)
    const text = `died ${deaths} times; it is started without the future SO of version ${loaded.join(', ')}`
    this.#alarm('SimulationWithheld', text)
  }

  /**
   * D24, R3: the fork ended on the other branch. What callers of this one wrote through its SO is of another version of
   * the same number: nobody is answered from it, no TF takes it for the other's, and an operator says that it may go.
   */
  withholdStrays(): void {
    const { around, state } = this.#owner
    const isStray = (version: number) => {
      const [own, chain] = [state.simulated?.[version], around.log.at(version)?.hash]
      return own !== undefined && chain !== undefined && own !== chain
    }
    const stray = this.loaded().find(isStray)
    if (stray === undefined) return
    this.#keepWithheld(state.futures.filter((one) => one >= stray))
    this.#alarm('SimulationWithheld', `the future SO of version ${stray} is of a branch that the fleet left`)
  }

  /** The host quarantined a future SO while it served; what rests on it went with it (V10). */
  onQuarantined(version: number, reason: string): void {
    const { futures, withheld, current } = this.#owner.state
    this.#alarm('SimulationQuarantined', `the SO of version ${version} is served no more: ${reason}`)
    if (version <= (current?.version ?? 0)) return
    if (futures.includes(version)) this.#keepWithheld([...withheld, ...futures.filter((one) => one >= version)])
  }

  /** The object was started: those it was started without and that have no state are simply gone (MODEL: dropped). */
  onStarted(stale: readonly number[]): void {
    const { withheld } = this.#owner.state
    const dropped = withheld.filter((version) => !stale.includes(version))
    if (dropped.length > 0) this.#without(dropped, false)
    const unheard = stale.filter((version) => this.#owner.state.futures.includes(version))
    if (unheard.some((version) => !this.#owner.state.withheld.includes(version))) this.#keepWithheld(unheard)
  }

  /** L15: a retry that discards them was stated since they were withheld. */
  #considerDiscard(): void {
    const { state, around } = this.#owner
    const known = Math.max(state.discards ?? 0, this.#vain)
    if (state.withheld.length === 0 || around.statements.discards(around.self) <= known) return
    this.#discarding = state.withheld
    this.#owner.run({ command: 'remove', object: state.object, versions: state.withheld })
  }

  /** SOs were taken out with their state: future ones were discarded, and start anew from MF(O) when a call comes. */
  onRemoved(event: Done): void {
    const discarded = this.#discarding
    if (discarded.length === 0) return
    this.#discarding = []
    const { state, around } = this.#owner
    if (!event.ok) {
      // Tried again in the next life of this process, or by the next retry.
      this.#vain = around.statements.discards(around.self)
      return this.#alarm('DiscardFailed', event.reason)
    }
    // What was quarantined meanwhile is not what the operator spoke of: it needs another word.
    const rest = (list: readonly number[]) => list.filter((version) => !discarded.includes(version))
    this.#owner.keep({ ...state, futures: rest(state.futures), withheld: rest(state.withheld) })
    for (const version of discarded) this.#unsimulable.delete(version)
    this.#owner.reason = ''
  }

  #keepWithheld(versions: readonly number[]): void {
    const { state, around } = this.#owner
    const withheld = [...new Set([...state.withheld, ...versions])].sort((a, b) => a - b)
    this.#owner.keep({ ...state, withheld, discards: around.statements.discards(around.self) })
  }

  /** `again`: it was not their fault (L20); the next call may start them. */
  #without(versions: readonly number[], again: boolean): void {
    const { state } = this.#owner
    const rest = (list: readonly number[]) => list.filter((version) => !versions.includes(version))
    for (const version of again ? [] : versions) this.#unsimulable.add(version)
    this.#owner.keep({ ...state, futures: rest(state.futures), withheld: rest(state.withheld) })
  }

  #alarm(name: string, text: string): void {
    const { state, around } = this.#owner
    around.outbox.send({ type: 'alarm', name, text: `${state.object}: ${text}` })
  }
}
