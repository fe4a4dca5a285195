/**
 * Requests, answers and notices over the pipe between the daemon and a hosted process (SPEC H4): frames of CBOR, many
 * requests under way in both directions, what is sent in one turn goes in one write. Both ends use this class.
 */
import type { Duplex } from 'node:stream'
import {
  CALL_ERROR_NAMES,
  CallError,
  type CallErrorName,
  Refusal,
  type RefusalName,
  type ServedRange
} from '../../src/errors.ts'
import type { Value } from '../../src/versions/types.ts'
import { decode } from '../network/cbor.ts'
import { FrameReader, frameOf } from '../network/frames.ts'

/** Answers requests; `id` names the request for a later `cancel`. What a handler of a notice returns is dropped. */
export type Handlers = Record<string, (args: any, id: number) => Promise<unknown> | unknown>

export interface ConversationInit {
  handlers: Handlers
  maxFrameBytes: number
  /** What may wait to be written, and what may be asked by the other end at once; calls beyond it are `Unavailable`. */
  maxQueuedBytes: number
  /** The pipe is closed, or the other end broke the protocol. Called once; requests under way are failed after. */
  closed(reason: string): void
  /** The error of a request that the end of the conversation leaves open. */
  lost(kind: string, sent: boolean, reason: string): Error
}

export interface Request {
  readonly id: number
  readonly answer: Promise<any>
  /** Forgets the request; answers whether it was already written to the pipe. */
  forget(error: Error): boolean
}

interface Pending {
  kind: string
  sent: boolean
  resolve: (value: unknown) => void
  reject: (error: Error) => void
}

export const MAX_ERROR_LENGTH = 4000
/** Kinds of requests that application code causes; there may be any number of them. */
const CALLS: ReadonlySet<string> = new Set(['call', 'outward', 'visit', 'delegate'])
/** What a call costs beside its arguments. */
const CALL_BYTES = 4096

export class Conversation {
  readonly #stream: Duplex
  readonly #init: ConversationInit
  readonly #pending = new Map<number, Pending>()
  #queue: { bytes: Uint8Array; pending: Pending | null }[] = []
  #queuedBytes = 0
  /** Of the calls that the other end has made and that are not answered. */
  #underWay = 0
  #flushing = false
  #nextId = 1
  #over: string | null = null

  constructor(stream: Duplex, init: ConversationInit) {
    this.#stream = stream
    this.#init = init
    const reader = new FrameReader(init.maxFrameBytes)
    stream.on('data', (chunk: Uint8Array) => {
      try {
        for (const frame of reader.read(chunk)) this.#receive(decode(frame), frame.byteLength)
      } catch (error) {
        this.end(`the other end broke the protocol: ${(error as Error).message}`)
      }
    })
    stream.on('error', (error) => this.end(error.message))
    stream.on('close', () => this.end('the pipe was closed'))
    stream.on('drain', () => this.#flush())
  }

  /** Throws CallError: PayloadTooLarge, Unavailable (too much is queued), ApplicationError (no plain value). */
  request(kind: string, ...args: unknown[]): Request {
    if (this.#over !== null) throw this.#init.lost(kind, false, this.#over)
    const id = this.#nextId++
    const { promise: answer, resolve, reject } = Promise.withResolvers<unknown>()
    const pending: Pending = { kind, sent: false, resolve, reject }
    this.#send([id, kind, ...args], pending)
    this.#pending.set(id, pending)
    const forget = (error: Error) => {
      this.#pending.delete(id)
      if (!pending.sent) this.#withdraw(pending)
      reject(error)
      return pending.sent
    }
    return { id, answer, forget }
  }

  notify(kind: string, ...args: unknown[]): void {
    if (this.#over === null) this.#send([0, kind, ...args], null)
  }

  /** Writes what is queued and closes the pipe. */
  finish(): void {
    this.#write()
    this.#stream.end()
  }

  /** Ends at once; requests under way fail. */
  end(reason: string): void {
    if (this.#over !== null) return
    this.#over = reason
    this.#stream.destroy()
    this.#init.closed(reason)
  }

  /** Fails the requests under way; called when no answer can come any more. */
  abandon(reason: string): void {
    this.end(reason)
    for (const { kind, sent, reject } of this.#pending.values()) reject(this.#init.lost(kind, sent, reason))
    this.#pending.clear()
    this.#queue = []
  }

  #send(message: unknown[], pending: Pending | null): void {
    let bytes: Uint8Array
    try {
      bytes = frameOf(message, this.#init.maxFrameBytes)
    } catch (error) {
      throw asCallError(error as Error)
    }
    const bounded = pending !== null && CALLS.has(pending.kind)
    if (bounded && this.#queuedBytes + bytes.length > this.#init.maxQueuedBytes) throw tooMany()
    this.#queue.push({ bytes, pending })
    this.#queuedBytes += bytes.length
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => this.#flush())
  }

  #withdraw(pending: Pending): void {
    const index = this.#queue.findIndex((one) => one.pending === pending)
    if (index >= 0) this.#queuedBytes -= this.#queue.splice(index, 1)[0]!.bytes.length
  }

  #flush(): void {
    this.#flushing = false
    if (this.#over !== null || this.#stream.writableNeedDrain) return
    this.#write()
  }

  #write(): void {
    if (this.#queue.length === 0) return
    const queue = this.#queue
    this.#queue = []
    this.#queuedBytes = 0
    for (const { pending } of queue) if (pending !== null) pending.sent = true
    this.#stream.write(queue.length === 1 ? queue[0]!.bytes : Buffer.concat(queue.map(({ bytes }) => bytes)))
  }

  #receive(message: unknown, bytes: number): void {
    if (this.#over !== null) return
    if (!Array.isArray(message) || typeof message[0] !== 'number' || typeof message[1] !== 'string') {
      throw new Refusal('Malformed', 'a message is [id, kind, …]')
    }
    const [id, kind, ...args] = message as [number, string, ...Value[]]
    if (kind === 'answer' || kind === 'fail') {
      const pending = this.#pending.get(id)
      this.#pending.delete(id)
      if (kind === 'answer') pending?.resolve(args[0])
      else pending?.reject(errorOf(args))
      return
    }
    const handler = Object.hasOwn(this.#init.handlers, kind) ? this.#init.handlers[kind] : undefined
    if (handler === undefined) throw new Refusal('Malformed', `a message of unknown kind ${kind.slice(0, 40)}`)
    void this.#answer(id, handler, args, CALLS.has(kind) ? bytes + CALL_BYTES : 0)
  }

  async #answer(id: number, handler: Handlers[string], args: Value[], cost: number): Promise<void> {
    let reply: unknown[]
    this.#underWay += cost
    try {
      if (this.#underWay > this.#init.maxQueuedBytes && cost > 0) throw tooMany()
      reply = [id, 'answer', await handler(args, id)]
    } catch (error) {
      reply = failure(id, error)
    } finally {
      this.#underWay -= cost
    }
    if (id === 0 || this.#over !== null) return
    try {
      this.#send(reply, null)
    } catch (error) {
      // The result is too large, or no plain value: the caller hears that instead.
      this.#send(failure(id, error), null)
    }
  }
}

function tooMany(): CallError {
  return new CallError('Unavailable', 'too many calls of or at this object are under way', { retryAfterMs: 100 })
}

type Family = 'call' | 'refusal' | 'other'

function failure(id: number, error: unknown): unknown[] {
  const thrown = (error instanceof Error ? error : new Error(String(error))) as CallError
  const { name, message, retryAfterMs, serves } = thrown
  const family: Family = error instanceof CallError ? 'call' : error instanceof Refusal ? 'refusal' : 'other'
  return [
    id,
    'fail',
    family,
    String(name).slice(0, 64),
    String(message).slice(0, MAX_ERROR_LENGTH),
    retryAfterMs,
    serves
  ]
}

function errorOf([family, name, message, retryAfterMs, serves]: any[]): Error {
  const text = String(message).slice(0, MAX_ERROR_LENGTH)
  if (family === 'call' && CALL_ERROR_NAMES.has(name)) {
    return new CallError(name as CallErrorName, text, {
      ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
      ...(isRange(serves) ? { serves } : {})
    })
  }
  if (family === 'refusal') return new Refusal(String(name) as RefusalName, text)
  return Object.assign(new Error(text), { name: String(name).slice(0, 64) })
}

const isRange = (value: unknown): value is ServedRange =>
  Array.isArray(value) && value.length === 2 && value.every((one) => Number.isInteger(one) && one >= 0)

/** What a caller hears of arguments or a result that cannot travel. */
export function asCallError(error: Error): CallError {
  if (error.name === 'Oversize') return new CallError('PayloadTooLarge', error.message)
  return new CallError('ApplicationError', error.message, { cause: error })
}
