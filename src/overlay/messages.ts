/** Messages between neighbours (SPEC O4). The driver encodes them as CBOR and checks them against `messageSchema`. */
import { z } from 'zod'
import { hashSchema, nameSchema, peerIdSchema, versionSchema } from '../names.ts'
import { MAX_CLASSES, MAX_ENTRY_BYTES, MAX_PIECES } from '../upgrade/manifest.ts'
import { MAX_TICKET_BYTES } from '../upgrade/ticket.ts'
import { addressesSchema, headSchema, MAX_RECORD_BYTES } from './record.ts'
import { SKETCH_BYTES } from './sketch.ts'

/** Byte budget of one delta; what does not fit waits for the next round (Scuttlebutt). */
export const MAX_DELTA_BYTES = 512 * 1024
/** The largest message is a piece of 4 MiB and its frame. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024 + 4096
/** Roots in one delta. */
export const MAX_ROOTS_TOLD = 64
export const MAX_ROOT_BYTES = 64 * 1024
export const MAX_STATEMENT_BYTES = 16 * 1024
/** Newest versions of an object that the census counts. */
export const MAX_COUNTED_VERSIONS = 4
const MAX_CENSUS_LINES = MAX_CLASSES * MAX_COUNTED_VERSIONS
/** Contacts in an answer to somebody who looks for neighbours. */
export const MAX_INTRODUCED = 3
/** Contacts in one shuffle. */
export const MAX_SHUFFLED = 8

const bytes = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength <= max, `bytes, at most ${max}`)
/** Contacts share them. Said by type alone: zod's `readonly` throws where it finds bytes in place of a list. */
const sharedAddresses = addressesSchema as z.ZodType<readonly string[]>
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const digest = z.string().max(64)

/** Hashes of statements in one digest, and the slices that a larger set is told in. */
const MAX_DIGEST = 4096
const MAX_SLICES = 1_000_000

const sketch = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength === SKETCH_BYTES, 'a sketch')
  .optional()
/** Of each version that is counted. */
const censusLines = z
  .array(
    z.strictObject({
      object: nameSchema,
      version: versionSchema,
      entry: z.string().max(16),
      run: sketch,
      simulate: sketch,
      failed: sketch,
      retries: count,
      called: count
    })
  )
  .max(MAX_CENSUS_LINES)
/** What the sender counts in this epoch; `before`: in the last one. `whole`: all that it should have heard of is in it. */
const counts = { epoch: count, lines: censusLines, before: censusLines, whole: z.boolean() }

export const messageSchema = z.discriminatedUnion('kind', [
  /** Opens a round of anti-entropy: constant size; equal summaries end it. */
  z.strictObject({
    kind: z.literal('summary'),
    head: headSchema,
    /** The newest root that the sender trusts; left out for the first one. */
    root: headSchema.optional(),
    statements: digest,
    records: digest,
    census: digest,
    /** What the digest is of, where it is news in a large fleet (SPEC O21). */
    counts: z.strictObject(counts).optional(),
    /** There are records that others should have soon. */
    news: z.literal(true).optional(),
    /** What the sender's clock shows, Unix ms (SPEC S27). */
    time: count.optional()
  }),
  /** What the sender has, in full; `answer` asks for the receiver's digest in return. */
  z.strictObject({
    kind: z.literal('digest'),
    root: headSchema.optional(),
    tips: z.array(headSchema).max(16),
    statements: z.array(hashSchema).max(MAX_DIGEST),
    /** Which of how many slices of all statements that is; the whole if it is left out. */
    slice: z.tuple([count, z.int().min(1).max(MAX_SLICES)]).optional(),
    records: z.array(z.tuple([peerIdSchema, count, count])).max(1024),
    /** Records of peers not named above that the sender would take. */
    room: z.int().min(0).max(1024),
    answer: z.boolean()
  }),
  z.strictObject({
    kind: z.literal('delta'),
    /** Told before all else, in order (O27). */
    roots: z.array(bytes(MAX_ROOT_BYTES)).max(MAX_ROOTS_TOLD).optional(),
    entries: z.array(bytes(MAX_ENTRY_BYTES * 2)).max(64),
    statements: z.array(bytes(MAX_STATEMENT_BYTES)).max(256),
    records: z.array(bytes(MAX_RECORD_BYTES)).max(1024),
    /** Of each record: for how long the sender has had no sign of life of its peer; left out if there were of all. */
    agesMs: z.array(count).max(1024).optional(),
    /** More was left out for the budget. */
    more: z.boolean()
  }),
  /** Announces which pieces of a bundle the sender holds: a bit field, lowest bit of the first byte is piece 0. */
  z.strictObject({ kind: z.literal('have'), bundle: hashSchema, pieces: bytes(MAX_PIECES / 8) }),
  z.strictObject({
    kind: z.literal('want'),
    bundle: hashSchema,
    index: z
      .int()
      .min(0)
      .max(MAX_PIECES - 1)
  }),
  z.strictObject({
    kind: z.literal('piece'),
    bundle: hashSchema,
    index: z
      .int()
      .min(0)
      .max(MAX_PIECES - 1),
    bytes: bytes(4 * 1024 * 1024)
  }),
  /** Answer to `want` of something the sender does not hold or cannot send now. */
  z.strictObject({
    kind: z.literal('lack'),
    bundle: hashSchema,
    index: z
      .int()
      .min(0)
      .max(MAX_PIECES - 1)
  }),
  /** Neighbourhood: a bounded symmetric set (SPEC O2). `urgent`: the asker has too few neighbours, do not refuse. */
  z.strictObject({
    kind: z.literal('neighbour'),
    what: z.enum(['ask', 'accept', 'refuse', 'leave']),
    urgent: z.boolean(),
    /** The sender's record, of `ask` and `accept`: neighbours know each other. */
    record: bytes(MAX_RECORD_BYTES).optional(),
    /** Others to ask: of `accept`, who gave its place up; of `refuse`, some neighbours. */
    contacts: z
      .array(z.strictObject({ peer: peerIdSchema, addresses: addressesSchema }))
      .max(MAX_INTRODUCED)
      .optional()
  }),
  /** Both sides of a pair that count something else; `answer` asks for what the receiver counts. */
  z.strictObject({ kind: z.literal('census'), digest, ...counts, answer: z.boolean() }),
  /** First of all, in a private fleet: what admits the sender (SPEC A4). */
  z.strictObject({
    kind: z.literal('ticket'),
    ticket: z.string().max(MAX_TICKET_BYTES),
    /** The newest root that the sender trusts, as in a summary. */
    root: headSchema.optional()
  }),
  /** Contacts of the sender: itself, neighbours, some of its passive set (SPEC O10). `answer` asks for as many in return. */
  z.strictObject({
    kind: z.literal('shuffle'),
    contacts: z
      .array(z.strictObject({ peer: peerIdSchema, addresses: sharedAddresses, ageMs: count }))
      .max(MAX_SHUFFLED),
    answer: z.boolean()
  })
])

export type Message = z.infer<typeof messageSchema>
export type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>
