/**
 * Keys of people (SPEC C2): Ed25519 in PEM files. A private key is written once, exclusively, readable by its owner;
 * the public half lies beside it under `NAME.pub` and is what goes into a root.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { Refusal } from '../src/errors.ts'
import { keyIdOf, type PublicKey, publicKeyOf, type Signer, signerOf } from '../src/upgrade/keys.ts'
import { unreadable, unwritable } from './obstacles.ts'

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

/** Makes a key pair: `path` (mode 0600) and `path.pub`. */
export async function generateKeyFiles(path: string): Promise<KeyPairFiles> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  await writeExclusively(path, privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, 0o600)
  await writeExclusively(`${path}.pub`, publicKey.export({ format: 'pem', type: 'spki' }) as string, 0o644)
  return { privatePath: path, publicPath: `${path}.pub`, keyid: keyIdOf(publicKeyOf(publicKey)) }
}

async function readKey(path: string, parse: (pem: string) => KeyObject, what: string): Promise<KeyObject> {
  const failed = unreadable(path, 'give a key file that "upstart keygen" wrote')
  const pem = await readFile(path, 'utf8').catch(failed)
  try {
    return parse(pem)
  } catch (cause) {
    throw new Refusal('Malformed', `${path}: not ${what} in PEM; give a key file that "upstart keygen" wrote`, {
      cause
    })
  }
}

export async function readSigner(path: string): Promise<Signer> {
  return signerOf(await readKey(path, createPrivateKey, 'a private key'))
}

/** The 32 secret bytes of a key file: who shows a ticket proves by them that it is its peer. */
export async function readSeed(path: string): Promise<Uint8Array> {
  const { d } = (await readKey(path, createPrivateKey, 'a private key')).export({ format: 'jwk' })
  return new Uint8Array(Buffer.from(d!, 'base64url'))
}

/** The public half of a key file, be it the private or the public one. */
export async function readPublicKey(path: string): Promise<PublicKey> {
  return publicKeyOf(await readKey(path, createPublicKey, 'a key'))
}
