/**
 * The overlay session with one peer (SPEC N6): a long-lived wire each way, each carrying length-prefixed CBOR messages.
 * The sending side queues, bounded; the receiving side validates, and waits for its consumer.
 */

import { Refusal } from '../../src/errors.ts'
import { MAX_MESSAGE_BYTES, type Message, messageSchema } from '../../src/overlay/messages.ts'
import { decode } from './cbor.ts'
import { FrameReader, frameOf } from './frames.ts'
import type { Wire } from './wire.ts'

/** What may wait for one slow peer. Above, the session ends: anti-entropy catches up after it reconnects. */
export const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/** Below it, `writable` resolves: enough to keep a wire busy while the next piece is read from disk. */
const LOW_QUEUED_BYTES = 1024 * 1024

const frames = new WeakMap<Message, Uint8Array>()

/** One message for many neighbours is encoded once. Throws Refusal `Malformed` or `Oversize`: a fault of ours. */
function frameOfMessage(message: Message): Uint8Array {
  let bytes = frames.get(message)
  if (bytes === undefined) {
    bytes = frameOf(message, MAX_MESSAGE_BYTES)
    frames.set(message, bytes)
  }
  return bytes
}

export class Outbound {
  readonly #overflow: (reason: string) => void
  #wire: Wire | undefined
  #clear = false
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #waiting: (() => void)[] = []

  constructor(overflow: (reason: string) => void) {
    this.#overflow = overflow
  }

  get attached(): boolean {
    return this.#wire !== undefined
  }

  /** Attaches the wire on which the queue goes out; `lost` when it ends. What was on it then may be lost. */
  attach(wire: Wire, lost: (reason: string) => void): void {
    this.#wire = wire
    this.#clear = true
    wire.listen({
      // Nothing is said on this wire but by us.
      data: () => wire.abort('data on the sending side of a session'),
      drained: () => {
        this.#clear = true
        this.#pump()
      },
      closed: (reason) => {
        if (this.#wire !== wire) return
        this.#wire = undefined
        lost(reason)
      }
    })
    this.#pump()
  }

  send(message: Message): void {
    const bytes = frameOfMessage(message)
    if (this.#queuedBytes + bytes.byteLength > MAX_QUEUED_BYTES) {
      this.#overflow(`it reads too slowly: ${this.#queuedBytes} bytes wait for it`)
      return
    }
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.byteLength
    this.#pump()
  }

  /** Resolves when little waits to be sent, or nothing ever will be. */
  writable(): Promise<void> {
    if (this.#queuedBytes < LOW_QUEUED_BYTES) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  end(reason: string, abrupt: boolean): void {
    const wire = this.#wire
    this.#wire = undefined
    this.#queue = []
    this.#queuedBytes = 0
    this.#release()
    if (wire === undefined) return
    if (abrupt) wire.abort(reason)
    else void wire.close()
  }

  #pump(): void {
    while (this.#clear && this.#wire?.open && this.#queue.length > 0) {
      const bytes = this.#queue.shift()!
      this.#queuedBytes -= bytes.byteLength
      this.#clear = this.#wire.send(bytes)
    }
    if (this.#queuedBytes < LOW_QUEUED_BYTES) this.#release()
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

export interface MessageHandlers {
  /** A promise holds up the wire until it settles, and the sender feels it. */
  receive(message: Message): void | Promise<void>
  /** The other end sent what is no message; nothing after it is read. */
  broken(reason: string): void
  closed(reason: string): void
}

/** Reads the messages that come over a wire, one after the other. */
export class Inbound {
  readonly #wire: Wire
  readonly #handlers: MessageHandlers
  readonly #reader = new FrameReader(MAX_MESSAGE_BYTES)
  readonly #chunks: Uint8Array[] = []
  #busy = false
  #ended = false
  #closed: string | undefined

  constructor(wire: Wire, handlers: MessageHandlers) {
    this.#wire = wire
    this.#handlers = handlers
    wire.listen({
      data: (chunk) => {
        this.#chunks.push(chunk)
        if (!this.#busy && !this.#ended) void this.#drain()
      },
      closed: (reason) => {
        this.#closed = reason
        if (!this.#busy) handlers.closed(reason)
      }
    })
  }

  async #drain(): Promise<void> {
    this.#busy = true
    for (const message of this.#messages()) {
      const done = this.#handlers.receive(message)
      if (done === undefined) continue
      this.#wire.pause()
      await done
    }
    this.#busy = false
    if (this.#closed !== undefined) this.#handlers.closed(this.#closed)
    else if (!this.#ended) this.#wire.resume()
  }

  *#messages(): Generator<Message, void, undefined> {
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      const payloads = this.#reader.read(chunk)
      for (;;) {
        let message: Message
        try {
          const next = payloads.next()
          if (next.done) break
          message = messageOf(next.value)
        } catch (error) {
          this.#ended = true
          this.#chunks.length = 0
          this.#handlers.broken((error as Error).message)
          return
        }
        yield message
      }
    }
  }
}

/** @throws Refusal Malformed */
export function messageOf(payload: Uint8Array): Message {
  const parsed = messageSchema.safeParse(decode(payload))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new Refusal('Malformed', `no message: ${issue?.path.join('.')}: ${issue?.message}`)
}
