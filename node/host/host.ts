/**
 * The interface between the daemon and whatever runs an object's code (SPEC H). Forms: child process (default),
 * inline (embedding), simulated (in `sim/`, at the level of HostCommand). One contract suite in `test/`.
 */
import type { ScheduleFacts } from '../../src/schedule/context.ts'
import type { Interface } from '../../src/upgrade/manifest.ts'
import type { Needs } from '../../src/upgrade/needs.ts'
import type { DelegateCall } from '../../src/versions/guest.ts'
import type { Value } from '../../src/versions/types.ts'

export interface LinkPlan {
  version: number
  className: string
  role: 'past' | 'current' | 'future'
  /** Absolute path of the ES module in the verified, unpacked bundle; null for `past: 'subtype'`. */
  module: string | null
  interface: Interface
  intercepts: string[]
}

export interface ObjectPlan {
  /** Name of the object (its lineage) on this node. */
  object: string
  peer: string
  group: string | null
  /** Directory of the attempt whose state this process opens. */
  attemptDirectory: string
  /** Ascending by version, exactly one is current. */
  links: LinkPlan[]
  /** What the code needs beyond its state, as the current version's entry says (SPEC H11). */
  needs?: Needs | undefined
}

export interface TransformPlan {
  object: string
  peer: string
  group: string | null
  /** Null: no TF; the new object opens the old one's state as it is. */
  module: string | null
  from: number
  to: number
  /** Versions between them that this node skips, since they are replaced, ascending (SPEC R5). */
  skipped: number[]
  /** Versions of the SOs whose state goes on as it is, if they have any. */
  carried: number[]
  /** Closed state of the old attempt; never written to: the host copies it first. */
  oldDirectory: string
  /** Future SOs that were served: refused if the state of one was quarantined (SPEC V10). What the state says counts. */
  futures: number[]
  /** Fresh directory that becomes the new attempt. */
  newDirectory: string
  /** What the code needs beyond the state, as the entry of the version to come says (SPEC H11). */
  needs?: Needs | undefined
}

export interface HostCall {
  version: number
  method: string
  args: Value[]
  /** Stable id of the operation. */
  callId: string
  /** The caller holds an object: only concurrent methods may run (else WouldBlock). */
  held: boolean
  /** It is the delegate call of a guest that simulates this version: `Misplaced` if that is served here by now (SPEC G5). */
  simulates?: number | undefined
  /** Milliseconds left. */
  timeoutMs: number
  signal?: AbortSignal
}

/** SOs for an object of another node (SPEC G). */
export interface GuestPlan {
  object: string
  peer: string
  /** Nearest to the delegate first; the version called last. */
  links: (LinkPlan & { role: 'past' | 'future' })[]
  delegate: { version: number; className: string; interface: Interface }
}

/** A call at a guest; `run` names it in its delegate call. */
export type GuestVisit = Omit<HostCall, 'version' | 'simulates'> & { run: number }

/** What a guest's process asks of the daemon. */
export interface GuestOutward {
  /** The delegate call of a run. */
  delegate(call: DelegateCall): Promise<Value>
  log(message: string, fields: Record<string, Value>): void
}

export interface GuestProcess {
  /** Rejects with CallError. */
  call(visit: GuestVisit): Promise<Value>
  kill(): Promise<void>
  /** Resolves with the reason when the process ends, told to or not. */
  readonly ended: Promise<string>
}

/** Calls that hosted code makes; the daemon answers them. */
export interface Outward {
  call(request: {
    class: string
    version: number
    method: string
    args: Value[]
    to: { peer: string } | { group: string; key?: string } | 'any'
    callId: string
    held: boolean
    timeoutMs: number
    /** Before the commit only observers may be called (else NotCommitted). */
    observersOnly: boolean
    /** Aborted when the process that calls is gone: nobody waits for the answer any more. */
    signal?: AbortSignal
  }): Promise<Value>
  members(): { peer: string; self: boolean; reachable: boolean }[]
  log(message: string, fields: Record<string, Value>): void
  /** The SO of `version` is served no more (SPEC V10); if it has state, that is durable. */
  faulty?(version: number, reason: string): void
}

/** `stale`: versions of future SOs that missed calls and still have state (SPEC V10). */
export interface Started {
  stale: number[]
}

/** One object's process. Calls are accepted only between `serve` and `stop`. */
export interface ObjectProcess {
  /** Opens state and starts every link: no calls yet, outward calls are observers only. */
  start(): Promise<Started>
  /** Throws if any link's health() does. */
  health(): Promise<void>
  /** From here on the object is committed: calls are accepted and outward mutators allowed. */
  serve(): void
  /** Rejects with CallError. Versions that the chain lacks reject with Unavailable (above) or Retired (below). */
  call(call: HostCall): Promise<Value>
  /** Imports and starts a future SO on the running object (its `initial` runs inside the section). */
  simulate(link: LinkPlan): Promise<void>
  /** Takes SOs out of the running object, the outermost ones of either side, with their state. */
  remove(versions: number[]): Promise<void>
  /** Ends running calls within the bound, cuts the rest (OutcomeUnknown), checkpoints and closes state, ends. */
  stop(boundMs: number): Promise<{ cut: number }>
  /** Kills at once; resolves when the process is gone. */
  kill(): Promise<void>
  /** Resolves with the reason when the process ends, told to or not. */
  readonly ended: Promise<string>
  /** Once it has ended: it was killed from outside (SPEC L20). Hosts without processes have no such thing. */
  readonly interrupted?: boolean
  /** Once it has ended: its disk was full. */
  readonly lackedSpace?: boolean
}

export interface TransformProcess {
  /** Copies the old state, runs the TF, fsyncs every file and directory of the output. */
  run(progress: (fraction: number) => void): Promise<void>
  kill(): Promise<void>
}

export interface Host {
  /** Starts a process and imports all links' code, so that `start` is quick. Opens no state. */
  warm(plan: ObjectPlan, outward: Outward): Promise<ObjectProcess>
  /** `log` gets what the TF says. */
  warmTransform(
    plan: TransformPlan,
    log?: (message: string, fields: Record<string, Value>) => void
  ): Promise<TransformProcess>
  /** Starts a process with the SOs, constructed and ready for calls. */
  warmGuest(plan: GuestPlan, outward: GuestOutward): Promise<GuestProcess>
  /** Runs the code of a custom schedule in a process of its own, in bounded time (SPEC S62). Throws what it throws. */
  ask(module: string, facts: ScheduleFacts): Promise<unknown>
  /** Imports a module in a process of its own and throws what it throws. */
  probe(module: string): Promise<void>
  /** Ends processes that a dead daemon left behind; resolves when they are gone. Called before any state is opened. */
  endSurvivors(): Promise<number>
  close(): Promise<void>
}
