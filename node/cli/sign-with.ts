/**
 * `--sign-with` (SPEC C22): a command signs, be it a token's, a key server's or another host's, so that the private key
 * never is on this machine. It gets the bytes on stdin and writes the signature.
 */
import { spawnSync } from 'node:child_process'
import { Refusal } from '../../src/errors.ts'
import { keyIdOf, type PublicKey, publicKeyFromRaw, type Signer, verifyEd25519 } from '../../src/upgrade/keys.ts'

const SIGNATURE_BYTES = 64
/** Somebody may have to find a token and to touch it, ms. */
const TIMEOUT_MS = 300_000

export function commandSigner(command: string, key: PublicKey): Signer {
  const publicKey = publicKeyFromRaw(Buffer.from(key.keyval.public, 'hex'))
  return {
    key,
    keyid: keyIdOf(key),
    sign(message) {
      const signature = signatureOf(ran(command, message))
      if (signature !== undefined && verifyEd25519(publicKey, message, signature)) return signature
      const what =
        signature === undefined
          ? 'no Ed25519 signature (64 bytes, or these as hex or base64)'
          : 'a signature by another key, or of other bytes'
      throw new Refusal('WrongSignature', `--sign-with: the command wrote ${what}; check it against --as`)
    }
  }
}

function ran(command: string, message: Uint8Array): Buffer {
  const { stdout, status, signal, error } = spawnSync(command, {
    shell: true,
    input: message,
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
    maxBuffer: 64 * 1024
  })
  // One that ends well without having read all is judged by what it wrote.
  const isUnread = (error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE'
  if ((error === undefined || isUnread) && status === 0) return stdout
  const how = error?.message ?? (status === null ? `was ended by ${signal}` : `ended with ${status}`)
  throw new Refusal('Unsigned', `--sign-with: the command failed (${how}); run it by itself to see why`)
}

function signatureOf(output: Buffer): Uint8Array | undefined {
  if (output.length === SIGNATURE_BYTES) return new Uint8Array(output)
  const text = output.toString('latin1').trim()
  const bytes = /^[0-9a-f]{128}$/i.test(text)
    ? Buffer.from(text, 'hex')
    : /^[\w+/-]{86}={0,2}$/.test(text)
      ? Buffer.from(text, 'base64')
      : undefined
  return bytes?.length === SIGNATURE_BYTES ? new Uint8Array(bytes) : undefined
}
