/**
 * The simulated host of one machine (SPEC M8): it answers HostCommands after drawn durations, fails some, keeps a
 * reference object's state per attempt directory, and refuses to be driven in an order in which a real host would lose
 * or corrupt state. What it refuses is a violation of the peer under test, not a failure of the world.
 */

import { CallRate } from '../src/overlay/call-rate.ts'
import type { Event, HostCommand, HostCommandName } from '../src/overlay/events.ts'
import type { Generator } from '../src/prng.ts'
import { SmallMap, SmallSet } from '../src/small.ts'
import { EventKind, type Kernel } from './kernel.ts'
import { Contents, type Links, linksOf, lost } from './reference.ts'

/** A distribution by its quantiles: ⟨share, ms⟩ from share 0 to share 1, straight in between. */
export type Curve = readonly (readonly [share: number, ms: number])[]

function quantile(curve: Curve, point: number): number {
  const above = Math.max(
    1,
    curve.findIndex(([share]) => share >= point)
  )
  const [lowShare, low] = curve[above - 1]!
  const [highShare, high] = curve[above] ?? curve[above - 1]!
  return highShare === lowShare ? high : low + ((point - lowShare) / (highShare - lowShare)) * (high - low)
}

export interface HostOptions {
  /** Least and most duration of each command, ms. */
  durationsMs: Record<HostCommandName, readonly [number, number]>
  /** Probability that a command fails; `abandon`, `clean` and `drain` are bounded and never do. */
  failures: Partial<Record<'start' | 'warm' | 'transform' | 'prove' | 'serve' | 'simulate', number>>
}

export const calmHost: HostOptions = {
  durationsMs: {
    start: [50, 150],
    warm: [100, 300],
    drain: [1, 50],
    transform: [10, 200],
    prove: [5, 30],
    serve: [1, 3],
    abandon: [1, 5],
    simulate: [50, 150],
    remove: [1, 20],
    clean: [1, 10]
  },
  failures: {}
}

/** A state directory. */
interface Attempt {
  version: number
  contents: Contents
  /** Fsynced as a whole; a TF that failed or was cut by a crash leaves it false. */
  complete: boolean
}

type OpenState = 'starting' | 'serving' | 'draining' | 'proving' | 'proven'

interface HostedState {
  /** On disk. */
  attempts: SmallMap<number, Attempt>
  /** Calls that the process of an attempt answered. */
  rate: { attempt: number; calls: CallRate } | undefined
  highestAttempt: number
  /** Writes acknowledged to clients. */
  acknowledged: Contents
  /** The process that has an attempt open; none may be opened beside it. */
  open: (Links & { attempt: number; state: OpenState }) | null
  inFlight: SmallSet<InFlight>
  /** The attempt whose process ended by itself: commands to it fail. */
  died: number
}

export interface InFlight {
  command: HostCommand
  cancelled: boolean
  /** The process that works on it was killed from outside. */
  killed: boolean
}

/** What the host reports: to the peer (`done`, `died`), and to the checkers. */
export interface HostEvents {
  readonly node: number
  readonly kernel: Kernel
  readonly hostOptions: HostOptions
  readonly random: Generator
  /** Which life of the process it is, and how many times slower than others the machine is. */
  readonly process: number
  readonly slowFactor: number
  deliver(event: Event): void
  violation(rule: string, text: string): void
  /** Code of this version is about to run. */
  runs(version: number): void
  committedAttempt(object: string): number | undefined
  /** Future SOs that the object serves without, by what is durable. */
  withheld(object: string): readonly number[]
  /** Whether an operator stated that future SOs which missed calls may be given up. */
  mayDiscard(): boolean
  /** The object stops serving for an upgrade. */
  down(object: string): void
  serving(object: string, version: number): void
  failed(version: number): void
  /** A step towards this version was cut short from outside. */
  interrupted(version: number): void
  /** Whether no object of this version proves its health. */
  broken(version: number): boolean
  /** How long a command for this version takes, if its upgrade says so. */
  times(command: HostCommandName, version: number): Curve | undefined
  /** The share of calls at objects of this version that fail through their fault. */
  errors(version: number): number
}

/** Commands that a process of their own carries out. */
const KILLABLE: ReadonlySet<HostCommandName> = new Set(['start', 'warm', 'transform', 'prove', 'simulate'])

const attemptOf = (command: HostCommand): number => ('attempt' in command ? command.attempt : 0)
const versionOf = (command: HostCommand): number => ('version' in command ? command.version : 0)

export class SimulatedHost {
  readonly #objects = new SmallMap<string, HostedState>()
  readonly #events: HostEvents
  /** Failures are faults: they stop with the others. */
  failing = true

  constructor(events: HostEvents) {
    this.#events = events
  }

  servedVersion(object: string): number {
    const open = this.#objects.get(object)?.open
    return open?.state === 'serving' ? open.version : 0
  }
  /** What is hosted by a process that serves. */
  links(object: string): Links | undefined {
    const open = this.#objects.get(object)?.open
    return open?.state === 'serving' ? open : undefined
  }
  objects(): IterableIterator<string> {
    return this.#objects.keys()
  }

  /** The object's first version lies in its first attempt, without a write. */
  install(object: string): void {
    const hosted = this.#hosted(object)
    hosted.attempts.set(1, { version: 1, contents: new Contents(), complete: true })
    hosted.highestAttempt = 1
  }

  /** A client's write at one of the versions served, acknowledged at once (the object syncs before it replies). False if nobody serves. */
  write(object: string, pick: (versions: number[]) => number): boolean {
    const hosted = this.#objects.get(object)
    if (hosted?.open?.state !== 'serving') return false
    const attempt = hosted.attempts.get(hosted.open.attempt)
    if (attempt === undefined) {
      this.#events.violation('M14', `${object} serves from attempt ${hosted.open.attempt}, whose directory is deleted`)
      return false
    }
    const version = pick(linksOf(hosted.open))
    attempt.contents.write(version)
    hosted.acknowledged.write(version)
    this.#count(object, hosted)
    return true
  }

  /** Another call than the write ends as its version draws it; the driver counts it (SPEC S24). */
  #count(object: string, hosted: HostedState): void {
    const { attempt, version } = hosted.open!
    if (hosted.rate?.attempt !== attempt) hosted.rate = { attempt, calls: new CallRate() }
    const share = this.#events.errors(version)
    const calls = hosted.rate.calls.count(share > 0 && this.#events.random.chance(share), this.#events.kernel.now)
    if (calls !== undefined) this.#events.deliver({ type: 'measured', object, attempt, ...calls })
  }

  /** Every process of this machine is gone; directories stay. */
  crash(): void {
    for (const hosted of this.#objects.values()) {
      hosted.open = null
      hosted.rate = undefined
      hosted.inFlight.clear()
    }
  }

  /** Ends every process of an object from outside: the one that serves or is about to, and those that work on a command. */
  kill(object: string): void {
    const hosted = this.#objects.get(object)
    for (const one of hosted?.inFlight ?? []) {
      if (!KILLABLE.has(one.command.command)) continue
      one.killed = true
      this.#events.kernel.after(0, EventKind.hostDone, this.#events.node, this.#events.process, one)
    }
    if (hosted?.open?.state !== 'serving' && hosted?.open?.state !== 'proven') return
    const { attempt } = hosted.open
    hosted.open = null
    hosted.died = attempt
    this.#events.deliver({ type: 'died', object, attempt, interrupted: true, reason: 'killed by the simulator' })
  }

  run(command: HostCommand): void {
    const hosted = this.#hosted(command.object)
    const problem = this.#begin(hosted, command)
    if (problem !== undefined) this.#events.violation('M13', `${describe(command)}: ${problem}`)
    const inFlight: InFlight = { command, cancelled: false, killed: false }
    hosted.inFlight.add(inFlight)
    const empty = command.command === 'transform' && command.from === null
    const curve = empty ? undefined : this.#events.times(command.command, versionOf(command))
    const [least, most] = this.#events.hostOptions.durationsMs[command.command]
    const point = this.#events.random.fraction()
    const drawnMs = curve === undefined ? least + point * (most - least) : quantile(curve, point)
    const durationMs = drawnMs * this.#events.slowFactor
    this.#events.kernel.after(durationMs, EventKind.hostDone, this.#events.node, this.#events.process, inFlight)
  }

  /** The time of a command has passed. */
  finish(inFlight: InFlight): void {
    const { command } = inFlight
    const hosted = this.#hosted(command.object)
    if (!hosted.inFlight.delete(inFlight)) return
    const drawn =
      this.failing && this.#events.random.chance(this.#events.hostOptions.failures[command.command as 'start'] ?? 0)
    const fails = drawn || (command.command === 'prove' && this.#events.broken(command.version))
    const { cancelled, killed } = inFlight
    const reason = cancelled ? 'abandoned' : killed ? 'killed' : fails ? 'drawn' : this.#finished(hosted, command)
    if (reason !== '') this.#failed(hosted, command)
    this.#done(command, reason, killed && !cancelled)
  }

  #done(command: HostCommand, reason: string, interrupted: boolean): void {
    const { command: name, object } = command
    const [attempt, version] = [attemptOf(command), versionOf(command)]
    if (version > 0 && interrupted) this.#events.interrupted(version)
    else if (version > 0 && reason !== '') this.#events.failed(version)
    this.#events.deliver({
      type: 'done',
      command: name,
      object,
      attempt,
      version,
      ok: reason === '',
      interrupted,
      reason,
      ...(name === 'start' && reason === '' ? { stale: this.#stale(this.#hosted(object)) } : {})
    })
  }

  #hosted(object: string): HostedState {
    let hosted = this.#objects.get(object)
    if (hosted === undefined) {
      hosted = {
        attempts: new SmallMap(),
        rate: undefined,
        highestAttempt: 0,
        acknowledged: new Contents(),
        open: null,
        inFlight: new SmallSet(),
        died: 0
      }
      this.#objects.set(object, hosted)
    }
    return hosted
  }

  /** Takes the command's first effect; returns what is wrong with its coming now. */
  #begin(hosted: HostedState, command: HostCommand): string | undefined {
    switch (command.command) {
      case 'start':
        return this.#beginStart(hosted, command)
      case 'warm':
        return this.#beginWarm(hosted, command)
      case 'drain':
        this.#events.down(command.object)
        if (hosted.open?.state === 'serving') this.#drain(command.object, hosted, hosted.open)
        return hosted.open === null || hosted.open.state === 'draining'
          ? undefined
          : `the object is ${hosted.open.state}`
      case 'transform':
        return this.#beginTransform(hosted, command)
      case 'prove':
        return this.#beginProve(hosted, command)
      case 'serve':
        return this.#beginServe(hosted, command)
      case 'abandon':
        return this.#abandon(hosted, command.attempt)
      case 'simulate':
        this.#events.runs(command.version)
        return hosted.open?.state === 'serving' || hosted.died > 0 ? undefined : 'no object serves'
      case 'remove':
        return command.versions.includes(hosted.open?.version ?? 0) ? 'it removes the current object' : undefined
      case 'clean':
        return this.#clean(hosted, command.keep)
    }
  }

  #drain(object: string, hosted: HostedState, open: NonNullable<HostedState['open']>): void {
    open.state = 'draining'
    const { attempt } = open
    const calls = hosted.rate?.attempt === attempt ? hosted.rate.calls.last() : undefined
    if (calls !== undefined)
      this.#events.kernel.after(0, EventKind.completion, this.#events.node, this.#events.process, {
        type: 'measured',
        object,
        attempt,
        ...calls
      })
  }

  #beginStart(hosted: HostedState, command: Extract<HostCommand, { command: 'start' }>): string | undefined {
    const { attempt, version } = command
    for (const one of [version, ...needs(command.past), ...command.future]) this.#events.runs(one)
    const directory = hosted.attempts.get(attempt)
    if (hosted.open !== null) return `attempt ${hosted.open.attempt} is open (${hosted.open.state})`
    const transforms = [...hosted.inFlight].some((one) => one.command.command === 'transform' && !one.cancelled)
    hosted.open = { attempt, version, past: command.past, future: command.future, state: 'starting' }
    if (transforms) return 'a TF is reading the state'
    if (directory === undefined || !directory.complete) return 'its directory is not a whole state'
    return directory.version === version ? undefined : `its state is of version ${directory.version}`
  }

  #beginWarm(hosted: HostedState, command: Extract<HostCommand, { command: 'warm' }>): string | undefined {
    this.#events.runs(command.version)
    const reused = command.attempt <= hosted.highestAttempt
    hosted.highestAttempt = Math.max(hosted.highestAttempt, command.attempt)
    return reused ? 'its attempt number was used before' : undefined
  }

  #beginTransform(hosted: HostedState, command: Extract<HostCommand, { command: 'transform' }>): string | undefined {
    const { attempt, version, from } = command
    this.#events.runs(version)
    // An object that had died before is down for the upgrade from here on; others since their drain began.
    if (from !== null) this.#events.down(command.object)
    const reused = attempt < hosted.highestAttempt || hosted.attempts.has(attempt)
    hosted.highestAttempt = Math.max(hosted.highestAttempt, attempt)
    hosted.attempts.set(attempt, { version, contents: new Contents(), complete: false })
    if (reused) return 'its attempt number was used before'
    if (hosted.open !== null) return `attempt ${hosted.open.attempt} is open (${hosted.open.state}); drain it first`
    if (from === null)
      return hosted.acknowledged.writes > 0
        ? `it begins empty, and ${hosted.acknowledged.writes} writes exist`
        : undefined
    const old = hosted.attempts.get(from.attempt)
    if (old === undefined || !old.complete) return `attempt ${from.attempt} that it reads is not a whole state`
    return old.version === from.version ? undefined : `attempt ${from.attempt} is of version ${old.version}`
  }

  #beginProve(hosted: HostedState, command: Extract<HostCommand, { command: 'prove' }>): string | undefined {
    const { attempt, version } = command
    for (const one of [version, ...needs(command.past), ...command.future]) this.#events.runs(one)
    if (hosted.open !== null) return `attempt ${hosted.open.attempt} is open (${hosted.open.state})`
    hosted.open = { attempt, version, past: command.past, future: command.future, state: 'proving' }
    return hosted.attempts.get(attempt)?.complete ? undefined : 'its TF has not ended'
  }

  #beginServe(hosted: HostedState, command: Extract<HostCommand, { command: 'serve' }>): string | undefined {
    const { attempt, object } = command
    const committed = this.#events.committedAttempt(object)
    if (committed !== attempt) return `the durable commit names attempt ${committed ?? 'none'}`
    if (hosted.open === null && hosted.died === attempt) return undefined
    return hosted.open?.attempt === attempt && hosted.open.state === 'proven'
      ? undefined
      : 'it has not proved its health'
  }

  #abandon(hosted: HostedState, attempt: number): string | undefined {
    for (const one of hosted.inFlight) {
      if (attemptOf(one.command) !== attempt || one.command.command === 'abandon') continue
      one.cancelled = true
      this.#events.kernel.after(0, EventKind.hostDone, this.#events.node, this.#events.process, one)
    }
    const open = hosted.open?.attempt === attempt ? hosted.open : null
    hosted.attempts.delete(attempt)
    if (open === null) return undefined
    hosted.open = null
    return open.state === 'proving' || open.state === 'proven'
      ? undefined
      : `it is the current object's (${open.state})`
  }

  #clean(hosted: HostedState, keep: number): string | undefined {
    const kept = hosted.attempts.get(keep)
    for (const attempt of hosted.attempts.keys()) if (attempt !== keep) hosted.attempts.delete(attempt)
    if (hosted.acknowledged.writes > 0 && (kept === undefined || !kept.complete))
      return 'it deletes the only whole state'
    return hosted.open === null || hosted.open.attempt === keep ? undefined : `attempt ${hosted.open.attempt} is open`
  }

  /** The command's last effect. Returns why it failed, or ''. */
  #finished(hosted: HostedState, command: HostCommand): string {
    switch (command.command) {
      case 'start':
      case 'serve':
        if (hosted.open?.attempt !== command.attempt) return 'its process ended'
        hosted.open.state = 'serving'
        this.#survived(hosted, command.object)
        this.#events.serving(command.object, command.version)
        return ''
      case 'drain':
        hosted.open = null
        return ''
      case 'transform': {
        const made = hosted.attempts.get(command.attempt)
        if (made === undefined) return 'its directory is gone'
        made.complete = true
        if (command.from === null) return ''
        const { attempt, version, future } = command.from
        made.contents = hosted.attempts.get(attempt)?.contents.transformed(version, future) ?? made.contents
        return ''
      }
      case 'prove':
        if (hosted.open?.attempt !== command.attempt) return 'its process ended'
        hosted.open.state = 'proven'
        return ''
      case 'simulate':
        if (hosted.open?.state !== 'serving') return 'the object ended'
        hosted.open.future = [...new Set([...hosted.open.future, command.version])]
        return ''
      case 'remove':
        if (hosted.open?.state !== 'serving') return 'the object ended'
        return this.#remove(hosted, hosted.open, command)
      case 'warm':
      case 'abandon':
      case 'clean':
        return ''
    }
  }

  /** Takes back what a failed command had begun. */
  #failed(hosted: HostedState, command: HostCommand): void {
    const opens = command.command === 'start' || command.command === 'prove' || command.command === 'serve'
    if (opens && hosted.open?.attempt === command.attempt) hosted.open = null
  }

  /** SOs go with their state: retired past ones, or future ones that an operator gave up. */
  #remove(hosted: HostedState, open: Links, { object, versions }: Extract<HostCommand, { command: 'remove' }>): string {
    const isOut = (version: number) => !versions.includes(version)
    const given = versions.filter(
      (version) => version > open.version && (hosted.acknowledged.own.get(version) ?? 0) > 0
    )
    if (given.length > 0 && !this.#events.mayDiscard())
      this.#events.violation('M14', `${object} discards the SO of version ${given.join(', ')}, and nobody said so`)
    open.past = open.past.filter(isOut).slice()
    open.future = open.future.filter(isOut).slice()
    for (const { contents } of [...hosted.attempts.values()]) contents.forget(versions)
    hosted.acknowledged.forget(versions)
    return ''
  }

  /** Future SOs that the object was started without, and that have state of their own (L14). */
  #stale({ acknowledged, open }: HostedState): number[] {
    return open === null ? [] : acknowledged.above(open.version).filter((version) => !open.future.includes(version))
  }

  #survived(hosted: HostedState, object: string): void {
    const open = hosted.open!
    const held = hosted.attempts.get(open.attempt)?.contents ?? new Contents()
    const wrong = lost(open, held, hosted.acknowledged, this.#events.withheld(object))
    if (wrong !== undefined) this.#events.violation('M14', `${object} ${wrong}`)
    // A past version that nobody serves any more is read by nobody.
    const gone = [...hosted.acknowledged.own.keys()].filter(
      (version) => version < open.version && !open.past.includes(version)
    )
    for (const contents of [held, hosted.acknowledged]) contents.forget(gone)
  }
}

/** The past SO of version p came with the upgrade to p + 1: its code lies in that one's bundle. */
const needs = (past: readonly number[]): number[] => past.map((version) => version + 1)

export function describe(command: HostCommand): string {
  const attempt = attemptOf(command)
  const version = versionOf(command)
  const of = version > 0 ? ` version ${version}` : ''
  return `${command.command} ${command.object}${of}${attempt > 0 ? ` attempt ${attempt}` : ''}`
}
