/** Status as people read it (SPEC C8): what is going on first, then one line per peer with the reason it waits. */
import { sayDuration } from '../../src/schedule/duration.ts'
import type { LoggedUpgrade, PauseStatus, PeerStatus, Status } from '../daemon/status.ts'
import type { ObjectTally, Tally } from '../daemon/tally.ts'
import { retirementText } from './retirement.ts'
import { cut, shortHash, shortPeer, table, wrapped } from './screen.ts'
import { pausedOf } from './statements.ts'

/** In a fleet of more rows than this only those are shown that are not through. */
const MANY = 40
const MAX_FAILED = 10

const hasFailed = (objects: PeerStatus['objects']): boolean =>
  Object.values(objects).some((one) => one.failed.some((failure) => failure.version > one.version))

/** At the newest version and at rest: nothing to say about it. */
function isThrough({ left, self, objects }: PeerStatus): boolean {
  if (self || hasFailed(objects)) return false
  return left || Object.values(objects).every((one) => one.phase === 'idle' && one.serving && one.reason === '')
}

function rowsOf(peer: PeerStatus): string[][] {
  const name = `${shortPeer(peer.peer)}${peer.self ? ' *' : ''}`
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

/** One pause in words, with what lifts it. */
export const pauseText = (pause: PauseStatus): string =>
  `${pausedText(pause)}; lift with "upstart resume ${shortHash(pause.hash)}"`

export function pausedText({ target, of, note, expires, keys, holds }: PauseStatus): string {
  const what = target === null ? 'every upgrade' : `upgrade ${shortHash(target)}…`
  const why = note === '' ? '' : ` (${note})`
  const who = `${keys.length === 0 ? '' : `, by key ${keys.map((key) => key.slice(0, 8)).join('+')}`}, holds ${holds} here`
  return `paused: ${what}${pausedOf(of ?? undefined)} until ${expires.replace(/\.\d+Z$/, 'Z')}${why}${who}`
}

/** Nothing is said of a first root in its time; that it ends soon is an alarm. */
function rootLines({ root, at }: Status): string[] {
  const { version, hash, expires, lapsed } = root
  const lines: string[] = []
  if (version > 1) lines.push(`root ${version} (${shortHash(hash)}…), until ${expires.slice(0, 10)}`)
  if (expires <= at)
    lines.push(
      `ROOT ${version} EXPIRED on ${expires.slice(0, 10)}: no new upgrade is taken until "upstart root rotate" makes the next one`
    )
  if (lapsed.length > 0)
    lines.push(
      `${lapsed.length} entries or statements there have lapsed and reach nobody else: ${lapsed.slice(0, 4).map(shortHash).join(', ')}; "upstart root rotate" makes a root that vouches for them`
    )
  return lines
}

function headLines(status: Status): string[] {
  const { fleet, peer, head, log, fork, leaving, ticket, pauses, guests, alarms } = status
  const newest = log.at(-1)
  const lines = [
    `fleet ${shortHash(fleet)}…  asked ${peer}`,
    newest === undefined
      ? 'no upgrade yet'
      : `version ${head.version}: ${newest.description.split('\n')[0]} (${newest.classes.map((one) => one.name).join(', ')})`
  ]
  lines.push(...rootLines(status))
  if (ticket?.isGood === false)
    lines.push(`its ticket (until ${ticket.expires}) admits it no more: nobody serves it; "upstart admit ${peer}"`)
  if (leaving !== null) lines.push(`it leaves the fleet: ${leaving}`)
  for (const one of status.locks)
    lines.push(`lock "${one.name}" is held there until ${one.until} (${one.reason}); release it with "upstart unlock"`)
  for (const one of fork)
    lines.push(
      `FORK at version ${one.version}: ${shortHash(one.hash)}…; no peer runs either until an upgrade replaces both`
    )
  for (const one of log.filter((logged) => logged.aborted || logged.retired)) {
    const by = log.find((other) => other.replaces.includes(one.hash))
    const aborted = by === undefined ? 'is aborted' : `is replaced by version ${by.version}`
    lines.push(`version ${one.version} ${one.aborted ? aborted : 'is retired'}`)
  }
  const retirement = retirementText(status)
  if (retirement !== undefined) lines.push(retirement)
  lines.push(...log.filter((one) => isPending(one, status)).flatMap(rehearsedLines), ...pauses.map(pauseText))
  for (const { class: name, version, delegate, count } of guests)
    lines.push(`${name} ${version} was simulated here for ${count} calls at peers that serve ${delegate}`)
  for (const alarm of alarms.slice(-5)) lines.push(`alarm ${alarm.name}: ${alarm.text}`)
  return lines
}

/** Whether any peer known here runs an older version of what it changes. */
const isPending = ({ version, classes }: LoggedUpgrade, { tally }: Status): boolean =>
  tally.objects.some(
    ({ object, versions }) =>
      classes.some((one) => one.object === object) && versions.some((one) => one.version < version && one.run > 0)
  )

const rehearsedLines = ({ version, rehearsed }: LoggedUpgrade): string[] =>
  rehearsed.map(({ object, transformMs, startMs, neededBytes, peakMemoryBytes }) => {
    const memory = peakMemoryBytes === null ? '' : `, ${mebibytes(peakMemoryBytes)} of memory`
    return `version ${version} was rehearsed: ${object} without service for ${sayDuration(transformMs + startMs)}, of it the TF ${sayDuration(transformMs)}; ${mebibytes(neededBytes)} of space${memory}`
  })
const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MiB`

/** Versions, newest first: how many run, simulate and failed each. */
function tallyText({ tally }: Status): string {
  const rows = tally.objects.flatMap(({ object, versions }) =>
    versions.map(({ version, run, simulate, failed, phases }) => {
      const ways = Object.entries(phases).map(([phase, count]) => `${count} ${phase}`)
      return [object, `${version}`, `${run}`, `${simulate || '-'}`, `${failed || '-'}`, ways.join(', ')]
    })
  )
  if (rows.length === 0) return ''
  return table([['OBJECT', 'VERSION', 'RUN', 'SIMULATE', 'FAILED', 'ON THEIR WAY'], ...rows])
}

function paceText({ object, perMinute, leftMs }: ObjectTally): string | undefined {
  if (perMinute === null || leftMs === null) return undefined
  const rate = perMinute >= 10 ? Math.round(perMinute) : Math.round(perMinute * 10) / 10
  return `${object}: ${rate} a minute; the rest in about ${sayDuration(leftMs)} at this rate`
}

function knownText({ by, known, ageMs, objects }: Tally): string {
  if (by === 'records') return `${known} peer${known === 1 ? '' : 's'}, all known here`
  const all = Math.max(known, ...objects.map((one) => one.peers))
  const phases = `phases and failures are of the ${known} known here`
  return by === 'sample'
    ? `of the ${known} peers known here; the census of the others is not here yet`
    : `of about ${all} peers, by the census (± 5 %, what ended in the last ${sayDuration(ageMs)} may count still); ${phases}`
}

function failedLines(peers: readonly PeerStatus[]): string[] {
  const failed = peers.flatMap(({ peer, objects }) =>
    Object.entries(objects).flatMap(([object, { version, failed: failures }]) =>
      failures
        .filter((one) => one.version > version)
        .map((one) => `failed: ${shortPeer(peer)} at ${object} ${one.version}: ${one.reason}`)
    )
  )
  const more = failed.length - MAX_FAILED
  return more > 0 ? [...failed.slice(0, MAX_FAILED), `… and ${more} more failed; see --all`] : failed
}

/** The whole status, some lines; peers sorted by group and name. `all`: those that are through, too, in a large fleet. */
export function statusText(status: Status, columns = Number.POSITIVE_INFINITY, all = false): string {
  const { tally } = status
  const sorted = status.peers.toSorted(
    (a, b) => (a.group ?? '').localeCompare(b.group ?? '') || a.peer.localeCompare(b.peer)
  )
  const shown = all || sorted.length <= MANY ? sorted : sorted.filter((one) => !isThrough(one))
  const through = sorted.length - shown.length
  const sections = [
    headLines(status)
      .map((line) => wrapped(line, columns))
      .join('\n')
  ]
  const paces = tally.objects.map(paceText).filter((line) => line !== undefined)
  const known = wrapped(knownText(tally), columns)
  const counts = [
    cut(tallyText(status), columns),
    known,
    ...paces,
    ...failedLines(status.peers).map((l) => cut(l, columns))
  ]
  sections.push(counts.filter((text) => text !== '').join('\n'))
  const rows = table([['PEER', 'GROUP', 'LOG', 'OBJECT', 'VERSION', 'SERVES', 'PHASE'], ...shown.flatMap(rowsOf)])
  sections.push(cut(rows, columns))
  if (through > 0) sections.push(`and ${through} that are through (--all shows them)`)
  return sections.join('\n\n')
}
