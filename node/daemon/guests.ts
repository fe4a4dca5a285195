/**
 * Calls of this node whose SOs run here, since the callee does not serve the version called (SPEC G): where each call is
 * placed, the guests' processes, and the one delegate call of each run.
 */
import type { Logger } from 'pino'
import { CallError, type CallErrorName, type ServedRange } from '../../src/errors.ts'
import type { LineageVersion } from '../../src/upgrade/schema.ts'
import type { DelegateCall } from '../../src/versions/guest.ts'
import { mayBePlaced, type Placement, place } from '../../src/versions/placement.ts'
import type { Value } from '../../src/versions/types.ts'
import type { CallOptions } from '../calls/caller.ts'
import { type CallMessage, checkedCall } from '../calls/frames.ts'
import type { Candidate } from '../calls/router.ts'
import type { Calls } from '../calls/session.ts'
import type { Host } from '../host/host.ts'
import type { BundlePath } from './links.ts'
import { GuestProcesses, type Lodging } from './lodging.ts'

/** Times that a callee may change what it serves during one call. */
const MAX_TURNS = 4
/** Callees of which it is remembered what they serve. */
const MAX_REMEMBERED = 1_000
/** Hint for calls that could not be placed: a bundle is on its way, or the callee is about to change over. */
const RETRY_MS = 200

/** Answers of the delegate's own code: they are for the SO. Any other end of the delegate call is that of the call (G7). */
const OF_THE_CODE: ReadonlySet<string> = new Set<CallErrorName>(['Disallowed', 'ApplicationError', 'NoSuchMethod'])

type PlacedHere = Extract<Placement, { where: 'caller' }>

/** Calls answered by SOs that ran here for objects of other nodes (SPEC G10). */
export interface GuestCount {
  object: string
  class: string
  version: number
  /** The version at which the other node was called. */
  delegate: number
  count: number
}

export interface GuestsInit {
  peer: string
  host: Pick<Host, 'warmGuest'>
  calls: Pick<Calls, 'call'>
  /** What a caller means by a class and version: the object, and all its versions on that branch. */
  versions(className: string, version: number): { object: string; versions: readonly LineageVersion[] } | undefined
  /** The bundle is unpacked here. */
  isReady(sha256: string): boolean
  bundlePath: BundlePath
  /** What retirements leave to callers. */
  mayHost(versions: readonly LineageVersion[], version: number): boolean
  log: Logger
  /** A guest without a call for this long is ended, ms. @default 60000 */
  idleMs?: number
}

/** A call on its way, with what all its turns share. */
interface Errand {
  readonly candidate: Candidate
  readonly object: string
  readonly versions: readonly LineageVersion[]
  readonly message: CallMessage
  readonly signal: AbortSignal | undefined
  readonly deadline: number
}

/** One run of a guest's method. */
interface Run {
  readonly errand: Errand
  readonly placement: PlacedHere
  readonly lodging: Lodging
  /** Aborted when the run has ended: nobody waits for its delegate call any more. */
  readonly ended: AbortController
  sent: boolean
  /** How the delegate call ended, if not with a result. */
  failure: CallError | undefined
}

export class Guests {
  readonly #init: GuestsInit
  readonly #processes: GuestProcesses
  readonly #runs = new Map<number, Run>()
  readonly #counted = new Map<string, GuestCount>()
  /** ⟨callee, object, version called⟩ → what the callee serves instead, until it answers otherwise. */
  readonly #remembered = new Map<string, ServedRange>()
  /** ⟨entry, method⟩ whose claim was found to be false. */
  readonly #broken = new Set<string>()
  #lastRun = 0

  constructor(init: GuestsInit) {
    const { peer, host, bundlePath, log, idleMs } = init
    this.#init = init
    const delegate = (lodging: Lodging, call: DelegateCall): Promise<Value> => this.#delegate(lodging, call)
    this.#processes = new GuestProcesses({ peer, host, bundlePath, log, delegate, idleMs })
  }

  counts(): GuestCount[] {
    return [...this.#counted.values()].map((one) => ({ ...one }))
  }

  async close(): Promise<void> {
    await this.#processes.close()
  }

  /** One attempt of a call at a peer, wherever its SOs run. Rejects with CallError; `Unavailable` only if it was not executed. */
  async call(candidate: Candidate, message: CallMessage, { timeoutMs, signal }: CallOptions): Promise<Value> {
    const { peer, addresses } = candidate
    const known = this.#init.versions(message.class, message.version)
    if (
      known === undefined ||
      !mayBePlaced(known.versions, message) ||
      this.#broken.has(claimOf(known.versions, message))
    )
      return await this.#init.calls.call(peer, addresses, message, { timeoutMs, signal })
    const deadline = performance.now() + timeoutMs
    return await this.#pursue({ candidate, message, signal, deadline, ...known })
  }

  async #pursue(errand: Errand): Promise<Value> {
    const { candidate, object, message } = errand
    const key = [candidate.peer, object, message.version].join('\n')
    let serves = this.#remembered.get(key)
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const placement = serves === undefined ? { where: 'callee' as const } : this.#place(errand, serves)
      try {
        if (placement.where === 'caller') return await this.#visit(errand, placement)
        if (placement.where === 'nowhere' && turn > 0) throw unplaced(errand, serves!, placement.reason)
        this.#remembered.delete(key)
        return await this.#direct(errand)
      } catch (error) {
        if (!(error instanceof CallError) || error.name !== 'Misplaced') throw error
        serves = error.serves
        if (serves !== undefined) this.#remember(key, serves)
      }
    }
    throw unavailable(`${named(message)}: peer ${candidate.peer} changed what it serves again and again; not executed`)
  }

  #place({ versions, message }: Errand, serves: ServedRange): Placement {
    return place(versions, message, serves, (version) => this.#init.mayHost(versions, version))
  }

  #direct(errand: Errand): Promise<Value> {
    const { candidate, object, message, signal } = errand
    return this.#init.calls.call(
      candidate.peer,
      candidate.addresses,
      { ...message, object },
      { timeoutMs: leftMs(errand), signal }
    )
  }

  async #visit(errand: Errand, placement: PlacedHere): Promise<Value> {
    const { message, signal } = errand
    for (const { version, entry, simulation } of placement.links) {
      if (simulation !== 'subtype' && !this.#init.isReady(entry.manifest.bundle.sha256))
        throw unavailable(`${named(message)}: the code that simulates version ${version} is not here yet; not executed`)
    }
    const lodging = await this.#processes.lodge(errand.object, placement, leftMs(errand), signal)
    const number = ++this.#lastRun
    const run: Run = { errand, placement, lodging, ended: new AbortController(), sent: false, failure: undefined }
    this.#runs.set(number, run)
    const { method, args, callId, held } = message
    const timeoutMs = leftMs(errand)
    try {
      const visit = { run: number, method, args, callId, held, timeoutMs, ...(signal === undefined ? {} : { signal }) }
      const value = await lodging.process.call(visit)
      if (run.failure !== undefined) throw run.failure
      this.#count(run)
      return value
    } catch (error) {
      throw this.#outcome(run, error)
    } finally {
      this.#runs.delete(number)
      run.ended.abort()
      lodging.leave()
    }
  }

  /** G5. The code is not believed: whose call it is and at which version is known here, and there is one of a run. */
  async #delegate(lodging: Lodging, { run: number, method, args, timeoutMs }: DelegateCall): Promise<Value> {
    const run = this.#runs.get(number)
    if (run?.lodging !== lodging) throw new CallError('Cancelled', 'the call that made this one has ended')
    const { errand, placement } = run
    const { className, version, entry, upgrade } = placement.delegate
    const { message, candidate, object, signal } = errand
    if (run.sent) throw new CallError('NotStateless', `a second delegate call, ${className}.${method}`)
    const simulated = placement.links.at(-1)!.interface.methods[message.method]!.kind
    if (simulated === 'observer' && upgrade.interface.methods[method]?.kind !== 'observer')
      throw new CallError(
        'ApplicationError',
        `${named(message)} is an observer and may not call ${className}.${method}`
      )
    run.sent = true
    const call = { ...message, class: className, version, entry: entry.hash.slice(0, 16), method, args, object }
    try {
      const checked = checkedCall({ ...call, simulates: message.version })
      const boundMs = Math.max(1, Math.floor(Math.min(timeoutMs, leftMs(errand))))
      const ended = signal === undefined ? run.ended.signal : AbortSignal.any([signal, run.ended.signal])
      const options = { timeoutMs: boundMs, signal: ended }
      return await this.#init.calls.call(candidate.peer, candidate.addresses, checked, options)
    } catch (error) {
      if (error instanceof CallError && !OF_THE_CODE.has(error.name)) run.failure = error
      throw error
    }
  }

  /** G4, G7: what the caller hears of a run that did not end with a result. */
  #outcome(run: Run, error: unknown): CallError {
    const { errand, failure } = run
    const what = named(errand.message)
    if (failure?.name === 'Retired') return unavailable(`${what}: ${failure.message}; not executed`)
    if (failure !== undefined) return failure
    if (!(error instanceof CallError)) return new CallError('ApplicationError', `${what}: ${textOf(error)}`)
    if (error.name === 'Disallowed' || error.name === 'ApplicationError') this.#count(run)
    if (error.name === 'NotStateless') {
      this.#broken.add(claimOf(errand.versions, errand.message))
      this.#init.log.error(
        { call: what, reason: error.message },
        'a method is not stateless as it claims; its callee serves it'
      )
    }
    const lost = error.name === 'NotStateless' || error.name === 'OutcomeUnknown'
    if (lost && !run.sent) return unavailable(`${what}: ${error.message}; not executed`)
    return error
  }

  #remember(key: string, serves: ServedRange): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, serves)
    if (this.#remembered.size > MAX_REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value!)
  }

  #count({ errand, placement }: Run): void {
    const { object, message } = errand
    const { className, version } = placement.links.at(-1)!
    const delegate = placement.delegate.version
    const key = [object, version, delegate].join('\n')
    const known = this.#counted.get(key)
    if (known === undefined)
      this.#counted.set(key, { object, class: className, version: message.version, delegate, count: 1 })
    else known.count += 1
  }
}

const leftMs = ({ deadline }: Errand): number => Math.max(1, deadline - performance.now())
const named = ({ class: className, method, version }: CallMessage): string => `${className}.${method}@${version}`
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A claim is made by the entry that brings the version; numbers of two branches differ in it. */
function claimOf(versions: readonly LineageVersion[], { version, method }: CallMessage): string {
  return `${versions.find((one) => one.version === version)?.entry.hash} ${method}`
}

function unavailable(message: string): CallError {
  return new CallError('Unavailable', message, { retryAfterMs: RETRY_MS })
}

/** What a caller without guests would have heard. */
function unplaced({ candidate, message }: Errand, [low, high]: ServedRange, reason: string): CallError {
  const text = `${named(message)}: peer ${candidate.peer} serves versions ${low} to ${high}, and ${reason}; not executed`
  return message.version < low ? new CallError('Retired', text) : unavailable(text)
}
