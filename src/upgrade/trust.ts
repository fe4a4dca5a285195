/**
 * Who may say what in a fleet (SPEC T): `root.json` is TUF root metadata, verified with @tufjs/models. Beside TUF's four
 * roles it names ours: `operator` signs statements, `admission` is reserved. TUF's `targets` releases upgrades.
 *
 *   T1  A key id is the hash of the key, so one key never counts twice.
 *   T2  The fleet's hash is that of the canonical signed part of root version 1.
 *   T3  Every signature present must verify and belong to the role; at least the threshold of them is needed.
 *   T10  Sizes are checked before parsing, shape before signatures, signatures before meaning.
 */
import { Metadata, MetadataKind, type Root, Signature } from '@tufjs/models'
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { hashSchema } from '../names.ts'
import { canonicalHash, decode, encode, explain, sha256 } from './canonical.ts'
import {
  type Envelope,
  expiresSchema,
  MAX_SIGNATURES,
  parseEntry,
  parseStatement,
  SPECIFICATION,
  signaturesSchema,
  writeTime
} from './entry.ts'
import { keyIdOf, type PublicKey, type Signer } from './keys.ts'
import type { Entry } from './manifest.ts'
import type { Statement } from './statement.ts'

export const MAX_ROOT_BYTES = 64 * 1024
/** Verified entries and statements remembered by the hash of their bytes, beside those remembered by identity. */
const MAX_REMEMBERED = 512

const publicKeySchema = z.strictObject({
  keytype: z.literal('ed25519', 'only Ed25519 keys are supported'),
  scheme: z.literal('ed25519'),
  keyval: z.strictObject({ public: z.string().regex(/^[0-9a-f]{64}$/, '32 bytes in lower-case hex') })
})

const roleSchema = z
  .strictObject({
    keyids: z
      .array(hashSchema)
      .min(1)
      .max(MAX_SIGNATURES)
      .refine((ids) => new Set(ids).size === ids.length, 'each key once'),
    threshold: z.int().min(1)
  })
  .refine((role) => role.threshold <= role.keyids.length, 'the threshold is above the number of keys')

const rolesSchema = z
  .object({ root: roleSchema, targets: roleSchema, snapshot: roleSchema, timestamp: roleSchema, operator: roleSchema })
  .catchall(roleSchema)
  .refine((roles) => Object.keys(roles).length <= 16, 'at most 16 roles')

const rootSchema = z.strictObject({
  signatures: signaturesSchema,
  signed: z
    .strictObject({
      _type: z.literal(MetadataKind.Root),
      spec_version: z.string().regex(/^1\.\d{1,3}(\.\d{1,3})?$/, 'TUF specification 1.x'),
      version: z.literal(1, 'this release starts from version 1 of a root: give the first root.json of the fleet'),
      expires: expiresSchema,
      consistent_snapshot: z.boolean(),
      keys: z
        .record(hashSchema, publicKeySchema)
        .refine((keys) => Object.keys(keys).length <= 4 * MAX_SIGNATURES, 'too many keys')
        .refine(
          (keys) => Object.entries(keys).every(([id, key]) => keyIdOf(key) === id),
          'a key id is the sha-256 of its key'
        ),
      roles: rolesSchema
    })
    .refine(
      (root) => Object.values(root.roles).every((role) => role.keyids.every((id) => Object.hasOwn(root.keys, id))),
      'a role names a key that is not listed'
    )
})

export type RoleName = 'root' | 'targets' | 'operator'

/** A root whose own threshold signed it. */
export interface OpenRoot {
  readonly fleet: string
  readonly metadata: Metadata<Root>
  /** ms; when it has passed, new upgrades are refused and service goes on. */
  readonly expires: number
  readonly bytes: Uint8Array
}

/** What is trusted, derived from one root. All methods are synchronous, memoised, and throw Refusal. */
export interface Trust {
  readonly fleet: string
  readonly root: OpenRoot
  openEntry(bytes: Uint8Array): Entry
  openStatement(bytes: Uint8Array): Statement
  /** Whether a first injection at `now` (ms) comes too late: the entry's or the root's time has passed. */
  expired(bytes: Uint8Array, now: number): boolean
  /** How many good signatures there are and how many the role needs; refuses bad ones, not too few. */
  signatures(role: RoleName, envelope: Envelope<unknown>): { present: number; threshold: number }
}

type Verifiable = Metadata<any>

/** T3: refuses signatures that do not verify or whose key does not hold the role. */
function checkEach(root: Metadata<Root>, role: string, metadata: Verifiable, what: string): void {
  const holders = root.signed.roles[role]?.keyIDs ?? []
  for (const keyid of Object.keys(metadata.signatures)) {
    const key = holders.includes(keyid) ? root.signed.keys[keyid] : undefined
    if (key === undefined) {
      const text = `${what}: key ${keyid.slice(0, 16)}… does not hold the role "${role}" in this root; sign with one that does`
      throw new Refusal('WrongSignature', text)
    }
    try {
      key.verifySignature(metadata)
    } catch (cause) {
      const text = `${what}: the signature of key ${keyid.slice(0, 16)}… does not verify; it was changed after signing`
      throw new Refusal('WrongSignature', text, { cause })
    }
  }
}

/** T3. When exactly as many signed as needed, the threshold having been met proves each of them. */
function checkThreshold(root: Metadata<Root>, role: string, metadata: Verifiable, what: string): void {
  const present = Object.keys(metadata.signatures).length
  const threshold = root.signed.roles[role]?.threshold ?? Number.POSITIVE_INFINITY
  if (present === 0) throw new Refusal('Unsigned', `${what}: no signature, ${threshold} needed: use "upstart sign"`)
  try {
    root.verifyDelegate(role, metadata)
  } catch (cause) {
    checkEach(root, role, metadata, what)
    const text = `${what}: ${present} of ${threshold} signatures that the role "${role}" needs; let others sign it with "upstart sign"`
    throw new Refusal('UnderThreshold', text, { cause })
  }
  if (present !== threshold) checkEach(root, role, metadata, what)
}

/** Opens root.json: shape, key ids, and signatures by its own threshold. */
export function openRoot(bytes: Uint8Array): OpenRoot {
  const parsed = rootSchema.safeParse(decode(bytes, MAX_ROOT_BYTES, 'root.json'))
  if (!parsed.success) throw new Refusal('Malformed', `root.json: ${explain(parsed.error)}`)
  const metadata = Metadata.fromJSON(MetadataKind.Root, parsed.data as any)
  checkThreshold(metadata, 'root', metadata, 'root.json')
  const { signed } = parsed.data
  return { fleet: canonicalHash(signed), metadata, expires: Date.parse(signed.expires), bytes: encode(parsed.data) }
}

export interface RootInit {
  /** Role → who holds it and how many of them must sign. TUF's `snapshot` and `timestamp` go to the root's holders. */
  roles: Record<RoleName, { keys: PublicKey[]; threshold: number }>
  expiresMs: number
}

/** Root metadata of a new fleet with the signatures of `signers`, perhaps not yet enough. */
export function signRoot(init: RootInit, signers: readonly Signer[]): Uint8Array {
  const keys = Object.fromEntries(
    Object.values(init.roles).flatMap((role) => role.keys.map((key) => [keyIdOf(key), key] as const))
  )
  const role = (name: RoleName) => ({
    keyids: init.roles[name].keys.map(keyIdOf),
    threshold: init.roles[name].threshold
  })
  const signed = {
    _type: MetadataKind.Root,
    spec_version: SPECIFICATION,
    version: 1,
    expires: writeTime(init.expiresMs),
    consistent_snapshot: true,
    keys,
    roles: {
      root: role('root'),
      snapshot: role('root'),
      timestamp: role('root'),
      targets: role('targets'),
      operator: role('operator')
    }
  }
  return addRootSignatures(encode({ signatures: [], signed }), signers)
}

/** Adds signatures to a root that is not complete yet. */
export function addRootSignatures(bytes: Uint8Array, signers: readonly Signer[]): Uint8Array {
  const parsed = rootSchema.safeParse(decode(bytes, MAX_ROOT_BYTES, 'root.json'))
  if (!parsed.success) throw new Refusal('Malformed', `root.json: ${explain(parsed.error)}`)
  const metadata = Metadata.fromJSON(MetadataKind.Root, parsed.data as any)
  for (const signer of signers) {
    metadata.sign(
      (message) => new Signature({ keyID: signer.keyid, sig: Buffer.from(signer.sign(message)).toString('hex') })
    )
  }
  return encode(metadata.toJSON())
}

/** Remembers results by identity of the bytes, and a bounded number by their hash (duplicates from several peers). */
function memoise<Result extends { bytes: Uint8Array }>(
  open: (bytes: Uint8Array) => Result
): (bytes: Uint8Array) => Result {
  const byIdentity = new WeakMap<Uint8Array, Result>()
  const byHash = new Map<string, Result>()
  return (bytes) => {
    const known = byIdentity.get(bytes)
    if (known !== undefined) return known
    const name = sha256(bytes)
    const result = byHash.get(name) ?? open(bytes)
    if (byHash.size >= MAX_REMEMBERED) byHash.delete(byHash.keys().next().value!)
    byHash.set(name, result)
    byIdentity.set(bytes, result)
    byIdentity.set(result.bytes, result)
    return result
  }
}

/** Trust of the fleet whose root these bytes are. */
export function openTrust(rootBytes: Uint8Array): Trust {
  return trustIn(openRoot(rootBytes))
}

export function trustIn(root: OpenRoot): Trust {
  const { fleet, metadata } = root
  const checkFleet = (found: string, what: string): void => {
    if (found === fleet) return
    const text = `${what}: it is for fleet ${found.slice(0, 16)}…, this is ${fleet.slice(0, 16)}…; pack or sign it for this fleet's root.json`
    throw new Refusal('WrongFleet', text)
  }
  const expiries = new WeakMap<Entry, number>()
  const openEntry = memoise<Entry>((bytes) => {
    const found = parseEntry(bytes)
    checkFleet(found.content.fleet, 'entry')
    checkThreshold(metadata, 'targets', found.metadata, 'entry')
    const { version, parent } = found.content
    const entry = { version, parent, hash: found.hash, manifest: found.content, bytes: found.bytes }
    expiries.set(entry, found.expires)
    return entry
  })
  const openStatement = memoise<Statement>((bytes) => {
    const found = parseStatement(bytes)
    checkFleet(found.content.fleet, 'statement')
    checkThreshold(metadata, 'operator', found.metadata, 'statement')
    return { hash: found.hash, keys: found.keys, body: found.content, expires: found.expires, bytes: found.bytes }
  })
  return {
    fleet,
    root,
    openEntry,
    openStatement,
    expired: (bytes, now) => now >= Math.min(root.expires, expiries.get(openEntry(bytes))!),
    signatures(role, envelope) {
      checkEach(metadata, role, envelope.metadata, 'signatures')
      return { present: envelope.keys.length, threshold: metadata.signed.roles[role]!.threshold }
    }
  }
}
