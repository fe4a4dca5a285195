/**
 * A peer's record: the version vector that it signs and that travels between neighbours (SPEC O3).
 * Records are state, not messages: only the newest ⟨incarnation, counter⟩ of a peer counts, so loss, duplication and
 * reordering are harmless. Permits travel in them too (SPEC P).
 */
import { z } from 'zod'
import { groupSchema, hashSchema, MAX_GROUP_MEMBERS, nameSchema, peerIdSchema, versionSchema } from '../names.ts'
import { MAX_CLASSES } from '../upgrade/manifest.ts'
import { MAX_TICKET_BYTES } from '../upgrade/ticket.ts'

export const MAX_RECORD_BYTES = 64 * 1024
export const MAX_LABELS = 16
const MAX_REASON_LENGTH = 300
/** Failures of one object that its record names, the newest. */
const MAX_FAILED = 8
/** Orders to leave that a peer remembers; older ones are of no peer that is back. */
export const MAX_OBEYED = 64
/** Peers that an object says it waits for. */
const MAX_AWAITED = 4
/** Of all reasons in one record, as JSON: what is said of failures must never keep a peer from being heard. */
const MAX_REASONS_BYTES = 4 * 1024

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

export const addressesSchema = z.array(z.string().max(200)).max(8)

export const headSchema = z.strictObject({ version: z.int().min(0), hash: hashSchema })

/** The step of an object's way to its next version; SPEC L has the table of transitions. */
export const PHASES = [
  'idle',
  'fetching',
  'waiting',
  'warming',
  'draining',
  'transforming',
  'proving',
  'activating',
  'returning'
] as const
export const phaseSchema = z.enum(PHASES)

const callsSchema = z
  .strictObject({ calls: z.int().min(1).max(Number.MAX_SAFE_INTEGER), failed: count })
  .refine(({ calls, failed }) => failed <= calls, 'no more calls fail than are made')

export const objectRecordSchema = z.strictObject({
  /** Version and entry hash (first 16 hex digits) of the current object; version 0 while empty. */
  version: z.int().min(0),
  entry: z.string().max(64),
  /** Lowest and highest version served, past and future SOs included. */
  lowest: z.int().min(0),
  highest: z.int().min(0),
  phase: phaseSchema,
  /** The version it is on its way to, 0 if none. */
  target: z.int().min(0),
  serving: z.boolean(),
  /** One sentence: why it waits, or why it went back. */
  reason: z.string().max(MAX_REASON_LENGTH),
  /** What it waits for, as data: the kind of a condition or a constraint, `pause`, `permit` …; whom; by which statement. */
  why: z
    .strictObject({
      kind: z.string().max(32),
      peers: z.array(peerIdSchema).max(MAX_AWAITED),
      statement: hashSchema.optional()
    })
    .optional(),
  /** Since when phase, target and kind of reason are these, Unix seconds by its own clock; a restart begins anew. */
  since: count.optional(),
  /** It died by itself so often in a row, and has not served for long enough since (SPEC L16). Absent: it is steady. */
  crashes: z.int().min(2).max(1_000_000).optional(),
  /** How many of its calls failed through its fault: at this version, and on this node before it (SPEC S24). */
  calls: z.strictObject({ now: callsSchema, before: callsSchema }).optional(),
  failed: z.array(z.strictObject({ version: versionSchema, reason: z.string().max(MAX_REASON_LENGTH) })).max(MAX_FAILED)
})

/** `own`: given by this member itself; else inherited from the roster before (SPEC P6), which no holder may count. */
export const grantSchema = z.strictObject({
  holder: peerIdSchema,
  attempt: count,
  roster: count,
  unavailable: z.int().min(1).max(MAX_GROUP_MEMBERS),
  own: z.boolean()
})

/** A member's part in the permits of its group. */
export const permitRecordSchema = z.strictObject({
  group: groupSchema,
  /** Newest roster adopted, and newest one whose grants it may give (SPEC P5). */
  adopted: count,
  active: count,
  /** The attempt asked for or held; 0 if none. */
  asking: count,
  askedUnder: count,
  /** The k of the constraint it asks for. */
  unavailable: count,
  holding: z.boolean(),
  /** This and every lower attempt is released for ever. */
  released: count,
  /** Outstanding grants that this member gave or inherited. */
  grants: z.array(grantSchema).max(4 * MAX_GROUP_MEMBERS)
})

export const recordSchema = z.strictObject({
  format: z.literal(1),
  peer: peerIdSchema,
  incarnation: count,
  counter: count,
  head: headSchema,
  group: groupSchema.nullable(),
  labels: z
    .record(z.string().max(64), z.string().max(64))
    .refine((l) => Object.keys(l).length <= MAX_LABELS, `at most ${MAX_LABELS} labels`),
  addresses: addressesSchema,
  objects: z
    .record(nameSchema, objectRecordSchema)
    .refine((o) => Object.keys(o).length <= MAX_CLASSES, `at most ${MAX_CLASSES} objects`),
  permit: permitRecordSchema.nullable(),
  /** The peer has left the fleet: its last word, until a newer one says that it is back (SPEC O12). */
  left: z.literal(true).optional(),
  /** Orders to leave that it carried out in earlier lives; one that is known beyond these it obeys now (SPEC O12). */
  obeyed: z.int().min(1).max(MAX_OBEYED).optional(),
  /** Of a private fleet: what admits the peer (SPEC A5). */
  ticket: z.string().max(MAX_TICKET_BYTES).optional()
})

export type Head = z.infer<typeof headSchema>
export type PhaseName = z.infer<typeof phaseSchema>
export type ObjectRecord = z.infer<typeof objectRecordSchema>
export type Grant = z.infer<typeof grantSchema>
export type PermitRecord = z.infer<typeof permitRecordSchema>
export type PeerRecord = z.infer<typeof recordSchema>

/** Whether a peer has left: it is nobody's neighbour, callee, or canary; its permits count as before. */
export const hasLeft = (record: PeerRecord | undefined): boolean => record?.left === true

/** A record whose signature was verified, with the signed bytes that are passed on. Immutable and shared. */
export interface SignedRecord {
  readonly record: PeerRecord
  readonly bytes: Uint8Array
  /** ⟨peer, incarnation, counter⟩, as digests name it. */
  readonly stamp: [peer: string, incarnation: number, counter: number]
  /** What it adds to the digest of a view. */
  readonly weight: number
}

/** Made once for all who keep the record: what they would each compute of it. */
export function signedRecord(record: PeerRecord, bytes: Uint8Array, hash53: (text: string) => number): SignedRecord {
  const { peer, incarnation, counter } = record
  return { record, bytes, stamp: [peer, incarnation, counter], weight: hash53(`${peer}.${incarnation}.${counter}`) }
}

/** The objects of a record that can be signed and is accepted: reasons are cut, the older failures' first (O3). */
export function boundedObjects(objects: Readonly<Record<string, ObjectRecord>>): Record<string, ObjectRecord> {
  const names = Object.keys(objects)
  const bounded: Record<string, ObjectRecord> = {}
  for (const name of names) {
    let left = MAX_REASONS_BYTES / names.length
    const cut = (reason: string): string => {
      let kept = reason.slice(0, MAX_REASON_LENGTH)
      while (jsonBytes(kept) > left) kept = kept.slice(0, Math.floor(kept.length * 0.9))
      left -= jsonBytes(kept)
      return kept
    }
    const object = objects[name]!
    const reason = cut(object.reason)
    const newest = object.failed.slice(-MAX_FAILED).reverse()
    const failed = newest.map((one) => ({ ...one, reason: cut(one.reason) })).reverse()
    const { why, ...said } = object
    const whom = why === undefined ? {} : { why: { ...why, peers: why.peers.slice(0, MAX_AWAITED) } }
    bounded[name] = { ...said, ...whom, reason, failed }
  }
  return bounded
}

/** Bytes of a text between its quotes. */
const jsonBytes = (text: string): number => new TextEncoder().encode(JSON.stringify(text)).byteLength - 2
