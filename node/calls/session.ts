/**
 * Calls between peers (SPEC N7 to N11): one long-lived wire per pair and direction, opened on demand by the side that
 * calls, closed when nothing was called for a while.
 */
import { CallError } from '../../src/errors.ts'
import type { Value } from '../../src/versions/types.ts'
import type { Wires } from '../network/network.ts'
import type { Wire } from '../network/wire.ts'
import { type Admit, Callee, Lane, type Serve } from './callee.ts'
import { Caller, type CallOptions } from './caller.ts'
import type { CallMessage } from './frames.ts'
import { type HeadSeen, type HeadSource, HeadTeller, type TicketSource } from './heads.ts'

export type { IncomingCall, Serve } from './callee.ts'
export type { CallOptions } from './caller.ts'
export { type CallMessage, MAX_PAYLOAD_BYTES } from './frames.ts'
export type { HeadSeen, HeadSource } from './heads.ts'

export interface CallsInit {
  wires: Wires
  /** Log head and statements of this peer; absent in a program that is no peer. */
  head?: HeadSource
  headSeen?: HeadSeen
  /** What admits this program to a private fleet. */
  ticket?: TicketSource
  /** Who may call here at all, by the ticket it shows; the error that the others hear. @default everybody */
  admit?: Admit
  /** Executes what others call here; absent: nothing is served. */
  serve?: Serve
  /** Calls of one caller that run at once; the rest waits in its own queue. @default 256 */
  concurrency?: number
  /** Bound on dialling and opening a wire, ms: a dead replica must leave time for a living one. @default 3000 */
  connectMs?: number
  /** A wire on which nothing was called for this long is closed, ms. @default 60000 */
  idleMs?: number
}

export interface Calls {
  /** Rejects with CallError; `Unavailable` only if the callee certainly has not got the call. */
  call(peer: string, addresses: string[], message: CallMessage, options: CallOptions): Promise<Value>
  inFlight(peer: string): number
  close(): Promise<void>
}

const WIRE = 'call'
/** Hint for calls that could not be sent: the peer may be restarting. */
const UNREACHED_RETRY_MS = 200

export async function createCalls(init: CallsInit): Promise<Calls> {
  const calls = new CallSessions(init)
  if (init.serve !== undefined) await init.wires.serve(WIRE, (wire) => calls.accept(wire))
  return calls
}

class CallSessions implements Calls {
  readonly #init: CallsInit
  readonly #callers = new Map<string, Caller>()
  readonly #opening = new Map<string, Promise<Caller>>()
  readonly #callees = new Set<Callee>()
  readonly #lanes = new Map<string, Lane>()
  readonly #head: HeadSource
  readonly #seen: HeadSeen
  readonly #sweep: NodeJS.Timeout
  #closed = false

  constructor(init: CallsInit) {
    this.#init = init
    this.#head = init.head ?? (() => undefined)
    this.#seen = init.headSeen ?? (() => undefined)
    const idleMs = init.idleMs ?? 60_000
    this.#sweep = setInterval(() => this.#closeIdle(idleMs), idleMs / 4).unref()
  }

  async call(peer: string, addresses: string[], message: CallMessage, options: CallOptions): Promise<Value> {
    const ready = this.#callers.get(peer)
    if (ready?.usable) return ready.call(message, options)
    const begun = performance.now()
    const caller = await this.#opened(peer, addresses, options)
    const timeoutMs = options.timeoutMs - (performance.now() - begun)
    if (timeoutMs < 1) throw new CallError('Unavailable', `peer ${peer} was reached too late: nothing was sent`)
    return caller.call(message, { ...options, timeoutMs })
  }

  inFlight(peer: string): number {
    return this.#callers.get(peer)?.inFlight ?? 0
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweep)
    for (const caller of this.#callers.values()) caller.abort('this peer stops')
    await Promise.all([...this.#callees].map((callee) => callee.close()))
  }

  accept(wire: Wire): void {
    if (this.#closed) {
      wire.abort('this peer stops')
      return
    }
    const lane = this.#lanes.get(wire.peer) ?? new Lane(this.#init.concurrency ?? 256)
    this.#lanes.set(wire.peer, lane)
    const callee = new Callee({
      wire,
      lane,
      heads: new HeadTeller(this.#head),
      seen: this.#seen,
      admit: this.#init.admit ?? (() => undefined),
      serve: this.#init.serve!,
      ended: () => this.#callees.delete(callee)
    })
    this.#callees.add(callee)
  }

  /** All calls that need a wire wait for the same one, each as long as its own deadline and cancellation allow. */
  async #opened(peer: string, addresses: string[], options: CallOptions): Promise<Caller> {
    if (this.#closed) throw new CallError('Unavailable', 'this peer stops')
    let opening = this.#opening.get(peer)
    if (opening === undefined) {
      opening = this.#open(peer, addresses).finally(() => this.#opening.delete(peer))
      this.#opening.set(peer, opening)
    }
    const { promise: ended, reject } = Promise.withResolvers<never>()
    const cancel = (): void => reject(new CallError('Cancelled', `call to ${peer}: cancelled by its caller`))
    const expire = (): void =>
      reject(new CallError('Unavailable', `peer ${peer} did not answer within ${Math.round(options.timeoutMs)} ms`))
    const timer = setTimeout(expire, options.timeoutMs)
    if (options.signal?.aborted) cancel()
    options.signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await Promise.race([opening, ended])
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', cancel)
    }
  }

  async #open(peer: string, addresses: string[]): Promise<Caller> {
    const signal = AbortSignal.timeout(this.#init.connectMs ?? 3_000)
    let wire: Wire
    try {
      wire = await this.#init.wires.wire(peer, addresses, WIRE, signal)
    } catch (error) {
      throw new CallError('Unavailable', (error as Error).message, { retryAfterMs: UNREACHED_RETRY_MS, cause: error })
    }
    if (this.#closed) wire.abort('this peer stops')
    const caller = new Caller(wire, new HeadTeller(this.#head, this.#init.ticket), this.#seen, () => {
      if (this.#callers.get(peer) === caller) this.#callers.delete(peer)
    })
    this.#callers.set(peer, caller)
    return caller
  }

  #closeIdle(idleMs: number): void {
    const now = performance.now()
    for (const [peer, caller] of this.#callers) {
      if (caller.idleMs(now) < idleMs) continue
      this.#callers.delete(peer)
      void caller.close()
    }
    for (const [peer, lane] of this.#lanes) if (lane.idle) this.#lanes.delete(peer)
  }
}
