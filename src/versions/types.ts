/** What authors of objects, simulation objects and transform functions see (MODEL: words; SPEC V). */
import type { ScheduleAnswer, ScheduleContext } from '../schedule/context.ts'
import type { MethodDeclaration } from '../upgrade/manifest.ts'

/** Plain values: what calls carry and the key-value store keeps. */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | Value[]
  | { [key: string]: Value }

/** `'observer'` and `'mutator'` are short for `{ kind }`. */
export type MethodDeclarationInput = MethodDeclaration['kind'] | MethodDeclaration

/** Statics that a class's constructor carries; `pack` copies them into the manifest. */
export interface ObjectStatics {
  methods: Record<string, MethodDeclarationInput>
  /** class → the version this code was written for. */
  calls?: Record<string, number>
}
export interface SimulationStatics extends ObjectStatics {
  /** Mutators of the delegate that are offered to `intercept` before the delegate changes. */
  intercepts?: readonly string[]
}

/**
 * The host's transactional key-value store: synchronous, ordered by key. Writes made inside a mutator are committed
 * (fsynced) together before its reply leaves; those of a mutator that throws are undone.
 */
export interface KeyValueStore {
  get(key: string): Value
  put(key: string, value: Value): void
  delete(key: string): void
  /** Entries with `prefix`, ascending by key, from `after` (exclusive) on. */
  entries(options?: { prefix?: string; after?: string; limit?: number }): Iterable<[string, Value]>
}

export interface CallTarget {
  /** A peer's id, any peer that hosts the class, or the member of a group that `key` chooses. */
  to?: { peer: string } | { group: string; key?: string } | 'any'
  /** Stable id of the operation: a retry with the same id can be recognised by the object. */
  id?: string
  /** Bound on the whole call, retries included. Milliseconds; default 10 000. */
  timeoutMs?: number
  signal?: AbortSignal
}
export interface CallRequest extends CallTarget {
  class: string
  version: number
  method: string
  args: Value[]
}

/** A member of one's own group as the node sees it. */
export interface GroupMember {
  peer: string
  self: boolean
  reachable: boolean
}

/** The methods of a class as they are called from outside of it: every answer is awaited. */
export type Called<Class> = 0 extends 1 & Class
  ? any
  : {
      [Name in keyof Class as Class[Name] extends (...args: any) => unknown ? Name : never]: Class[Name] extends (
        ...args: infer Args
      ) => infer Answer
        ? (...args: Args) => Promise<Awaited<Answer>>
        : never
    }

export interface ObjectContext<Self = any> {
  readonly peer: string
  readonly group: string | null
  /** The version this code was installed by. */
  readonly version: number
  /** Directory of one's own for files; outlives restarts. */
  readonly directory: string
  readonly state: KeyValueStore
  /** The running call's stable id, or undefined outside of a call. */
  readonly callId: string | undefined
  /** This object's own methods, entered like a call from outside (its section is taken, its interceptors see it). */
  readonly self: Called<Self>
  /** Members of the newest roster of the own group, itself included; empty without a group or a roster. */
  members(): GroupMember[]
  /** Calls an object of another node, at the version that the class's `calls` names. Observers only until committed. */
  call(className: string, method: string, args: Value[], target?: CallTarget): Promise<any>
  log(message: string, fields?: Record<string, Value>): void
}

export interface SimulationContext<Delegate = any> extends ObjectContext {
  /** The next link toward the current object, at its own version (name its class as the type); inside the section that the running call holds. */
  readonly delegate: Called<Delegate>
}

/**
 * An object of a class. All members but the methods named in `static methods` are optional; a class that has none of
 * these need not say that it implements this (the compiler finds "no properties in common").
 */
export interface HostedObject {
  /** Opens persistent state; called once before the first call. */
  start?(): Promise<void> | void
  stop?(): Promise<void> | void
  /**
   * Makes durable what mutators wrote outside of `context.state` since the last flush. Called once for a group of
   * mutators, just before their common commit and their replies; no mutator runs meanwhile.
   */
  flush?(): Promise<void> | void
  /** Throws when the object could not serve. Probed before an upgrade is committed and while it serves. */
  health?(): Promise<void> | void
}

/** A write of an interceptor to its own state, applied with the intercepted call's if that succeeds. */
export type StateWrite = { put: [key: string, value: Value] } | { delete: string }

/** A mutator of the SO's own version, as it would be called there. */
export type Effect = [method: string, ...args: Value[]]

export interface HostedSimulation extends HostedObject {
  /** MF: fills the SO's own state from the delegate when it is first started on a node (not at restarts). */
  initial?(): Promise<void> | void
  /** Offered before the delegate executes `method`; may look, may neither refuse nor change it. */
  intercept?(method: string, args: Value[]): Promise<StateWrite[]> | StateWrite[]
  /**
   * What a mutator of the delegate, that did not come through this SO, means in its own version's words: the shadow.
   * Asked before the change; may look. Needed where another SO stacks on this one and intercepts.
   */
  effects?(method: string, args: Value[]): Promise<Effect[]> | Effect[]
}

/** The state of one link during a transform: its directory and its part of the key-value store. */
export interface LinkState {
  readonly directory: string
  readonly state: KeyValueStore
}

/** A replaced version that this node skips (SPEC R5): what its future SO kept here, and what its past SO begins with. */
export interface SkippedVersion {
  readonly version: number
  /** Null if none was started on this node. */
  readonly future: LinkState | null
  readonly past: LinkState
}

/** Handed to the default export of a `transform` module. `old` and `future` are private copies. */
export interface TransformContext {
  readonly from: number
  readonly to: number
  readonly peer: string
  readonly group: string | null
  readonly old: LinkState
  /** State of the future SO, if one was started on this node and keeps any. */
  readonly future: LinkState | null
  readonly new: LinkState
  /** What the old state had beyond the new one: the past SO's. */
  readonly past: LinkState
  /** Versions between `from` and `to`, ascending; only where `to` replaces them. */
  readonly skipped: readonly SkippedVersion[]
  /** 0…1, shown to operators. */
  progress(fraction: number): void
  log(message: string, fields?: Record<string, Value>): void
}
/** The default export of a custom schedule's module (SPEC S60). */
export type ScheduleFunction = (context: ScheduleContext) => ScheduleAnswer | Promise<ScheduleAnswer>
export type TransformFunction = (context: TransformContext) => Promise<void> | void
