/**
 * Entries, statements and tickets as signed TUF metadata (SPEC U4 to U6, T2, T3, A2): shape, encoding, signing. Whether
 * the signatures suffice is decided in `trust.ts`.
 *
 * All are `targets` metadata without targets; what they say is one field of ours, so that any TUF tool can show and
 * check them. Nothing beside the named fields is accepted: what is signed is what is understood.
 */
import { Metadata, MetadataKind, type Targets } from '@tufjs/models'
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { hashSchema } from '../names.ts'
import { MAX_STATEMENT_BYTES } from '../overlay/messages.ts'
import { canonicalText, decode, encode, explain, sha256 } from './canonical.ts'
import type { Signer } from './keys.ts'
import { MAX_ENTRY_BYTES, type Manifest, manifestSchema } from './manifest.ts'
import { checkStrategies } from './scheduling.ts'
import { type StatementBody, statementBodySchema } from './statement.ts'
import { MAX_TICKET_BYTES, type TicketBody, ticketBodySchema } from './ticket.ts'

export const SPECIFICATION = '1.0.31'
/** More people than this never sign one thing; bounds the work of verifying. */
export const MAX_SIGNATURES = 32

export const UPGRADE_FIELD = 'x-upstart-upgrade'
export const STATEMENT_FIELD = 'x-upstart-statement'
export const TICKET_FIELD = 'x-upstart-ticket'

export const expiresSchema = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'a time is written like 2030-01-31T12:00:00Z')
  .refine((time) => !Number.isNaN(Date.parse(time)), 'no such time')

export const signaturesSchema = z
  .array(
    z.strictObject({
      keyid: hashSchema,
      sig: z.string().regex(/^[0-9a-f]{128}$/, 'an Ed25519 signature is 128 lower-case hex digits')
    })
  )
  .max(MAX_SIGNATURES)
  .refine((list) => new Set(list.map((one) => one.keyid)).size === list.length, 'one signature per key')

const targetsFields = {
  _type: z.literal(MetadataKind.Targets),
  spec_version: z.literal(SPECIFICATION),
  version: z.int().min(1),
  expires: expiresSchema,
  targets: z.strictObject({})
}

const entrySchema = z.strictObject({
  signatures: signaturesSchema,
  signed: z
    .strictObject({ ...targetsFields, [UPGRADE_FIELD]: manifestSchema })
    .refine((signed) => signed.version === signed[UPGRADE_FIELD].version, 'the version is that of the upgrade')
})

const statementSchema = z.strictObject({
  signatures: signaturesSchema,
  signed: z
    .strictObject({ ...targetsFields, [STATEMENT_FIELD]: statementBodySchema })
    .refine(
      (signed) => signed.version === signed[STATEMENT_FIELD].sequence,
      'the version is the sequence of the statement'
    )
})

const ticketSchema = z.strictObject({
  signatures: signaturesSchema,
  signed: z
    .strictObject({ ...targetsFields, [TICKET_FIELD]: ticketBodySchema })
    .refine((signed) => signed.version === signed[TICKET_FIELD].number, 'the version is the number of the ticket')
})

/** Signed metadata of a known shape whose signatures nobody has looked at yet. */
export interface Envelope<Content> {
  readonly content: Content
  readonly metadata: Metadata<Targets>
  /** Hash of the canonical signed part; independent of the signatures. */
  readonly hash: string
  readonly expires: number
  /** Key ids that claim to have signed, sorted. */
  readonly keys: readonly string[]
  /** The one encoding of this content and these signatures. */
  readonly bytes: Uint8Array
}

interface Signed {
  version: number
  expires: string
  [field: string]: unknown
}
interface Shape {
  signatures: { keyid: string; sig: string }[]
  signed: Signed
}

function envelope<Content>(shape: Shape, content: Content, limit: number, what: string): Envelope<Content> {
  const { signed } = shape
  const text = canonicalText(signed)
  // Two texts with lone surrogates would share one UTF-8 form, hence one hash.
  if (!text.isWellFormed()) throw new Refusal('Malformed', `${what}: a text in it is not well-formed Unicode`)
  const signatures = shape.signatures.toSorted((a, b) => (a.keyid < b.keyid ? -1 : 1))
  const bytes = encode({ signatures, signed })
  if (bytes.byteLength > limit) {
    throw new Refusal(
      'Oversize',
      `${what}: ${bytes.byteLength} bytes, the limit is ${limit}; shorten texts or split it`
    )
  }
  return {
    content,
    metadata: Metadata.fromJSON(MetadataKind.Targets, { signatures, signed } as any),
    hash: sha256(text),
    expires: Date.parse(signed.expires),
    keys: signatures.map((one) => one.keyid),
    bytes
  }
}

/** Shape and encoding only; bounded, no signature is checked. A schedule may be of a later release (S45). */
export function parseEntry(bytes: Uint8Array): Envelope<Manifest> {
  const value = decode(bytes, MAX_ENTRY_BYTES, 'entry')
  const parsed = entrySchema.safeParse(value)
  if (!parsed.success) throw new Refusal('Malformed', `entry: ${explain(parsed.error)}`)
  // Hashed is what was written: what this release does not know of a schedule, too.
  return envelope(value as Shape, parsed.data.signed[UPGRADE_FIELD], MAX_ENTRY_BYTES, 'entry')
}

/** Shape and encoding only; bounded, no signature is checked. */
export function parseStatement(bytes: Uint8Array): Envelope<StatementBody> {
  const parsed = statementSchema.safeParse(decode(bytes, MAX_STATEMENT_BYTES, 'statement'))
  if (!parsed.success) throw new Refusal('Malformed', `statement: ${explain(parsed.error)}`)
  return envelope(parsed.data, parsed.data.signed[STATEMENT_FIELD], MAX_STATEMENT_BYTES, 'statement')
}

/** Shape and encoding only; bounded, no signature is checked. */
export function parseTicket(bytes: Uint8Array): Envelope<TicketBody> {
  const parsed = ticketSchema.safeParse(decode(bytes, MAX_TICKET_BYTES, 'ticket'))
  if (!parsed.success) throw new Refusal('Malformed', `ticket: ${explain(parsed.error)}`)
  return envelope(parsed.data, parsed.data.signed[TICKET_FIELD], MAX_TICKET_BYTES, 'ticket')
}

/** What is to be signed must be understood (S45). */
function parseToSign(bytes: Uint8Array): Envelope<Manifest> {
  const found = parseEntry(bytes)
  checkStrategies(found.content)
  return found
}

/** One signature a key, however often it signs; those of others are kept. */
function signedWith(found: Envelope<unknown>, signers: readonly Signer[]): Uint8Array {
  const signed = found.metadata.signed.toJSON()
  const message = Buffer.from(canonicalText(signed))
  const signatures = new Map(Object.values(found.metadata.signatures).map(({ keyID, sig }) => [keyID, sig]))
  for (const signer of signers) signatures.set(signer.keyid, Buffer.from(signer.sign(message)).toString('hex'))
  const listed = [...signatures].map(([keyid, sig]) => ({ keyid, sig }))
  return encode({ signatures: listed.sort((a, b) => (a.keyid < b.keyid ? -1 : 1)), signed })
}

/** The time `expiresMs` in TUF's form, whole seconds. */
export function writeTime(expiresMs: number): string {
  return new Date(expiresMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

function unsigned(version: number, field: string, content: unknown, expiresMs: number): Uint8Array {
  const expires = writeTime(expiresMs)
  const signed = { _type: 'targets', spec_version: SPECIFICATION, version, expires, targets: {}, [field]: content }
  // Through JSON, so that fields that are undefined are absent.
  return encode(JSON.parse(JSON.stringify({ signatures: [], signed })))
}

/** An entry with the signatures of `signers`, perhaps none yet. `expiresMs` bounds its first injection. */
export function signEntry(manifest: Manifest, expiresMs: number, signers: readonly Signer[]): Uint8Array {
  return signedWith(parseToSign(unsigned(manifest.version, UPGRADE_FIELD, manifest, expiresMs)), signers)
}

export function signStatement(body: StatementBody, expiresMs: number, signers: readonly Signer[]): Uint8Array {
  return signedWith(parseStatement(unsigned(body.sequence, STATEMENT_FIELD, body, expiresMs)), signers)
}

export function signTicket(body: TicketBody, expiresMs: number, signers: readonly Signer[]): Uint8Array {
  return signedWith(parseTicket(unsigned(body.number, TICKET_FIELD, body, expiresMs)), signers)
}

export type DocumentKind = 'entry' | 'statement' | 'ticket'

/** How what is to be signed is read. */
const PARSERS: Record<DocumentKind, (bytes: Uint8Array) => Envelope<unknown>> = {
  entry: parseToSign,
  statement: parseStatement,
  ticket: parseTicket
}

/** What bytes hold, by the field they carry; says nothing about their validity. */
export function kindOf(bytes: Uint8Array): DocumentKind {
  const value = decode(bytes, MAX_ENTRY_BYTES, 'file') as { signed?: Record<string, unknown> } | null
  if (value?.signed?.[UPGRADE_FIELD] !== undefined) return 'entry'
  if (value?.signed?.[STATEMENT_FIELD] !== undefined) return 'statement'
  if (value?.signed?.[TICKET_FIELD] !== undefined) return 'ticket'
  throw new Refusal(
    'Malformed',
    'this is neither an upgrade entry, a statement nor a ticket: make one with "upstart pack", "upstart roster" or "upstart admit"'
  )
}

/** Adds one more signature to what others have signed before (k of n people, one after another). */
export function addSignature(bytes: Uint8Array, signer: Signer): Uint8Array {
  return signedWith(PARSERS[kindOf(bytes)](bytes), [signer])
}
