/** What a chain is given, and what it hands out: the types of its edges. */
import type { ChainStore } from './store.ts'
import type { GroupMember, Value } from './types.ts'

/** A call that hosted code makes to an object of another node. */
export interface OutwardCall {
  class: string
  version: number
  method: string
  args: Value[]
  to: { peer: string } | { group: string; key?: string } | 'any'
  callId: string
  /** The code holds an object: only a concurrent method may be called. */
  held: boolean
  timeoutMs: number
  /** Before the commit only observers may be called (else NotCommitted). */
  observersOnly: boolean
}

export interface ChainComponents {
  peer: string
  group: string | null
  store: ChainStore
  outward(call: OutwardCall): Promise<Value>
  members(): GroupMember[]
  log(message: string, fields: Record<string, Value>): void
  /** An SO is served no more; if it has state, it is durably marked as not to be trusted. */
  faulty(version: number, reason: string): void
  /** The store failed; the process must end. */
  fatal(error: Error): void
  /** Runs the callback in a later turn of the event loop. */
  defer(callback: () => void): void
  /** Runs the callback after some milliseconds, unless the function that it answers is called before. */
  after(ms: number, callback: () => void): () => void
  /** A fresh id for calls that nobody's call caused. */
  newCallId(): string
}

export interface ChainCall {
  version: number
  method: string
  args: Value[]
  callId: string
  held: boolean
  /** A guest simulates this version with it: only while the chain serves none between the two (SPEC G5). */
  simulates?: number
  /** Milliseconds until the caller gives up; absent: it does not. */
  leftMs?: () => number
  /** Set by whoever gave up while the call still waited for the section: then it is not executed. */
  ticket?: { cancelled: boolean }
}
