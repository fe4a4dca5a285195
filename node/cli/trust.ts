/** Commands about trust: `keygen`, `sign` (SPEC C2, C4). None of them needs a network. */
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
import { addRootSignatures, checkEach, isRoot, parseRoot, type RoleName } from '../../src/upgrade/root.ts'
import { rolesFor, type Trust } from '../../src/upgrade/trust.ts'
import { generateKeyFiles } from '../keys.ts'
import { ofFile } from '../obstacles.ts'
import { openUpgradeFile, writeUpgradeFile } from '../pack/file.ts'
import { readPassphrase } from '../passphrase.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import {
  asOption,
  isDocument,
  readBounded,
  readSigners,
  readTrust,
  type SigningOptions,
  signOption,
  signWithOption
} from './options.ts'
import { type Need, needsOf, sayNeeds } from './root.ts'
import { writeWhole } from './whole.ts'

interface Signed {
  kind: 'root' | DocumentKind
  hash: string
  present: number
  /** Null where no root was given to compare with. */
  threshold: number | null
  /** Of a root: what it and the root before it ask for; whether that one is known. */
  needs?: Need[]
  isKnown?: boolean
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
  return { envelope, roles: rolesFor(envelope.content.what) }
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

/** T13: without the roots before it only what the root itself asks for can be counted. */
async function signRootFile(
  path: string,
  bytes: Uint8Array,
  signers: readonly Signer[],
  trust: Trust | null
): Promise<Signed> {
  const signed = ofFile(path, () => addRootSignatures(bytes, signers))
  const root = parseRoot(signed)
  const before = trust?.roots[root.version - 2]
  if (before !== undefined) ofFile(path, () => checkEach([before, root], 'root', root.metadata, `root ${root.version}`))
  await writeWhole(path, signed)
  const needs = needsOf(root, before)
  const own = needs.at(-1)!
  const isKnown = root.version === 1 || before !== undefined
  return { kind: 'root', hash: root.hash, present: own.present, threshold: own.threshold, needs, isKnown }
}

async function signDocument(path: string, signers: readonly Signer[], trust: Trust | null): Promise<Signed> {
  const bytes = await readBounded(path, MAX_ENTRY_BYTES, 'give an upgrade file, a statement or a root.json')
  if (isRoot(bytes)) return await signRootFile(path, bytes, signers, trust)
  const kind = ofFile(path, () => kindOf(bytes))
  const signed = signers.reduce(addSignature, bytes)
  const result = count(trust, kind, signed)
  await writeWhole(path, signed)
  return result
}

interface SignOptions extends Omit<SigningOptions, 'sign'> {
  key?: string[]
  root?: string
}

async function sign(path: string, { key, root, ...external }: SignOptions): Promise<Answer> {
  const signers = await readSigners({ ...external, ...(key === undefined ? {} : { sign: key }) })
  if (signers.length === 0)
    throw new Refusal('Usage', 'nothing to sign with: give --key KEYFILE, or --sign-with COMMAND --as KEYFILE.pub')
  const trust = root === undefined ? null : await readTrust(root)
  const signed = await ((await isDocument(path)) ? signDocument : signUpgradeFile)(path, signers, trust)
  const { needs, isKnown, ...said } = signed
  if (needs !== undefined) {
    const more = isKnown ? '' : '; give --root with the roots before it to count theirs'
    return { json: { path, ...said, needs }, text: `${path} signed: ${sayNeeds(needs)}${more}` }
  }
  const of = signed.threshold === null ? '' : ` of ${signed.threshold} needed`
  return {
    json: { path, ...signed },
    text: `${path} signed: ${signed.present}${of} signature${signed.present === 1 ? '' : 's'}`
  }
}

export function trustCommands(program: Command, terminal: Terminal): void {
  answering<{ encrypt?: true }>(
    program
      .command('keygen')
      .description('make a key pair: FILE (secret, mode 0600) and FILE.pub')
      .argument('<file>')
      .option('--encrypt', 'under a passphrase, asked for or from UPSTART_PASSPHRASE_FILE or UPSTART_PASSPHRASE'),
    terminal,
    async ({ encrypt }, [file]) => {
      const passphrase = encrypt === true ? await readPassphrase(file!, true) : undefined
      const made = await generateKeyFiles(file!, passphrase)
      const how = encrypt === true ? 'under its passphrase' : 'keep it secret'
      return {
        json: { ...made, encrypted: encrypt === true },
        text: `${made.privatePath} (${how}) and ${made.publicPath}; key ${made.keyid}`
      }
    }
  )
  answering<SignOptions>(
    program
      .command('sign')
      .description('add signatures to an upgrade file, a statement or an incomplete root.json')
      .argument('<file>')
      .addOption(signOption('--key'))
      .addOption(signWithOption())
      .addOption(asOption())
      .option('--root <file>', 'root.json, to say how many signatures are still needed'),
    terminal,
    (options, [file]) => sign(file!, options)
  )
}
