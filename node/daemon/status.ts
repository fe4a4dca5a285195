/** What a peer tells operators: itself, and every peer that it knows. Plain JSON. */

import { targetOf } from '../../src/overlay/lifecycle.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import { hasLeft, type ObjectRecord, type PeerRecord } from '../../src/overlay/record.ts'
import type { Roots } from '../../src/overlay/roots.ts'
import type { Entry, Manifest } from '../../src/upgrade/manifest.ts'
import type { StatementBody } from '../../src/upgrade/statement.ts'
import type { AnsweredCount } from './callee.ts'
import type { Alarm } from './driver.ts'
import { type Evidence, evidenceFor } from './evidence.ts'
import type { GuestCount } from './guests.ts'
import type { Tally } from './tally.ts'

export interface ObjectStatus extends ObjectRecord {
  className: string
  futures: number[]
  /** Why the next future SO that is to be started by itself is not started yet; empty if there is none. */
  futureReason: string
  /** 0…1 while a TF runs. */
  progress: number
  /** How long each upgrade since the start kept it from serving, ms. */
  unavailableMs: readonly number[]
  /** When each of those began, Unix ms. */
  unavailableAt: readonly number[]
  /** Calls cut by upgrades since the start: they ran longer than the drain allows. */
  cutCalls: number
}

export interface PeerStatus {
  peer: string
  self: boolean
  connected: boolean
  /** It has left the fleet. */
  left: boolean
  group: string | null
  labels: Record<string, string>
  addresses: string[]
  head: { version: number; hash: string }
  objects: Record<string, ObjectRecord>
}

export interface LoggedUpgrade {
  version: number
  hash: string
  description: string
  /** Hashes of entries that it replaces. */
  replaces: string[]
  aborted: boolean
  /** Nobody hosts the past SOs of this version and older ones any more. */
  retired: boolean
  /** What a rehearsal of it took, object by object; empty if none is recorded. */
  rehearsed: NonNullable<Manifest['rehearsed']>
  /** Who still needs its version, or an older one; null where there is nothing to retire. */
  evidence: Evidence | null
  /** `object`: the name that the class's objects keep; `calls`: class → the version that its code calls. */
  classes: { name: string; object: string; calls: Record<string, number> }[]
}

type PausedOf = NonNullable<Extract<StatementBody, { what: 'pause' }>['of']>

export interface PauseStatus {
  hash: string
  /** Entry that is paused; null: every one. */
  target: string | null
  /** Only this peer, peers with these labels, objects of this class; null: all. */
  of: PausedOf | null
  note: string
  expires: string
  /** Ids of the keys that signed it. */
  keys: string[]
  /** Peers known here that wait for nothing else just now. */
  holds: number
}

/** The newest root that it trusts. */
export interface RootStatus {
  version: number
  hash: string
  expires: string
  /** Hashes of entries and statements here that no root covers any more (SPEC T14). */
  lapsed: string[]
}

export interface Status {
  fleet: string
  peer: string
  release: string
  /** By its own clock. */
  at: string
  upMs: number
  addresses: string[]
  head: { version: number; hash: string }
  root: RootStatus
  log: LoggedUpgrade[]
  fork: { version: number; hash: string }[]
  pauses: PauseStatus[]
  /** How far the fleet is. */
  tally: Tally
  /** What programs of its host hold its upgrades up with, where schedules ask. */
  locks: { name: string; reason: string; until: string }[]
  rosters: { group: string; number: number; members: string[] }[]
  objects: Record<string, ObjectStatus>
  neighbours: string[]
  /** What admits this peer, and until when; null in an open fleet. */
  ticket: { number: number; expires: string; isGood: boolean } | null
  /** Why this peer, which is to leave the fleet, is still here; null if it is to stay. */
  leaving: string | null
  peers: PeerStatus[]
  /** To other peers since the start, by kind. */
  sent: Record<string, number>
  /** Made by this node. */
  calls: { class: string; version: number; method: string; outcome: string; count: number }[]
  /** Of other nodes and of clients, answered by this node. */
  answered: AnsweredCount[]
  /** Made by this node, and answered by SOs that ran here since the other node does not serve the version. */
  guests: GuestCount[]
  sandbox: string
  alarms: Alarm[]
}

export interface StatusInit {
  peer: Peer
  tally: Tally
  release: string
  sandbox: string
  alarms: readonly Alarm[]
  sent: Readonly<Record<string, number>>
  upMs: number
  calls: Status['calls']
  answered: AnsweredCount[]
  guests: GuestCount[]
  unavailable(object: string): Pick<ObjectStatus, 'unavailableMs' | 'unavailableAt' | 'cutCalls'>
  progress(object: string): number
}

export function statusOf(init: StatusInit): Status {
  const { peer } = init
  const { log } = peer
  const records = ownObjects(peer)
  const objects: Record<string, ObjectStatus> = {}
  for (const [name, object] of peer.objects) {
    const record = records[name]!
    const className = log.schema.at(name, record.version)?.className ?? name
    const { futures } = object.state
    const progress = targetOf(object.state.phase) > 0 ? init.progress(name) : 0
    objects[name] = {
      ...record,
      className,
      futures,
      futureReason: object.futureReason,
      progress,
      ...init.unavailable(name)
    }
  }
  return {
    fleet: log.fleet,
    peer: peer.id,
    release: init.release,
    at: new Date(peer.now).toISOString(),
    upMs: Math.round(init.upMs),
    addresses: [...peer.addresses],
    head: log.head,
    root: rootStatus(peer.roots),
    log: log.chain.map((entry) => loggedUpgrade(peer, entry)),
    fork: log.fork.map(({ version, hash }) => ({ version, hash })),
    pauses: pausesOf(peer),
    tally: init.tally,
    locks: peer.locks.map(({ name, reason, until }) => ({ name, reason, until: new Date(until).toISOString() })),
    rosters: rostersOf(peer),
    objects,
    ticket: ticketOf(peer),
    leaving: peer.leaving ?? null,
    neighbours: [...peer.neighbours.all()],
    peers: [...peer.view.all()].map(({ record }) => peerStatus(peer, record, records)),
    sent: { ...init.sent },
    calls: init.calls,
    answered: init.answered,
    guests: init.guests,
    sandbox: init.sandbox,
    alarms: [...init.alarms]
  }
}

function ticketOf({ admission }: Peer): Status['ticket'] {
  const { own } = admission
  if (own === undefined) return null
  return { number: own.number, expires: new Date(own.expires).toISOString(), isGood: admission.isGood(own) }
}

function rootStatus(roots: Roots): RootStatus {
  const { version, hash, expires } = roots.trust.root
  return { version, hash, expires: new Date(expires).toISOString(), lapsed: roots.lapsed() }
}

function loggedUpgrade(peer: Peer, entry: Entry): LoggedUpgrade {
  const { log, statements } = peer
  const { version, hash, manifest } = entry
  return {
    version,
    hash,
    description: manifest.description,
    replaces: manifest.replaces ?? [],
    aborted: log.schema.replaced.has(hash) || statements.abort(hash) !== undefined,
    retired: statements.retired(hash) !== undefined,
    rehearsed: manifest.rehearsed ?? [],
    evidence: version < log.head.version ? evidenceFor(peer, entry) : null,
    classes: manifest.classes.map(({ to, interface: { calls } }) => ({
      name: to,
      object: log.schema.find(to, version)?.object ?? to,
      calls
    }))
  }
}

function pausesOf({ log, statements, view, now }: Peer): PauseStatus[] {
  const pauses = [...log.chain, ...log.fork].flatMap((entry) => statements.pauses(entry.hash, now))
  const waits = [...view.all()].flatMap(({ record }) => Object.values(record.objects).map((one) => one.why?.statement))
  return [...new Set(pauses)].map(({ hash, keys, body, expires }) => ({
    hash,
    target: body.what === 'pause' ? body.target : null,
    of: body.what === 'pause' ? (body.of ?? null) : null,
    note: body.note,
    expires: new Date(expires).toISOString(),
    keys: [...keys],
    holds: waits.filter((statement) => statement === hash).length
  }))
}

/** @param own its objects as they are now */
function peerStatus(peer: Peer, record: PeerRecord, own: Readonly<Record<string, ObjectRecord>>): PeerStatus {
  const { group, labels, addresses, head, objects } = record
  const self = record.peer === peer.id
  return {
    peer: record.peer,
    self,
    left: hasLeft(record),
    connected: self || peer.neighbours.connected.has(record.peer),
    group,
    labels,
    addresses,
    head,
    objects: self ? { ...own } : objects
  }
}

/** Figures in the reasons of its own record may be older. */
function ownObjects(peer: Peer): Record<string, ObjectRecord> {
  const objects: Record<string, ObjectRecord> = {}
  for (const [name, object] of peer.objects) {
    const since = peer.standing[name]?.since
    objects[name] = { ...object.record(), ...(since === undefined ? {} : { since }) }
  }
  return objects
}

/** The newest roster of every group. */
function rostersOf(peer: Peer): Status['rosters'] {
  const groups = new Set<string>()
  for (const { body } of peer.statements.all()) if (body.what === 'roster') groups.add(body.group)
  return [...groups].sort().map((group) => {
    const number = peer.statements.newestRoster(group)
    return { group, number, members: [...(peer.statements.roster(group, number)?.members ?? [])] }
  })
}
