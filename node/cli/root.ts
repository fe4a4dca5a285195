/** `root new|rotate|show|verify` (SPEC C3, C19): who may do what in a fleet, and how that changes. */
import type { Command } from 'commander'
import { Option } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { keyIdOf } from '../../src/upgrade/keys.ts'
import {
  counted,
  type Holders,
  holdersIn,
  MAX_VOUCHED,
  type OpenRoot,
  openRoot,
  parseRoot,
  type RoleName,
  type RootInit,
  signRoot
} from '../../src/upgrade/root.ts'
import { encodeRoots, MAX_ROOTS_BYTES, openTrust, rolesFor, type Trust } from '../../src/upgrade/trust.ts'
import type { SignedItem } from '../network/control.ts'
import { ofFile } from '../obstacles.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { type Connect, connected } from './connection.ts'
import {
  asOption,
  expiry,
  outOption,
  peerOption,
  readBounded,
  readRoot,
  readSigners,
  roleHolders,
  rootOption,
  type SigningOptions,
  several,
  signOption,
  signWithOption
} from './options.ts'
import { writeWhole } from './whole.ts'

/** Options that name a role's holders, and what each may do. */
const ROLES: [option: Exclude<keyof RoleOptions, 'open'>, role: RoleName, may: string][] = [
  ['release', 'targets', 'release upgrades'],
  ['operator', 'operator', 'make every statement'],
  ['control', 'control', 'pause, resume and approve, and nothing else'],
  ['admission', 'admission', 'admit peers and operators']
]
const OPTIONAL: ReadonlySet<RoleName> = new Set(['control'])

interface RoleOptions {
  release?: string
  operator?: string
  control?: string
  admission?: string
  open?: true
}

interface NewOptions extends RoleOptions, SigningOptions {
  root: string
  expires: string
  out: string
}

async function newRoot(options: NewOptions): Promise<Answer> {
  const root = await roleHolders('--root', options.root)
  const roles = definite({ root, targets: root, operator: root, admission: root, ...(await changesOf(options)) })
  const signers = await readSigners(options)
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

/** Who holds the roles that are named; undefined for one that nobody is to hold any more. */
async function changesOf(options: RoleOptions): Promise<Partial<RootInit['roles']>> {
  const changes: Partial<Record<RoleName, Holders | undefined>> = {}
  for (const [option, role] of ROLES) {
    const text = options[option]
    if (text === undefined) continue
    if (text !== 'none') changes[role] = await roleHolders(`--${option}`, text)
    else if (OPTIONAL.has(role)) changes[role] = undefined
    else throw new Refusal('Usage', `--${option} none: somebody must hold the role; name a key`)
  }
  // A1: a fleet is open only where that is said.
  if (options.open === true && options.admission !== undefined)
    throw new Refusal('Usage', '--open and --admission: nobody admits to an open fleet; give one of the two')
  if (options.open === true) changes.admission = undefined
  return changes as Partial<RootInit['roles']>
}

interface RotateOptions extends RoleOptions, SigningOptions {
  root: string
  peer?: string[]
  holders?: string
  expires: string
  lapse?: string[]
  lapseAll?: boolean
  vouch?: boolean
  out?: string
}

async function rotate(connect: Connect, options: RotateOptions): Promise<Answer> {
  const rootBytes = await readRoot(options.root)
  const { trust, signed } = await knownOf(connect, rootBytes, options.peer)
  const before = trust.root
  const changes = await changesOf(options)
  if (options.holders !== undefined) changes.root = await roleHolders('--holders', options.holders)
  const roles = definite({ ...holdersIn(before), ...changes })
  if (options.vouch === true && signed === undefined)
    throw new Refusal('Usage', '--vouch: give --peer ADDRESS, which knows what there is')
  if (signed === undefined && options.lapseAll !== true && Object.keys(changes).some((role) => role !== 'root')) {
    const text =
      'who may sign changes, and what was signed before lapses unless the new root vouches for it: give --peer ADDRESS, which knows what there is, or say --lapse-all'
    throw new Refusal('Usage', text)
  }
  const lapsing = options.lapseAll === true ? [] : lapsingOf(signed ?? [], roles, trust, options)
  const { vouched, left } = roomFor(lapsing, options.vouch === true)
  const signers = await readSigners(options)
  const bytes = signRoot(
    { roles, expiresMs: expiry(options.expires, Date.now()), after: { root: before, ...vouched } },
    signers
  )
  const next = parseRoot(bytes)
  const needs = needsOf(next, before)
  const complete = needs.every((one) => one.present >= one.threshold)
  // Whoever completes it hears what is wrong now, not at the first peer.
  if (complete) trust.rotated(bytes)
  const out = options.out ?? `${next.version}.root.json`
  await writeWhole(out, bytes)
  const { entries, statements } = vouched
  const more = left === 0 ? '' : `, ${left} are left for the next one`
  const then = complete
    ? `give it to a peer with "upstart inject ${out}"`
    : `continue with "upstart sign ${out} --key KEYFILE"`
  return {
    json: {
      path: out,
      version: next.version,
      hash: next.hash,
      parent: before.hash,
      signatures: needs,
      complete,
      entries,
      statements,
      left
    },
    text: `${out} written: root ${next.version}, which vouches for ${entries.length} entries and ${statements.length} statements${more}; signatures: ${sayNeeds(needs)}; ${then}`
  }
}

const definite = (roles: Record<string, Holders | undefined>): RootInit['roles'] =>
  Object.fromEntries(Object.entries(roles).filter(([, holders]) => holders !== undefined)) as RootInit['roles']

/** What the roots at hand say, and with a peer to ask what the fleet trusts now, and who signed what it has. */
async function knownOf(
  connect: Connect,
  rootBytes: Uint8Array,
  peers: string[] | undefined
): Promise<{ trust: Trust; signed?: SignedItem[] }> {
  if (peers === undefined) return { trust: openTrust(rootBytes) }
  return await connected(connect, rootBytes, peers, async (connection) => ({
    trust: await connection.trust(),
    signed: await connection.signed()
  }))
}

/** T14: what no root vouches for yet, and (but with `--vouch`) would lapse under these roles. */
function lapsingOf(
  items: readonly SignedItem[],
  roles: RootInit['roles'],
  trust: Trust,
  { lapse: but = [], vouch }: RotateOptions
): SignedItem[] {
  for (const hash of but)
    if (!items.some((item) => item.hash.startsWith(hash))) {
      const text = `--lapse ${hash}: the peer has no entry and no statement of this hash; "upstart history" shows them`
      throw new Refusal('Usage', text)
    }
  const vouched = new Set(
    trust.roots.flatMap(({ rotation }) => [...(rotation?.entries ?? []), ...(rotation?.statements ?? [])])
  )
  const isCovered = ({ what, keys }: SignedItem): boolean =>
    rolesFor(what).some((role) => {
      const ids = new Set(holderIds(roles[role]))
      return keys.every((id) => ids.has(id)) && keys.length >= (roles[role]?.threshold ?? Number.POSITIVE_INFINITY)
    })
  return items.filter(
    (item) =>
      !vouched.has(item.hash) && (vouch === true || !isCovered(item)) && !but.some((hash) => item.hash.startsWith(hash))
  )
}

/** One root vouches for so many; a fleet that has more makes several, and only the last one changes keys. */
function roomFor(items: readonly SignedItem[], isPartial: boolean): { vouched: Vouched; left: number } {
  const { entries, statements } = split(items)
  const most = Math.max(entries.length, statements.length)
  if (most > MAX_VOUCHED && !isPartial) {
    const roots = Math.ceil(most / MAX_VOUCHED) - 1
    const text = `${items.length} entries and statements would lapse, and one root vouches for ${MAX_VOUCHED} of each: make ${roots === 1 ? 'one root' : `${roots} roots`} with "upstart root rotate --vouch" first, which change no key`
    throw new Refusal('Oversize', text)
  }
  const vouched = { entries: entries.slice(0, MAX_VOUCHED), statements: statements.slice(0, MAX_VOUCHED) }
  return { vouched, left: items.length - vouched.entries.length - vouched.statements.length }
}

interface Vouched {
  entries: string[]
  statements: string[]
}

const split = (items: readonly SignedItem[]): Vouched => ({
  entries: items.filter((one) => one.what === 'upgrade').map((one) => one.hash),
  statements: items.filter((one) => one.what !== 'upgrade').map((one) => one.hash)
})

export interface Need {
  root: number
  present: number
  threshold: number
}

/** Signatures that a root has and needs, by the root before it and by itself; they are counted, not verified. */
export function needsOf(root: OpenRoot, before?: OpenRoot): Need[] {
  const judges = before === undefined ? [root] : [before, root]
  return judges.map((judge) => ({ root: judge.version, ...counted(judge, 'root', root.metadata) }))
}

export const sayNeeds = (needs: readonly Need[]): string =>
  needs.map(({ root, present, threshold }) => `${present} of ${threshold} that root ${root} needs`).join(', ')

interface ShowOptions {
  root: string
  peer?: string[]
  out?: string
}

async function show(connect: Connect, options: ShowOptions): Promise<Answer> {
  const rootBytes = await readRoot(options.root)
  const trust =
    options.peer === undefined
      ? openTrust(rootBytes)
      : await connected(connect, rootBytes, options.peer, (connection) => connection.trust())
  if (options.out !== undefined) await writeWhole(options.out, encodeRoots(trust))
  const written = options.out === undefined ? [] : [`all ${trust.roots.length} written to ${options.out}`]
  return {
    json: {
      fleet: trust.fleet,
      roots: trust.roots.map(shown),
      ...(options.out === undefined ? {} : { path: options.out })
    },
    text: [`fleet ${trust.fleet}`, ...trust.roots.map(sayRoot), ...sayHolders(trust.root), ...written].join('\n')
  }
}

function shown(root: OpenRoot): Record<string, unknown> {
  const roles = Object.entries(holdersIn(root)).map(([role, holders]) => [
    role,
    { keys: holderIds(holders), threshold: holders!.threshold }
  ])
  return {
    version: root.version,
    hash: root.hash,
    expires: new Date(root.expires).toISOString(),
    keys: Object.keys(root.metadata.signatures),
    roles: Object.fromEntries(roles),
    entries: root.rotation?.entries ?? [],
    statements: root.rotation?.statements ?? []
  }
}

function sayRoot({ version, hash, expires, rotation }: OpenRoot): string {
  const vouched = (rotation?.entries.length ?? 0) + (rotation?.statements.length ?? 0)
  const ends = `${expires <= Date.now() ? 'expired' : 'expires'} ${new Date(expires).toISOString().slice(0, 10)}`
  return `root ${version}  ${hash.slice(0, 16)}  ${ends}${vouched === 0 ? '' : `  vouches for ${vouched}`}`
}

function sayHolders(root: OpenRoot): string[] {
  return Object.entries(holdersIn(root)).map(([role, holders]) => {
    const ids = holderIds(holders).map((id) => id.slice(0, 16))
    return `  ${(role === 'targets' ? 'release' : role).padEnd(9)} ${holders!.threshold} of ${ids.length}: ${ids.join(', ')}`
  })
}

async function verify(connect: Connect, path: string, options: { root?: string; peer?: string[] }): Promise<Answer> {
  const bytes = await readBounded(path, MAX_ROOTS_BYTES, 'give a root.json, a next root, or all roots of a fleet')
  const trust = await verified(connect, path, bytes, options)
  const { version, hash, expires } = trust.root
  const late = expires <= Date.now() ? '; its expiry has passed: make the next one' : ''
  return {
    json: { path, fleet: trust.fleet, version, hash, expires: new Date(expires).toISOString() },
    text: `${path}: root ${version} of fleet ${trust.fleet} is signed as it must be${late}`
  }
}

async function verified(
  connect: Connect,
  path: string,
  bytes: Uint8Array,
  { root, peer }: { root?: string; peer?: string[] }
): Promise<Trust> {
  const isNext = bytes[0] !== '['.charCodeAt(0) && ofFile(path, () => parseRoot(bytes)).version > 1
  if (!isNext) return ofFile(path, () => openTrust(bytes))
  if (root === undefined)
    throw new Refusal(
      'Usage',
      `${path} continues another root: give --root FILE with those before it (or set UPSTART_ROOT)`
    )
  const { trust } = await knownOf(connect, await readRoot(root), peer)
  return ofFile(path, () => trust.rotated(bytes))
}

const holderIds = (holders: Holders | undefined): string[] => holders?.keys.map(keyIdOf) ?? []

export function rootCommands(program: Command, terminal: Terminal, connect: Connect): void {
  const root = program.command('root').description('the trust root of a fleet: who may do what')
  const withRoles = (command: Command, defaults: string): Command =>
    ROLES.reduce(
      (so, [option, role, may]): Command =>
        so.option(
          `--${option} <keys>`,
          `who may ${may} (default: ${OPTIONAL.has(role) && defaults !== 'as before' ? 'nobody' : defaults})`
        ),
      command.option('--open', 'everybody who can reach a peer may take part, see status and call; nobody admits')
    )
  answering<NewOptions>(
    withRoles(
      root
        .command('new')
        .description('write the first root.json of a fleet; each role is [THRESHOLD:]KEYFILE[,KEYFILE…]')
        .requiredOption('--root <keys>', 'who may change the root'),
      'those of --root'
    )
      .option('--expires <time>', 'when it must have been renewed', '365d')
      .addOption(signOption())
      .addOption(signWithOption())
      .addOption(asOption())
      .addOption(outOption('the file to write').default('root.json')),
    terminal,
    newRoot
  )
  answering<RotateOptions>(
    withRoles(
      root
        .command('rotate')
        .description('write the next root.json: other keys, thresholds or expiry; "none" takes an optional role away')
        .addOption(rootOption())
        .addOption(peerOption())
        .option('--holders <keys>', 'who may change the root (default: as before)'),
      'as before'
    )
      .option('--expires <time>', 'when it must have been renewed', '365d')
      .option('--lapse <hash>', 'do not vouch for this entry or statement (may be repeated)', several)
      .option('--lapse-all', 'vouch for nothing that was signed before')
      .option(
        '--vouch',
        'vouch for what there is although it would not lapse: of a fleet that has more than one root can list'
      )
      .addOption(signOption())
      .addOption(signWithOption())
      .addOption(asOption())
      .addOption(outOption('the file to write (default: VERSION.root.json)')),
    terminal,
    (options) => rotate(connect, options)
  )
  answering<ShowOptions>(
    root
      .command('show')
      .description('show the roots of a fleet, as a file or a peer has them')
      .addOption(rootOption())
      .addOption(peerOption())
      .addOption(outOption('write all of them to one file, which --root takes')),
    terminal,
    (options) => show(connect, options)
  )
  answering<{ root?: string; peer?: string[] }>(
    root
      .command('verify')
      .description('say whether a root, a next root, or all roots in one file are signed as they must be')
      .argument('<file>')
      .addOption(new Option('--root <file>', 'the roots before it').env('UPSTART_ROOT'))
      .addOption(peerOption()),
    terminal,
    (options, [file]) => verify(connect, file!, options)
  )
}
