/** The processes of guests (SPEC G8): started by the first call, shared by calls of one kind, ended when idle, bounded in number. */
import { join } from 'node:path'
import type { Logger } from 'pino'
import { CallError } from '../../src/errors.ts'
import type { DelegateCall } from '../../src/versions/guest.ts'
import type { PlacedLink, Placement } from '../../src/versions/placement.ts'
import type { Value } from '../../src/versions/types.ts'
import type { GuestPlan, GuestProcess, Host } from '../host/host.ts'
import { within } from '../host/patience.ts'
import type { BundlePath } from './links.ts'

const IDLE_MS = 60_000
const MAX_GUESTS = 4
/** A guest that did not start is not started again for this long. */
const START_AGAIN_MS = 30_000

export interface GuestProcessesInit {
  peer: string
  host: Pick<Host, 'warmGuest'>
  bundlePath: BundlePath
  log: Logger
  /** Makes the delegate call of a run. */
  delegate(lodging: Lodging, call: DelegateCall): Promise<Value>
  idleMs: number | undefined
}

/** A guest's process while calls use it. */
export interface Lodging {
  readonly process: GuestProcess
  /** One call fewer needs it. */
  leave(): void
}

interface Guest {
  readonly ready: Promise<Lodging>
  process: GuestProcess | undefined
  calls: number
  idleSince: number
}

/** One that starts is not: whoever gave up waiting for it will come again. */
const isIdle = ({ calls, process }: Guest): boolean => calls === 0 && process !== undefined

type PlacedHere = Extract<Placement, { where: 'caller' }>

export class GuestProcesses {
  readonly #init: GuestProcessesInit
  readonly #guests = new Map<string, Guest>()
  readonly #failed = new Map<string, { again: number; reason: string }>()
  readonly #sweep: NodeJS.Timeout
  #closed = false

  constructor(init: GuestProcessesInit) {
    this.#init = init
    const idleMs = init.idleMs ?? IDLE_MS
    this.#sweep = setInterval(() => this.#endIdle(idleMs), idleMs / 4).unref()
  }

  /** @throws CallError Unavailable, Cancelled: nothing was called. */
  async lodge(object: string, placement: PlacedHere, timeoutMs: number, signal?: AbortSignal): Promise<Lodging> {
    const top = placement.links.at(-1)!
    const key = [object, top.entry.hash, top.version, placement.delegate.version].join('\n')
    const guest = this.#guests.get(key) ?? this.#start(key, object, placement)
    guest.calls += 1
    try {
      const late = () =>
        unavailable(`the simulation objects of ${object} did not start within ${Math.round(timeoutMs)} ms`)
      return await unlessAborted(within(guest.ready, timeoutMs, late), signal)
    } catch (error) {
      guest.calls -= 1
      throw error instanceof CallError ? error : unavailable(`the simulation objects of ${object}: ${textOf(error)}`)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweep)
    await Promise.all([...this.#guests.values()].map(({ process }) => process?.kill()))
  }

  #start(key: string, object: string, placement: PlacedHere): Guest {
    if (this.#closed) throw unavailable('this node is stopping')
    const failed = this.#failed.get(key)
    if (failed !== undefined && performance.now() < failed.again) throw unavailable(failed.reason)
    this.#failed.delete(key)
    this.#makeRoom()
    const guest: Guest = {
      ready: this.#warm(key, object, placement),
      process: undefined,
      calls: 0,
      idleSince: performance.now()
    }
    this.#guests.set(key, guest)
    guest.ready.catch((error: unknown) => {
      this.#guests.delete(key)
      const reason = `the simulation objects of ${object} did not start on their caller's node: ${textOf(error)}`
      this.#failed.set(key, { again: performance.now() + START_AGAIN_MS, reason })
      this.#init.log.warn({ object, reason: textOf(error) }, 'a guest did not start')
    })
    return guest
  }

  async #warm(key: string, object: string, { links, delegate }: PlacedHere): Promise<Lodging> {
    const { peer, host, bundlePath, log } = this.#init
    const plan: GuestPlan = {
      object,
      peer,
      links: await Promise.all(links.map((link) => planOf(link, bundlePath))),
      delegate: { version: delegate.version, className: delegate.className, interface: delegate.upgrade.interface }
    }
    const process = await host.warmGuest(plan, {
      delegate: (call) => this.#init.delegate(lodging, call),
      log: (message, fields) => log.info({ guest: object, fields }, message)
    })
    const guest = this.#guests.get(key)
    const leave = (): void => {
      if (guest === undefined) return
      guest.calls -= 1
      guest.idleSince = performance.now()
    }
    const lodging: Lodging = { process, leave }
    if (guest === undefined || this.#closed) {
      await process.kill()
      throw unavailable('this node is stopping')
    }
    guest.process = process
    void process.ended.then((reason) => {
      log.debug({ object, reason }, 'a guest ended')
      if (this.#guests.get(key) === guest) this.#guests.delete(key)
    })
    return lodging
  }

  /** Room for one more: the one that was idle longest goes. */
  #makeRoom(): void {
    if (this.#guests.size < MAX_GUESTS) return
    const idle = [...this.#guests].filter(([, guest]) => isIdle(guest))
    const [longest] = idle.sort(([, one], [, other]) => one.idleSince - other.idleSince)
    if (longest === undefined)
      throw unavailable(`${MAX_GUESTS} kinds of simulation objects are at work for callers here`)
    this.#end(longest)
  }

  #endIdle(idleMs: number): void {
    const before = performance.now() - idleMs
    for (const one of this.#guests) if (isIdle(one[1]) && one[1].idleSince < before) this.#end(one)
  }

  #end([key, { process }]: [string, Guest]): void {
    this.#guests.delete(key)
    void process?.kill()
  }
}

async function planOf(link: PlacedLink, path: BundlePath): Promise<GuestPlan['links'][number]> {
  const { version, className, role, simulation, interface: type, entry } = link
  if (simulation === 'subtype') return { version, className, role, module: null, interface: type, intercepts: [] }
  const module = join(await path(entry.manifest.bundle.sha256), simulation.module)
  return { version, className, role, module, interface: simulation.interface, intercepts: [] }
}

/** What was begun goes on for others. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new CallError('Cancelled', 'given up before it was executed'))
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal?.removeEventListener('abort', abort))
  })
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function unavailable(message: string): CallError {
  return new CallError('Unavailable', `${message}; not executed`, { retryAfterMs: 500 })
}
