/** What travels on a wire of calls (SPEC N8): frames of CBOR, each checked before anything is done with it. */
import { z } from 'zod'
import { CALL_ERROR_NAMES, CallError, type CallErrorName, Refusal } from '../../src/errors.ts'
import { nameSchema, versionSchema } from '../../src/names.ts'
import { headSchema } from '../../src/overlay/record.ts'
import { MAX_TICKET_BYTES } from '../../src/upgrade/ticket.ts'
import type { Value } from '../../src/versions/types.ts'
import { decode } from '../network/cbor.ts'
import { frameOf } from '../network/frames.ts'

/** Arguments or a result: at most this much, with some room for the frame around it. */
export const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
export const MAX_FRAME_BYTES = MAX_PAYLOAD_BYTES + 4096
/** Credit of a wire: what a caller may have sent and not been answered. A callee buffers no more than this per caller. */
export const WINDOW_BYTES = 16 * 1024 * 1024
/** The least a call costs, so that the window bounds the number of calls too (4096). */
export const MIN_COST_BYTES = 4096
const MAX_TEXT = 1000
const MAX_MS = 86_400_000
export const MAX_CALL_ID_LENGTH = 200

const id = z.int().min(1).max(Number.MAX_SAFE_INTEGER)
const text = z.string().max(MAX_TEXT)
const head = z.strictObject({ kind: z.literal('head'), head: headSchema, statements: z.string().max(64) })

const ticket = z.strictObject({ kind: z.literal('ticket'), ticket: z.string().max(MAX_TICKET_BYTES) })

const callSchema = z.strictObject({
  kind: z.literal('call'),
  id,
  class: nameSchema,
  version: versionSchema,
  /** First 16 hex digits of the entry that the caller takes the version for: equal numbers of two branches never meet. */
  entry: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  method: nameSchema,
  args: z.array(z.unknown()).max(256),
  /** Stable over retries, visible to the object. */
  callId: z.string().min(1).max(MAX_CALL_ID_LENGTH),
  held: z.boolean(),
  timeoutMs: z.int().min(0).max(MAX_MS),
  observersOnly: z.boolean(),
  /** The object, by name: its caller may host the SO itself, and is told which versions are served instead (SPEC G6). */
  object: nameSchema.optional(),
  /** The object whose code calls, by name (SPEC A8). */
  by: nameSchema.optional(),
  /** The call is a guest's, which simulates this version with it (SPEC G5). */
  simulates: versionSchema.optional()
})

const messageSchema = callSchema.omit({ kind: true, id: true })
const fromCaller = z.discriminatedUnion('kind', [
  callSchema,
  z.strictObject({ kind: z.literal('cancel'), id }),
  head,
  ticket
])
const fromCallee = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('reply'), id, value: z.unknown() }),
  z.strictObject({
    kind: z.literal('error'),
    id,
    name: z.string().refine((name) => CALL_ERROR_NAMES.has(name), 'a name of a call error'),
    text,
    retryAfterMs: z.int().min(0).max(MAX_MS).optional(),
    serves: z.tuple([z.int().min(0), z.int().min(0)]).optional()
  }),
  head
])

export type CallFrame = z.infer<typeof callSchema>
export type FromCaller = z.infer<typeof fromCaller>
export type FromCallee = z.infer<typeof fromCallee>
export type HeadFrame = z.infer<typeof head>

/** Throws Refusal `Malformed`. */
export const readFromCaller = (payload: Uint8Array): FromCaller => checked(fromCaller, payload)
/** Throws Refusal `Malformed`. */
export const readFromCallee = (payload: Uint8Array): FromCallee => checked(fromCallee, payload)

function checked<T>(schema: z.ZodType<T>, payload: Uint8Array): T {
  const parsed = schema.safeParse(decode(payload))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new Refusal('Malformed', `no frame of a call: ${issue?.path.join('.')}: ${issue?.message}`)
}

/** Throws CallError `PayloadTooLarge`, or `ApplicationError` for what is no plain value. `what` names it in the text. */
export function writeFrame(frame: FromCaller | FromCallee, what: string): Uint8Array {
  try {
    return frameOf(frame, MAX_FRAME_BYTES)
  } catch (error) {
    const refusal = error as Refusal
    const name = refusal.name === 'Oversize' ? 'PayloadTooLarge' : 'ApplicationError'
    throw new CallError(name, `${what}: ${refusal.message}`, { cause: error })
  }
}

export const costOf = (bytes: number): number => Math.max(bytes, MIN_COST_BYTES)

/**
 * A call as its frame must be, or CallError `ApplicationError`: the other end would take a wire that carries anything
 * else for broken, and all other calls on it would end with it.
 */
export function checkedCall(message: CallMessage): CallMessage {
  const parsed = messageSchema.safeParse(message)
  if (parsed.success) return message
  const issue = parsed.error.issues[0]
  throw new CallError('ApplicationError', `not a call: ${issue?.path.join('.')}: ${issue?.message}; it was not sent`)
}

/** Any failure of an object's code as it travels: names of the contract stay, everything else is the application's. */
export function errorFrame(callId: number, error: unknown): FromCallee {
  const known = error instanceof CallError || CALL_ERROR_NAMES.has((error as Error)?.name)
  const { message, name } = error instanceof Error ? error : new Error(String(error))
  const hintMs = known ? (error as CallError).retryAfterMs : undefined
  const serves = error instanceof CallError ? error.serves : undefined
  return {
    kind: 'error',
    id: callId,
    name: known ? name : 'ApplicationError',
    text: message.slice(0, MAX_TEXT),
    // Hosted code may have made the hint up; a frame that the other end refuses would cost every call on its wire.
    ...(hintMs !== undefined && hintMs >= 0 ? { retryAfterMs: Math.min(Math.round(hintMs), MAX_MS) } : {}),
    ...(serves === undefined ? {} : { serves: [...serves] })
  }
}

export function errorOf(frame: Extract<FromCallee, { kind: 'error' }>): CallError {
  const { name, text, retryAfterMs, serves } = frame
  return new CallError(name as CallErrorName, text, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(serves === undefined ? {} : { serves })
  })
}

/** Everything a call says but its place on the wire. */
export type CallMessage = Omit<CallFrame, 'kind' | 'id' | 'args'> & { args: Value[] }
