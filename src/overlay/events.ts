/**
 * The sans-IO contract of a peer (SPEC O1): `Peer.step(event, now) → effects`. The daemon and the simulator are two
 * loops around it. `now` is in milliseconds, never goes backwards while a peer lives, and is roughly the wall clock.
 *
 * Ordering duties of whoever performs effects, in the order given:
 *   E1  a `persist` is durable before any later effect of the same step is performed;
 *   E2  after a crash before it was durable, none of the step's effects has happened;
 *   E3  effects of one step are begun in order; those of later steps never overtake them;
 *   E4  every `run`, `store-piece`, `unpack` and `ask-schedule` is answered by exactly one completion event, unless the process dies.
 */
import type { RefusalName } from '../errors.ts'
import type { ScheduleFacts } from '../schedule/context.ts'
import type { SharedLogs } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { Statement } from '../upgrade/statement.ts'
import type { Ticket } from '../upgrade/ticket.ts'
import type { Message } from './messages.ts'
import type { Head, PeerRecord, SignedRecord } from './record.ts'

/** A root, as those see it who only carry it. */
export interface TrustedRoot extends Readonly<Head> {
  /** ms; Infinity if never. */
  readonly expires: number
  readonly bytes: Uint8Array
}

/**
 * What is trusted by the roots that are known (SPEC T13 to T16). Immutable: peers of one process that know the same roots
 * may share it. Synchronous, memoised by identity of the bytes; all throw Refusal.
 */
export interface Trusted {
  /** The newest one. */
  readonly root: TrustedRoot
  /** All, from version 1 on. */
  readonly roots: readonly TrustedRoot[]
  /** Trust with the next root; this one if the root is known. */
  rotated(bytes: Uint8Array): Trusted
  /** What some root covers; `covers` says whether it still counts. */
  openEntry(bytes: Uint8Array): Entry
  openStatement(bytes: Uint8Array): Statement
  /** Whether only who has a ticket takes part (SPEC A1). */
  readonly isPrivate: boolean
  /** A ticket that the newest root covers; whether it is good now is not said. */
  openTicket(text: string): Ticket
  /** Whether what opens may be taken in and told: the newest root covers it, or one vouches for it. */
  covers(topic: Topic, bytes: Uint8Array): boolean
  /** Whether an entry that is injected (not learned from the chain) is past its expiry. `now` in ms. */
  expired(bytes: Uint8Array, now: number): boolean
}

/** Signing, verification and hashing, passed in: synchronous, memoised by identity of the bytes. All throw Refusal. */
export interface Authority {
  /** The fleet's hash: parent of version 1. */
  readonly fleet: string
  /** Where many peers live in one process: what their logs share. */
  readonly logs?: SharedLogs
  /** By the roots that are known at the start. */
  readonly trust: Trusted
  openRecord(bytes: Uint8Array): SignedRecord
  sealRecord(record: PeerRecord): Uint8Array
  /** A 53-bit hash of a string, for salted orders and shares. */
  hash53(text: string): number
}

/** What the host of one object is told to do. `attempt` names a state directory; it increases and is never reused. */
export type HostCommand =
  /** Open the state of `attempt` and serve it with the links named (boot, return, restart after a crash). */
  | { command: 'start'; object: string; attempt: number; version: number; past: number[]; future: number[] }
  /**
   * Start the new child and the TF's child and import their code; the old object goes on serving. `past`: the new one's
   * past SOs; `future`: the old one's future SOs, of which those above `version` go on above the new one.
   */
  | { command: 'warm'; object: string; attempt: number; version: number; past: number[]; future: number[] }
  /** Stop taking calls (they wait), let running ones end within the bound, then stop the old object and close its state. */
  | { command: 'drain'; object: string; boundMs: number }
  /** Copy the state of `from`, run the TF into `attempt`, fsync all. With `from` null: an empty state. */
  | {
      command: 'transform'
      object: string
      attempt: number
      version: number
      from: { attempt: number; version: number; future: number[] } | null
    }
  /** Start the new object, its past SOs and the future SOs that go on, on `attempt`, without serving, and probe their health. */
  | { command: 'prove'; object: string; attempt: number; version: number; past: number[]; future: number[] }
  /** The commit is durable: let the proven object serve, and answer calls that waited. */
  | { command: 'serve'; object: string; attempt: number; version: number }
  /** End what belongs to `attempt` and delete its directory. The current object is not touched. */
  | { command: 'abandon'; object: string; attempt: number }
  /** Probe, then start the future SO of `version` on the current object. */
  | { command: 'simulate'; object: string; version: number }
  /** Take SOs out of the running object, with their state: retired past ones, or discarded future ones. */
  | { command: 'remove'; object: string; versions: number[] }
  /** Delete the state directories of all attempts but `keep`. */
  | { command: 'clean'; object: string; keep: number }
export type HostCommandName = HostCommand['command']

export type Event =
  /** First event after construction or restart: what the disk holds of bundles. */
  | { type: 'boot'; bundles: { bundle: string; pieces: Uint8Array; unpacked: boolean }[] }
  /** The time asked for by the last `wake` has come. */
  | { type: 'wake' }
  | { type: 'message'; from: string; message: Message }
  /** A connection with an authenticated peer is usable, or is gone; `connect-failed` answers a `connect`. */
  | { type: 'connected'; peer: string }
  | { type: 'disconnected'; peer: string }
  | { type: 'connect-failed'; peer: string; reason: string }
  /** A peer of this fleet announced itself on the local network: an address to dial, nothing more. */
  | { type: 'found'; peer: string; addresses: string[] }
  /** Epidemic broadcast; an entry or a statement. */
  | { type: 'published'; from: string; topic: Topic; bytes: Uint8Array }
  /** An operator's entry, statement or root; answered by an `answer` with the same request number. */
  | { type: 'inject'; request: number; topic: Topic | 'root'; bytes: Uint8Array; bundleHeld: boolean }
  /** A call or reply carried a log head or a digest of statements that may be newer than ours. */
  | { type: 'head-seen'; from: string; head: Head; statements: string }
  /** A call at a version above what the object's chain serves has come. */
  | { type: 'wanted'; object: string; version: number }
  /** A call at this version was answered; told once an hour and version. */
  | { type: 'called'; object: string; version: number }
  /** `wrong`: not what its hash says, the sender's fault; `failed`: our disk's. */
  | { type: 'piece-stored'; bundle: string; index: number; from: string; outcome: 'stored' | 'wrong' | 'failed' }
  /**
   * Not ok: `wrong` if the pieces do not give what the table names, or the unpacked code was damaged later and they do
   * not mend it; else the disk failed and it is tried again.
   */
  | { type: 'unpacked'; bundle: string; ok: boolean; wrong?: boolean; reason: string }
  /** A piece that was held is not what its hash says any more: the disk damaged it, and it was removed. */
  | { type: 'piece-lost'; bundle: string; index: number }
  /** Completion of a HostCommand. */
  | {
      type: 'done'
      command: HostCommandName
      object: string
      attempt: number
      version: number
      ok: boolean
      /** Not ok, and not the version's fault (a full disk, say): it may be tried again by itself. */
      again?: boolean
      /** Not ok, since a process was killed from outside (L20). */
      interrupted?: boolean
      reason: string
      /** Of `start`: versions whose future SO missed calls and still has state. */
      stale?: number[]
    }
  /** What the code of a custom schedule returned, as it came; or why there is nothing. */
  | { type: 'schedule-answer'; question: number; value?: unknown; failure?: string }
  /** A future SO of the running object is served no more (V10). */
  | { type: 'quarantined'; object: string; version: number; reason: string }
  /** The object's process ended without being told to; `interrupted`: it was killed from outside; `again`: its disk was full. */
  | { type: 'died'; object: string; attempt: number; interrupted?: boolean; again?: boolean; reason: string }
  /** Of the calls that an attempt's process answered, so many failed through its fault (SPEC S24). */
  | { type: 'measured'; object: string; attempt: number; calls: number; failed: number }
  /** A program on this host holds upgrades up, or does no more; answered by an `answer` with the same request number. */
  | { type: 'lock'; request: number; name: string; reason: string; forMs: number }
  | { type: 'unlock'; request: number; name: string }
  /** The node's load has gone below a threshold that is watched (`watch-load`), or is not below it any more. */
  | { type: 'load'; below: number; quiet: boolean }
  /** This peer has been given a new ticket. */
  | { type: 'ticket'; ticket: string }
  /** Addresses at which this peer can be dialled have changed. */
  | { type: 'addresses'; addresses: string[] }

export type Topic = 'entry' | 'statement'

/** Keys and plain values of the durable snapshot; the format is versioned (SPEC D1). */
export type Persist = { put: [key: string, value: unknown][]; delete: string[] }

export type Effect =
  | ({ type: 'persist' } & Persist)
  | { type: 'send'; to: string; message: Message }
  /** Send a piece that is on disk as a `piece` message (or `lack` if it cannot be read). */
  | { type: 'send-piece'; to: string; bundle: string; index: number }
  | { type: 'publish'; topic: Topic; bytes: Uint8Array }
  | { type: 'connect'; peer: string; addresses: readonly string[] }
  /** Close the session with a peer: it is not needed any more, or (`blame`) it broke a rule. */
  | { type: 'disconnect'; peer: string; reason: string; blame: boolean }
  /** Verify a piece against `sha256` off the event loop and store it durably. */
  | { type: 'store-piece'; bundle: string; index: number; from: string; bytes: Uint8Array; sha256: string }
  /** All pieces are there: verify the whole, unpack it durably. */
  | { type: 'unpack'; bundle: string; version: number }
  /** Delete all that is stored of a bundle; what is stored of it later stays. No event answers: the next boot tells. */
  | { type: 'remove-bundle'; bundle: string }
  | { type: 'run'; command: HostCommand }
  /** Run this module of a bundle in a process of its own, within bounds of time and memory (S62). */
  | { type: 'ask-schedule'; question: number; bundle: string; module: string; facts: ScheduleFacts }
  | { type: 'answer'; request: number; ok: boolean; refusal?: RefusalName; text: string }
  | { type: 'alarm'; name: string; text: string }
  /**
   * Measure the load, in calls a second that this node answers, and say by `load` events on which side of each threshold
   * it is: at first, and when that changes. Replaces the last one; with none nothing is measured.
   */
  | { type: 'watch-load'; thresholds: number[] }
  /** This peer has left the fleet and said so: end the process cleanly, keep all data. */
  | { type: 'left' }
  /** When to send `wake`, absolute; replaces the last one. */
  | { type: 'wake'; at: number }

/** Configuration of one peer; all of it is given, nothing is read from the environment. */
export interface PeerInit {
  peer: string
  group: string | null
  labels: Record<string, string>
  addresses: string[]
  /** Classes this node hosts an object of; null: every class of the fleet. */
  classes: string[] | null
  /** H11: what the operator allows to confined code; undefined: it is not confined. */
  allowed?: readonly string[] | undefined
  /** What admits this peer to a private fleet: the signed text. */
  ticket?: string | undefined
  /** Peers to dial at start: addresses with a peer id. */
  bootstrap: { peer: string; addresses: string[] }[]
  /** Seed of the peer's own generator. */
  seed: number
  limits?: Partial<PeerLimits>
}

export interface PeerLimits {
  /** Neighbours aimed at. @default 8 */
  degree: number
  /** Neighbours accepted at most. @default 12 */
  degreeMax: number
  /** Contacts kept beside the neighbours, to replace them and to explore. @default 32 */
  passive: number
  /** Records kept at most. @default 256 */
  view: number
  /**
   * Of these, strangers kept once the fleet is known to be larger: each costs about 200 bytes, and its part in every
   * digest; guards judge by them, with an error of about 1/√n. @default 256
   */
  strangers: number
  /** A peer of which nothing was heard for so long, and that cannot be reached then, is forgotten, ms. @default 259200000 */
  silentMs: number
  /** First and longest distance between anti-entropy rounds, ms. @default 1000, 60000 */
  roundMs: number
  roundMaxMs: number
  /** Longest distance between rounds, and between exchanges of records, in a fleet larger than the view, ms. @default 600000, 900000 */
  roundMaxLargeMs: number
  recordsMs: number
  /** An epoch of the census lasts so long at least, ms: several times what it takes to be heard everywhere. @default 5400000 */
  epochMs: number
  /** News of the census is told within this time, ms; of failures within a fifth of it. @default 60000 */
  censusMs: number
  /** In a fleet larger than the view, unless a schedule looks at it, each peer tells news of the census only so often, ms. @default 600000 */
  censusLargeMs: number
  /** Bound on the drain of running calls, ms. @default 10000 */
  drainMs: number
  /** Pieces asked for at once, over all neighbours. @default 8 */
  piecesInFlight: number
  /** How long a bundle is kept that is neither needed nor to be kept for others any more, ms. @default 600000 */
  keepMs: number
  /** A piece not delivered in this time is asked for elsewhere, ms. @default 10000 */
  pieceTimeoutMs: number
}

export const DEFAULT_LIMITS: PeerLimits = {
  degree: 8,
  degreeMax: 12,
  passive: 32,
  view: 256,
  strangers: 256,
  silentMs: 3 * 24 * 3_600_000,
  roundMs: 1_000,
  roundMaxMs: 60_000,
  roundMaxLargeMs: 10 * 60_000,
  recordsMs: 15 * 60_000,
  epochMs: 90 * 60_000,
  censusMs: 60_000,
  censusLargeMs: 10 * 60_000,
  drainMs: 10_000,
  piecesInFlight: 8,
  keepMs: 600_000,
  pieceTimeoutMs: 10_000
}
