/**
 * Statements: signed ⟨key, sequence, target, what⟩, merged as a set (SPEC T). They are not chained: two operators in
 * two partitions never fork anything; any order of arrival gives the same set and the same meaning.
 */
import { z } from 'zod'
import { groupSchema, hashSchema, MAX_GROUP_MEMBERS, nameSchema, peerIdSchema } from '../names.ts'

const common = {
  format: z.literal(1),
  fleet: hashSchema,
  /** Identifies the statement among those of its key; two different ones with one ⟨key, sequence⟩ are equivocation. */
  sequence: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  note: z.string().max(300)
}

export const statementBodySchema = z.discriminatedUnion('what', [
  /** Members of a group, numbered 1, 2, 3 …: the base of permits (SPEC P). */
  z.strictObject({
    ...common,
    what: z.literal('roster'),
    group: groupSchema,
    number: z.int().min(1).max(1_000_000),
    members: z
      .array(peerIdSchema)
      .min(1)
      .max(MAX_GROUP_MEMBERS)
      .refine((m) => new Set(m).size === m.length, 'each member once')
  }),
  /**
   * No node begins `target` (an upgrade entry's hash) while this stands; null: any upgrade. `of`: only this peer, peers
   * with these labels, or objects of this class (by its old or new name); all that is named must fit.
   */
  z.strictObject({
    ...common,
    what: z.literal('pause'),
    target: hashSchema.nullable(),
    of: z
      .strictObject({
        peer: peerIdSchema.optional(),
        labels: z
          .record(z.string().max(64), z.string().max(64))
          .refine((labels) => Object.keys(labels).length <= 16, 'at most 16 labels')
          .optional(),
        class: nameSchema.optional()
      })
      .optional()
  }),
  /** Nodes do not wait for the conditions of this upgrade's schedule any more; constraints and pauses stay. */
  z.strictObject({ ...common, what: z.literal('hasten'), target: hashSchema }),
  /** Stops `target` and its successors for good, where they are not committed yet. Nothing lifts it. */
  z.strictObject({ ...common, what: z.literal('abort'), target: hashSchema }),
  /** Lets the upgrades go whose schedule waits for it (`manual`). */
  z.strictObject({ ...common, what: z.literal('approve'), target: hashSchema }),
  /** A node, or every node, on which `target` failed may try it once more; `discardFuture`: it gives up future SOs that missed calls. */
  z.strictObject({
    ...common,
    what: z.literal('retry'),
    target: hashSchema,
    peer: peerIdSchema.nullable(),
    discardFuture: z.boolean().optional()
  }),
  /**
   * Nobody hosts the past SO of the version that came with `target` any more, nor any older one's. `callers`: nodes may
   * go on hosting one for their own calls.
   */
  z.strictObject({ ...common, what: z.literal('retire'), target: hashSchema, callers: z.boolean() }),
  /** The peer is gone for good: under rosters up to `roster` it holds nothing, gets nothing, and nobody waits for it. */
  z.strictObject({
    ...common,
    what: z.literal('exclude'),
    group: groupSchema,
    peer: peerIdSchema,
    roster: z.int().min(1).max(1_000_000)
  }),
  /** The peer leaves the fleet: it ends what it has begun, says farewell, and ends itself. Started again it is back. */
  z.strictObject({ ...common, what: z.literal('leave'), peer: peerIdSchema }),
  /** Nobody keeps the bundle of `target` for others any more; who needs it itself still does (SPEC B6). */
  z.strictObject({ ...common, what: z.literal('forget'), target: hashSchema }),
  /** Tickets of this peer up to this number admit nobody any more (SPEC A3). Nothing lifts it; a ticket with a later number admits anew. */
  z.strictObject({
    ...common,
    what: z.literal('revoke'),
    peer: peerIdSchema,
    upTo: z.int().min(1).max(Number.MAX_SAFE_INTEGER)
  }),
  /** Lifts the pause that it names by the statement's hash. */
  z.strictObject({ ...common, what: z.literal('resume'), lifts: hashSchema })
])

export type StatementBody = z.infer<typeof statementBodySchema>

/** A verified statement. Immutable and shared. */
export interface Statement {
  /** sha-256 (hex) of the canonical signed part. */
  readonly hash: string
  /** Key ids that signed it, sorted: with `sequence` its identity. */
  readonly keys: readonly string[]
  readonly body: StatementBody
  /** When it stops counting (pauses), ms. */
  readonly expires: number
  readonly bytes: Uint8Array
}
