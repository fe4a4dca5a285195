/**
 * Performs the core's HostCommands on a Host (SPEC D22): one object each, its attempts' directories, the new child and the
 * TF's child warm before the old object stops, and the calls that wait meanwhile.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CallError, Refusal, type RefusalName } from '../../src/errors.ts'
import type { Event, HostCommand } from '../../src/overlay/events.ts'
import type { Schema } from '../../src/upgrade/schema.ts'
import type { Value } from '../../src/versions/types.ts'
import type { Host, HostCall, ObjectProcess, Outward, Started, TransformProcess } from '../host/host.ts'
import { HOST_DEFAULTS } from '../host/options.ts'
import { Interrupted } from '../host/process.ts'
import { STATE_FILE } from '../host/state.ts'
import { checkSpace } from '../host/transform.ts'
import { lacksSpace } from '../obstacles.ts'
import { Gate } from './gate.ts'
import { type BundlePath, chainLinks, futureLink, transformPlan } from './links.ts'

const HEALTH_MS = 10_000
/** Failed probes in a row after which an object is restarted. */
const UNHEALTHY = 3

type CommandOf<N extends HostCommand['command']> = Extract<HostCommand, { command: N }>

export interface HostingInit {
  host: Host
  /** Directory of all objects: `<directory>/<object>/<attempt>`. */
  directory: string
  peer: string
  group: string | null
  /** The schema that knows the version that an object runs, or is on its way to, whatever branch it is on. */
  schema(object: string, version: number): Schema
  /** The schema that knows a version whose future SO was started. */
  futureSchema(object: string, version: number): Schema
  bundlePath: BundlePath
  /** How often the object that serves is probed, ms. @default 10000 */
  healthMs?: number
  /** Free space that must remain when a transform begins, bytes. @default 64 MiB */
  reserveBytes?: number
  outward(object: string): Outward
  /** Completions and deaths, for the core. */
  tell(event: Extract<Event, { type: 'done' | 'died' }>): void
  progress?(object: string, fraction: number): void
  /** A call at the process of an attempt ended; `error` undefined if it was answered. */
  ended?(object: string, attempt: number, error: unknown): void
  /** The process of an attempt stops for an upgrade. */
  stops?(object: string, attempt: number): void
  /** So many calls ran longer than the drain allows; their callers hear OutcomeUnknown. */
  cut?(object: string, calls: number): void
}

interface Running {
  attempt: number
  version: number
  process: ObjectProcess
}

interface Hosted {
  readonly name: string
  /** The process whose state is open and that serves when the gate is open. */
  current: Running | undefined
  /** The attempt under way: warm, or proven. */
  next: { attempt: number; process: ObjectProcess | undefined; transform: TransformProcess | undefined } | undefined
  readonly gate: Gate
  /** Commands of one object run one after another. */
  queue: Promise<void>
  /** When it stopped taking calls, and how long that lasted each time: unavailability, ms. */
  closedAt: number
  readonly unavailableMs: number[]
  readonly unavailableAt: number[]
  cutCalls: number
}

export class Hosting {
  readonly #init: HostingInit
  readonly #objects = new Map<string, Hosted>()
  #closing = false

  constructor(init: HostingInit) {
    this.#init = init
  }

  run(command: HostCommand): void {
    const hosted = this.#hosted(command.object)
    hosted.queue = hosted.queue.then(async () => {
      if (this.#closing) return
      let started: Partial<Started> = {}
      const failure = await this.#perform(hosted, command).then(
        (answer) => {
          started = answer
        },
        (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
      )
      const attempt = 'attempt' in command ? command.attempt : 0
      const version = 'version' in command ? command.version : 0
      if (this.#closing) return
      this.#init.tell({
        type: 'done',
        command: command.command,
        object: command.object,
        attempt,
        version,
        ok: failure === undefined,
        again: isNoFaultOfCode(failure, command.command),
        interrupted: failure instanceof Interrupted,
        reason: failure?.message ?? '',
        ...started
      })
    })
  }

  /** A call at an object of this node, by the code of `by`; waits while the object is stopped for an upgrade or restarts. */
  async call(object: string, call: HostCall, by?: string): Promise<Value> {
    const hosted = this.#hosted(object)
    // Its own code would wait for itself: for a drain that ends with it, or for a commit that comes after it.
    if (by === object && !hosted.gate.isOpen)
      throw new CallError('Unavailable', `${object} does not serve now, its own code neither`, { retryAfterMs: 100 })
    const left = hosted.gate.isOpen ? call.timeoutMs : await hosted.gate.wait(call.timeoutMs, call.signal)
    const { current } = hosted
    if (current === undefined)
      throw new CallError('Unavailable', `${object} is not running here`, { retryAfterMs: 200 })
    const ended = (error?: unknown) => this.#init.ended?.(object, current.attempt, error)
    try {
      const value = await current.process.call({ ...call, timeoutMs: left })
      ended()
      return value
    } catch (error) {
      ended(error)
      throw error
    }
  }

  /**
   * How long each upgrade of an object kept it from serving, ms, when that began, Unix ms, and how many calls were cut
   * since they ran longer than the drain allows.
   */
  unavailable(object: string): {
    unavailableMs: readonly number[]
    unavailableAt: readonly number[]
    cutCalls: number
  } {
    const { unavailableMs, unavailableAt, cutCalls } = this.#hosted(object)
    return { unavailableMs, unavailableAt, cutCalls }
  }

  /** Stops every object cleanly, and ends what is under way. */
  async close(boundMs: number): Promise<void> {
    this.#closing = true
    await Promise.all(
      [...this.#objects.values()].map(async ({ gate, current, next }) => {
        gate.shut(new CallError('Unavailable', 'this node is stopping', { retryAfterMs: 1000 }))
        await Promise.all([next?.transform?.kill(), next?.process?.kill(), current?.process.stop(boundMs)])
      })
    )
    // What was under way ends with its processes; nothing is left behind that would write to the data directory.
    await this.#init.host.close()
    await Promise.all([...this.#objects.values()].map(({ queue }) => queue))
  }

  async #perform(hosted: Hosted, command: HostCommand): Promise<Partial<Started>> {
    if (command.command === 'start') return await this.#start(hosted, command)
    await this.#change(hosted, command)
    return {}
  }

  #change(hosted: Hosted, command: Exclude<HostCommand, { command: 'start' }>): Promise<void> | void {
    switch (command.command) {
      case 'warm':
        return this.#warm(hosted, command)
      case 'drain':
        return this.#drain(hosted, command)
      case 'transform':
        return this.#transform(hosted, command)
      case 'prove':
        return this.#prove(hosted, command)
      case 'serve':
        return this.#serve(hosted, command)
      case 'abandon':
        return this.#abandon(hosted, command.attempt)
      case 'simulate':
        return this.#simulate(hosted, command.version)
      case 'remove':
        return running(hosted).process.remove(command.versions)
      case 'clean':
        return this.#clean(hosted, command.keep)
    }
  }

  async #start(hosted: Hosted, { attempt, version, past, future }: CommandOf<'start'>): Promise<Started> {
    await hosted.current?.process.kill()
    checkState(this.#directory(hosted.name, attempt))
    const process = await this.#warmProcess(hosted, attempt, { past, current: version, future })
    const started = await startOrKill(process)
    this.#take(hosted, { attempt, version, process })
    return started
  }

  /** Both children import their code while the old object goes on serving. */
  async #warm(hosted: Hosted, { attempt, version, past, future }: CommandOf<'warm'>): Promise<void> {
    const next: NonNullable<Hosted['next']> = { attempt, process: undefined, transform: undefined }
    hosted.next = next
    // Before the old object stops: what cannot be transformed for want of space must not cost service (L12).
    if (hosted.current !== undefined) await this.#checkSpace(hosted.name, hosted.current.attempt)
    const above = future.filter((one) => one > version)
    const [process, transform] = await Promise.allSettled([
      this.#warmProcess(hosted, attempt, { past, current: version, future: above }),
      hosted.current === undefined
        ? undefined
        : this.#warmTransform(hosted, attempt, version, { ...hosted.current, future })
    ])
    next.process = process.status === 'fulfilled' ? process.value : undefined
    next.transform = transform.status === 'fulfilled' ? transform.value : undefined
    for (const one of [process, transform]) if (one.status === 'rejected') throw one.reason
  }

  async #checkSpace(object: string, attempt: number): Promise<void> {
    const old = this.#directory(object, attempt)
    await checkSpace(old, dirname(old), this.#init.reserveBytes ?? HOST_DEFAULTS.reserveBytes)
  }

  async #drain(hosted: Hosted, { boundMs }: CommandOf<'drain'>): Promise<void> {
    hosted.gate.close()
    hosted.closedAt = performance.now()
    const { current } = hosted
    hosted.current = undefined
    if (current !== undefined) this.#init.stops?.(hosted.name, current.attempt)
    // One that died meanwhile is stopped as well: that is no fault of the version that comes.
    const stopped = await current?.process.stop(boundMs)
    if (stopped === undefined || stopped.cut === 0) return
    hosted.cutCalls += stopped.cut
    this.#init.cut?.(hosted.name, stopped.cut)
  }

  async #transform(hosted: Hosted, { attempt, version, from }: CommandOf<'transform'>): Promise<void> {
    if (from === null) {
      await mkdir(this.#directory(hosted.name, attempt), { recursive: true })
      return
    }
    const warm = hosted.next?.attempt === attempt ? hosted.next.transform : undefined
    const transform = warm ?? (await this.#warmTransform(hosted, attempt, version, from))
    hosted.next = { attempt, process: hosted.next?.process, transform }
    await transform.run((fraction) => this.#init.progress?.(hosted.name, fraction))
    hosted.next.transform = undefined
  }

  async #prove(hosted: Hosted, { attempt, version, past, future }: CommandOf<'prove'>): Promise<void> {
    const warm = hosted.next?.attempt === attempt ? hosted.next.process : undefined
    const process = warm ?? (await this.#warmProcess(hosted, attempt, { past, current: version, future }))
    hosted.next = { attempt, process, transform: undefined }
    await process.start()
    await process.health()
  }

  #serve(hosted: Hosted, { attempt, version }: CommandOf<'serve'>): void {
    const process = hosted.next?.attempt === attempt ? hosted.next.process : undefined
    if (process === undefined) throw new Error('the proven object is gone')
    hosted.next = undefined
    this.#take(hosted, { attempt, version, process })
  }

  async #abandon(hosted: Hosted, attempt: number): Promise<void> {
    if (hosted.next?.attempt === attempt) {
      const { process, transform } = hosted.next
      hosted.next = undefined
      await Promise.all([process?.kill(), transform?.kill()])
    }
    if (hosted.current?.attempt === attempt) throw new Error(`attempt ${attempt} is the current one`)
    await rm(this.#directory(hosted.name, attempt), { recursive: true, force: true })
  }

  async #simulate(hosted: Hosted, version: number): Promise<void> {
    const { process } = running(hosted)
    const schema = this.#init.futureSchema(hosted.name, version)
    await process.simulate(await futureLink(schema, hosted.name, version, this.#init.bundlePath))
  }

  async #clean(hosted: Hosted, keep: number): Promise<void> {
    const directory = join(this.#init.directory, hosted.name)
    await mkdir(directory, { recursive: true })
    const names = await readdir(directory)
    const old = names.filter((name) => name !== String(keep) && name !== String(hosted.next?.attempt))
    await Promise.all(old.map((name) => rm(join(directory, name), { recursive: true, force: true })))
  }

  /** The process becomes the current one and takes calls, those that waited first. */
  #take(hosted: Hosted, running: Running): void {
    hosted.current = running
    running.process.serve()
    if (hosted.closedAt > 0) {
      hosted.unavailableMs.push(performance.now() - hosted.closedAt)
      hosted.unavailableAt.push(performance.timeOrigin + hosted.closedAt)
    }
    hosted.closedAt = 0
    hosted.gate.open()
    const watch = this.#watchHealth(running)
    void running.process.ended.then((reason) => {
      clearInterval(watch)
      if (hosted.current !== running) return
      hosted.current = undefined
      hosted.gate.close()
      if (this.#closing) return
      const { interrupted = false, lackedSpace: again = false } = running.process
      this.#init.tell({ type: 'died', object: hosted.name, attempt: running.attempt, interrupted, again, reason })
    })
  }

  /** An object that fails its probe three times in a row is restarted: it may be stuck for ever (L13). */
  #watchHealth({ process }: Running): NodeJS.Timeout {
    let failures = 0
    let asked = false
    return setInterval(() => {
      if (asked) return
      asked = true
      process
        .health()
        .then(
          () => {
            failures = 0
          },
          () => {
            failures += 1
            // The reason is told by the end of the process, which the core hears of.
            if (failures >= UNHEALTHY) void process.kill()
          }
        )
        .finally(() => {
          asked = false
        })
    }, this.#init.healthMs ?? HEALTH_MS).unref()
  }

  async #warmProcess(
    hosted: Hosted,
    attempt: number,
    versions: { past: number[]; current: number; future: number[] }
  ): Promise<ObjectProcess> {
    const { host, peer, group, schema, futureSchema, bundlePath, outward } = this.#init
    const attemptDirectory = this.#directory(hosted.name, attempt)
    const ahead = (version: number) => futureSchema(hosted.name, version)
    const links = await chainLinks(schema(hosted.name, versions.current), ahead, hosted.name, versions, bundlePath)
    const needs = schema(hosted.name, versions.current).at(hosted.name, versions.current)?.upgrade.needs
    return await host.warm({ object: hosted.name, peer, group, attemptDirectory, links, needs }, outward(hosted.name))
  }

  async #warmTransform(
    hosted: Hosted,
    attempt: number,
    version: number,
    from: { attempt: number; version: number; future: readonly number[] }
  ): Promise<TransformProcess> {
    const { host, peer, group, outward, schema, bundlePath } = this.#init
    const schemas = { old: schema(hosted.name, from.version), new: schema(hosted.name, version) }
    const plan = {
      object: hosted.name,
      peer,
      group,
      ...(await transformPlan(schemas, hosted.name, { ...from, to: version }, bundlePath)),
      oldDirectory: this.#directory(hosted.name, from.attempt),
      newDirectory: this.#directory(hosted.name, attempt)
    }
    return await host.warmTransform(plan, (message, fields) => outward(hosted.name).log(message, fields))
  }

  #directory(object: string, attempt: number): string {
    return join(this.#init.directory, object, String(attempt))
  }

  #hosted(name: string): Hosted {
    let hosted = this.#objects.get(name)
    if (hosted === undefined) {
      hosted = {
        name,
        current: undefined,
        next: undefined,
        gate: new Gate(name),
        queue: Promise.resolve(),
        closedAt: 0,
        unavailableMs: [],
        unavailableAt: [],
        cutCalls: 0
      }
      this.#objects.set(name, hosted)
    }
    return hosted
  }
}

function running({ current }: Hosted): Running {
  if (current === undefined) throw new Error('the object is not running')
  return current
}

/** A committed state that is gone must not be taken for an empty one (H3). */
function checkState(directory: string): void {
  const file = join(directory, STATE_FILE)
  if (existsSync(file)) return
  throw new Refusal(
    'DamagedStore',
    `${file} is missing; restore it from a backup, or, if the other members hold the state, move the data directory away and start the peer anew`
  )
}

async function startOrKill(process: ObjectProcess): Promise<Started> {
  try {
    return await process.start()
  } catch (error) {
    await process.kill()
    throw error
  }
}

const PASSING: ReadonlySet<string> = new Set<RefusalName>(['NoSpace', 'WrongBundle'])

/** L12, L20: the disk is full, or damaged the code, which is fetched again. A TF that fills the disk has failed. */
const isNoFaultOfCode = (failure: unknown, command: HostCommand['command']): boolean =>
  (failure instanceof Error && PASSING.has(failure.name)) || (command !== 'transform' && lacksSpace(failure))
