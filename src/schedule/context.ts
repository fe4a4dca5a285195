/** What the code of a custom schedule sees, and what it says (SPEC S60, S61). Hosted processes import nothing more of schedules. */
import { Generator } from '../prng.ts'

/** A peer as the code sees it, by its signed record. */
export interface ScheduledPeer {
  readonly peer: string
  readonly group: string | null
  readonly labels: Readonly<Record<string, string>>
  /** Of the same object there: the version that it runs (0: none), the lowest and the highest that it serves. */
  readonly version: number
  readonly lowest: number
  readonly highest: number
  readonly phase: string
  readonly serving: boolean
  /** It went back from the version that this is about, and what it said. */
  readonly failed: string | null
}

/** What the code is given, as plain data; bounded: of neighbours and members at most 64 each. */
export interface ScheduleFacts {
  /** The object, and the version that it would go to. */
  readonly object: string
  readonly version: number
  readonly self: ScheduledPeer
  /** From 0 to 1: the peer's own place in this upgrade, always the same. */
  readonly place: number
  readonly neighbours: readonly ScheduledPeer[]
  /** Other members of its group that it knows. */
  readonly group: readonly ScheduledPeer[]
  /** Of the fleet: exact where a peer knows all others, else an estimate (by some per cent), itself included. */
  readonly census: { readonly known: number; readonly run: number; readonly simulate: number; readonly failed: number }
  /** An operator approved the upgrade. */
  readonly approved: boolean
  /** The wall clock of this node, Unix ms. */
  readonly now: number
  /** What `random` draws from: another one for each question. */
  readonly seed: number
}

/** What a custom schedule is given (S60). */
export interface ScheduleContext extends Omit<ScheduleFacts, 'seed'> {
  /** From 0 to 1. */
  random(): number
}

/** `inMs`: ask again after this time though nothing that is looked at has changed; at least 5 s. */
export type ScheduleAnswer = { go: true; inMs?: number } | { wait: string; inMs?: number }

export function contextOf({ seed, ...facts }: ScheduleFacts): ScheduleContext {
  const generator = new Generator(seed)
  return { ...facts, random: () => generator.fraction() }
}
