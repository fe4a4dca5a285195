/** What a simulated machine runs (SPEC M7): the core itself, or a stand-in of a test. */
import type { Authority, Effect, Event, PeerInit, Topic } from '../src/overlay/events.ts'
import type { PeerRecord } from '../src/overlay/record.ts'
import type { Counting } from './census.ts'

/** What is simulated: the production `Peer`, or a stand-in of a test. */
export interface Simulated {
  step(event: Event, now: number): Effect[]
  /** A stand-in may take whatever its driver takes for signed. */
  judge?(topic: Topic, bytes: Uint8Array): 'accept' | 'ignore' | 'reject'
  readonly view: { readonly size: number; all?(): Iterable<{ readonly record: PeerRecord }> }
  /** For the overlay's shape; a stand-in may have none. */
  readonly leaving?: string | undefined
  readonly neighbours?: { all(): Iterable<string>; has(peer: string): boolean }
  readonly census?: Counting
  readonly membership?: { readonly passive: { readonly size: number; peers(): Iterable<string> } }
}
export type MakePeer = (init: PeerInit, authority: Authority, snapshot: ReadonlyMap<string, unknown>) => Simulated
