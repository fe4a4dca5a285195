/** The serving end of a wire of calls (SPEC N8, N9, N11). */
import { CallError, Refusal } from '../../src/errors.ts'
import type { Value } from '../../src/versions/types.ts'
import { FrameReader, PREFIX_BYTES } from '../network/frames.ts'
import type { Wire } from '../network/wire.ts'
import { Batch } from './batch.ts'
import {
  type CallFrame,
  type CallMessage,
  costOf,
  errorFrame,
  type FromCaller,
  MAX_FRAME_BYTES,
  readFromCaller,
  WINDOW_BYTES,
  writeFrame
} from './frames.ts'
import type { HeadSeen, HeadTeller } from './heads.ts'

/** Replies that a caller does not read are kept up to this; then the wire ends. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024

export interface IncomingCall extends CallMessage {
  from: string
  /** Aborted at the deadline, when the caller cancels, and when its wire ends. */
  signal: AbortSignal
  /** What its caller showed to be admitted. */
  ticket?: string | undefined
}
/** Why somebody may not call here; undefined if it may (SPEC A7). */
export type Admit = (peer: string, ticket: string | undefined) => CallError | undefined
/** Executes a call. Rejections that are no CallError travel as ApplicationError. */
export type Serve = (call: IncomingCall) => Promise<Value>

/** What one caller has running here, over all its wires: the rest of its calls wait in its own queue. */
export class Lane {
  readonly #limit: number
  readonly #queue = new Set<() => void>()
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get idle(): boolean {
    return this.#running === 0 && this.#queue.size === 0
  }

  /** Runs `start` when there is a place; returns how to give up waiting. */
  enter(start: () => void): () => void {
    if (this.#running < this.#limit) {
      this.#running += 1
      start()
      return () => undefined
    }
    this.#queue.add(start)
    return () => void this.#queue.delete(start)
  }

  leave(): void {
    this.#running -= 1
    for (const start of this.#queue) {
      this.#queue.delete(start)
      this.#running += 1
      start()
      return
    }
  }
}

interface Running {
  readonly cost: number
  readonly controller: AbortController
  readonly timer: NodeJS.Timeout
  giveUp: () => void
  started: boolean
}

export interface CalleeInit {
  wire: Wire
  lane: Lane
  heads: HeadTeller
  seen: HeadSeen
  admit: Admit
  serve: Serve
  ended(): void
}

export class Callee {
  readonly #wire: Wire
  readonly #lane: Lane
  readonly #serve: Serve
  readonly #seen: HeadSeen
  readonly #admits: Admit
  readonly #batch: Batch
  readonly #reader = new FrameReader(MAX_FRAME_BYTES)
  readonly #calls = new Map<number, Running>()
  #held = 0
  #ticket: string | undefined

  constructor({ wire, lane, heads, seen, admit, serve, ended }: CalleeInit) {
    this.#admits = admit
    this.#wire = wire
    this.#lane = lane
    this.#serve = serve
    this.#seen = seen
    this.#batch = new Batch(wire, () => heads.next())
    wire.listen({
      data: (chunk) => this.#read(chunk),
      drained: () => {
        this.#batch.drained()
        if (this.#batch.clear) wire.resume()
      },
      closed: (reason) => {
        this.#end(reason)
        ended()
      }
    })
  }

  async close(): Promise<void> {
    await this.#wire.close()
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const payload of this.#reader.read(chunk)) this.#take(readFromCaller(payload), payload.byteLength)
    } catch (error) {
      const { message } = error as Error
      this.#wire.abort(message)
      this.#end(message)
    }
  }

  #take(frame: FromCaller, bytes: number): void {
    switch (frame.kind) {
      case 'head':
        this.#seen(this.#wire.peer, frame.head, frame.statements)
        return
      case 'ticket':
        this.#ticket = frame.ticket
        return
      case 'cancel':
        this.#cancel(frame.id)
        return
      case 'call':
        this.#admit(frame, costOf(PREFIX_BYTES + bytes))
    }
  }

  #admit(frame: CallFrame, cost: number): void {
    const { kind: _kind, id, ...message } = frame
    const refused = this.#admits(this.#wire.peer, this.#ticket)
    if (refused !== undefined) return this.#turnAway(id, refused)
    if (this.#calls.has(id)) throw new Refusal('Malformed', `call ${id} is in flight already`)
    if (this.#held + cost > WINDOW_BYTES) throw new Refusal('Oversize', 'more was sent than the window allows')
    const controller = new AbortController()
    const expire = (): void => {
      const what = running.started ? 'it is still running' : 'it was not begun'
      this.#stop(id, new CallError('DeadlineExceeded', `no result within ${message.timeoutMs} ms; ${what}`))
    }
    const timer = setTimeout(expire, message.timeoutMs)
    const running: Running = { cost, controller, timer, giveUp: () => undefined, started: false }
    this.#calls.set(id, running)
    this.#held += cost
    running.giveUp = this.#lane.enter(() => {
      running.started = true
      void this.#run(id, {
        ...message,
        from: this.#wire.peer,
        ticket: this.#ticket,
        signal: controller.signal
      } as IncomingCall)
    })
  }

  /** Nothing else goes to whoever is not admitted, and it may not keep the wire. */
  #turnAway(id: number, error: CallError): void {
    this.#wire.send(writeFrame(errorFrame(id, error), 'error'))
    if (this.#calls.size === 0) void this.#wire.close()
  }

  async #run(id: number, call: IncomingCall): Promise<void> {
    try {
      const value = await this.#serve(call)
      this.#answer(id, () => writeFrame({ kind: 'reply', id, value }, `result of ${call.class}.${call.method}`))
    } catch (error) {
      this.#answer(id, () => writeFrame(errorFrame(id, error), 'error'))
    } finally {
      this.#lane.leave()
    }
  }

  /** A call that was not begun is answered at once; a running one is told, and answers in its own time. */
  #cancel(id: number): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    const error = new CallError('Cancelled', 'cancelled by its caller')
    if (call.started) call.controller.abort(error)
    else this.#stop(id, error)
  }

  #stop(id: number, error: CallError): void {
    this.#calls.get(id)?.controller.abort(error)
    this.#answer(id, () => writeFrame(errorFrame(id, error), 'error'))
  }

  /** Answers once; the answer gives the caller its credit back. */
  #answer(id: number, frame: () => Uint8Array): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    const bytes = this.#encoded(id, frame)
    this.#forget(id, call)
    this.#batch.push(bytes)
    if (this.#batch.bytes > MAX_UNREAD_BYTES) {
      this.#wire.abort(`${this.#batch.bytes} bytes of answers are not read`)
    } else if (!this.#batch.clear) {
      // Whoever does not read its answers may not ask for more.
      this.#wire.pause()
    }
  }

  #encoded(id: number, frame: () => Uint8Array): Uint8Array {
    try {
      return frame()
    } catch (error) {
      // The result does not fit, or is no plain value: the call was executed, and its caller must hear that it was.
      return writeFrame(errorFrame(id, error), 'error')
    }
  }

  #forget(id: number, call: Running): void {
    clearTimeout(call.timer)
    call.giveUp()
    this.#calls.delete(id)
    this.#held -= call.cost
  }

  #end(reason: string): void {
    for (const [id, call] of this.#calls) {
      this.#forget(id, call)
      call.controller.abort(new CallError('Cancelled', `the connection of its caller ended: ${reason}`))
    }
  }
}
