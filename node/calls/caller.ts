/** The calling end of a wire (SPEC N8, N9): many calls in flight, credit, deadlines, and what is known when it breaks. */
import { CallError } from '../../src/errors.ts'
import type { Value } from '../../src/versions/types.ts'
import { FrameReader } from '../network/frames.ts'
import type { Wire } from '../network/wire.ts'
import { Batch } from './batch.ts'
import {
  type CallMessage,
  costOf,
  errorOf,
  type FromCallee,
  MAX_FRAME_BYTES,
  readFromCallee,
  WINDOW_BYTES,
  writeFrame
} from './frames.ts'
import type { HeadSeen, HeadTeller } from './heads.ts'

/** What may wait in this process for credit of one callee, bytes. Above it, calls fail as Unavailable at once. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
const WAITING_RETRY_MS = 50

export interface CallOptions {
  /** Bound on this attempt. */
  timeoutMs: number
  signal?: AbortSignal | undefined
}

interface Open {
  readonly id: number
  readonly what: string
  readonly cost: number
  readonly frame: Uint8Array
  /** Handed to the wire: the callee may have it. */
  sent: boolean
  /** Undefined once the call has ended here; it stays until the callee answers, since its credit is still spent. */
  settle: ((error: CallError | undefined, value?: Value) => void) | undefined
}

export class Caller {
  readonly #wire: Wire
  readonly #batch: Batch
  readonly #reader = new FrameReader(MAX_FRAME_BYTES)
  readonly #open = new Map<number, Open>()
  readonly #waiting = new Set<Open>()
  readonly #seen: HeadSeen
  #waitingBytes = 0
  #spent = 0
  #lastId = 0
  #unsettled = 0
  #idleSince = performance.now()

  constructor(wire: Wire, heads: HeadTeller, seen: HeadSeen, ended: () => void) {
    this.#wire = wire
    this.#seen = seen
    this.#batch = new Batch(wire, () => heads.next())
    wire.listen({
      data: (chunk) => this.#read(chunk),
      drained: () => this.#batch.drained(),
      closed: (reason) => {
        ended()
        this.#fail(reason)
      }
    })
  }

  get usable(): boolean {
    return this.#wire.open
  }

  /** Calls that have not ended here. */
  get inFlight(): number {
    return this.#unsettled
  }

  /** How long nothing was called, ms; 0 while something is. */
  idleMs(now: number): number {
    return this.#open.size > 0 || this.#waiting.size > 0 ? 0 : now - this.#idleSince
  }

  /** Rejects with CallError. `Unavailable` only if the callee certainly has not got it. */
  call(message: CallMessage, options: CallOptions): Promise<Value> {
    return new Promise((resolve, reject) => {
      const what = `${message.class}.${message.method}@${message.version} at ${this.#wire.peer}`
      const id = ++this.#lastId
      const timeoutMs = Math.max(0, Math.round(options.timeoutMs))
      const frame = writeFrame({ kind: 'call', id, ...message, timeoutMs }, `arguments of ${what}`)
      const call: Open = { id, what, cost: costOf(frame.byteLength), frame, sent: false, settle: undefined }
      const expire = (): void =>
        this.#abandon(call, new CallError('DeadlineExceeded', `${what}: no answer within ${timeoutMs} ms`))
      const cancel = (): void => this.#abandon(call, new CallError('Cancelled', `${what}: cancelled by its caller`))
      const timer = setTimeout(expire, timeoutMs)
      call.settle = (error, value) => {
        call.settle = undefined
        this.#unsettled -= 1
        clearTimeout(timer)
        options.signal?.removeEventListener('abort', cancel)
        if (error === undefined) resolve(value)
        else reject(error)
      }
      this.#unsettled += 1
      if (options.signal?.aborted) cancel()
      else {
        options.signal?.addEventListener('abort', cancel, { once: true })
        this.#admit(call)
      }
    })
  }

  async close(): Promise<void> {
    await this.#wire.close()
  }

  abort(reason: string): void {
    this.#wire.abort(reason)
    this.#fail(reason)
  }

  #admit(call: Open): void {
    if (!this.usable) {
      call.settle?.(new CallError('Unavailable', `${call.what}: the connection ended before it was sent`))
    } else if (this.#waiting.size === 0 && this.#spent + call.cost <= WINDOW_BYTES) {
      this.#transmit(call)
    } else if (this.#waitingBytes + call.cost <= MAX_WAITING_BYTES) {
      this.#waiting.add(call)
      this.#waitingBytes += call.cost
    } else {
      const text = `${call.what}: ${this.#waiting.size} calls wait for this peer already`
      call.settle?.(new CallError('Unavailable', text, { retryAfterMs: WAITING_RETRY_MS }))
    }
  }

  #transmit(call: Open): void {
    this.#open.set(call.id, call)
    this.#spent += call.cost
    this.#batch.push(call.frame, () => {
      call.sent = true
    })
  }

  /** Ends a call here; the callee is told, and its answer gives the credit back. */
  #abandon(call: Open, error: CallError): void {
    if (call.settle === undefined) return
    call.settle(error)
    if (this.#waiting.delete(call)) this.#waitingBytes -= call.cost
    else if (this.#open.has(call.id)) this.#batch.push(writeFrame({ kind: 'cancel', id: call.id }, 'cancel'))
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const payload of this.#reader.read(chunk)) this.#take(readFromCallee(payload))
    } catch (error) {
      this.abort((error as Error).message)
    }
  }

  #take(frame: FromCallee): void {
    if (frame.kind === 'head') {
      this.#seen(this.#wire.peer, frame.head, frame.statements)
      return
    }
    const call = this.#open.get(frame.id)
    // An answer to nothing: the callee is broken, and what it says about other calls is worth nothing either.
    if (call === undefined) throw new CallError('OutcomeUnknown', `an answer to call ${frame.id}, which was not made`)
    this.#open.delete(call.id)
    this.#spent -= call.cost
    this.#idleSince = performance.now()
    if (frame.kind === 'reply') call.settle?.(undefined, frame.value as Value)
    else call.settle?.(errorOf(frame))
    this.#admitWaiting()
  }

  #admitWaiting(): void {
    for (const call of this.#waiting) {
      if (this.#spent + call.cost > WINDOW_BYTES) return
      this.#waiting.delete(call)
      this.#waitingBytes -= call.cost
      this.#transmit(call)
    }
  }

  #fail(reason: string): void {
    const calls = [...this.#open.values(), ...this.#waiting]
    this.#open.clear()
    this.#waiting.clear()
    for (const { sent, settle, what } of calls) {
      if (sent) settle?.(new CallError('OutcomeUnknown', `${what}: the connection ended before the answer: ${reason}`))
      else settle?.(new CallError('Unavailable', `${what}: the connection ended before it was sent: ${reason}`))
    }
  }
}
