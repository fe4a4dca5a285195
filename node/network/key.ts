/** The identity of a peer (SPEC N1): one Ed25519 key, kept in the data directory, readable by its owner only. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { chmod, link, open, readFile, unlink } from 'node:fs/promises'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { Refusal } from '../../src/errors.ts'

const SEED_BYTES = 32
/** DER framing of a raw Ed25519 key; node:crypto takes keys only so. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

export interface PeerKey {
  /** The peer's id as it is written everywhere: base58, `12D3Koo…`. */
  readonly peer: string
  /** The 32 secret bytes. */
  readonly seed: Uint8Array
  readonly privateKey: Ed25519PrivateKey
  /** Signs synchronously: 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array
}

/** The key of a seed; without one, a fresh key that nobody else has. */
export async function createPeerKey(seed: Uint8Array = randomBytes(SEED_BYTES)): Promise<PeerKey> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed)
  const signing = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
  return {
    peer: peerIdFromPrivateKey(privateKey).toString(),
    seed,
    privateKey,
    sign: (bytes) => new Uint8Array(sign(null, bytes, signing))
  }
}

/** Reads the key in `path`, or creates it there (0600, durable before it is used). Throws Refusal. */
export async function loadPeerKey(path: string): Promise<PeerKey> {
  const existing = await readSeed(path)
  if (existing !== undefined) return createPeerKey(existing)
  const seed = randomBytes(SEED_BYTES)
  // The key appears whole under its name or not at all: a crash in between must not leave half an identity.
  const temporary = `${path}.${process.pid}.new`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(`${seed.toString('hex')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(temporary)
  }
  // Where two processes raced, both use the key that was linked first.
  return createPeerKey((await readSeed(path)) ?? seed)
}

async function readSeed(path: string): Promise<Uint8Array | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const hex = text.trim()
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    const mend = 'Restore it from a backup, or move it away to get a new identity (rosters must then name the new one).'
    throw new Refusal('DamagedStore', `${path} is not a peer key: 64 hex digits are expected. ${mend}`)
  }
  // A key that others could read is closed to them rather than refused: the mend is always the same.
  await chmod(path, 0o600)
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

const publicKeys = new Map<string, KeyObject>()
const MAX_PUBLIC_KEYS = 4096

/** Whether `peer` signed `bytes`: an Ed25519 peer id carries its public key, so nothing else is needed. */
export function verifyByPeer(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeys.get(peer) ?? publicKeyOf(peer)
  return key !== undefined && verify(null, bytes, key, signature)
}

function publicKeyOf(peer: string): KeyObject | undefined {
  let raw: Uint8Array | undefined
  try {
    const id = peerIdFromString(peer)
    raw = id.type === 'Ed25519' ? id.publicKey.raw : undefined
  } catch {
    // Not a peer id at all: nobody signed for it.
    return undefined
  }
  if (raw === undefined) return undefined
  const key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, raw]), format: 'der', type: 'spki' })
  if (publicKeys.size >= MAX_PUBLIC_KEYS) publicKeys.clear()
  publicKeys.set(peer, key)
  return key
}
