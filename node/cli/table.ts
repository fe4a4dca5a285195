/** Status as people read it (SPEC C8): what is going on first, then one line per peer with the reason it waits. */

import type { PeerStatus, Status } from '../daemon/status.ts'
import { pausedOf } from './statements.ts'

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')
    )
    .map((line) => line.trimEnd())
    .join('\n')
}

const short = (peer: string): string => `…${peer.slice(-8)}`

function rowsOf(peer: PeerStatus): string[][] {
  const name = `${short(peer.peer)}${peer.self ? ' *' : ''}`
  if (peer.left) return [[name, peer.group ?? '-', `${peer.head.version}`, '-', '-', '-', 'has left']]
  const objects = Object.entries(peer.objects).sort(([a], [b]) => a.localeCompare(b))
  if (objects.length === 0) return [[name, peer.group ?? '-', `${peer.head.version}`, '-', '-', '-', '']]
  return objects.map(([object, { version, lowest, highest, phase, target, reason, failed }]) => {
    // What failed at a version that the object has passed, or skips for good, is past.
    const last = failed.filter((one) => one.version > version).at(-1)
    const why = reason !== '' ? reason : last === undefined ? '' : `failed at ${last.version}: ${last.reason}`
    const served = lowest === highest ? `${lowest}` : `${lowest}–${highest}`
    return [
      name,
      peer.group ?? '-',
      `${peer.head.version}`,
      object,
      `${version}${target > 0 ? `→${target}` : ''}`,
      served,
      `${phase}${why === '' ? '' : `: ${why}`}`
    ]
  })
}

/** The whole status, some lines; peers sorted by group and name. */
export function statusText(status: Status): string {
  const { fleet, peer, head, log, fork, leaving, pauses, guests, alarms } = status
  const peers = status.peers.toSorted(
    (a, b) => (a.group ?? '').localeCompare(b.group ?? '') || a.peer.localeCompare(b.peer)
  )
  const newest = log.at(-1)
  const lines = [
    `fleet ${fleet.slice(0, 16)}…  asked ${peer}`,
    newest === undefined
      ? 'no upgrade yet'
      : `version ${head.version}: ${newest.description.split('\n')[0]} (${newest.classes.map((one) => one.name).join(', ')})`
  ]
  if (leaving !== null) lines.push(`it leaves the fleet: ${leaving}`)
  for (const one of fork)
    lines.push(
      `FORK at version ${one.version}: ${one.hash.slice(0, 16)}…; no peer runs either until an upgrade replaces both`
    )
  for (const one of log.filter((logged) => logged.aborted || logged.retired)) {
    const by = log.find((other) => other.replaces.includes(one.hash))
    const aborted = by === undefined ? 'is aborted' : `is replaced by version ${by.version}`
    lines.push(`version ${one.version} ${one.aborted ? aborted : 'is retired'}`)
  }
  for (const one of pauses) {
    const what = one.target === null ? 'every upgrade' : `upgrade ${one.target.slice(0, 16)}…`
    lines.push(
      `paused: ${what}${pausedOf(one.of ?? undefined)} until ${one.expires}${one.note === '' ? '' : ` (${one.note})`}; lift with "upstart resume ${one.hash.slice(0, 16)}"`
    )
  }
  for (const { class: name, version, delegate, count } of guests)
    lines.push(`${name} ${version} was simulated here for ${count} calls at peers that serve ${delegate}`)
  for (const alarm of alarms.slice(-5)) lines.push(`alarm ${alarm.name}: ${alarm.text}`)
  lines.push('', table([['PEER', 'GROUP', 'LOG', 'OBJECT', 'VERSION', 'SERVES', 'PHASE'], ...peers.flatMap(rowsOf)]))
  return lines.join('\n')
}
