/** The identity of a peer (SPEC N1): one Ed25519 key, kept in the data directory, readable by its owner only. */
import { createHash, randomBytes } from 'node:crypto'
import { chmod, link, open, readFile, unlink } from 'node:fs/promises'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { Refusal } from '../../src/errors.ts'

const SEED_BYTES = 32

export interface PeerKey {
  /** The peer's id as it is written everywhere: base58, `12D3Koo…`. */
  readonly peer: string
  /** The 32 secret bytes; `authority()` signs records with them. */
  readonly seed: Uint8Array
  readonly privateKey: Ed25519PrivateKey
}

/** The key of a seed; without one, a fresh key that nobody else has. */
export async function createPeerKey(seed: Uint8Array = randomBytes(SEED_BYTES)): Promise<PeerKey> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed)
  return { peer: peerIdFromPrivateKey(privateKey).toString(), seed, privateKey }
}

/**
 * Reads the key in `path`, or creates it there (0600, durable before it is used). Throws Refusal.
 *
 * @param known the peer that its directory has belonged to: a new key would be somebody else, whom no roster names
 */
export async function loadPeerKey(path: string, known?: string): Promise<PeerKey> {
  const existing = await readSeed(path)
  if (existing === undefined && known !== undefined) throw lost(path, 'is missing', known)
  if (existing !== undefined) {
    const key = await createPeerKey(existing)
    if (known !== undefined && key.peer !== known) throw lost(path, `is the key of another peer, ${key.peer}`, known)
    return key
  }
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

/** The key in `path`, which must be there. @throws Refusal */
export async function readPeerKey(path: string): Promise<PeerKey> {
  const seed = await readSeed(path)
  if (seed === undefined) throw new Refusal('Usage', `${path} is missing; give the --data directory of a running peer`)
  return createPeerKey(seed)
}

/** What only those know who can read the peer's key: programs of its host show it (SPEC N19). */
export function localToken(seed: Uint8Array): string {
  return createHash('sha256').update('upstart-peer: programs of this host\n').update(seed).digest('hex')
}

const RESTORE =
  'restore it from a backup, or move the whole directory away and start the peer anew (rosters must then name the new one)'

function lost(path: string, what: string, known: string): Refusal {
  return new Refusal('DamagedStore', `${path} ${what}, but its directory has been in use by peer ${known}; ${RESTORE}`)
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
    throw new Refusal('DamagedStore', `${path} is not a peer key: 64 hex digits are expected; ${RESTORE}`)
  }
  // A key that others could read is closed to them rather than refused: the mend is always the same.
  await chmod(path, 0o600)
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}
