/**
 * Drives one object through its upgrades (SPEC L): looks at log, bundles, schedule and permit, tells the host what to
 * do, and hears its completions. Every change of `state` is persisted by the step that makes it.
 */
import type { Reason } from '../schedule/evaluate.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { Calls } from './call-rate.ts'
import { Deaths } from './deaths.ts'
import { Decision, type DecisionOwner } from './decision.ts'
import type { Event, HostCommand } from './events.ts'
import { type FutureOwner, Futures } from './futures.ts'
import { BEGUN, commit, enter, fail, goBack, type ObjectState, repeat, resume, targetOf } from './lifecycle.ts'
import { missingBundle, refusedNeed } from './needs.ts'
import type { PermitWish } from './permits.ts'
import type { ObjectRecord } from './record.ts'
import type { Surroundings } from './surroundings.ts'
import { chooseTarget, forbidden } from './target.ts'

/** Whether the current object answers calls. `stopped`: for the upgrade. */
export type Service = 'none' | 'starting' | 'serving' | 'stopped' | 'failing'

/** Kinds of reasons that a reading of the census may be behind. */
const AWAIT_OTHERS: ReadonlySet<string> = new Set(['canary', 'waves', 'domains', 'afterClass', 'signalled', 'any'])
const READ_CENSUS: ReadonlySet<string> = new Set(['guard', 'custom', 'any', 'not', 'notWhile'])

type Done = Extract<Event, { type: 'done' }>

const NONE: readonly number[] = []

export class HostedObject implements DecisionOwner, FutureOwner {
  state: ObjectState
  service: Service = 'none'
  #reason = ''
  /** The same as data, where the schedule says it. */
  #why: Reason | undefined
  readonly around: Surroundings
  #restartAt = Number.POSITIVE_INFINITY
  readonly #deaths = new Deaths()
  readonly #decision: Decision
  readonly #futures: Futures
  /** Versions of the past that the object's process hosts. */
  #hostedPast: readonly number[] = NONE
  #retiring = false
  /** Those that the process which was warmed last hosts, whatever was retired since. */
  #warmPast: readonly number[] = NONE
  #permitWish: number | null = null
  /** How many calls fail at the current version, as far as the driver told. */
  #rate: Calls | undefined

  constructor(state: ObjectState, around: Surroundings) {
    this.state = state
    this.around = around
    this.#decision = new Decision(this)
    this.#futures = new Futures(this)
  }

  /** Why it waits, or what went wrong: one sentence. */
  get reason(): string {
    return this.#reason
  }
  set reason(sentence: string) {
    this.#reason = sentence
    this.#why = undefined
  }
  /** Whether what it waits for may be what the census tells: a guard, or code. */
  get readsCensus(): boolean {
    return READ_CENSUS.has(this.#why?.kind ?? '')
  }
  /** Whether what it waits for is what others show. */
  get awaitsOthers(): boolean {
    return AWAIT_OTHERS.has(this.#why?.kind ?? '')
  }
  get wish(): PermitWish {
    return { unavailable: this.#permitWish, begun: this.begun }
  }
  get begun(): boolean {
    return this.state.current !== null && BEGUN.has(this.state.phase.name)
  }
  /** Why the next future SO that is to be started by itself is not started yet; empty if there is none. */
  get futureReason(): string {
    return this.#futures.reason
  }
  get busy(): boolean {
    return this.state.phase.name === 'warming' || BEGUN.has(this.state.phase.name)
  }

  /** After construction from durable state. */
  boot(): void {
    const resumption = resume(this.state, this.#retries())
    if (resumption.state !== this.state) this.keep(resumption.state)
    if (resumption.serve) {
      this.run({ command: 'clean', object: this.state.object, keep: this.state.current?.attempt ?? 0 })
      if (this.state.current === null && this.state.phase.name === 'returning')
        this.keep(enter(this.state, { name: 'idle' }))
      this.#start()
      return
    }
    this.service = this.state.current === null ? 'none' : 'stopped'
    this.run({ command: 'abandon', object: this.state.object, attempt: resumption.from })
    this.#transform()
  }

  /** Takes every step that is possible now. Returns when to look again without an event, ms. */
  advance(now: number): number {
    if (this.#restartAt <= now) this.#start()
    const steadyAt = this.#deaths.settle(this.service === 'serving', now)
    this.#futures.withholdStrays()
    const { name } = this.state.phase
    let next = Number.POSITIVE_INFINITY
    if (name === 'idle' || name === 'fetching' || name === 'waiting') next = this.#considerUpgrade(now)
    if (!this.#retiring) next = Math.min(next, this.#futures.advance(now))
    this.#considerRetirement()
    return Math.min(next, this.#restartAt, steadyAt)
  }

  onWanted(version: number): void {
    this.#futures.want(version)
  }

  onQuarantined(version: number, reason: string): void {
    this.#futures.onQuarantined(version, reason)
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
          const next = enter(this.state, { ...this.#attempt(), name: 'transforming' })
          this.keep({ ...next, before: this.#rate ?? null })
          this.#transform()
        })
      case 'transform':
        return this.#onStep(event, 'transforming', now, () => {
          const { target, attempt } = this.#attempt()
          this.keep(enter(this.state, { ...this.#attempt(), name: 'proving' }))
          const past = this.pastOf(target)
          const future = this.#rebased(target)
          this.run({ command: 'prove', object: this.state.object, attempt, version: target, past, future })
        })
      case 'prove':
        return this.#onStep(event, 'proving', now, () => {
          const { target, attempt } = this.#attempt()
          this.#hostedPast = [...new Set([...this.#warmPast, ...this.pastOf(target)])]
          this.#rate = undefined
          this.keep(commit(this.state))
          this.run({ command: 'serve', object: this.state.object, attempt, version: target })
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
        return this.#futures.onSimulated(event)
      case 'remove':
        if (!this.#retiring) return this.#futures.onRemoved(event)
        this.#retiring = false
        if (!event.ok) this.around.outbox.send({ type: 'alarm', name: 'RetireFailed', text: event.reason })
        return
      case 'clean':
        if (event.ok) return
        this.around.outbox.send({ type: 'alarm', name: 'CleanFailed', text: `${this.state.object}: ${event.reason}` })
        return
    }
  }

  onMeasured({ attempt, calls, failed }: Extract<Event, { type: 'measured' }>): void {
    if (attempt === this.state.current?.attempt) this.#rate = { calls, failed }
  }

  record(): ObjectRecord {
    const { current, phase, failures, object } = this.state
    const past = current === null ? [] : this.pastOf(current.version)
    return {
      version: current?.version ?? 0,
      entry: current?.entry.slice(0, 16) ?? '',
      lowest: past[0] ?? current?.version ?? 0,
      highest: this.#futures.highest(current?.version ?? 0),
      phase: phase.name,
      target: targetOf(phase),
      serving: this.service === 'serving',
      reason: this.reason.slice(0, 300),
      ...this.#said(),
      ...(this.#deaths.crashes > 0 ? { crashes: this.#deaths.crashes } : {}),
      failed: failures.map(({ version, reason }) => ({ version, reason: `${object}: ${reason}`.slice(0, 300) }))
    }
  }

  #said(): Pick<ObjectRecord, 'why' | 'calls'> {
    const [now, before] = [this.#rate, this.state.before ?? undefined]
    const calls = now === undefined || before === undefined || !this.#isCompared() ? {} : { calls: { now, before } }
    if (this.#why === undefined) return calls
    const { kind, peers, statement } = this.#why
    return { ...calls, why: { kind, peers: [...(peers ?? [])], ...(statement === undefined ? {} : { statement }) } }
  }

  /** S24: figures of calls are told where a guard of the upgrade that brought this version looks at them. */
  #isCompared(): boolean {
    const { current, object } = this.state
    if (current === null) return false
    const found = this.around.log.schemaOf(current.entry).at(object, current.version)
    return found?.upgrade.schedule.constraints.some((one) => one.kind === 'guard' && one.worse !== undefined) ?? false
  }

  // ---- choosing and scheduling the next version

  #considerUpgrade(now: number): number {
    this.#permitWish = null
    const choice = chooseTarget(this.state, this.around, now)
    const { target } = choice
    if (target === undefined) {
      if (this.state.phase.name !== 'idle') this.keep(enter(this.state, { name: 'idle' }))
      if (this.service === 'serving' || this.service === 'none') this.reason = choice.reason
      return Number.POSITIVE_INFINITY
    }
    const { version, entry } = target
    if (!('entry' in this.state.phase) || this.state.phase.entry !== entry.hash) {
      // A failure that a retry has lifted is forgotten here: it is the new attempt that counts.
      const failures = this.state.failures.filter((one) => one.entry !== entry.hash)
      const next = enter(this.state, { name: 'fetching', target: version, entry: entry.hash })
      const progress = this.state.progressOf === entry.hash ? this.state.progress : {}
      this.keep({ ...next, failures, interruptions: 0, progress, progressOf: entry.hash })
      this.#decision.begin(now)
    }
    const missing = missingBundle(this, target, this.around) ?? refusedNeed(target, this.around.init)
    if (missing !== undefined) {
      this.reason = missing
      return Number.POSITIVE_INFINITY
    }
    if (this.state.phase.name === 'fetching')
      this.keep(enter(this.state, { name: 'waiting', target: version, entry: entry.hash }))
    return this.#decide(target, now)
  }

  /** SF and constraints: go, or wait because … */
  #decide(target: LineageVersion, now: number): number {
    const verdict = this.#decision.consider(target, now)
    this.#permitWish = verdict.permit
    if (!verdict.go) {
      this.reason = verdict.reason.sentence
      this.#why = verdict.reason
      return now + (verdict.inMs ?? Number.POSITIVE_INFINITY)
    }
    const attempt = this.state.attempts + 1
    this.reason = ''
    this.keep(enter(this.state, { name: 'warming', target: target.version, entry: target.entry.hash, attempt }))
    const [past, future] = [this.pastOf(target.version), this.#futures.loaded()]
    this.#warmPast = past
    this.run({ command: 'warm', object: this.state.object, attempt, version: target.version, past, future })
    return Number.POSITIVE_INFINITY
  }

  /** What keeps the object from stopping just now, whatever the schedule says. */
  obstacle(target: number): string | undefined {
    if (this.service === 'starting') return 'the current object is starting'
    if (this.#futures.obstacle !== undefined) return this.#futures.obstacle
    if (this.#retiring) return 'past SOs are being taken out'
    const stale = this.#futures.stale(target)
    if (stale > 0)
      return `the future SO of version ${stale} missed calls; "upstart retry --discard-future" lets it start anew`
    return this.around.othersBusy(this.state.object) ? 'another object of this node is upgrading' : undefined
  }

  // ---- steps of an upgrade

  #onWarm(event: Done, now: number): void {
    if (this.state.phase.name !== 'warming' || event.attempt !== this.state.phase.attempt) return
    if (!event.ok) return this.#unsuccessful(event, now)
    const { target, entry, attempt } = this.#attempt()
    const wanted = chooseTarget(this.state, this.around, now).target
    const lapsed = wanted?.entry.hash !== entry || !this.#decision.mayBegin(wanted, now)
    if (lapsed) {
      this.keep(enter(this.state, { name: 'waiting', target, entry }))
      this.run({ command: 'abandon', object: this.state.object, attempt })
      return
    }
    if (this.service === 'serving') {
      this.keep({ ...enter(this.state, { name: 'draining', target, entry, attempt }), before: null })
      this.service = 'stopped'
      this.run({ command: 'drain', object: this.state.object, boundMs: this.around.drainMs })
      return
    }
    this.#restartAt = Number.POSITIVE_INFINITY
    if (this.state.current !== null) this.service = 'stopped'
    this.keep({ ...enter(this.state, { name: 'transforming', target, entry, attempt }), before: null })
    this.#transform()
  }

  /** A completion of the step that the object is in; late ones of earlier attempts are nothing to it. */
  #onStep(event: Done, phase: 'draining' | 'transforming' | 'proving', now: number, go: () => void): void {
    if (this.state.phase.name !== phase) return
    if (phase !== 'draining' && event.attempt !== this.state.phase.attempt) return
    if (!event.ok) return this.#unsuccessful(event, now)
    // T6, L11, R1: what was begun before the fork, the abort or the replacement was heard of goes back.
    const forbids = forbidden(this.around, this.#attempt().entry)
    if (forbids === undefined) go()
    else this.#goBack(forbids)
  }

  #transform(): void {
    const { target, attempt } = this.#attempt()
    const { current, futures, object } = this.state
    const from = current === null ? null : { attempt: current.attempt, version: current.version, future: futures }
    this.run({ command: 'transform', object, attempt, version: target, from })
  }

  /** A step that did not succeed: the version failed here, or the node could not (L12) and tries again later. */
  #unsuccessful(event: Done, now: number): void {
    if (event.interrupted === true) return this.#repeat(event.reason)
    if (event.again !== true) return this.#fail(event.reason)
    this.#decision.postpone(event.reason, now)
    this.reason = event.reason
    const { target, entry, attempt } = this.#attempt()
    const warming = this.state.phase.name === 'warming'
    this.keep(warming ? enter(this.state, { name: 'waiting', target, entry }) : goBack(this.state, event.reason))
    this.around.outbox.send({ type: 'alarm', name: 'UpgradePostponed', text: `${this.state.object}: ${event.reason}` })
    this.run({ command: 'abandon', object: this.state.object, attempt })
  }

  /** L20: at once, in a fresh attempt; not for ever. */
  #repeat(reason: string): void {
    const again = repeat(this.state)
    if (again === undefined) return this.#fail(reason)
    const { attempt } = this.#attempt()
    this.reason = `${this.state.phase.name} was interrupted: ${reason}`
    this.keep(again)
    this.around.outbox.send({ type: 'alarm', name: 'UpgradeInterrupted', text: `${again.object}: ${this.reason}` })
    this.run({ command: 'abandon', object: again.object, attempt })
    if (again.phase.name === 'transforming') this.#transform()
  }

  /** L11: back without blame; what forbids it is in the log or among the statements, and keeps it from beginning again. */
  #goBack(reason: string): void {
    const { target, attempt } = this.#attempt()
    this.reason = `went back from version ${target}: ${reason}`
    this.keep(goBack(this.state, reason.slice(0, 300)))
    this.run({ command: 'abandon', object: this.state.object, attempt })
  }

  /** L4, L5: the way back. */
  #fail(reason: string): void {
    const { target, attempt } = this.#attempt()
    this.reason = `went back from version ${target}: ${reason}`
    this.keep(fail(this.state, reason.slice(0, 300), this.#retries()))
    this.around.outbox.send({ type: 'alarm', name: 'UpgradeFailed', text: `${this.state.object}: ${this.reason}` })
    this.run({ command: 'abandon', object: this.state.object, attempt })
  }

  /** The failed attempt is gone: serve the old version again. */
  #returned(): void {
    if (this.state.current === null || this.service === 'serving') {
      this.#permitWish = null
      this.keep(enter(this.state, { name: 'idle' }))
    } else this.#start()
  }

  // ---- the current object's service

  #start(): void {
    this.#restartAt = Number.POSITIVE_INFINITY
    const { current, object } = this.state
    if (current === null) return
    this.service = 'starting'
    const { version, attempt } = current
    const past = this.pastOf(version)
    this.#hostedPast = past
    this.run({ command: 'start', object, attempt, version, past, future: this.#futures.loaded() })
  }

  /** R6: a past SO that a statement retired meanwhile is taken out of the running object, with all below it. */
  #considerRetirement(): void {
    const { current, object } = this.state
    if (current === null || this.service !== 'serving' || this.#retiring) return
    if (this.#futures.obstacle !== undefined) return
    const past = this.pastOf(current.version)
    const retired = this.#hostedPast.filter((version) => !past.includes(version))
    if (retired.length === 0) return
    this.#retiring = true
    this.#hostedPast = past
    this.run({ command: 'remove', object, versions: retired })
  }

  #onStarted(event: Done, now: number): void {
    if (this.service !== 'starting' || event.attempt !== this.state.current?.attempt) return
    if (!event.ok) return this.#failing(event, now)
    this.#futures.onStarted(event.stale ?? [])
    this.#serving(now)
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
    this.keep(enter(this.state, { name: 'idle' }))
    this.run({ command: 'clean', object: this.state.object, keep: this.state.current!.attempt })
  }

  /** Restarts with back-off; after the commit there is no silent way back (L4). */
  #failing({ reason, interrupted, again }: Pick<Done, 'reason' | 'interrupted' | 'again'>, now: number): void {
    const cause = again === true ? 'space' : interrupted === true ? 'kill' : 'own'
    const waitMs = this.#deaths.add(this.service === 'serving', cause, now)
    this.service = 'failing'
    this.#futures.onDied(cause !== 'own')
    this.#retiring = false
    this.reason = reason
    if (this.#deaths.blameFutures) this.#futures.withhold(this.#deaths.count)
    this.#restartAt = now + waitMs
    this.around.outbox.send({
      type: 'alarm',
      name: 'ObjectFailing',
      text: `${this.state.object} version ${this.state.current?.version}: ${reason}`
    })
  }

  // ---- what its decision and its future SOs see and do

  get isServing(): boolean {
    return this.service === 'serving'
  }
  /** In memory only. */
  remember(state: ObjectState): void {
    this.state = state
  }
  progress(progress: ObjectState['progress'], durable: boolean): void {
    if (durable) this.keep({ ...this.state, progress })
    else this.state = { ...this.state, progress }
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
    return 'entry' in phase ? this.around.statements.retries(phase.entry, this.around.self) : 0
  }

  /** Versions of the past that an object at `version` serves: what the schema can, less what is retired (R6). */
  pastOf(version: number): number[] {
    const { log, statements } = this.around
    const { current, object } = this.state
    // The branch that it runs may not be on the chain any more.
    const schema = current?.version === version ? log.schemaOf(current.entry) : log.schema
    const retired = schema
      .versions(object)
      .findLast((one) => one.version <= version && statements.retired(one.entry.hash))
    // Kept for long: a copy has no room for more, which a filtered list has.
    return schema
      .past(object, version)
      .filter((one) => one > (retired?.version ?? 0))
      .slice()
  }

  /** Future SOs that go on above the new version (MODEL: re-basing). */
  #rebased(target: number): number[] {
    return this.#futures.loaded().filter((version) => version > target)
  }

  keep(state: ObjectState): void {
    this.around.chronicle.step(this.state, state)
    this.state = state
    this.around.outbox.persist(`object/${state.object}`, state)
  }

  run(command: HostCommand): void {
    this.around.outbox.run({ type: 'run', command })
  }
}
