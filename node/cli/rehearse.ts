/** `upstart rehearse` (SPEC Q20): an upgrade tried on a copy of real state, before anybody signs or injects it. */
import { type Command, Option } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { parseEntry, signEntry } from '../../src/upgrade/entry.ts'
import { openUpgradeFile, writeUpgradeFile } from '../pack/file.ts'
import { type Rehearsal, rehearse } from '../rehearse/rehearse.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { several } from './options.ts'

interface RehearseOptions {
  state: string
  parent?: string[]
  source?: string
  sandbox: 'none' | 'bwrap' | 'auto'
  allow?: string[]
  work?: string
  record?: boolean
}

const MIB = 1024 * 1024
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function textOf(one: Rehearsal): string {
  const lines = [
    `${one.object}: version ${one.from} → ${one.to}`,
    `  transform   ${seconds(one.transformMs)}, its copy of the state and all syncs included`,
    `  start       ${seconds(one.startMs)} until the new object and its past SOs had proved their health`,
    `  space       ${mib(one.neededBytes)} must be free for it; the state of ${mib(one.stateBytes)} became ${mib(one.newStateBytes)}`,
    `  memory      ${one.peakMemoryBytes === null ? 'not told by this system' : `${mib(one.peakMemoryBytes)} at most, all its processes`}`
  ]
  if (one.observed !== null) lines.push(`  observers   ${one.observed} answers, none changed by the upgrade`)
  const { failure } = one
  lines.push(failure === null ? '  it went well' : `  FAILED: ${failure.step}: ${failure.reason}`)
  return lines.join('\n')
}

async function rehearseCommand(upgrade: string, options: RehearseOptions, terminal: Terminal): Promise<Answer> {
  const { state, parent = [], source, sandbox, allow = [], work } = options
  if (!['auto', 'bwrap', 'none'].includes(sandbox))
    throw new Refusal('Usage', `--sandbox ${sandbox}: it is auto, bwrap or none`)
  if (options.record === true) await checkUnsigned(upgrade)
  const results = await rehearse({
    upgrade,
    state,
    parents: parent,
    source,
    sandbox,
    allowed: allow,
    work,
    progress: (text) => terminal.progress?.(text)
  })
  const ok = results.every((one) => one.ok)
  const lines = results.map(textOf)
  let hash: string | null = null
  if (options.record === true) {
    hash = ok ? await record(upgrade, results) : null
    lines.push(hash === null ? 'nothing is recorded: it failed' : `recorded in ${upgrade}; entry ${hash}`)
  }
  return { json: { ok, objects: results, recorded: hash }, text: lines.join('\n'), failed: !ok }
}

/** What is signed cannot change any more. */
async function checkUnsigned(upgrade: string): Promise<void> {
  const file = await openUpgradeFile(upgrade)
  await file.close()
  if (file.envelope.keys.length > 0)
    throw new Refusal(
      'Usage',
      `${upgrade} is signed, and --record would change it; pack it anew, rehearse it, and sign it then`
    )
}

/** Q26: into the upgrade file, for those who sign it and for every status. @returns the entry's new hash */
async function record(upgrade: string, results: readonly Rehearsal[]): Promise<string> {
  const file = await openUpgradeFile(upgrade)
  try {
    const { content, expires } = file.envelope
    const rehearsed = results.map(({ object, transformMs, startMs, neededBytes, peakMemoryBytes }) => ({
      object,
      transformMs,
      startMs,
      neededBytes,
      peakMemoryBytes
    }))
    const entry = signEntry({ ...content, rehearsed }, expires, [])
    await writeUpgradeFile(upgrade, entry, file.bundle(), file.bundleLength)
    return parseEntry(entry).hash
  } finally {
    await file.close()
  }
}

export function rehearseCommands(program: Command, terminal: Terminal): void {
  answering<RehearseOptions>(
    program
      .command('rehearse')
      .description('try an upgrade on a copy of real state: how long, how much space and memory, does it start')
      .argument('<upgrade>', 'the upgrade file')
      .requiredOption(
        '--state <directory>',
        "data directory of a stopped peer, or one object's state (DATA/objects/OBJECT/ATTEMPT)"
      )
      .option('--parent <file>', 'upgrade file of an earlier version (may be repeated)', several)
      .option('--source <directory>', 'of upgrade.ts: the observers of its specifications are asked before and after')
      .option('--record', 'write what it took into the upgrade file, for its signers and for "upstart status"')
      .option('--work <directory>', 'where copies are made, on the disk that peers use for true figures')
      .option('--allow <what>', 'what its code needs and may have: network, or a path (may be repeated)', several)
      .addOption(new Option('--sandbox <how>', 'auto, bwrap or none').default('auto')),
    terminal,
    (options, [upgrade]) => rehearseCommand(upgrade!, options, terminal)
  )
}
