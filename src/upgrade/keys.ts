/**
 * Ed25519 keys in the forms that are met: TUF keys of people, libp2p keys of peers (SPEC T1, T2). Everything is
 * synchronous and deterministic; making keys needs entropy and stands in `node/keys.ts`.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { fromString } from 'uint8arrays/from-string'
import { toString as encodeString } from 'uint8arrays/to-string'
import { Refusal } from '../errors.ts'
import { canonicalHash } from './canonical.ts'

/** A TUF key as `root.json` lists it. */
export interface PublicKey {
  keytype: 'ed25519'
  scheme: 'ed25519'
  keyval: { public: string }
}

/** Someone who signs: a person's key, or a hardware token behind the same shape. */
export interface Signer {
  readonly keyid: string
  readonly key: PublicKey
  /** Ed25519 over exactly these bytes; 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}

const SPKI = fromString('302a300506032b6570032100', 'base16')
const PKCS8 = fromString('302e020100300506032b657004220420', 'base16')
/** An Ed25519 public key inside a peer id: identity multihash of the protobuf ⟨type 1, 32 bytes⟩. */
const PEER_ID = fromString('002408011220', 'base16')

function der(prefix: Uint8Array, raw: Uint8Array): Buffer {
  return Buffer.concat([prefix, raw])
}

export function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: der(SPKI, raw), format: 'der', type: 'spki' })
}

export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: der(PKCS8, seed), format: 'der', type: 'pkcs8' })
}

/** The raw public half of a public or private Ed25519 key. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new Refusal(
      'Malformed',
      `an Ed25519 key is needed, this one is ${key.asymmetricKeyType}: make one with "upstart keygen"`
    )
  }
  return fromString(key.export({ format: 'jwk' }).x as string, 'base64url')
}

export function publicKeyOf(key: KeyObject): PublicKey {
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: encodeString(rawPublicKey(key), 'base16') } }
}

/** TUF's rule: a key's id is the hash of its canonical form, so that one key cannot count under two ids. */
export function keyIdOf(key: PublicKey): string {
  return canonicalHash(key)
}

export function signerOf(privateKey: KeyObject): Signer {
  const key = publicKeyOf(privateKey)
  return { key, keyid: keyIdOf(key), sign: (message) => new Uint8Array(sign(null, message, privateKey)) }
}

export function verifyEd25519(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, message, key, signature)
}

export function peerIdOf(key: KeyObject): string {
  return encodeString(der(PEER_ID, rawPublicKey(key)), 'base58btc')
}

/** The public key that an Ed25519 peer id (12D3KooW…) contains. */
export function publicKeyOfPeer(peer: string): KeyObject {
  let bytes: Uint8Array
  try {
    bytes = fromString(peer, 'base58btc')
  } catch (cause) {
    throw new Refusal('Malformed', `${peer} is no peer id: it is not base58`, { cause })
  }
  const prefix = bytes.subarray(0, PEER_ID.length)
  if (bytes.length !== PEER_ID.length + 32 || !PEER_ID.every((byte, at) => byte === prefix[at])) {
    throw new Refusal('Malformed', `${peer} is not the id of an Ed25519 peer (they begin with 12D3KooW)`)
  }
  return publicKeyFromRaw(bytes.subarray(PEER_ID.length))
}
