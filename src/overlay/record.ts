/**
 * A peer's record: the version vector that it signs and that travels between neighbours (SPEC O3).
 * Records are state, not messages: only the newest ⟨incarnation, counter⟩ of a peer counts, so loss, duplication and
 * reordering are harmless. Permits travel in them too (SPEC P).
 */
import { z } from 'zod'
import { groupSchema, hashSchema, MAX_GROUP_MEMBERS, nameSchema, peerIdSchema, versionSchema } from '../names.ts'

export const MAX_RECORD_BYTES = 8 * 1024

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

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
  reason: z.string().max(300),
  failed: z.array(z.strictObject({ version: versionSchema, reason: z.string().max(300) })).max(8)
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
    .refine((l) => Object.keys(l).length <= 16, 'at most 16 labels'),
  addresses: z.array(z.string().max(200)).max(8),
  objects: z.record(nameSchema, objectRecordSchema).refine((o) => Object.keys(o).length <= 16, 'at most 16 objects'),
  permit: permitRecordSchema.nullable()
})

export type Head = z.infer<typeof headSchema>
export type PhaseName = z.infer<typeof phaseSchema>
export type ObjectRecord = z.infer<typeof objectRecordSchema>
export type Grant = z.infer<typeof grantSchema>
export type PermitRecord = z.infer<typeof permitRecordSchema>
export type PeerRecord = z.infer<typeof recordSchema>

/** A record whose signature was verified, with the signed bytes that are passed on. Immutable and shared. */
export interface SignedRecord {
  readonly record: PeerRecord
  readonly bytes: Uint8Array
}
