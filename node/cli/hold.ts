/** `hold` and `release` (SPEC C15): a pause of one node or of nodes with a label, and what lifts it. One mechanism. */
import type { Command } from 'commander'
import { Refusal } from '../../src/errors.ts'
import type { PauseStatus, Status } from '../daemon/status.ts'
import { answering, type Terminal } from './command.ts'
import type { Connect } from './connection.ts'
import { peerIdOf } from './explain.ts'
import { shortHash } from './screen.ts'
import { pausedOf, type StatementOptions, state, targetOf } from './statements.ts'

type Of = NonNullable<PauseStatus['of']>

const labelOf = (text: string): [string, string] | undefined => {
  const at = text.indexOf('=')
  return at < 1 ? undefined : [text.slice(0, at), text.slice(at + 1)]
}

/** A label, a peer's id, or the end of one that the asked peer knows. */
async function held(whom: string, status: () => Promise<Status>): Promise<Of> {
  const label = labelOf(whom)
  if (label !== undefined) return { labels: Object.fromEntries([label]) }
  return { peer: await peerIdOf(whom, status) }
}

const same = (a: Of, b: Of): boolean => {
  const text = ({ peer, class: className, labels }: Of) =>
    JSON.stringify([peer, className, Object.entries(labels ?? {}).sort()])
  return text(a) === text(b)
}

async function holdOf(whom: string, status: () => Promise<Status>): Promise<string> {
  const of = await held(whom, status)
  const { pauses } = await status()
  const found = pauses.filter((one) => one.of !== null && same(one.of, of))
  if (found.length === 1) return found[0]!.hash
  const hashes = (list: readonly PauseStatus[]) => list.map((one) => shortHash(one.hash)).join(', ')
  if (found.length > 1)
    throw new Refusal('Usage', `several hold ${whom}: lift each with "upstart resume": ${hashes(found)}`)
  const others = pauses.map((one) => `${shortHash(one.hash)}${pausedOf(one.of ?? undefined)}`).join('; ')
  throw new Refusal(
    'Usage',
    `nothing holds just ${whom}; in force: ${others || 'no pause'}${others === '' ? '' : ' (lift with "upstart resume HASH")'}`
  )
}

export function holdCommands(
  statement: (name: string, description: string, expires: string) => Command,
  terminal: Terminal,
  connect: Connect
): void {
  answering<StatementOptions & { upgrade: string }>(
    statement('hold', 'one node, or nodes with a label, begin no upgrade until they are released', '366d')
      .argument('<whom>', 'id of a peer, the end of it, or a label like region=eu')
      .option('--upgrade <upgrade>', 'only this one: version or entry hash', 'all'),
    terminal,
    (options, [whom]) =>
      state(connect, options, async (status) => ({
        what: 'pause',
        target: await targetOf(options.upgrade, status),
        of: await held(whom!, status)
      }))
  )
  answering<StatementOptions>(
    statement('release', 'lift what "hold" stated', '366d').argument('<whom>', 'whom it names'),
    terminal,
    (options, [whom]) =>
      state(connect, options, async (status) => ({ what: 'resume', lifts: await holdOf(whom!, status) }))
  )
}
