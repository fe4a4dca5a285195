/**
 * `root.json`: TUF root metadata, who holds which role (SPEC T1 to T3, T13). Beside TUF's roles it names ours: `operator`
 * makes statements, `control` only those that hold upgrades up or let them go, `admission` admits members.
 *
 * Roots are a chain: each one but the first names its parent, and is signed by the thresholds of both.
 */
import { Metadata, MetadataKind, type Root, Signature } from '@tufjs/models'
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { hashSchema } from '../names.ts'
import { MAX_ROOT_BYTES } from '../overlay/messages.ts'
import { canonicalHash, decode, encode, explain } from './canonical.ts'
import { expiresSchema, MAX_SIGNATURES, SPECIFICATION, signaturesSchema, writeTime } from './entry.ts'
import { keyIdOf, type PublicKey, type Signer } from './keys.ts'

export const ROTATION_FIELD = 'x-upstart-rotation'
/** A1: a root with this field set is of an open fleet. */
const OPEN_FIELD = 'x-upstart-open'
/** Entries, and statements, that one root vouches for: what fits beside keys and roles. */
export const MAX_VOUCHED = 384
/** TUF counts versions without a bound; each one is a meeting of people. */
const MAX_ROOT_VERSION = 1_000_000

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

const vouched = z
  .array(hashSchema)
  .max(MAX_VOUCHED)
  .refine((hashes) => new Set(hashes).size === hashes.length, 'each hash once')

/** What a root says of the chain that it continues. */
const rotationSchema = z.strictObject({ fleet: hashSchema, parent: hashSchema, entries: vouched, statements: vouched })
export type Rotation = z.infer<typeof rotationSchema>

const rootSchema = z.strictObject({
  signatures: signaturesSchema,
  signed: z
    .strictObject({
      _type: z.literal(MetadataKind.Root),
      spec_version: z.string().regex(/^1\.\d{1,3}(\.\d{1,3})?$/, 'TUF specification 1.x'),
      version: z.int().min(1).max(MAX_ROOT_VERSION),
      expires: expiresSchema,
      consistent_snapshot: z.boolean(),
      keys: z
        .record(hashSchema, publicKeySchema)
        .refine((keys) => Object.keys(keys).length <= 4 * MAX_SIGNATURES, 'too many keys')
        .refine(
          (keys) => Object.entries(keys).every(([id, key]) => keyIdOf(key) === id),
          'a key id is the sha-256 of its key'
        ),
      roles: rolesSchema,
      [ROTATION_FIELD]: rotationSchema.optional(),
      [OPEN_FIELD]: z.literal(true).optional()
    })
    .refine(
      (root) => Object.hasOwn(root.roles, 'admission') !== (root[OPEN_FIELD] === true),
      `it must say who may take part: either a role "admission", or "${OPEN_FIELD}": true for everybody`
    )
    .refine(
      (root) => Object.values(root.roles).every((role) => role.keyids.every((id) => Object.hasOwn(root.keys, id))),
      'a role names a key that is not listed'
    )
    .refine(
      (root) => (root.version === 1) === (root[ROTATION_FIELD] === undefined),
      `every root but the first says in "${ROTATION_FIELD}" what it continues`
    )
})

export type RoleName = 'root' | 'targets' | 'operator' | 'control' | 'admission'

/** A root of a known shape; whether its signatures suffice is for `openRoot` and `checkNext`. */
export interface OpenRoot {
  readonly fleet: string
  readonly version: number
  /** Of the canonical signed part; independent of the signatures. The first one's is the fleet's. */
  readonly hash: string
  readonly metadata: Metadata<Root>
  /** ms; when the newest root's has passed, new upgrades are refused and service goes on (T16). */
  readonly expires: number
  /** A1: only who has a ticket takes part. */
  readonly isPrivate: boolean
  /** Undefined for the first one. */
  readonly rotation: Rotation | undefined
  readonly bytes: Uint8Array
}

export type Verifiable = Metadata<any>

/** Whether bytes look like one root, or a part of one: what is wrong with it is for `parseRoot`. */
export function isRoot(bytes: Uint8Array): boolean {
  return /"_type"\s*:\s*"root"/.test(new TextDecoder().decode(bytes)) && bytes[0] !== '['.charCodeAt(0)
}

/** Shape and encoding only; bounded, no signature is checked. */
export function parseRoot(bytes: Uint8Array): OpenRoot {
  const parsed = rootSchema.safeParse(decode(bytes, MAX_ROOT_BYTES, 'root.json'))
  if (!parsed.success) throw new Refusal('Malformed', `root.json: ${explain(parsed.error)}`)
  const { signed } = parsed.data
  const signatures = parsed.data.signatures.toSorted((a, b) => (a.keyid < b.keyid ? -1 : 1))
  const hash = canonicalHash(signed)
  const rotation = signed[ROTATION_FIELD]
  return {
    fleet: rotation?.fleet ?? hash,
    version: signed.version,
    hash,
    metadata: Metadata.fromJSON(MetadataKind.Root, { signatures, signed } as any),
    expires: Date.parse(signed.expires),
    isPrivate: signed[OPEN_FIELD] !== true,
    rotation,
    bytes: encode({ signatures, signed })
  }
}

/** T3: refuses signatures that do not verify or whose key holds the role in none of these roots. */
export function checkEach(roots: readonly OpenRoot[], role: RoleName, metadata: Verifiable, what: string): void {
  for (const keyid of Object.keys(metadata.signatures)) {
    const short = `${keyid.slice(0, 16)}…`
    const holding = roots.find(({ metadata: { signed } }) => signed.roles[role]?.keyIDs.includes(keyid))
    const key = holding?.metadata.signed.keys[keyid]
    if (key === undefined) {
      const isKnown = roots.some(({ metadata: { signed } }) => Object.hasOwn(signed.keys, keyid))
      const mend = isKnown
        ? ''
        : '; or give all roots of the fleet, if there are newer ones ("upstart root show --out")'
      const text = `${what}: key ${short} does not hold the role "${role}" in ${nameOf(roots)}; sign with one that does${mend}`
      throw new Refusal(isKnown ? 'WrongSignature' : 'UnknownKey', text)
    }
    try {
      key.verifySignature(metadata)
    } catch (cause) {
      const text = `${what}: the signature of key ${short} does not verify; it was changed after signing`
      throw new Refusal('WrongSignature', text, { cause })
    }
  }
}

const nameOf = (roots: readonly OpenRoot[]): string => `root ${roots.map((one) => one.version).join(' or ')}`

/** How many of the signatures are of the role in this root, and how many it needs; nothing is verified. */
export function counted(root: OpenRoot, role: RoleName, metadata: Verifiable): { present: number; threshold: number } {
  const holders = root.metadata.signed.roles[role]
  const present = holders?.keyIDs.filter((keyid) => metadata.signatures[keyid] !== undefined).length ?? 0
  return { present, threshold: holders?.threshold ?? Number.POSITIVE_INFINITY }
}

/** T3. When exactly as many signed as needed, the threshold having been met proves each of them. */
export function checkThreshold(root: OpenRoot, role: RoleName, metadata: Verifiable, what: string): void {
  const found = Object.keys(metadata.signatures).length
  const { threshold } = counted(root, role, metadata)
  if (found === 0) throw new Refusal('Unsigned', `${what}: no signature, ${threshold} needed: use "upstart sign"`)
  try {
    root.metadata.verifyDelegate(role, metadata)
  } catch (cause) {
    checkEach([root], role, metadata, what)
    throw underThreshold(root, role, metadata, what, cause)
  }
  if (found !== threshold) checkEach([root], role, metadata, what)
}

function underThreshold(root: OpenRoot, role: RoleName, metadata: Verifiable, what: string, cause: unknown): Refusal {
  const { present, threshold } = counted(root, role, metadata)
  const text = `${what}: ${present} of ${threshold} signatures that the role "${role}" of root ${root.version} needs; let others sign it with "upstart sign"`
  return new Refusal('UnderThreshold', text, { cause })
}

/** Opens the first root of a fleet: shape, key ids, and signatures by its own threshold. */
export function openRoot(bytes: Uint8Array): OpenRoot {
  const root = parseRoot(bytes)
  if (root.version !== 1) {
    const text = `root.json: this is version ${root.version} of a root, trust begins with the first; give the fleet's first root.json, or all its roots as "upstart root show --out" writes them`
    throw new Refusal('StaleParent', text)
  }
  checkThreshold(root, 'root', root.metadata, 'root.json')
  return root
}

/** T13: the next root continues the one before, and both their thresholds signed it. @throws Refusal */
export function checkNext(before: OpenRoot, next: OpenRoot): void {
  const what = `root ${next.version}`
  if (next.rotation?.parent !== before.hash || next.version !== before.version + 1) {
    const text = `${what}: it continues ${next.rotation?.parent.slice(0, 12)}, and root ${before.version} here is ${before.hash.slice(0, 12)}; make it again on that one`
    throw new Refusal('StaleParent', text)
  }
  const { metadata } = next
  if (Object.keys(metadata.signatures).length === 0)
    throw new Refusal(
      'Unsigned',
      `${what}: no signature; root ${before.version} and itself ask for some: use "upstart sign"`
    )
  checkEach([before, next], 'root', metadata, what)
  for (const root of [before, next]) {
    try {
      root.metadata.verifyDelegate('root', metadata)
    } catch (cause) {
      throw underThreshold(root, 'root', metadata, what, cause)
    }
  }
}

export interface Holders {
  keys: PublicKey[]
  threshold: number
}

export interface RootInit {
  /**
   * Role → who holds it and how many of them must sign. TUF's `snapshot` and `timestamp` go to the root's holders. Without
   * `admission` the fleet is open (A1).
   */
  roles: Record<'root' | 'targets' | 'operator', Holders> & { [role in RoleName]?: Holders }
  expiresMs: number
  /** The root that this one continues, and what this one vouches for (T14). @default the first root of a new fleet */
  after?: { root: OpenRoot; entries: readonly string[]; statements: readonly string[] }
}

/** Root metadata with the signatures of `signers`, perhaps not yet enough. */
export function signRoot(init: RootInit, signers: readonly Signer[]): Uint8Array {
  const { roles, after } = init
  const keys = Object.fromEntries(
    Object.values(roles).flatMap((role) => role.keys.map((key) => [keyIdOf(key), key] as const))
  )
  const listed = Object.entries(roles).map(([name, { keys: of, threshold }]) => [
    name,
    { keyids: of.map(keyIdOf), threshold }
  ])
  const listedRoles = Object.fromEntries(listed)
  const signed = {
    _type: MetadataKind.Root,
    spec_version: SPECIFICATION,
    version: (after?.root.version ?? 0) + 1,
    expires: writeTime(init.expiresMs),
    consistent_snapshot: true,
    keys,
    roles: { ...listedRoles, snapshot: listedRoles['root'], timestamp: listedRoles['root'] },
    ...(roles.admission === undefined ? { [OPEN_FIELD]: true } : {}),
    ...(after === undefined ? {} : { [ROTATION_FIELD]: rotationOf(after) })
  }
  return addRootSignatures(encode({ signatures: [], signed }), signers)
}

function rotationOf({ root, entries, statements }: NonNullable<RootInit['after']>): Rotation {
  for (const [what, hashes] of Object.entries({ entries, statements })) {
    if (hashes.length <= MAX_VOUCHED) continue
    const text = `a root vouches for at most ${MAX_VOUCHED} ${what}, these are ${hashes.length}; make several roots, the first ones with the keys of before`
    throw new Refusal('Oversize', text)
  }
  return { fleet: root.fleet, parent: root.hash, entries: [...entries].sort(), statements: [...statements].sort() }
}

/** Adds signatures to a root that is not complete yet; those of others are kept. */
export function addRootSignatures(bytes: Uint8Array, signers: readonly Signer[]): Uint8Array {
  const { metadata } = parseRoot(bytes)
  for (const signer of signers) {
    metadata.sign(
      (message) => new Signature({ keyID: signer.keyid, sig: Buffer.from(signer.sign(message)).toString('hex') })
    )
  }
  // Once more through the schema: what cannot be read back is not written.
  return parseRoot(encode(metadata.toJSON())).bytes
}

/** Who holds which role, as a next root says it again where nothing changes. */
export function holdersIn(root: OpenRoot): RootInit['roles'] {
  const { roles, keys } = root.metadata.signed.toJSON() as unknown as {
    roles: Record<string, { keyids: string[]; threshold: number }>
    keys: Record<string, PublicKey>
  }
  const ours = Object.entries(roles).filter(([name]) => name !== 'snapshot' && name !== 'timestamp')
  return Object.fromEntries(
    ours.map(([name, { keyids, threshold }]) => [name, { keys: keyids.map((id) => keys[id]!), threshold }])
  ) as RootInit['roles']
}
