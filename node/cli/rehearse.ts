/** `upstart rehearse` (SPEC Q20): an upgrade tried on a copy of real state, before anybody signs or injects it. */
import { type Command, Option } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { type Rehearsal, rehearse } from '../rehearse/rehearse.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import { several } from './options.ts'

interface RehearseOptions {
  state: string
  parent?: string[]
  source?: string
  sandbox: 'none' | 'bwrap' | 'auto'
  work?: string
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
  const { state, parent = [], source, sandbox, work } = options
  if (!['auto', 'bwrap', 'none'].includes(sandbox))
    throw new Refusal('Usage', `--sandbox ${sandbox}: it is auto, bwrap or none`)
  const results = await rehearse({
    upgrade,
    state,
    parents: parent,
    source,
    sandbox,
    work,
    progress: (text) => terminal.progress?.(text)
  })
  const ok = results.every((one) => one.ok)
  return { json: { ok, objects: results }, text: results.map(textOf).join('\n'), failed: !ok }
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
      .option('--work <directory>', 'where copies are made, on the disk that peers use for true figures')
      .addOption(new Option('--sandbox <how>', 'auto, bwrap or none').default('auto')),
    terminal,
    (options, [upgrade]) => rehearseCommand(upgrade!, options, terminal)
  )
}
