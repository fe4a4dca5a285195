/**
 * A scenario: everything that a run depends on, as plain data (SPEC M1). Two equal scenarios give equal traces.
 */

import type { PeerLimits } from '../src/overlay/events.ts'
import type { Condition, Schedule } from '../src/schedule/schedule.ts'
import type { StatementBody } from '../src/upgrade/statement.ts'
import type { Effort, ScheduleCode } from './authority.ts'
import { calmHost, type HostOptions } from './host.ts'
import type { Bandwidth } from './links.ts'
import { calmNetwork, type NetworkOptions } from './network.ts'
import type { Places, Topology } from './places.ts'
import type { ProcessorOptions } from './processors.ts'

export type PausedOf = NonNullable<Extract<StatementBody, { what: 'pause' }>['of']>

/** Something the operator does. He repeats it at another peer until one accepts it. */
export type Action = { atMs: number } & (
  | {
      what: 'upgrade'
      schedule: Schedule
      /** When future SOs are started that nobody called. @default never */
      simulate?: Condition
      /** Of lineages that have one of their own. */
      schedules?: Record<string, Schedule>
      /** Of its custom conditions: functions of what they are given, and of nothing else. @default none */
      code?: ScheduleCode
      pieces: number
      /** @default the least that a bundle may have */
      pieceBytes?: number
      future: boolean
      past: boolean
      /** It replaces what the action of this index made, its rival, and all that was chained on it since. */
      replaces?: number
      /** A second signer makes another one on the same parent, injected elsewhere at the same moment: a fork (T6). */
      rival?: boolean
      /** The share of nodes on which no object of it proves its health. */
      broken?: number
      /** The share of calls that fail through the fault of its objects. */
      errors?: number
      /** What it costs, and where else it goes wrong. */
      effort?: Effort
    }
  /** Members by index; the whole group if left out. */
  | { what: 'roster'; group: number; number: number; members?: number[] }
  /**
   * Of an upgrade by version; null: all. Milliseconds that it lasts, if nobody lifts it; whom it holds. `equivocates`: it
   * has the sequence of the statement before it (T8).
   */
  | { what: 'pause'; version: number | null; lastsMs: number; of?: PausedOf; equivocates?: boolean }
  /** Of what the action of this index made. One that replaces it must follow, or the fleet does not converge. */
  | { what: 'abort'; upgrade: number }
  | { what: 'retire'; version: number }
  /** Of what the action of this index made. */
  | { what: 'approve'; upgrade: number }
  | { what: 'hasten'; upgrade: number }
  /** At one node, or null: everywhere. */
  | { what: 'retry'; upgrade: number; peer: number | null; discardFuture: boolean }
  /** The next root: new keys sign everything from now on, and it vouches for what there is (T14). */
  | { what: 'rotate' }
  /** Made when everybody runs that version or a later one; never if there is no such moment in time. */
  | { what: 'forget'; upgrade: number }
  /** Of a node that is gone for ever. A roster of its group without it must follow, or its group waits for one. */
  | { what: 'exclude'; node: number; group: number; roster: number }
  /** A roster of its group without it must follow, or it waits for one. */
  | { what: 'leave'; node: number }
  /** Its first ticket admits it no more; a fault "ticket" gives it the next one. */
  | { what: 'revoke'; node: number }
  /** Lifts the pause that the action of this index made. */
  | { what: 'resume'; pause: number }
)

export type Fault = { atMs: number } /** The machine loses power; what was not synced is lost. */ & (
  | { what: 'crash'; node: number; downMs: number }
  /** The machine is taken away for ever, without a word. */
  | { what: 'depart'; node: number }
  /** The object's process ends, its daemon lives. */
  | { what: 'kill'; node: number }
  /** Nodes of different cells cannot reach each other. */
  | { what: 'partition'; cells: number[] }
  | { what: 'heal' }
  /** Some of a node's connections break. */
  | { what: 'flap'; node: number; share: number }
  /** Delays to the node grow by this much, its disk and host are slower by this factor. */
  | { what: 'slow'; node: number; delayMs: number; factor: number }
  /** The peer's clock steps, ahead or back; for a living peer it does not run backwards. */
  | { what: 'skew'; node: number; skewMs: number }
  /** Clients of the node make so many calls a second from now on. */
  | { what: 'load'; node: number; perSecond: number }
  /** A program on the machine holds upgrades up for so long at most. */
  | { what: 'lock'; node: number; forMs: number }
  | { what: 'unlock'; node: number }
  /** Its second ticket reaches the node of a private fleet. */
  | { what: 'ticket'; node: number }
  /** The node is another's for so long: it forges, repeats what is old, offers what it lacks, and lies about its clock. */
  | { what: 'hostile'; node: number; forMs: number }
  /** Someone sends the node forged entries, statements and records. */
  | { what: 'forge'; node: number; from: number }
  /** From now on the pieces that this node sends are not what their hashes say. */
  | { what: 'rot'; node: number }
  /** A client's program calls from the future, or with a newer log head. */
  | { what: 'call'; node: number; from: number }
  /** Faults of network, disk and host stop, slow nodes recover, partitions heal. */
  | { what: 'stop' }
)

export interface DiskOptions {
  /** Least and most duration of a sync, ms. */
  syncMs: readonly [number, number]
  /** Least and most duration of storing a piece or unpacking a bundle, ms. */
  storeMs: readonly [number, number]
}

export interface CallOptions {
  /** Over the whole fleet. @default 0 */
  perSecond: number
  /** For so long a call is tried, ms. @default 5000 */
  deadlineMs: number
}

export interface Scenario {
  seed: number
  peers: number
  /** Members of a group; 0: no groups. The last group may be smaller. */
  groupSize: number
  /** k of every rolling constraint of the scenario; Infinity: not checked. */
  unavailable: number
  /** Values of the label `region`, which peers take in turn. @default none */
  regions: string[]
  /** Other labels: of each, its values and the share of peers that has each. @default none */
  labels: Record<string, Record<string, number>>
  /** Regions or clusters, which then give the label `region`; null: all peers are equally far from each other. */
  places: Places | null
  /** Whom peers are told of at start. @default random */
  topology: Topology
  /** The first whose labels match bounds a peer's line. @default none */
  bandwidth: Bandwidth[]
  /** Objects of each node, by their lineage's name. */
  lineages: string[]
  limits: Partial<PeerLimits>
  /** `formed`: the fleet has met and runs version 1 when the run begins (SPEC M32). @default empty */
  start: 'empty' | 'formed'
  /** Earlier peers that each one is told of at start. */
  bootstrap: number
  /** Peers start spread over this time, ms … */
  startMs: number
  /** … but this share of them only at `lateMs`. */
  lateShare: number
  lateMs: number
  network: NetworkOptions
  host: HostOptions
  /** Shared by peers; null: what they compute costs no time. @default null */
  processors: ProcessorOptions | null
  disk: DiskOptions
  actions: Action[]
  faults: Fault[]
  /** Calls between peers. */
  calls: CallOptions
  /** Writes of clients a second, over the whole fleet. */
  writesPerSecond: number
  /** Virtual time after which a run that has not converged is stuck, ms. */
  durationMs: number
  /** Time watched after everything converged, ms; 0: none. */
  idleMs: number
  /** Copy what peers hand over, so that later changes to it are found out. Costs time. */
  strict: boolean
  /** Every peer has a ticket, and needs it. @default false */
  private?: boolean
  /** Share of the durable steps at which the power goes, until faults stop. @default none */
  powerCuts?: number
  /** Events of each peer kept for a report. */
  history: number
}

export const rollingSchedule: Schedule = {
  when: { kind: 'immediately' },
  constraints: [{ kind: 'rolling', by: 'group', unavailable: 1 }]
}
export const immediateSchedule: Schedule = { when: { kind: 'immediately' }, constraints: [] }

/** A calm fleet that installs version 1 and upgrades to version 2, rolling by group; fields may be replaced. */
export function scenario(fields: Partial<Scenario> & { seed: number; peers: number }): Scenario {
  const groupSize = fields.groupSize ?? 3
  const schedule = groupSize > 0 ? rollingSchedule : immediateSchedule
  const groups = groupSize > 0 ? Math.ceil(fields.peers / groupSize) : 0
  const upgrade = { what: 'upgrade', pieces: 4, future: true, past: true } as const
  const rosters = Array.from(
    { length: groups },
    (_, group): Action => ({ atMs: 2000, what: 'roster', group, number: 1 })
  )
  return {
    groupSize,
    unavailable: groupSize > 0 ? 1 : Number.POSITIVE_INFINITY,
    regions: [],
    labels: {},
    places: null,
    topology: 'random',
    bandwidth: [],
    lineages: ['Thing'],
    limits: {},
    start: 'empty',
    bootstrap: 3,
    startMs: 1000,
    lateShare: 0,
    lateMs: 0,
    network: calmNetwork,
    host: calmHost,
    processors: null,
    disk: { syncMs: [0.5, 3], storeMs: [2, 10] },
    actions: [
      { atMs: 1500, ...upgrade, schedule: immediateSchedule },
      ...rosters,
      { atMs: 20_000, ...upgrade, schedule }
    ],
    faults: [],
    calls: { perSecond: 0, deadlineMs: 5000 },
    writesPerSecond: 20,
    durationMs: 600_000,
    idleMs: 0,
    strict: true,
    history: 24,
    ...fields
  }
}
