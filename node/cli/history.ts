/** `history` (SPEC C18): what was decided by whom, when it was heard of here, and how this node's own upgrades went. */
import { sayDuration } from '../../src/schedule/duration.ts'
import type { HistoryItem } from '../daemon/history.ts'
import type { Answer } from './command.ts'
import { type Connect, type ConnectionOptions, connected } from './connection.ts'
import { readRoot } from './options.ts'
import { shortHash, wrapped } from './screen.ts'
import { describe } from './statements.ts'

export async function history(
  connect: Connect,
  options: ConnectionOptions & { last: number },
  columns: number
): Promise<Answer> {
  const found = await connected(connect, await readRoot(options.root), options.peer, (connection) =>
    connection.history()
  )
  const items = found.items.slice(-options.last)
  const lines = items.map((item) => wrapped(`${timeOf(item)}  ${said(item)}`, columns))
  const older = found.items.length - items.length
  if (older > 0) lines.unshift(`… ${older} before these (--last ${found.items.length} shows them)`)
  return { json: { peer: found.peer, items }, text: lines.join('\n') || 'nothing has happened yet' }
}

const timeOf = ({ at }: HistoryItem): string =>
  at === null ? 'earlier            ' : at.slice(0, 19).replace('T', ' ')

function said(item: HistoryItem): string {
  switch (item.kind) {
    case 'entry':
      return `entry ${item.version} ${shortHash(item.hash)}: ${item.description.split('\n')[0]}${by(item.keys)}`
    case 'statement': {
      const { note } = item.statement
      return `${shortHash(item.hash)}: ${describe(item.statement)}${note === '' ? '' : ` (${note})`}${by(item.keys)}`
    }
    case 'root':
      return `root ${item.version} ${shortHash(item.hash)}${by(item.keys)}`
    case 'upgrade': {
      const phases = Object.entries(item.phases).map(([phase, ms]) => `${phase} ${sayDuration(ms)}`)
      const how = item.result === 'upgraded' ? 'upgraded here' : `${item.result} here: ${item.reason}`
      return `${item.object} ${item.from}→${item.version} ${how}${phases.length === 0 ? '' : ` (${phases.join(', ')})`}`
    }
  }
}

const by = (keys: readonly string[]): string =>
  keys.length === 0 ? '' : `; by key ${keys.map((key) => key.slice(0, 8)).join(', ')}`
