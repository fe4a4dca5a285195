/**
 * Drives one object through its upgrades (SPEC L): looks at log, bundles, schedule and permit, tells the host what to
 * do, and hears its completions. Every change of `state` is persisted by the step that makes it.
 */
import { evaluate, type Verdict } from '../schedule/evaluate.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { Statement } from '../upgrade/statement.ts'
import { Deaths } from './deaths.ts'
import type { Event, HostCommand } from './events.ts'
import { BEGUN, commit, enter, fail, goBack, type ObjectState, repeat, resume, targetOf } from './lifecycle.ts'
import type { PermitWish } from './permits.ts'
import type { ObjectRecord } from './record.ts'
import type { Surroundings } from './surroundings.ts'
import { abortOf, chooseTarget } from './target.ts'

/** How long to wait after an obstacle that is not the version's fault. */
const TRY_AGAIN_MS = 30_000
/** How much of a soak a crash may cost. */
const PROGRESS_MS = 60_000

/** Whether the current object answers calls. `stopped`: for the upgrade. */
export type Service = 'none' | 'starting' | 'serving' | 'stopped' | 'failing'

type Done = Extract<Event, { type: 'done' }>

export class HostedObject {
  state: ObjectState
  service: Service = 'none'
  /** Why it waits, or what went wrong: one sentence. */
  reason = ''
  readonly #around: Surroundings
  #restartAt = Number.POSITIVE_INFINITY
  readonly #deaths = new Deaths()
  /** Undefined until the first evaluation of this process: time while the peer was off does not count. */
  #evaluatedAt: number | undefined
  #persistedAt = 0
  #wanted = 0
  #simulating = 0
  /** Versions whose future SO did not start here; not tried again by this process. */
  readonly #unsimulable = new Set<number>()
  #permitWish: number | null = null
  /** After an obstacle that is not the version's fault: no new attempt before this time, and what the obstacle was. */
  #notBefore = 0
  #obstacle = ''

  constructor(state: ObjectState, around: Surroundings) {
    this.state = state
    this.#around = around
  }

  get wish(): PermitWish {
    return { unavailable: this.#permitWish, begun: this.begun }
  }
  get begun(): boolean {
    return this.state.current !== null && BEGUN.has(this.state.phase.name)
  }
  get busy(): boolean {
    return this.state.phase.name === 'warming' || BEGUN.has(this.state.phase.name)
  }

  /** After construction from durable state. */
  boot(): void {
    const resumption = resume(this.state, this.#retries())
    if (resumption.state !== this.state) this.#keep(resumption.state)
    if (resumption.serve) {
      this.#run({ command: 'clean', object: this.state.object, keep: this.state.current?.attempt ?? 0 })
      if (this.state.current === null && this.state.phase.name === 'returning')
        this.#keep(enter(this.state, { name: 'idle' }))
      this.#start()
      return
    }
    this.service = this.state.current === null ? 'none' : 'stopped'
    this.#run({ command: 'abandon', object: this.state.object, attempt: resumption.from })
    this.#transform()
  }

  /** Takes every step that is possible now. Returns when to look again without an event, ms. */
  advance(now: number): number {
    if (this.#restartAt <= now) this.#start()
    const { name } = this.state.phase
    let next = Number.POSITIVE_INFINITY
    if (name === 'idle' || name === 'fetching' || name === 'waiting') next = this.#considerUpgrade(now)
    this.#considerSimulation()
    return Math.min(next, this.#restartAt)
  }

  onWanted(version: number): void {
    this.#wanted = version
  }

  onDied(event: Extract<Event, { type: 'died' }>, now: number): void {
    const { phase } = this.state
    // The host may see the end of a process before it can tell that it took it into service.
    const activating = phase.name === 'activating' && phase.attempt === event.attempt
    if (this.service !== 'serving' && this.service !== 'starting' && !activating) return
    this.#failing(event, now)
  }

  onDone(event: Done, now: number): void {
    switch (event.command) {
      case 'start':
        return this.#onStarted(event, now)
      case 'warm':
        return this.#onWarm(event, now)
      case 'drain':
        return this.#onStep(event, 'draining', now, () => {
          this.#keep(enter(this.state, { ...this.#attempt(), name: 'transforming' }))
          this.#transform()
        })
      case 'transform':
        return this.#onStep(event, 'transforming', now, () => {
          const { target, attempt } = this.#attempt()
          this.#keep(enter(this.state, { ...this.#attempt(), name: 'proving' }))
          this.#run({ command: 'prove', object: this.state.object, attempt, version: target, past: this.#past(target) })
        })
      case 'prove':
        return this.#onStep(event, 'proving', now, () => {
          const { target, attempt } = this.#attempt()
          this.#keep(commit(this.state))
          this.#run({ command: 'serve', object: this.state.object, attempt, version: target })
        })
      case 'serve':
        if (this.state.phase.name !== 'activating' || event.attempt !== this.state.phase.attempt) return
        if (this.service === 'failing' || this.service === 'starting') return
        if (event.ok) this.#serving(now)
        else this.#failing(event, now)
        return
      case 'abandon':
        if (this.state.phase.name === 'returning' && event.attempt === this.state.phase.attempt) this.#returned()
        return
      case 'simulate':
        return this.#onSimulated(event)
      case 'clean':
        if (event.ok) return
        this.#around.outbox.send({ type: 'alarm', name: 'CleanFailed', text: `${this.state.object}: ${event.reason}` })
        return
    }
  }

  record(): ObjectRecord {
    const { current, phase, failures, object } = this.state
    const past = current === null ? [] : this.#past(current.version)
    return {
      version: current?.version ?? 0,
      entry: current?.entry.slice(0, 16) ?? '',
      lowest: past[0] ?? current?.version ?? 0,
      highest: Math.max(current?.version ?? 0, ...this.#loaded().filter((version) => version !== this.#simulating)),
      phase: phase.name,
      target: targetOf(phase),
      serving: this.service === 'serving',
      reason: this.reason.slice(0, 300),
      failed: failures.map(({ version, reason }) => ({ version, reason: `${object}: ${reason}`.slice(0, 300) }))
    }
  }

  // ---- choosing and scheduling the next version

  #considerUpgrade(now: number): number {
    this.#permitWish = null
    const choice = chooseTarget(this.state, this.#around)
    const { target } = choice
    if (target === undefined) {
      if (this.state.phase.name !== 'idle') this.#keep(enter(this.state, { name: 'idle' }))
      if (this.service === 'serving' || this.service === 'none') this.reason = choice.reason
      return Number.POSITIVE_INFINITY
    }
    const { version, entry } = target
    if (!('entry' in this.state.phase) || this.state.phase.entry !== entry.hash) {
      // A failure that a retry has lifted is forgotten here: it is the new attempt that counts.
      const failures = this.state.failures.filter((one) => one.entry !== entry.hash)
      const next = enter(this.state, { name: 'fetching', target: version, entry: entry.hash })
      this.#keep({ ...next, failures, interruptions: 0, progress: {} })
      this.#evaluatedAt = now
    }
    const missing = this.#missingBundle(target)
    if (missing !== undefined) {
      this.reason = missing
      return Number.POSITIVE_INFINITY
    }
    if (this.state.phase.name === 'fetching')
      this.#keep(enter(this.state, { name: 'waiting', target: version, entry: entry.hash }))
    return this.#decide(target, now)
  }

  /** SF and constraints: go, or wait because … */
  #decide(target: LineageVersion, now: number): number {
    const verdict = this.#judge(target, now)
    if (!verdict.go) {
      this.reason = verdict.reason.sentence
      return verdict.inMs === undefined ? Number.POSITIVE_INFINITY : now + Math.min(verdict.inMs, PROGRESS_MS)
    }
    if (!this.#mayBegin(target)) {
      const unavailable = Math.min(...target.upgrade.schedule.constraints.map((one) => one.unavailable))
      this.#permitWish = unavailable
      this.reason = this.#around.sayPermit(unavailable)
      return Number.POSITIVE_INFINITY
    }
    const unavailable = target.upgrade.schedule.constraints.map((one) => one.unavailable)
    if (this.#needsPermit(target)) this.#permitWish = Math.min(...unavailable)
    const attempt = this.state.attempts + 1
    this.reason = ''
    this.#keep(enter(this.state, { name: 'warming', target: target.version, entry: target.entry.hash, attempt }))
    const { object, futures } = this.state
    this.#run({ command: 'warm', object, attempt, version: target.version, future: futures })
    return Number.POSITIVE_INFINITY
  }

  /** Conditions of the schedule and pauses; constraints come after (they are acquired last). */
  #judge(target: LineageVersion, now: number): Verdict {
    const { progress } = this.state
    const wait = (kind: 'pause' | 'turn', sentence: string, inMs?: number): Verdict => ({
      go: false,
      progress,
      reason: { kind, sentence },
      inMs
    })
    const passedMs = this.#evaluatedAt === undefined ? 0 : Math.max(0, now - this.#evaluatedAt)
    this.#evaluatedAt = now
    const verdict = evaluate(target.upgrade.schedule.when, progress, passedMs, {
      approved: this.#around.statements.approved(target.entry.hash)
    })
    this.#noteProgress(verdict.progress, now)
    const pause = this.#around.statements.pauses(target.entry.hash, now)[0]
    if (pause !== undefined) {
      const note = pause.body.note === '' ? '' : ` (${pause.body.note})`
      return wait('pause', `paused by statement ${pause.hash.slice(0, 12)}${note}`, pause.expires - now)
    }
    if (!verdict.go) return verdict
    if (now < this.#notBefore) return wait('turn', this.#obstacle, this.#notBefore - now)
    if (this.service === 'starting') return wait('turn', 'the current object is starting')
    if (this.#simulating > 0) return wait('turn', `the future SO of version ${this.#simulating} is starting`)
    if (this.#around.othersBusy(this.state.object)) return wait('turn', 'another object of this node is upgrading')
    return verdict
  }

  #needsPermit(target: LineageVersion): boolean {
    return this.state.current !== null && target.upgrade.schedule.constraints.length > 0
  }

  /** S5: a permit that was given back while the new code was imported is acquired again before the object stops. */
  #mayBegin(target: LineageVersion): boolean {
    return !this.#needsPermit(target) || this.#around.holdsPermit(this.state.object)
  }

  #noteProgress(progress: ObjectState['progress'], now: number): void {
    const known = this.state.progress
    const grown = Object.keys(progress).length !== Object.keys(known).length
    const changed = grown || Object.entries(progress).some(([path, passed]) => known[path] !== passed)
    if (!changed) return
    if (!grown && now - this.#persistedAt < PROGRESS_MS) {
      this.state = { ...this.state, progress }
      return
    }
    this.#persistedAt = now
    this.#keep({ ...this.state, progress })
  }

  #missingBundle(target: LineageVersion): string | undefined {
    const { log, pieces } = this.#around
    const lowest = log.schema.past(this.state.object, target.version)[0] ?? target.version
    const from = this.state.current?.version ?? lowest
    for (const { version, entry } of log.schema.versions(this.state.object)) {
      if (version > target.version || version < from || (version === from && version !== target.version)) continue
      const { sha256 } = entry.manifest.bundle
      if (pieces.isReady(sha256)) continue
      const [held, all] = pieces.share(sha256)
      return `fetches the bundle of version ${version}: ${held} of ${all} pieces`
    }
    return undefined
  }

  // ---- future SOs

  /** A call from the future came: start the next version's SO. It is durable that it was started before it answers. */
  #considerSimulation(): void {
    const { current, phase } = this.state
    if (this.#wanted === 0 || current === null || this.#simulating > 0 || this.service !== 'serving') return
    if (phase.name !== 'idle' && phase.name !== 'fetching' && phase.name !== 'waiting') return
    const next = this.#around.log.schema.next(this.state.object, current.version)
    if (next === undefined || this.#around.log.at(current.version)?.hash !== current.entry) return
    const ready = this.#around.pieces.isReady(next.entry.manifest.bundle.sha256)
    if (this.#wanted < next.version || next.upgrade.future === null || !ready) return
    if (this.state.futures.includes(next.version) || this.#unsimulable.has(next.version)) return
    this.#simulating = next.version
    this.#keep({ ...this.state, futures: [...this.state.futures, next.version] })
    this.#run({ command: 'simulate', object: this.state.object, version: next.version })
  }

  #onSimulated(event: Done): void {
    if (event.version !== this.#simulating) return
    this.#simulating = 0
    this.#wanted = 0
    if (event.ok || this.service !== 'serving') return
    if (event.interrupted !== true) this.#unsimulable.add(event.version)
    this.#keep({ ...this.state, futures: this.state.futures.filter((version) => version !== event.version) })
    this.reason = `the future SO of version ${event.version} did not start: ${event.reason}`
    this.#around.outbox.send({ type: 'alarm', name: 'SimulationFailed', text: `${this.state.object}: ${this.reason}` })
  }

  // ---- steps of an upgrade

  #onWarm(event: Done, now: number): void {
    if (this.state.phase.name !== 'warming' || event.attempt !== this.state.phase.attempt) return
    if (!event.ok) return this.#unsuccessful(event, now)
    const { target, entry, attempt } = this.#attempt()
    const wanted = chooseTarget(this.state, this.#around).target
    const lapsed = wanted?.entry.hash !== entry || !this.#judge(wanted, now).go || !this.#mayBegin(wanted)
    if (lapsed) {
      this.#keep(enter(this.state, { name: 'waiting', target, entry }))
      this.#run({ command: 'abandon', object: this.state.object, attempt })
      return
    }
    if (this.service === 'serving') {
      this.#keep(enter(this.state, { name: 'draining', target, entry, attempt }))
      this.service = 'stopped'
      this.#run({ command: 'drain', object: this.state.object, boundMs: this.#around.drainMs })
      return
    }
    this.#restartAt = Number.POSITIVE_INFINITY
    if (this.state.current !== null) this.service = 'stopped'
    this.#keep(enter(this.state, { name: 'transforming', target, entry, attempt }))
    this.#transform()
  }

  /** A completion of the step that the object is in; late ones of earlier attempts are nothing to it. */
  #onStep(event: Done, phase: 'draining' | 'transforming' | 'proving', now: number, go: () => void): void {
    if (this.state.phase.name !== phase) return
    if (phase !== 'draining' && event.attempt !== this.state.phase.attempt) return
    const { target, entry } = this.#attempt()
    if (!event.ok) this.#unsuccessful(event, now)
    // No peer runs a version that the fleet disputes (T6): what was begun before the fork was heard of goes back.
    else if (this.#around.log.at(target)?.hash !== entry) this.#fail('the log forked at this version')
    else if (this.#abort(entry) !== undefined)
      this.#fail(`aborted by statement ${this.#abort(entry)?.hash.slice(0, 12)}`)
    else go()
  }

  #abort(entry: string): Statement | undefined {
    const known = this.#around.log.get(entry)
    return known === undefined ? undefined : abortOf(this.#around, known)
  }

  #transform(): void {
    const { target, attempt } = this.#attempt()
    const { current, futures, object } = this.state
    const from = current === null ? null : { attempt: current.attempt, version: current.version, future: futures }
    this.#run({ command: 'transform', object, attempt, version: target, from })
  }

  /** A step that did not succeed: the version failed here, or the node could not (L12) and tries again later. */
  #unsuccessful(event: Done, now: number): void {
    if (event.interrupted === true) return this.#repeat(event.reason)
    if (event.again !== true) return this.#fail(event.reason)
    this.#notBefore = now + TRY_AGAIN_MS
    this.#obstacle = event.reason
    this.reason = event.reason
    const { target, entry, attempt } = this.#attempt()
    const warming = this.state.phase.name === 'warming'
    this.#keep(warming ? enter(this.state, { name: 'waiting', target, entry }) : goBack(this.state, event.reason))
    this.#around.outbox.send({ type: 'alarm', name: 'UpgradePostponed', text: `${this.state.object}: ${event.reason}` })
    this.#run({ command: 'abandon', object: this.state.object, attempt })
  }

  /** L20: at once, in a fresh attempt; not for ever. */
  #repeat(reason: string): void {
    const again = repeat(this.state)
    if (again === undefined) return this.#fail(reason)
    const { attempt } = this.#attempt()
    this.reason = `${this.state.phase.name} was interrupted: ${reason}`
    this.#keep(again)
    this.#around.outbox.send({ type: 'alarm', name: 'UpgradeInterrupted', text: `${again.object}: ${this.reason}` })
    this.#run({ command: 'abandon', object: again.object, attempt })
    if (again.phase.name === 'transforming') this.#transform()
  }

  /** L4, L5: the way back. */
  #fail(reason: string): void {
    const { target, attempt } = this.#attempt()
    this.reason = `went back from version ${target}: ${reason}`
    this.#keep(fail(this.state, reason.slice(0, 300), this.#retries()))
    this.#around.outbox.send({ type: 'alarm', name: 'UpgradeFailed', text: `${this.state.object}: ${this.reason}` })
    this.#run({ command: 'abandon', object: this.state.object, attempt })
  }

  /** The failed attempt is gone: serve the old version again. */
  #returned(): void {
    if (this.state.current === null || this.service === 'serving') {
      this.#permitWish = null
      this.#keep(enter(this.state, { name: 'idle' }))
    } else this.#start()
  }

  // ---- the current object's service

  #start(): void {
    this.#restartAt = Number.POSITIVE_INFINITY
    const { current, object } = this.state
    if (current === null) return
    this.service = 'starting'
    const { version, attempt } = current
    this.#run({ command: 'start', object, attempt, version, past: this.#past(version), future: this.#loaded() })
  }

  #onStarted(event: Done, now: number): void {
    if (this.service !== 'starting' || event.attempt !== this.state.current?.attempt) return
    if (event.ok) this.#serving(now)
    else this.#failing(event, now)
  }

  #serving(now: number): void {
    this.service = 'serving'
    this.#deaths.served(now)
    const { name } = this.state.phase
    if (name !== 'activating' && name !== 'returning') {
      if (name === 'idle') this.reason = ''
      return
    }
    if (name === 'activating') this.reason = ''
    this.#permitWish = null
    this.#keep(enter(this.state, { name: 'idle' }))
    this.#run({ command: 'clean', object: this.state.object, keep: this.state.current!.attempt })
  }

  /** Restarts with back-off; after the commit there is no silent way back (L4). */
  #failing({ reason, interrupted }: { reason: string; interrupted?: boolean }, now: number): void {
    const waitMs = this.#deaths.add(this.service === 'serving', interrupted === true, now)
    this.service = 'failing'
    this.#dropUnprovenFuture(interrupted === true)
    this.reason = reason
    if (this.#deaths.blameFutures) this.#withholdFutures()
    this.#restartAt = now + waitMs
    this.#around.outbox.send({
      type: 'alarm',
      name: 'ObjectFailing',
      text: `${this.state.object} version ${this.state.current?.version}: ${reason}`
    })
  }

  /** L14: an object that keeps dying with future SOs loaded is started without them, durably before it serves so. */
  #withholdFutures(): void {
    const loaded = this.#loaded()
    if (loaded.length === 0) return
    this.#keep({ ...this.state, withheld: [...this.state.futures] })
    const text = `${this.state.object} died ${this.#deaths.count} times; it is started without the future SO of version ${loaded.join(', ')}`
    this.#around.outbox.send({ type: 'alarm', name: 'SimulationWithheld', text })
  }

  /** Versions whose future SO the object is started with. */
  #loaded(): number[] {
    return this.state.futures.filter((version) => !this.state.withheld.includes(version))
  }

  /** A future SO that was starting when the object died never answered a call: it is left out of the next start. */
  #dropUnprovenFuture(interrupted: boolean): void {
    if (this.#simulating === 0) return
    if (!interrupted) this.#unsimulable.add(this.#simulating)
    this.#keep({ ...this.state, futures: this.state.futures.filter((version) => version !== this.#simulating) })
    this.#simulating = 0
  }

  // ---- small

  #attempt(): { target: number; entry: string; attempt: number } {
    const { phase } = this.state
    if (!('attempt' in phase)) throw new Error(`${this.state.object} has no attempt while ${phase.name}`)
    return { target: phase.target, entry: phase.entry, attempt: phase.attempt }
  }

  /** Retries that were stated of the entry on the way. */
  #retries(): number {
    const { phase } = this.state
    return 'entry' in phase ? this.#around.statements.retries(phase.entry, this.#around.self) : 0
  }

  #past(version: number): number[] {
    const { log } = this.#around
    const { current, object } = this.state
    // The branch that it runs may not be on the chain any more.
    const schema = current?.version === version ? log.schemaOf(current.entry) : log.schema
    return schema.past(object, version)
  }

  #keep(state: ObjectState): void {
    this.state = state
    this.#around.outbox.persist(`object/${state.object}`, state)
  }

  #run(command: HostCommand): void {
    this.#around.outbox.run({ type: 'run', command })
  }
}
