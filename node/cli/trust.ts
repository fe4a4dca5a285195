/** Commands about trust: `keygen`, `root new`, `sign` (SPEC C2 to C4). None of them needs a network. */
import { open, rename, rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { attempt, Refusal } from '../../src/errors.ts'
import {
  addSignature,
  type DocumentKind,
  type Envelope,
  kindOf,
  parseEntry,
  parseStatement,
  parseTicket
} from '../../src/upgrade/entry.ts'
import type { Signer } from '../../src/upgrade/keys.ts'
import { MAX_ENTRY_BYTES } from '../../src/upgrade/manifest.ts'
import {
  addRootSignatures,
  type Holders,
  openRoot,
  parseRoot,
  type RoleName,
  signRoot
} from '../../src/upgrade/root.ts'
import { rolesOf, type Trust } from '../../src/upgrade/trust.ts'
import { generateKeyFiles } from '../keys.ts'
import { ofFile, unwritable } from '../obstacles.ts'
import { openUpgradeFile, writeUpgradeFile } from '../pack/file.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import {
  expiry,
  isDocument,
  outOption,
  readBounded,
  readSigners,
  readTrust,
  roleHolders,
  several,
  signOption
} from './options.ts'

/** Whole or not at all; an existing file is replaced. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.partial`
  const handle = await open(partial, 'w', 0o644).catch(unwritable(path))
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  await rename(partial, path).catch(unwritable(path))
}

interface RootOptions {
  root: string
  release?: string
  operator?: string
  admission?: string
  open?: true
  expires: string
  sign?: string[]
  out: string
}

/** A1: a fleet is open only where that is said. */
async function admissionOf({ admission, open: isOpen }: RootOptions, root: Holders): Promise<Holders | undefined> {
  if (isOpen === true && admission !== undefined)
    throw new Refusal('Usage', '--open and --admission: nobody admits to an open fleet; give one of the two')
  if (isOpen === true) return undefined
  return admission === undefined ? root : await roleHolders('--admission', admission)
}

async function newRoot(options: RootOptions): Promise<Answer> {
  const root = await roleHolders('--root', options.root)
  const admission = await admissionOf(options, root)
  const roles = {
    root,
    targets: options.release === undefined ? root : await roleHolders('--release', options.release),
    operator: options.operator === undefined ? root : await roleHolders('--operator', options.operator),
    ...(admission === undefined ? {} : { admission })
  }
  const signers = await readSigners(options.sign)
  const bytes = signRoot({ roles, expiresMs: expiry(options.expires, Date.now()) }, signers)
  const signed = signers.length >= root.threshold
  // Opened with its own rules before it is written: what cannot be used is not written.
  const fleet = signed ? openRoot(bytes).fleet : null
  await writeWhole(options.out, bytes)
  const state = signed
    ? `fleet ${fleet}`
    : `${signers.length} of ${root.threshold} signatures: continue with "upstart sign ${options.out} --key KEYFILE"`
  return {
    json: { path: options.out, fleet, signatures: signers.length, threshold: root.threshold },
    text: `${options.out} written; ${state}`
  }
}

interface Signed {
  kind: 'root' | DocumentKind
  hash: string
  present: number
  /** Null where no root was given to compare with. */
  threshold: number | null
}

function count(trust: Trust | null, kind: DocumentKind, bytes: Uint8Array): Signed {
  const { envelope, roles } = ofKind(kind, bytes)
  const role = roles.find(
    (one) => trust !== null && !(attempt(() => trust.signatures(one, envelope)) instanceof Refusal)
  )
  const found = trust?.signatures(role ?? roles[0]!, envelope)
  return { kind, hash: envelope.hash, present: envelope.keys.length, threshold: found?.threshold ?? null }
}

function ofKind(kind: DocumentKind, bytes: Uint8Array): { envelope: Envelope<unknown>; roles: RoleName[] } {
  if (kind === 'entry') return { envelope: parseEntry(bytes), roles: ['targets'] }
  if (kind === 'ticket') return { envelope: parseTicket(bytes), roles: ['admission'] }
  const envelope = parseStatement(bytes)
  return { envelope, roles: rolesOf(envelope.content) }
}

async function signUpgradeFile(path: string, signers: readonly Signer[], trust: Trust | null): Promise<Signed> {
  const file = await openUpgradeFile(path)
  try {
    // Nobody signs for a bundle that is not the one the entry names.
    await file.verify()
    const entry = signers.reduce(addSignature, file.envelope.bytes)
    const signed = count(trust, 'entry', entry)
    await writeUpgradeFile(path, entry, file.bundle(), file.bundleLength)
    return signed
  } finally {
    await file.close()
  }
}

async function signDocument(path: string, signers: readonly Signer[], trust: Trust | null): Promise<Signed> {
  const bytes = await readBounded(path, MAX_ENTRY_BYTES, 'give an upgrade file, a statement or a root.json')
  const isRoot = /"_type"\s*:\s*"root"/.test(new TextDecoder().decode(bytes))
  if (isRoot) {
    const signed = ofFile(path, () => addRootSignatures(bytes, signers))
    const parsed = JSON.parse(new TextDecoder().decode(signed))
    await writeWhole(path, signed)
    const { threshold } = parsed.signed.roles.root
    const present = parsed.signatures.length
    return { kind: 'root', hash: parseRoot(signed).hash, present, threshold }
  }
  const kind = ofFile(path, () => kindOf(bytes))
  const signed = signers.reduce(addSignature, bytes)
  const result = count(trust, kind, signed)
  await writeWhole(path, signed)
  return result
}

async function sign(path: string, options: { key: string[]; root?: string }): Promise<Answer> {
  const signers = await readSigners(options.key)
  const trust = options.root === undefined ? null : await readTrust(options.root)
  const signed = await ((await isDocument(path)) ? signDocument : signUpgradeFile)(path, signers, trust)
  const of = signed.threshold === null ? '' : ` of ${signed.threshold} needed`
  return {
    json: { path, ...signed },
    text: `${path} signed: ${signed.present}${of} signature${signed.present === 1 ? '' : 's'}`
  }
}

export function trustCommands(program: Command, terminal: Terminal): void {
  answering(
    program.command('keygen').description('make a key pair: FILE (secret, mode 0600) and FILE.pub').argument('<file>'),
    terminal,
    async (_options, [file]) => {
      const made = await generateKeyFiles(file!)
      return {
        json: { ...made },
        text: `${made.privatePath} (keep it secret) and ${made.publicPath}; key ${made.keyid}`
      }
    }
  )
  const root = program.command('root').description('the trust root of a fleet')
  answering<RootOptions>(
    root
      .command('new')
      .description('write the first root.json of a fleet; each role is [THRESHOLD:]KEYFILE[,KEYFILE…]')
      .requiredOption('--root <keys>', 'who may change the root')
      .option('--release <keys>', 'who may release upgrades (default: those of --root)')
      .option('--operator <keys>', 'who may make rosters, pause and resume (default: those of --root)')
      .option('--admission <keys>', 'who admits peers and operators to the fleet (default: those of --root)')
      .option('--open', 'everybody who can reach a peer may take part, see status and call')
      .option('--expires <time>', 'when it must have been renewed', '365d')
      .addOption(signOption())
      .addOption(outOption('the file to write').default('root.json')),
    terminal,
    newRoot
  )
  answering<{ key: string[]; root?: string }>(
    program
      .command('sign')
      .description('add signatures to an upgrade file, a statement or an incomplete root.json')
      .argument('<file>')
      .requiredOption('--key <keyfile>', 'private key to sign with (may be repeated)', several)
      .option('--root <file>', 'root.json, to say how many signatures are still needed'),
    terminal,
    (options, [file]) => sign(file!, options)
  )
}
