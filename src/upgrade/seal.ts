/**
 * How a peer speaks for itself (SPEC T11): its record is signed with its libp2p Ed25519 key, and the public key is read
 * from the peer id inside the record, so nobody can speak for another and no key needs to be looked up.
 *
 * Sealed form: 64 bytes of signature, then the record as JSON; the signature covers a domain prefix and those exact
 * bytes. JSON, not CBOR: a few bytes of CBOR can claim an array of millions.
 */
import type { KeyObject } from 'node:crypto'
import { hash } from 'node:crypto'
import { Refusal } from '../errors.ts'
import type { Authority } from '../overlay/events.ts'
import { MAX_RECORD_BYTES, recordSchema, type SignedRecord, signedRecord } from '../overlay/record.ts'
import { decode, encode, explain } from './canonical.ts'
import { peerIdOf, privateKeyFromSeed, publicKeyOfPeer, signerOf, verifyEd25519 } from './keys.ts'
import type { Trust } from './trust.ts'

const SIGNATURE_BYTES = 64
/** The same key signs libp2p's handshakes: the prefix keeps the two apart. */
const DOMAIN = new TextEncoder().encode('upstart-peer record 1\n')
/** Key objects kept, the oldest goes first: a view holds a few hundred peers. */
const MAX_KEYS = 1024

function message(record: Uint8Array): Uint8Array {
  return Buffer.concat([DOMAIN, record])
}

/** The 53-bit prefix of a text's sha-256: exact as a number, used for salted orders and shares. */
export function hash53(text: string): number {
  const digest = hash('sha256', text, 'buffer')
  return digest.readUIntBE(0, 6) * 32 + (digest[6]! >> 3)
}

/** Opens sealed records of any peer. Synchronous, memoised by identity of the bytes, throws Refusal. */
export function recordOpener(opened = new WeakMap<Uint8Array, SignedRecord>()): (bytes: Uint8Array) => SignedRecord {
  const keys = new Map<string, KeyObject>()
  const keyOf = (peer: string): KeyObject => {
    const known = keys.get(peer)
    if (known !== undefined) return known
    const key = publicKeyOfPeer(peer)
    if (keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value!)
    keys.set(peer, key)
    return key
  }
  return (bytes) => {
    const known = opened.get(bytes)
    if (known !== undefined) return known
    if (bytes.byteLength > MAX_RECORD_BYTES) {
      throw new Refusal('Oversize', `record: ${bytes.byteLength} bytes, the limit is ${MAX_RECORD_BYTES}`)
    }
    if (bytes.byteLength <= SIGNATURE_BYTES) throw new Refusal('Malformed', 'record: shorter than its signature')
    const body = bytes.subarray(SIGNATURE_BYTES)
    const parsed = recordSchema.safeParse(decode(body, MAX_RECORD_BYTES, 'record'))
    if (!parsed.success) throw new Refusal('Malformed', `record: ${explain(parsed.error)}`)
    if (!verifyEd25519(keyOf(parsed.data.peer), message(body), bytes.subarray(0, SIGNATURE_BYTES))) {
      throw new Refusal('WrongSignature', `record: not signed by ${parsed.data.peer}, of whom it speaks`)
    }
    const signed = signedRecord(parsed.data, bytes, hash53)
    opened.set(bytes, signed)
    return signed
  }
}

/**
 * @param peerKey the peer's libp2p Ed25519 private key: 32 bytes of seed, or libp2p's `raw` of 64 that begins with it
 * @returns the functions that `Peer` is given, and the peer's id
 */
export function authority(trust: Trust, peerKey: Uint8Array): Authority & { readonly peer: string } {
  const privateKey = privateKeyFromSeed(peerKey.subarray(0, 32))
  const peer = peerIdOf(privateKey)
  const signer = signerOf(privateKey)
  const opened = new WeakMap<Uint8Array, SignedRecord>()
  return {
    peer,
    fleet: trust.fleet,
    trust,
    openRecord: recordOpener(opened),
    hash53,
    sealRecord(record) {
      if (record.peer !== peer)
        throw new Error(`a peer speaks for itself: ${peer} cannot seal the record of ${record.peer}`)
      const body = encode(record)
      if (body.byteLength + SIGNATURE_BYTES > MAX_RECORD_BYTES) {
        throw new Refusal(
          'Oversize',
          `record: ${body.byteLength} bytes, the limit is ${MAX_RECORD_BYTES - SIGNATURE_BYTES}`
        )
      }
      const bytes = new Uint8Array(Buffer.concat([signer.sign(message(body)), body]))
      // What was signed here need not be verified here.
      opened.set(bytes, signedRecord(record, bytes, hash53))
      return bytes
    }
  }
}
