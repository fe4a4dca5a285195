/**
 * Keys of people (SPEC C2): Ed25519 in PEM files. A private key is written once, exclusively, readable by its owner;
 * the public half lies beside it under `NAME.pub` and is what goes into a root.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { Refusal } from '../src/errors.ts'
import { keyIdOf, type PublicKey, publicKeyFromRaw, publicKeyOf, type Signer, signerOf } from '../src/upgrade/keys.ts'
import { unreadable, unwritable } from './obstacles.ts'
import { readPassphrase } from './passphrase.ts'
import { isSealed, openKey, sealedPublic, sealKey } from './sealed-key.ts'

export interface KeyPairFiles {
  privatePath: string
  publicPath: string
  keyid: string
}

async function writeExclusively(path: string, text: string, mode: number): Promise<void> {
  const handle = await open(path, 'wx', mode).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') return unwritable(path)(cause)
    throw new Refusal('Usage', `${path} exists; a key is never overwritten: choose another name or move it away`, {
      cause
    })
  })
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a key pair: `path` (mode 0600), under a passphrase if one is given, and `path.pub`. */
export async function generateKeyFiles(path: string, passphrase?: string): Promise<KeyPairFiles> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const plain = () => privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  const secret = passphrase === undefined ? plain() : await sealKey(privateKey, passphrase)
  await writeExclusively(path, secret, 0o600)
  await writeExclusively(`${path}.pub`, publicKey.export({ format: 'pem', type: 'spki' }) as string, 0o644)
  return { privatePath: path, publicPath: `${path}.pub`, keyid: keyIdOf(publicKeyOf(publicKey)) }
}

const readText = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch(unreadable(path, 'give a key file that "upstart keygen" wrote'))

function parsed(path: string, parse: () => KeyObject, what: string): KeyObject {
  try {
    return parse()
  } catch (cause) {
    throw new Refusal('Malformed', `${path}: not ${what} in PEM; give a key file that "upstart keygen" wrote`, {
      cause
    })
  }
}

/** Of a file of ours, encrypted or not, or of one that OpenSSL encrypted (PKCS #8). */
async function readPrivateKey(path: string): Promise<KeyObject> {
  const text = await readText(path)
  if (isSealed(text)) return await openKey(text, await readPassphrase(path), path)
  if (!text.includes('BEGIN ENCRYPTED PRIVATE KEY')) return parsed(path, () => createPrivateKey(text), 'a private key')
  const passphrase = await readPassphrase(path)
  try {
    return createPrivateKey({ key: text, passphrase })
  } catch (cause) {
    throw new Refusal('WrongPassphrase', `${path}: not the passphrase of this key, or the file was changed`, { cause })
  }
}

export async function readSigner(path: string): Promise<Signer> {
  return signerOf(await readPrivateKey(path))
}

/** The 32 secret bytes of a key file: who shows a ticket proves by them that it is its peer. */
export async function readSeed(path: string): Promise<Uint8Array> {
  const { d } = (await readPrivateKey(path)).export({ format: 'jwk' })
  return new Uint8Array(Buffer.from(d!, 'base64url'))
}

/** The public half of a key file, be it the private or the public one. */
export async function readPublicKey(path: string): Promise<PublicKey> {
  const text = await readText(path)
  if (isSealed(text)) return publicKeyOf(publicKeyFromRaw(sealedPublic(text, path)))
  return publicKeyOf(parsed(path, () => createPublicKey(text), 'a key'))
}
