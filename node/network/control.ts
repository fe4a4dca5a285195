/**
 * The control protocol (SPEC N15): what operators ask of a peer from a machine that is none. Requests on one wire are
 * answered in order; a peer serves few such wires, bounds what each may send, and does not wait for slow ones.
 */
import { pipe } from 'it-pipe'
import { z } from 'zod'
import { Refusal, type RefusalName } from '../../src/errors.ts'
import { hashSchema } from '../../src/names.ts'
import { MAX_LOCK_MS, MAX_LOCK_NAME, MAX_LOCK_REASON } from '../../src/overlay/locks.ts'
import { MAX_ROOT_BYTES, MAX_ROOTS_TOLD, MAX_STATEMENT_BYTES } from '../../src/overlay/messages.ts'
import { MAX_SIGNATURES } from '../../src/upgrade/entry.ts'
import { MAX_ENTRY_BYTES, MAX_PIECES } from '../../src/upgrade/manifest.ts'
import type { StatementBody } from '../../src/upgrade/statement.ts'
import { MAX_TICKET_BYTES } from '../../src/upgrade/ticket.ts'
import { decode } from './cbor.ts'
import { duplexOf } from './duplex.ts'
import { FrameReader, frameOf } from './frames.ts'
import type { Wires } from './network.ts'
import type { Wire } from './wire.ts'

/** Who sits at the other end of a wire of control, and what it has shown. */
export interface Visitor {
  readonly peer: string
  ticket?: string
}

/** The daemon's side. A thrown Refusal reaches the operator with its name; any other error is a fault here and ends the wire. */
export interface ControlHandlers {
  /** Throws Refusal if a visitor may not see what this peer knows (SPEC A7). */
  admit(visitor: Visitor): void
  /** Plain values. */
  status(): unknown
  history(): unknown
  /** Accepted, or the pieces of its bundle that this peer lacks: after `injectPiece` of each, the entry is sent again. */
  injectEntry(bytes: Uint8Array): Promise<EntryAnswer>
  /** Resolves when the piece is durable. */
  injectPiece(bundle: string, index: number, bytes: Uint8Array): Promise<void>
  injectStatement(bytes: Uint8Array): Promise<string>
  injectRoot(bytes: Uint8Array): Promise<string>
  /** Roots that follow version `after`, the next one first. */
  roots(after: number): readonly Uint8Array[]
  /** Who signed what is held here, entries first; from the one of this number on. */
  signed(from: number): readonly SignedItem[]
  /** A program of this host takes a lock, or releases it. */
  lock(token: string, name: string, change: LockChange | null): Promise<string>
  /** Told of errors that are no Refusal. */
  fault(error: unknown): void
}
export type EntryAnswer = { accepted: string } | { need: number[] }

/** An upgrade, or what a statement says, and the ids of the keys that signed it. */
export interface SignedItem {
  what: StatementBody['what'] | 'upgrade'
  hash: string
  keys: string[]
}

/** How long a lock holds, and why; releasing it is null. */
export interface LockChange {
  reason: string
  forMs: number
}

export interface ControlLimits {
  /** Wires served at once; more are turned away. @default 16 */
  wires?: number
  /** Bound on a request from its first to its last byte, and on the pause before it, ms. @default 30000 */
  requestMs?: number
}

const MAX_PIECE_BYTES = 4 * 1024 * 1024
const MAX_REQUEST_BYTES = MAX_PIECE_BYTES + 4096
const MAX_REPLY_BYTES = 8 * 1024 * 1024
const MAX_TEXT = 2_000
/** In one answer; at most 4 MiB. */
const MAX_SIGNED = 1_024
const CONTROL = 'control'

const bytes = (max: number) =>
  z.custom<Uint8Array>((one) => one instanceof Uint8Array && one.byteLength <= max, `at most ${max} bytes`)
const index = z
  .int()
  .min(0)
  .max(MAX_PIECES - 1)

const requestSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('ticket'), ticket: z.string().max(MAX_TICKET_BYTES) }),
  z.strictObject({ op: z.literal('status') }),
  z.strictObject({ op: z.literal('history') }),
  z.strictObject({ op: z.literal('inject-entry'), bytes: bytes(MAX_ENTRY_BYTES * 2) }),
  z.strictObject({ op: z.literal('inject-piece'), bundle: hashSchema, index, bytes: bytes(MAX_PIECE_BYTES) }),
  z.strictObject({ op: z.literal('inject-statement'), bytes: bytes(MAX_STATEMENT_BYTES) }),
  z.strictObject({ op: z.literal('inject-root'), bytes: bytes(MAX_ROOT_BYTES) }),
  z.strictObject({ op: z.literal('roots'), after: z.int().min(1) }),
  z.strictObject({ op: z.literal('signed'), from: z.int().min(0) }),
  z.strictObject({
    op: z.literal('lock'),
    token: hashSchema,
    name: z.string().min(1).max(MAX_LOCK_NAME),
    change: z
      .strictObject({ reason: z.string().max(MAX_LOCK_REASON), forMs: z.int().min(1).max(MAX_LOCK_MS) })
      .nullable()
  })
])
const replySchema = z.discriminatedUnion('answer', [
  z.strictObject({ answer: z.literal('status'), status: z.unknown() }),
  z.strictObject({ answer: z.literal('history'), history: z.unknown() }),
  z.strictObject({ answer: z.literal('accepted'), text: z.string().max(MAX_TEXT) }),
  z.strictObject({ answer: z.literal('need'), pieces: z.array(index).max(MAX_PIECES) }),
  z.strictObject({ answer: z.literal('stored') }),
  z.strictObject({
    answer: z.literal('signed'),
    items: z
      .array(
        z.strictObject({ what: z.string().max(20), hash: hashSchema, keys: z.array(hashSchema).max(MAX_SIGNATURES) })
      )
      .max(MAX_SIGNED)
  }),
  z.strictObject({ answer: z.literal('roots'), roots: z.array(bytes(MAX_ROOT_BYTES)).max(MAX_ROOTS_TOLD) }),
  z.strictObject({ answer: z.literal('refused'), name: z.string().max(40), text: z.string().max(MAX_TEXT) })
])
export type Request = z.infer<typeof requestSchema>
type Reply = z.infer<typeof replySchema>

/** Serves operators on `wires`. */
export async function serveControl(wires: Wires, handlers: ControlHandlers, limits: ControlLimits = {}): Promise<void> {
  const max = limits.wires ?? 16
  let served = 0
  await wires.serve(CONTROL, (wire) => {
    if (served >= max) {
      wire.abort(`${max} operators are served already`)
      return
    }
    served += 1
    const { source, sink } = duplexOf(wire)
    const patience = new Patience(wire, limits.requestMs ?? 30_000)
    const visitor: Visitor = { peer: wire.peer }
    pipe(source, (chunks) => answers(chunks, handlers, visitor, patience), sink)
      // Malformed requests, slowness and lost connections end this wire; the operator is told by its end.
      .catch((error: Error) => wire.abort(error.message))
      .finally(() => {
        patience.end()
        served -= 1
      })
  })
}

/** Ends a wire that does not complete a request in time: a slow sender must not hold a place. */
class Patience {
  readonly #wire: Wire
  readonly #ms: number
  #timer: NodeJS.Timeout | undefined

  constructor(wire: Wire, ms: number) {
    this.#wire = wire
    this.#ms = ms
    this.begin()
  }

  begin(): void {
    this.#timer = setTimeout(() => this.#wire.abort(`no request within ${this.#ms} ms`), this.#ms).unref()
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

async function* answers(
  chunks: AsyncIterable<Uint8Array>,
  handlers: ControlHandlers,
  visitor: Visitor,
  patience: Patience
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new FrameReader(MAX_REQUEST_BYTES)
  for await (const chunk of chunks) {
    for (const payload of reader.read(chunk)) {
      // The clock stands still while the peer itself is at work.
      patience.end()
      const answer = await answered(payload, handlers, visitor)
      // It runs while the answer leaves: whoever does not read must not hold a place either.
      patience.begin()
      yield answer
    }
  }
}

async function answered(payload: Uint8Array, handlers: ControlHandlers, visitor: Visitor): Promise<Uint8Array> {
  try {
    return frameOf(await answerTo(requestOf(payload), handlers, visitor), MAX_REPLY_BYTES)
  } catch (error) {
    if (!(error instanceof Refusal)) {
      handlers.fault(error)
      throw error
    }
    return frameOf({ answer: 'refused', name: error.name, text: error.message.slice(0, MAX_TEXT) }, MAX_REPLY_BYTES)
  }
}

/** @throws Refusal Malformed */
export function requestOf(payload: Uint8Array): Request {
  const parsed = requestSchema.safeParse(decode(payload))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new Refusal(
    'Malformed',
    `no request: ${issue?.path.join('.')}: ${issue?.message}; is the tool of another release?`
  )
}

async function answerTo(request: Request, handlers: ControlHandlers, visitor: Visitor): Promise<Reply> {
  switch (request.op) {
    case 'ticket':
      visitor.ticket = request.ticket
      handlers.admit(visitor)
      return { answer: 'accepted', text: 'admitted' }
    case 'status':
      handlers.admit(visitor)
      return { answer: 'status', status: handlers.status() }
    case 'history':
      handlers.admit(visitor)
      return { answer: 'history', history: handlers.history() }
    case 'inject-entry': {
      const answer = await handlers.injectEntry(request.bytes)
      return 'need' in answer ? { answer: 'need', pieces: answer.need } : { answer: 'accepted', text: answer.accepted }
    }
    case 'inject-piece':
      await handlers.injectPiece(request.bundle, request.index, request.bytes)
      return { answer: 'stored' }
    case 'inject-statement':
      return { answer: 'accepted', text: await handlers.injectStatement(request.bytes) }
    case 'inject-root':
      return { answer: 'accepted', text: await handlers.injectRoot(request.bytes) }
    // Of nobody's state: whoever brings something judges by them first.
    case 'roots':
      return { answer: 'roots', roots: handlers.roots(request.after).slice(0, MAX_ROOTS_TOLD) }
    case 'signed':
      handlers.admit(visitor)
      return { answer: 'signed', items: handlers.signed(request.from).slice(0, MAX_SIGNED) }
    case 'lock':
      return { answer: 'accepted', text: await handlers.lock(request.token, request.name, request.change) }
  }
}

/** The operator's side: one wire, requests answered in their order; several may be under way. */
export interface Control {
  readonly open: boolean
  /** Shows what admits this client to a private fleet. */
  ticket(ticket: string): Promise<string>
  status(): Promise<unknown>
  history(): Promise<unknown>
  injectEntry(bytes: Uint8Array): Promise<EntryAnswer>
  injectPiece(bundle: string, index: number, bytes: Uint8Array): Promise<void>
  injectStatement(bytes: Uint8Array): Promise<string>
  injectRoot(bytes: Uint8Array): Promise<string>
  /** Those that follow version `after`, as many as go into one answer. */
  roots(after: number): Promise<Uint8Array[]>
  /** Who signed what the peer holds. */
  signed(): Promise<SignedItem[]>
  lock(token: string, name: string, change: LockChange | null): Promise<string>
  close(): Promise<void>
}

/** Throws Refusal `Unreachable` or `WrongFleet`. */
export async function openControl(
  wires: Wires,
  peer: string,
  addresses: string[],
  answerMs = 60_000
): Promise<Control> {
  return new ControlWire(await wires.wire(peer, addresses, CONTROL), answerMs)
}

interface Asked {
  resolve(reply: Reply): void
  reject(refusal: Refusal): void
}

class ControlWire implements Control {
  readonly #wire: Wire
  readonly #answerMs: number
  readonly #asked: Asked[] = []
  readonly #reader = new FrameReader(MAX_REPLY_BYTES)
  #timer: NodeJS.Timeout | undefined
  #ended: string | undefined

  constructor(wire: Wire, answerMs: number) {
    this.#wire = wire
    this.#answerMs = answerMs
    wire.listen({ data: (chunk) => this.#read(chunk), closed: (reason) => this.#fail(reason) })
  }

  get open(): boolean {
    return this.#ended === undefined && this.#wire.open
  }

  async ticket(ticket: string): Promise<string> {
    return expected(await this.#ask({ op: 'ticket', ticket }), 'accepted').text
  }

  async status(): Promise<unknown> {
    return expected(await this.#ask({ op: 'status' }), 'status').status
  }

  async history(): Promise<unknown> {
    return expected(await this.#ask({ op: 'history' }), 'history').history
  }

  async injectEntry(entry: Uint8Array): Promise<EntryAnswer> {
    const reply = await this.#ask({ op: 'inject-entry', bytes: entry })
    return reply.answer === 'need' ? { need: reply.pieces } : { accepted: expected(reply, 'accepted').text }
  }

  async injectPiece(bundle: string, at: number, piece: Uint8Array): Promise<void> {
    expected(await this.#ask({ op: 'inject-piece', bundle, index: at, bytes: piece }), 'stored')
  }

  async injectStatement(statement: Uint8Array): Promise<string> {
    return expected(await this.#ask({ op: 'inject-statement', bytes: statement }), 'accepted').text
  }

  async injectRoot(root: Uint8Array): Promise<string> {
    return expected(await this.#ask({ op: 'inject-root', bytes: root }), 'accepted').text
  }

  async roots(after: number): Promise<Uint8Array[]> {
    return expected(await this.#ask({ op: 'roots', after }), 'roots').roots
  }

  async signed(): Promise<SignedItem[]> {
    const items: SignedItem[] = []
    for (let page = MAX_SIGNED; page === MAX_SIGNED; ) {
      const answer = expected(await this.#ask({ op: 'signed', from: items.length }), 'signed')
      page = answer.items.length
      // What a later release may say is of the role that says everything.
      items.push(...(answer.items as SignedItem[]))
    }
    return items
  }

  async lock(token: string, name: string, change: LockChange | null): Promise<string> {
    return expected(await this.#ask({ op: 'lock', token, name, change }), 'accepted').text
  }

  async close(): Promise<void> {
    await this.#wire.close()
  }

  async #ask(request: Request): Promise<Reply> {
    const frame = frameOf(request, MAX_REQUEST_BYTES)
    if (!this.open) throw this.#unreachable(this.#ended ?? 'closed')
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#asked.push({ resolve, reject })
      if (this.#asked.length === 1) this.#await()
      this.#wire.send(frame)
    })
    if (reply.answer === 'refused') throw new Refusal(reply.name as RefusalName, reply.text)
    return reply
  }

  #await(): void {
    clearTimeout(this.#timer)
    if (this.#asked.length === 0) return
    this.#timer = setTimeout(() => {
      this.#wire.abort('no answer')
      this.#fail(`no answer within ${this.#answerMs} ms`)
    }, this.#answerMs)
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const payload of this.#reader.read(chunk)) {
        this.#asked.shift()?.resolve(replySchema.parse(decode(payload)))
        this.#await()
      }
    } catch (error) {
      this.#wire.abort('no reply')
      this.#fail(`it does not speak this protocol: ${(error as Error).message}`)
    }
  }

  #fail(reason: string): void {
    this.#ended ??= reason
    clearTimeout(this.#timer)
    for (const { reject } of this.#asked.splice(0)) reject(this.#unreachable(reason))
  }

  #unreachable(reason: string): Refusal {
    return new Refusal(
      'Unreachable',
      `peer ${this.#wire.peer} did not answer: ${reason}; what it acknowledged is kept, run this again`
    )
  }
}

function expected<A extends Reply['answer']>(reply: Reply, answer: A): Extract<Reply, { answer: A }> {
  if (reply.answer === answer) return reply as Extract<Reply, { answer: A }>
  throw new Refusal(
    'Malformed',
    `the peer answered "${reply.answer}" where "${answer}" was expected; is it of another release?`
  )
}
