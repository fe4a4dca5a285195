/**
 * `roster`, `pause`, `resume` (SPEC C7): each makes a statement, signs it with the keys given, and either writes it
 * (`--out`, to be signed by others or injected later) or hands it to a peer (`--peer`).
 */
import { randomInt } from 'node:crypto'
import type { Command } from 'commander'
import type { z } from 'zod'
import { Refusal } from '../../src/errors.ts'
import { explain } from '../../src/upgrade/canonical.ts'
import { parseStatement, signStatement } from '../../src/upgrade/entry.ts'
import { type StatementBody, statementBodySchema } from '../../src/upgrade/statement.ts'
import { openTrust } from '../../src/upgrade/trust.ts'
import type { Status } from '../daemon/status.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { type Connect, type Connection, connected, refuseLapsed } from './connection.ts'
import { peerIdOf } from './explain.ts'
import { holdCommands } from './hold.ts'
import { leaveCommand } from './leave.ts'
import {
  asOption,
  expiry,
  outOption,
  peerOption,
  readRoot,
  readSigners,
  rootOption,
  type SigningOptions,
  several,
  signOption,
  signWithOption,
  wholeNumber
} from './options.ts'
import { needOf } from './retirement.ts'
import { writeWhole } from './whole.ts'

export interface StatementOptions extends SigningOptions {
  root: string
  peer?: string[]
  out?: string
  note: string
  expires: string
}

/** What a statement says, without what all statements say. */
type Said =
  z.input<typeof statementBodySchema> extends infer Body
    ? Body extends unknown
      ? Omit<Body, 'format' | 'fleet' | 'sequence' | 'note'>
      : never
    : never

/** Only has to differ among the statements of a key: the time, and chance for those made in one millisecond. */
function sequenceNow(): number {
  return Date.now() * 1000 + randomInt(1000)
}

/** @param say what to say, given a peer's status where there is one to ask */
export async function state(
  connect: Connect,
  options: StatementOptions,
  say: (status: () => Promise<Status>) => Promise<Said>
): Promise<Answer> {
  const rootBytes = await readRoot(options.root)
  const trust = openTrust(rootBytes)
  const signers = await readSigners(options)
  if (options.out === undefined && options.peer === undefined) {
    throw new Refusal(
      'Usage',
      'say where the statement goes: --peer ADDRESS to hand it to the fleet, --out FILE to keep it'
    )
  }
  if (options.out === undefined && signers.length === 0) {
    throw new Refusal(
      'Unsigned',
      'the statement has no signature: sign it with --sign KEYFILE, or keep it with --out FILE for others to sign'
    )
  }
  const make = async (connection: Connection | null): Promise<Answer> => {
    const status = (): Promise<Status> => {
      if (connection === null) throw new Refusal('Usage', 'this needs a peer to ask: give --peer ADDRESS')
      return connection.status()
    }
    const said = await say(status)
    const common = { format: 1, fleet: trust.fleet, sequence: sequenceNow(), note: options.note }
    const body = statementBodySchema.safeParse({ ...common, ...said })
    if (!body.success) throw new Refusal('Usage', `the statement would be wrong: ${explain(body.error)}`)
    const bytes = signStatement(body.data, expiry(options.expires, Date.now()), signers)
    const { hash } = parseStatement(bytes)
    const json = { what: body.data.what, hash, statement: body.data }
    if (options.out !== undefined) {
      await writeWhole(options.out, bytes)
      const text = `${options.out} written, signed by ${signers.length}: statement ${hash}`
      return { json: { ...json, path: options.out, signatures: signers.length }, text }
    }
    // Opened with the fleet's rules here already: the refusal is the same, and nothing is sent in vain.
    const newest = await connection!.trust()
    newest.openStatement(bytes)
    refuseLapsed(newest, 'statement', bytes)
    const answer = await connection!.injectStatement(bytes)
    return { json: { ...json, injected: true, answer }, text: `${describe(body.data)}: ${answer}; statement ${hash}` }
  }
  return options.peer === undefined ? make(null) : connected(connect, rootBytes, options.peer, make)
}

/** A statement in words. */
export function describe(body: StatementBody): string {
  const short = (hash: string): string => `${hash.slice(0, 16)}…`
  switch (body.what) {
    case 'roster':
      return `roster ${body.number} of ${body.group}: ${body.members.length} member${body.members.length === 1 ? '' : 's'}`
    case 'pause':
      return `${body.target === null ? 'every upgrade' : `upgrade ${short(body.target)}`} is paused${pausedOf(body.of)}`
    case 'hasten':
      return `upgrade ${short(body.target)} waits for no condition any more; constraints and pauses stay`
    case 'resume':
      return `pause ${short(body.lifts)} is lifted`
    case 'abort':
      return `upgrade ${short(body.target)} is aborted for good`
    case 'forget':
      return `the bundle of upgrade ${short(body.target)} is not kept for others any more`
    case 'approve':
      return `upgrade ${short(body.target)} is approved`
    case 'retry':
      return `upgrade ${short(body.target)} may be tried again by ${body.peer ?? 'every peer on which it failed'}`
    case 'retire':
      return `past SOs of what came with ${short(body.target)}, and of older versions, are retired`
    case 'revoke':
      return `tickets of ${body.peer} up to number ${body.upTo} admit it no more`
    case 'leave':
      return `${body.peer} leaves the fleet`
    case 'exclude':
      return `${body.peer} is excluded from group ${body.group} up to roster ${body.roster}`
  }
}

/** Whom a pause is for, in words. */
export function pausedOf(of: Extract<StatementBody, { what: 'pause' }>['of']): string {
  const labels = Object.entries(of?.labels ?? {}).map(([label, value]) => `${label}=${value}`)
  const parts = [
    ...(of?.peer === undefined ? [] : [`on ${of.peer}`]),
    ...(labels.length === 0 ? [] : [`where ${labels.join(', ')}`]),
    ...(of?.class === undefined ? [] : [`for class ${of.class}`])
  ]
  return parts.length === 0 ? '' : ` ${parts.join(' ')}`
}

interface PauseOptions extends StatementOptions {
  node?: string
  label?: string[]
  class?: string
}

/** What `--node`, `--label` and `--class` narrow a pause to; nothing if none is given. */
function narrowed({
  node,
  label,
  class: className
}: PauseOptions): Pick<Extract<StatementBody, { what: 'pause' }>, 'of'> {
  if (node === undefined && label === undefined && className === undefined) return {}
  const pairs = (label ?? []).map((one) => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(one) ?? []
    if (name === undefined || value === undefined) throw new Refusal('Usage', `--label ${one}: write it like region=eu`)
    return [name, value]
  })
  const labels = pairs.length === 0 ? {} : { labels: Object.fromEntries(pairs) }
  return {
    of: {
      ...(node === undefined ? {} : { peer: node }),
      ...labels,
      ...(className === undefined ? {} : { class: className })
    }
  }
}

interface RosterOptions extends StatementOptions {
  group: string
  members?: string[]
  number?: number
}

interface RetryOptions extends StatementOptions {
  node?: string
  discardFuture?: boolean
}

interface RetireOptions extends StatementOptions {
  callers?: boolean
  force?: boolean
}

interface ExcludeOptions extends StatementOptions {
  group: string
  roster?: number
}

/** Members as given, or those peers of the group that the asked peer knows; the number follows the newest one known. */
async function rosterOf({ group, members, number, peer }: RosterOptions, status: () => Promise<Status>): Promise<Said> {
  if (members !== undefined && (number !== undefined || peer === undefined)) {
    return { what: 'roster', group, number: number ?? 1, members: members.flatMap((one) => one.split(',')) }
  }
  const { peers, rosters } = await status()
  const known = peers.filter((one) => one.group === group).map((one) => one.peer)
  const listed = members?.flatMap((one) => one.split(',')) ?? known.sort()
  if (listed.length === 0) {
    const groups = [...new Set(peers.map((one) => one.group))].filter((one) => one !== null)
    throw new Refusal(
      'Usage',
      `the peer knows nobody of group ${group} (it knows ${groups.join(', ') || 'no group'}); correct --group or give --members`
    )
  }
  const newest = rosters.find((one) => one.group === group)?.number ?? 0
  return { what: 'roster', group, number: number ?? newest + 1, members: listed }
}

/** A version as the asked peer's log has it, or an entry's hash as it is. */
export async function targetOf(upgrade: string, status: () => Promise<Status>): Promise<string | null> {
  if (upgrade === 'all') return null
  if (/^[0-9a-f]{64}$/.test(upgrade)) return upgrade
  const { log } = await status()
  const found = log.find(
    (one) => String(one.version) === upgrade || (upgrade.length >= 8 && one.hash.startsWith(upgrade))
  )
  if (found !== undefined) return found.hash
  throw new Refusal(
    'Usage',
    `${upgrade} is no version in the peer's log (${log.map((one) => one.version).join(', ') || 'empty'}); give a version, an entry's hash or "all"`
  )
}

/** One upgrade, where `all` makes no sense. */
async function upgradeOf(upgrade: string, status: () => Promise<Status>): Promise<string> {
  const target = await targetOf(upgrade, status)
  if (target === null) throw new Refusal('Usage', 'name one upgrade, by its version or its entry hash')
  return target
}

/** The tool refuses to cut off callers that it knows of (R6); nodes obey every valid statement. */
async function retirementOf(
  upgrade: string,
  { callers, force }: RetireOptions,
  status: () => Promise<Status>
): Promise<Said> {
  const target = await upgradeOf(upgrade, status)
  if (force !== true) {
    const known = await status()
    const need = needOf(target, known)
    if (need !== undefined) throw new Refusal('StillNeeded', `${need}, or retire it with --force`)
  }
  return { what: 'retire', target, callers: callers ?? false }
}

/** The tool refuses to forget what a peer that it knows of still needs on its way (B6). */
async function forgettingOf(
  upgrade: string,
  { force }: { force?: boolean },
  status: () => Promise<Status>
): Promise<Said> {
  const target = await upgradeOf(upgrade, status)
  if (force === true) return { what: 'forget', target }
  const { log, peers } = await status()
  const entry = log.find((one) => one.hash === target)
  const objects = new Set(entry?.classes.map((one) => one.object))
  for (const { peer, objects: hosted, left } of peers) {
    const behind = Object.entries(hosted).find(
      ([object, { version }]) => objects.has(object) && version > 0 && version < entry!.version
    )
    if (behind === undefined || left) continue
    const text = `${peer} still runs version ${behind[1].version} and needs the bundle of version ${entry!.version} to go on`
    throw new Refusal('StillNeeded', `${text}; wait for it, or forget it with --force`)
  }
  return { what: 'forget', target }
}

async function exclusionOf(
  peer: string,
  { group, roster }: ExcludeOptions,
  status: () => Promise<Status>
): Promise<Said> {
  if (roster !== undefined) return { what: 'exclude', group, peer, roster }
  const { rosters } = await status()
  const newest = rosters.find((one) => one.group === group)
  if (newest?.members.includes(peer) === true) return { what: 'exclude', group, peer, roster: newest.number }
  const known =
    newest === undefined
      ? 'that group has no roster; state one with "upstart roster"'
      : `its roster ${newest.number} is ${newest.members.join(', ')}`
  throw new Refusal('Usage', `${peer} is no member of group ${group}: ${known}`)
}

async function liftedBy(pause: string | undefined, status: () => Promise<Status>): Promise<string> {
  if (pause !== undefined && /^[0-9a-f]{64}$/.test(pause)) return pause
  const { pauses } = await status()
  const found = pauses.filter((one) => pause === undefined || (pause.length >= 8 && one.hash.startsWith(pause)))
  if (found.length === 1) return found[0]!.hash
  if (pauses.length === 0)
    throw new Refusal('Usage', 'no pause is in force, so there is nothing to lift; see "upstart status"')
  const which = pauses.map((one) => one.hash.slice(0, 16)).join(', ') || 'none'
  throw new Refusal('Usage', `name the pause to lift by its hash; in force: ${which}`)
}

export function statementCommands(program: Command, terminal: Terminal, connect: Connect): void {
  const statement = (name: string, description: string, expires: string): Command =>
    program
      .command(name)
      .description(description)
      .addOption(rootOption())
      .addOption(peerOption())
      .addOption(signOption())
      .addOption(signWithOption())
      .addOption(asOption())
      .addOption(outOption('write the statement instead of handing it to a peer'))
      .option('--note <text>', 'why; shown to operators', '')
      .option('--expires <time>', 'when it stops counting', expires)
  rosterCommand(statement, terminal, connect)
  holdingCommands(statement, terminal, connect)
  holdCommands(statement, terminal, connect)
  decidingCommands(statement, terminal, connect)
  leaveCommand(statement, terminal, connect)
}

type Statement = (name: string, description: string, expires: string) => Command

function rosterCommand(statement: Statement, terminal: Terminal, connect: Connect): void {
  answering<RosterOptions>(
    statement('roster', "state a group's members, the base of rolling upgrades", '366d')
      .requiredOption('--group <group>', 'the group')
      .option('--members <peers>', 'peer ids, comma-separated (default: those that the peer knows)', several)
      .option('--number <n>', 'number of the roster (default: one more than the peer knows)', wholeNumber),
    terminal,
    (options) => state(connect, options, (status) => rosterOf(options, status))
  )
}

function holdingCommands(statement: Statement, terminal: Terminal, connect: Connect): void {
  answering<PauseOptions>(
    statement('pause', 'no peer begins an upgrade while this stands', '7d')
      .argument('[upgrade]', 'version or entry hash', 'all')
      .option('--node <peer>', 'only this peer: its id, or the end of it')
      .option('--label <k=v>', 'only peers with this label (may be repeated: all must fit)', several)
      .option('--class <class>', 'only objects of this class'),
    terminal,
    (options, [upgrade]) =>
      state(connect, options, async (status) => ({
        what: 'pause',
        target: await targetOf(upgrade ?? 'all', status),
        ...narrowed(options.node === undefined ? options : { ...options, node: await peerIdOf(options.node, status) })
      }))
  )
  answering<StatementOptions>(
    statement('resume', 'lift a pause', '366d').argument(
      '[pause]',
      'hash of the pause (default: the only one in force)'
    ),
    terminal,
    (options, [pause]) =>
      state(connect, options, async (status) => ({ what: 'resume', lifts: await liftedBy(pause, status) }))
  )
}

function decidingCommands(statement: Statement, terminal: Terminal, connect: Connect): void {
  const aboutOne = (what: 'abort' | 'approve' | 'hasten', description: string): Command =>
    answering<StatementOptions>(
      statement(what, description, '366d').argument('<upgrade>', 'version or entry hash'),
      terminal,
      (options, [upgrade]) =>
        state(connect, options, async (status) => ({ what, target: await upgradeOf(upgrade!, status) }))
    )
  aboutOne('abort', 'stop an upgrade and its successors for good, where it is not committed')
  aboutOne('approve', 'let an upgrade go whose schedule waits for an approval')
  aboutOne('hasten', 'let an upgrade go whatever conditions its schedule has; constraints and pauses stay')
  answering<RetryOptions>(
    statement('retry', 'let nodes on which an upgrade failed try it once more', '366d')
      .argument('<upgrade>', 'version or entry hash')
      .option(
        '--node <peer>',
        'the one peer that may: its id, or the end of it (default: every peer on which it failed)'
      )
      .option('--discard-future', 'give up what future SOs that missed calls hold; they start anew'),
    terminal,
    (options, [upgrade]) =>
      state(connect, options, async (status) => ({
        what: 'retry',
        target: await upgradeOf(upgrade!, status),
        peer: options.node === undefined ? null : await peerIdOf(options.node, status),
        ...(options.discardFuture === true ? { discardFuture: true } : {})
      }))
  )
  answering<RetireOptions>(
    statement('retire', 'nobody hosts the past SO of this version, or of older ones, any more', '366d')
      .argument('<upgrade>', 'version or entry hash')
      .option('--callers', 'nodes may go on hosting it for their own calls')
      .option('--force', 'even if a class in force is known to call it'),
    terminal,
    (options, [upgrade]) => state(connect, options, (status) => retirementOf(upgrade!, options, status))
  )
  answering<StatementOptions & { force?: boolean }>(
    statement('forget', 'nobody keeps the bundle of this upgrade for late peers any more', '366d')
      .argument('<upgrade>', 'version or entry hash')
      .option('--force', 'even if a known peer still needs it to go on'),
    terminal,
    (options, [upgrade]) => state(connect, options, (status) => forgettingOf(upgrade!, options, status))
  )
  answering<ExcludeOptions>(
    statement('exclude', 'state that a member is gone for good, so that its group need not wait for it', '366d')
      .argument('<member>', 'peer id')
      .requiredOption('--group <group>', 'the group')
      .option('--roster <n>', 'newest roster this holds for (default: the newest that the peer knows)', wholeNumber),
    terminal,
    (options, [member]) => state(connect, options, (status) => exclusionOf(member!, options, status))
  )
}
