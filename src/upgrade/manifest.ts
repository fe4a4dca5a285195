/**
 * The manifest of an upgrade: what an `upgrade` entry says (SPEC U). Plain JSON, every field bounded; it travels
 * inside TUF metadata, whose canonical JSON is what is hashed and signed.
 */
import { z } from 'zod'
import { hashSchema, nameSchema, pathSchema, versionSchema } from '../names.ts'
import { readConditionSchema, readScheduleSchema } from '../schedule/reading.ts'
import { accessSchema } from './access.ts'
import { needsSchema } from './needs.ts'

/** Limits of an entry and its bundle (SPEC U2, U3). */
export const MAX_ENTRY_BYTES = 64 * 1024
export const MAX_BUNDLE_BYTES = 1024 * 1024 * 1024
export const MAX_PIECES = 512
export const MIN_PIECE_BYTES = 256 * 1024
export const MAX_CLASSES = 32
export const MAX_METHODS = 128
/** Entries that one upgrade replaces at most (SPEC R1). */
export const MAX_REPLACED = 16

export const methodSchema = z.strictObject({
  kind: z.enum(['observer', 'mutator']),
  /** Holds no section of the object: may run beside anything and be called by code that holds an object. */
  concurrent: z.boolean().optional(),
  /** A retry with the same id and arguments is harmless. */
  idempotent: z.boolean().optional(),
  /** Of an SO: uses no state, at most one delegate call, calls nobody else; the caller's node may run it (SPEC G3). */
  stateless: z.boolean().optional()
})

export const interfaceSchema = z.strictObject({
  methods: z.record(nameSchema, methodSchema).refine((m) => Object.keys(m).length <= MAX_METHODS, 'too many methods'),
  /** class → the version its code was written for. */
  calls: z.record(nameSchema, versionSchema)
})

/** A simulation object: its module, its interface, and the delegate's methods it intercepts. */
export const simulationSchema = z.strictObject({
  module: pathSchema,
  interface: interfaceSchema,
  intercepts: z.array(nameSchema).max(MAX_METHODS),
  /** It says what passes below it means at its version, so that an SO on it may intercept (SPEC V14). */
  effects: z.boolean().optional()
})

export const classUpgradeSchema = z.strictObject({
  /** The class it replaces, null for a class that is new in this version. */
  from: nameSchema.nullable(),
  to: nameSchema,
  object: pathSchema,
  interface: interfaceSchema,
  transform: pathSchema.nullable(),
  future: simulationSchema.nullable(),
  past: z.union([simulationSchema, z.literal('subtype')]).nullable(),
  schedule: readScheduleSchema,
  /** H11: what its code needs beyond its state; absent: nothing. */
  needs: needsSchema.optional(),
  /** A8: who may call which of its methods; those that are not named, everybody. */
  access: accessSchema.optional(),
  /** L21: when nodes start the future SO though nobody calls it yet; absent: at the first call. */
  simulate: readConditionSchema.optional(),
  /** R2: TFs from the other versions that a node may hold, each named by the entry it came with. */
  ways: z
    .array(z.strictObject({ entry: hashSchema, transform: pathSchema.nullable() }))
    .min(1)
    .max(2 * MAX_REPLACED)
    .refine((ways) => new Set(ways.map((one) => one.entry)).size === ways.length, 'one way from each entry')
    .optional()
})

export const bundleSchema = z
  .strictObject({
    length: z.int().min(1).max(MAX_BUNDLE_BYTES),
    sha256: hashSchema,
    pieceLength: z
      .int()
      .min(MIN_PIECE_BYTES)
      .max(4 * 1024 * 1024),
    pieces: z.array(hashSchema).min(1).max(MAX_PIECES)
  })
  .refine((b) => b.pieces.length === Math.ceil(b.length / b.pieceLength), 'as many piece hashes as the length needs')

export const manifestSchema = z.strictObject({
  format: z.literal(1),
  fleet: hashSchema,
  version: versionSchema,
  /** Hash of the entry of version − 1; of version 1, the fleet's hash. */
  parent: hashSchema,
  description: z.string().max(1000),
  /** R1: hashes of the entries that this one takes the place of. */
  replaces: z
    .array(hashSchema)
    .min(1)
    .max(MAX_REPLACED)
    .refine((hashes) => new Set(hashes).size === hashes.length, 'each entry once')
    .optional(),
  classes: z
    .array(classUpgradeSchema)
    .min(1)
    .max(MAX_CLASSES)
    .refine((c) => new Set(c.map((one) => one.to)).size === c.length, 'each class is named once')
    .refine(
      (c) =>
        new Set(c.filter((one) => one.from !== null).map((one) => one.from)).size ===
        c.filter((one) => one.from !== null).length,
      'each old class is named once'
    ),
  /** The check that was made when it was packed (Q12); absent if none was. It is what the signers were told, no proof. */
  checked: z
    .strictObject({
      classes: z.array(nameSchema).min(1).max(MAX_CLASSES),
      histories: z.int().min(0),
      calls: z.int().min(0),
      seed: z.int().min(0)
    })
    .optional(),
  /** What a rehearsal on real state took, object by object (Q26); absent if none was recorded. An estimate, no proof. */
  rehearsed: z
    .array(
      z.strictObject({
        object: nameSchema,
        transformMs: z.int().min(0),
        startMs: z.int().min(0),
        neededBytes: z.int().min(0),
        peakMemoryBytes: z.int().min(0).nullable()
      })
    )
    .min(1)
    .max(MAX_CLASSES)
    .optional(),
  bundle: bundleSchema
})

export type MethodDeclaration = z.infer<typeof methodSchema>
export type Interface = z.infer<typeof interfaceSchema>
export type Simulation = z.infer<typeof simulationSchema>
export type ClassUpgrade = z.infer<typeof classUpgradeSchema>
export type BundleTable = z.infer<typeof bundleSchema>
export type Manifest = z.infer<typeof manifestSchema>

/** A verified link of the fleet's log. Immutable and shared; whoever holds one may rely on its verification. */
export interface Entry {
  readonly version: number
  /** sha-256 (hex) of the canonical signed part: the name of the entry. */
  readonly hash: string
  readonly parent: string
  readonly manifest: Manifest
  /** The signed metadata as it travels (canonical JSON, UTF-8), ≤ MAX_ENTRY_BYTES. */
  readonly bytes: Uint8Array
}
