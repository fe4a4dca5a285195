/**
 * A private key at rest under a passphrase (SPEC C21): scrypt makes a key of it, AES-256-GCM seals the 32 secret bytes, and
 * what else the file says is sealed with them. The public half can be read without the passphrase.
 */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { z } from 'zod'
import { Refusal } from '../src/errors.ts'
import { encode, explain } from '../src/upgrade/canonical.ts'
import { privateKeyFromSeed, publicKeyOf } from '../src/upgrade/keys.ts'

const FORMAT = 'upstart-key-1'
const CIPHER = 'aes-256-gcm'
const TAG_BYTES = 16
/** 128 MiB and some tenths of a second for each guess: the sum OWASP names for scrypt (2¹⁷, 8, 1). */
const COST = 2 ** 17
const BLOCK = 8

const hex = (bytes: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `${bytes} bytes in lower-case hex`)
const sealedSchema = z.strictObject({
  format: z.literal(FORMAT),
  public: hex(32),
  /** Bounded on both sides: a file must neither ask for all memory nor make guesses cheap. */
  cost: z.union([z.literal(2 ** 15), z.literal(2 ** 16), z.literal(COST), z.literal(2 ** 18)]),
  salt: hex(16),
  nonce: hex(12),
  sealed: hex(32 + TAG_BYTES)
})
type Sealed = z.infer<typeof sealedSchema>

const derive = promisify<string, Uint8Array, number, object, Buffer>(scrypt)
const keyOf = (passphrase: string, { salt, cost }: Pick<Sealed, 'salt' | 'cost'>): Promise<Buffer> =>
  derive(passphrase.normalize('NFKC'), Buffer.from(salt, 'hex'), 32, {
    N: cost,
    r: BLOCK,
    p: 1,
    maxmem: 256 * cost * BLOCK
  })

/** What is sealed beside the secret: whoever changes any of it spoils the file. */
const bound = ({ sealed: _, ...rest }: Sealed): Uint8Array => encode(rest)

export const isSealed = (text: string): boolean => text.trimStart().startsWith('{')

export async function sealKey(privateKey: KeyObject, passphrase: string): Promise<string> {
  const { d } = privateKey.export({ format: 'jwk' })
  const draft: Sealed = {
    format: FORMAT,
    public: publicKeyOf(privateKey).keyval.public,
    cost: COST,
    salt: randomBytes(16).toString('hex'),
    nonce: randomBytes(12).toString('hex'),
    sealed: ''
  }
  const cipher = createCipheriv(CIPHER, await keyOf(passphrase, draft), Buffer.from(draft.nonce, 'hex'))
  cipher.setAAD(bound(draft))
  const secret = Buffer.concat([cipher.update(Buffer.from(d!, 'base64url')), cipher.final(), cipher.getAuthTag()])
  return `${JSON.stringify({ ...draft, sealed: secret.toString('hex') }, null, 2)}\n`
}

/** The raw public half, unverified until the key is opened. */
export function sealedPublic(text: string, path: string): Uint8Array {
  return Buffer.from(parse(text, path).public, 'hex')
}

/** @throws Refusal `WrongPassphrase`, also where the file was changed: the two cannot be told apart */
export async function openKey(text: string, passphrase: string, path: string): Promise<KeyObject> {
  const sealed = parse(text, path)
  const secret = Buffer.from(sealed.sealed, 'hex')
  const decipher = createDecipheriv(CIPHER, await keyOf(passphrase, sealed), Buffer.from(sealed.nonce, 'hex'))
  decipher.setAAD(bound(sealed))
  decipher.setAuthTag(secret.subarray(-TAG_BYTES))
  try {
    return privateKeyFromSeed(Buffer.concat([decipher.update(secret.subarray(0, -TAG_BYTES)), decipher.final()]))
  } catch (cause) {
    throw new Refusal('WrongPassphrase', `${path}: not the passphrase of this key, or the file was changed`, { cause })
  }
}

function parse(text: string, path: string): Sealed {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new Refusal('Malformed', `${path}: no key file; give one that "upstart keygen" wrote`, { cause })
  }
  const parsed = sealedSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Refusal('Malformed', `${path}: no key file: ${explain(parsed.error)}; give one that "upstart keygen" wrote`)
}
