/** `explain` (SPEC C14): why a node waits, since when, for whom, and what an operator can do about it. */
import { Refusal } from '../../src/errors.ts'
import type { PauseStatus, PeerStatus, Status } from '../daemon/status.ts'
import type { Answer } from './command.ts'
import { type Connect, type ConnectionOptions, connected } from './connection.ts'
import { readRoot } from './options.ts'
import { shortHash, shortPeer, sinceWhen, wrapped } from './screen.ts'
import { pausedText } from './table.ts'

/** Neighbours of the peer asked that are asked in its place, where it does not know a peer. */
const MAX_ASKED = 8

/** A peer by its id, or by the end of it as other commands show it. Undefined if it is not known there. */
export function namedPeer({ peer: asked, peers }: Status, name: string | undefined): PeerStatus | undefined {
  if (name === undefined) return peers.find((one) => one.peer === asked)
  const end = name.replace(/^…/, '')
  if (end.length < 4) throw new Refusal('Usage', `${name}: give at least the last four letters of the peer's id`)
  const found = peers.filter((one) => one.peer.endsWith(end))
  if (found.length > 1)
    throw new Refusal('Usage', `${name} may be ${found.map((one) => one.peer).join(' or ')}; give more of its id`)
  return found[0]
}

/** The whole id of a peer that a statement names by it, or by the end of it: a statement for nobody would do nothing. */
export async function peerIdOf(name: string, status: () => Promise<Status>): Promise<string> {
  if (/^[A-Za-z0-9]{40,64}$/.test(name)) return name
  const known = await status()
  const found = namedPeer(known, name)
  if (found !== undefined) return found.peer
  throw new Refusal(
    'Usage',
    `${name} is no peer that ${known.peer} knows (a label is written k=v); give the peer's whole id as "upstart status --json" shows it`
  )
}

/** The status of the first peer that knows the one named: the one asked, else its neighbours. */
async function statusKnowing(
  connect: Connect,
  options: ConnectionOptions,
  name: string | undefined
): Promise<[Status, PeerStatus]> {
  const rootBytes = await readRoot(options.root)
  const ask = (peers: readonly string[] | undefined) =>
    connected(connect, rootBytes, peers, (connection) => connection.status())
  const first = await ask(options.peer)
  const found = namedPeer(first, name)
  if (found !== undefined) return [first, found]
  const asked: string[] = [first.peer]
  for (const neighbour of first.neighbours.slice(0, MAX_ASKED)) {
    const addresses = first.peers.find((one) => one.peer === neighbour)?.addresses ?? []
    const [address] = addresses
    if (address === undefined) continue
    const dialled = address.includes('/p2p/') ? address : `${address}/p2p/${neighbour}`
    // That a neighbour cannot be reached from here is reported by the refusal below: it is not among those asked.
    const status = await ask([dialled]).catch((error: unknown) => {
      if (error instanceof Refusal) return undefined
      throw error
    })
    if (status === undefined) continue
    asked.push(status.peer)
    const known = namedPeer(status, name)
    if (known !== undefined) return [status, known]
  }
  const where = asked.map(shortPeer).join(', ')
  throw new Refusal(
    'Unreachable',
    `peer ${name} is not known at ${where}; each peer knows some hundred others: give the address of the peer itself, or of one of its group`
  )
}

interface Explained {
  object: string
  version: number
  target: number
  phase: string
  serving: boolean
  /** One sentence. */
  reason: string
  kind: string | null
  since: string | null
  waitsFor: { peer: string; doing: string }[]
  statement: PauseStatus | null
  failed: { version: number; reason: string }[]
  /** What an operator can do. */
  mends: string[]
}

function explained(status: Status, peer: PeerStatus): Explained[] {
  return Object.entries(peer.objects).map(([object, record]) => {
    const { version, target, phase, serving, reason, why, since } = record
    const failed = record.failed.filter((one) => one.version > version)
    const statement = status.pauses.find((one) => one.hash === why?.statement) ?? null
    return {
      object,
      version,
      target,
      phase,
      serving,
      reason,
      kind: why?.kind ?? null,
      since: since === undefined ? null : new Date(since * 1000).toISOString(),
      waitsFor: (why?.peers ?? []).map((one) => ({ peer: one, doing: doingOf(status, one, object) })),
      statement,
      failed,
      mends: mendsOf(peer, { target, kind: why?.kind, failed, statement })
    }
  })
}

/** What a peer that others wait for is at. */
function doingOf({ peers }: Status, peer: string, object: string): string {
  const known = peers.find((one) => one.peer === peer)
  if (known === undefined) return 'not known here'
  if (known.left) return 'has left'
  const record = known.objects[object]
  if (record === undefined) return known.connected ? 'connected' : 'not connected'
  const way = record.target > 0 ? `${record.version}→${record.target}` : `version ${record.version}`
  const link = known.connected ? '' : ', not connected to the peer that was asked'
  return `${object} ${way}, ${record.phase}${record.serving ? '' : ', does not serve'}${link}`
}

/** Conditions that `hasten` lets nodes ignore. */
const CONSTRAINTS = new Set(['pause', 'permit', 'turn', 'guard', 'notWhile', 'rolling', 'bundle'])

function mendsOf(
  { peer }: PeerStatus,
  about: { target: number; kind: string | undefined; failed: { version: number }[]; statement: PauseStatus | null }
): string[] {
  const { target, kind, failed, statement } = about
  const mends = failed.map((one) => `let it try again: upstart retry ${one.version} --node ${peer}`)
  if (statement !== null) mends.push(`lift the pause: upstart resume ${shortHash(statement.hash)}`)
  if (kind === 'manual') mends.push(`approve it: upstart approve ${target}`)
  if (kind === 'permit')
    mends.push('if a member is gone for good: upstart exclude PEER --group GROUP, then a new roster')
  else if (kind !== undefined && kind !== 'manual' && !CONSTRAINTS.has(kind))
    mends.push(`in an emergency, wait for no condition: upstart hasten ${target}`)
  return mends
}

function explanationText(status: Status, peer: PeerStatus, objects: readonly Explained[], columns: number): string {
  const labels = Object.entries(peer.labels).map(([label, value]) => `${label}=${value}`)
  const group = peer.group === null ? 'no group' : `group ${peer.group}`
  const place = peer.self ? 'the peer that was asked' : `${peer.connected ? '' : 'not '}connected to the one asked`
  const lines = [`${peer.peer}`, [group, ...labels, place].join(', ')]
  if (peer.left) return [...lines, 'has left the fleet; start it again to bring it back'].join('\n')
  if (peer.self && status.leaving !== null) lines.push(`leaves the fleet: ${status.leaving}`)
  const now = Date.parse(status.at)
  for (const one of objects) {
    const way = one.target > 0 ? `, on its way to version ${one.target}` : ''
    const runs = one.version === 0 ? 'holds no state yet' : `runs version ${one.version}`
    lines.push('', `${one.object} ${runs}${way}${one.serving || one.version === 0 ? '' : ', does not serve'}`)
    const long = one.since === null ? '' : ` for ${sinceWhen(Date.parse(one.since), now)}`
    lines.push(`  ${one.phase}${long}`)
    if (one.reason !== '') lines.push(`  because: ${one.reason}`)
    for (const { peer: whom, doing } of one.waitsFor) lines.push(`  for ${shortPeer(whom)}: ${doing}`)
    if (one.statement !== null) lines.push(`  ${pausedText(one.statement)}`)
    for (const { version, reason } of one.failed) lines.push(`  failed at version ${version}: ${reason}`)
    for (const mend of one.mends) lines.push(`  ${mend}`)
  }
  if (objects.length === 0) lines.push('hosts nothing: it knows no class to host, or no upgrade yet')
  if (!peer.self) lines.push('', 'As its newest record here says; figures in it may be older.')
  return lines.map((line) => wrapped(line, columns)).join('\n')
}

export async function explain(
  connect: Connect,
  options: ConnectionOptions,
  name: string | undefined,
  columns: number
): Promise<Answer> {
  const [status, peer] = await statusKnowing(connect, options, name)
  const objects = explained(status, peer)
  const { group, labels, connected: isConnected, left } = peer
  const json = {
    peer: peer.peer,
    asked: status.peer,
    at: status.at,
    group,
    labels,
    connected: isConnected,
    left,
    objects
  }
  return { json, text: explanationText(status, peer, objects, columns) }
}
