/** What several commands read in the same way (SPEC C3): files, times, thresholds, keys. */
import { open, readFile } from 'node:fs/promises'
import { InvalidArgumentError, Option } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { type Duration, durationMs } from '../../src/schedule/combinators.ts'
import type { PublicKey, Signer } from '../../src/upgrade/keys.ts'
import type { RootInit } from '../../src/upgrade/root.ts'
import { MAX_ROOTS_BYTES, openTrust, type Trust } from '../../src/upgrade/trust.ts'
import { readPublicKey, readSigner } from '../keys.ts'
import { ofFile, unreadable } from '../obstacles.ts'
import { commandSigner } from './sign-with.ts'

/** Collects an option that may be given several times. */
export const several = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]

export const rootOption = (): Option =>
  new Option('--root <file>', 'root.json of the fleet').env('UPSTART_ROOT').makeOptionMandatory()
export const peerOption = (): Option =>
  new Option('--peer <address>', 'a peer to talk to: /ip4/…/tcp/…/p2p/12D3KooW… (may be repeated)')
    .env('UPSTART_PEER')
    .argParser(several)
/** What a command that signs is told. */
export interface SigningOptions {
  sign?: string[]
  signWith?: string
  as?: string
}
export const signOption = (flag = '--sign'): Option =>
  new Option(`${flag} <keyfile>`, 'sign with this private key (may be repeated)').argParser(several)
export const signWithOption = (): Option =>
  new Option('--sign-with <command>', 'sign with a command, which reads what is signed and writes the signature')
export const asOption = (): Option =>
  new Option('--as <keyfile>', 'the public key that the command of --sign-with signs for')
export const outOption = (what: string): Option => new Option('-o, --out <file>', what)

/** Reads a file of at most `limit` bytes; one that is longer is not read. */
export async function readBounded(path: string, limit: number, mend: string): Promise<Uint8Array> {
  const handle = await open(path, 'r').catch(unreadable(path, mend))
  try {
    const { size } = await handle.stat()
    if (size > limit) throw new Refusal('Oversize', `${path}: ${size} bytes, the limit is ${limit}; ${mend}`)
    return new Uint8Array(await readFile(handle).catch(unreadable(path, mend)))
  } finally {
    await handle.close()
  }
}

export async function readRoot(path: string): Promise<Uint8Array> {
  const bytes = await readBounded(path, MAX_ROOTS_BYTES, 'give the root.json that "upstart root new" wrote')
  ofFile(path, () => openTrust(bytes))
  return bytes
}

export async function readTrust(path: string): Promise<Trust> {
  return openTrust(await readRoot(path))
}

/** Encrypted keys one after another: each may ask for its passphrase. */
export async function readSigners({ sign, signWith, as }: SigningOptions): Promise<Signer[]> {
  if ((signWith === undefined) !== (as === undefined))
    throw new Refusal('Usage', '--sign-with COMMAND and --as KEYFILE.pub belong together: give both')
  const signers: Signer[] = []
  for (const path of sign ?? []) signers.push(await readSigner(path))
  if (signWith !== undefined) signers.push(commandSigner(signWith, await readPublicKey(as!)))
  return signers
}

export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('a number from 1 on.')
  return Number(text)
}

/** A time of seconds or minutes, as an option's parser. */
export function milliseconds(text: string): number {
  const ms = /^\d+(ms|s|m|h)$/.test(text) ? durationMs(text as Duration) : Number.NaN
  if (Number.isNaN(ms) || ms < 1) throw new InvalidArgumentError('a duration like 500ms or 10s.')
  return ms
}

/** A duration from now ('30d') or a time ('2030-01-31T12:00:00Z'), ms. */
export function expiry(text: string, now: number): number {
  if (/^\d+(ms|s|m|h|d)$/.test(text)) return now + durationMs(text as Duration)
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) {
    throw new Refusal(
      'Usage',
      `--expires ${text}: write a duration like 30d (at most 366d) or a time like 2030-01-31T12:00:00Z`
    )
  }
  return time
}

/** 'alice.pub,bob.pub' (one suffices) or '2:alice.pub,bob.pub,carol.pub' (two are needed). */
export async function roleHolders(option: string, text: string): Promise<RootInit['roles']['root']> {
  const [, threshold, files] = /^(?:(\d{1,2}):)?(.+)$/.exec(text) ?? []
  if (files === undefined)
    throw new Refusal('Usage', `${option} ${text}: write [THRESHOLD:]KEYFILE[,KEYFILE…], like 2:a.pub,b.pub,c.pub`)
  const keys: PublicKey[] = await Promise.all(files.split(',').map(readPublicKey))
  const needed = Number(threshold ?? 1)
  if (needed < 1 || needed > keys.length) {
    throw new Refusal(
      'Usage',
      `${option} ${text}: ${needed} of ${keys.length} keys cannot sign; the threshold is 1 to ${keys.length}`
    )
  }
  return { keys, threshold: needed }
}

/** JSON begins with a brace, an upgrade file with the name `entry.json`. */
export async function isDocument(path: string): Promise<boolean> {
  const failed = unreadable(path, 'give an upgrade file, a statement or a root.json')
  const handle = await open(path, 'r').catch(failed)
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(64), 0, 64, 0).catch(failed)
    return buffer.toString('latin1', 0, bytesRead).trimStart().startsWith('{')
  } finally {
    await handle.close()
  }
}
