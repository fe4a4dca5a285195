/**
 * The life of one object with its upgrades (SPEC L): what is durable, and the one table of legal transitions. Each step
 * is durable before the next begins; after a crash `resume` says where a node goes on.
 *
 *   L1  upgrades run strictly in order; an object is on its way to at most one version;
 *   L2  the old state is untouched until the commit; the commit is the one write that names the new attempt;
 *   L3  a TF is rerun from untouched inputs into a fresh attempt;
 *   L4  before the commit every failure leads back to the old version; after it there is no way back;
 *   L5  a version that failed here is not tried again, unless a later retry says so.
 */
import type { Progress } from '../schedule/evaluate.ts'
import type { Calls } from './call-rate.ts'
import type { PhaseName } from './record.ts'

/** `target` and `entry`: number and hash of the upgrade entry that the object is on its way to. */
export type Phase =
  | { name: 'idle' }
  | { name: 'fetching'; target: number; entry: string }
  | { name: 'waiting'; target: number; entry: string }
  | { name: 'warming'; target: number; entry: string; attempt: number }
  | { name: 'draining'; target: number; entry: string; attempt: number }
  | { name: 'transforming'; target: number; entry: string; attempt: number }
  | { name: 'proving'; target: number; entry: string; attempt: number }
  | { name: 'activating'; target: number; entry: string; attempt: number }
  | { name: 'returning'; target: number; entry: string; attempt: number; reason: string }

/** From each phase, the phases that may follow. `transforming` follows itself after a crash, with a new attempt (L3). */
export const TRANSITIONS: Readonly<Record<PhaseName, readonly PhaseName[]>> = {
  idle: ['fetching', 'waiting'],
  fetching: ['waiting', 'fetching', 'idle'],
  waiting: ['warming', 'waiting', 'fetching', 'idle'],
  warming: ['draining', 'transforming', 'waiting', 'returning'],
  draining: ['transforming', 'returning'],
  transforming: ['proving', 'transforming', 'returning'],
  proving: ['activating', 'transforming', 'returning'],
  activating: ['idle'],
  returning: ['idle']
}

/** Phases in which the object has stopped serving for the upgrade: the permit may not be given back. */
export const BEGUN: ReadonlySet<PhaseName> = new Set(['draining', 'transforming', 'proving', 'activating', 'returning'])

export interface Failure {
  version: number
  /** Hash of the entry that failed: an entry on another branch is another upgrade. */
  entry: string
  reason: string
  /** Retries of the entry that had been stated when it failed: one more lifts the failure. */
  retries: number
}

/** Durable state of one object on one node. */
export interface ObjectState {
  object: string
  /** The committed version, its entry's hash, and the attempt whose directory holds its state; null while empty. */
  current: { version: number; entry: string; attempt: number } | null
  phase: Phase
  /** Highest attempt number ever used. */
  attempts: number
  /** Versions whose future SO was started on the current object. */
  futures: number[]
  /** Version → hash of the entry that the SO came with: after a fork the number alone does not tell (T6). */
  simulated?: Record<number, string>
  /** Entry hash → time that its `simulate` condition has counted (L21). */
  simulations?: Record<string, Progress>
  /** Those of them that the object is started without, since it died with them (L14). The TF still hears of them. */
  withheld: number[]
  /** Retries that discard future SOs and had been stated when some were withheld: one more lifts that (L15). */
  discards?: number
  failures: Failure[]
  /** How many calls failed at the version before, when it stopped for this one; null: too few to say (S24). */
  before?: Calls | null
  /** How often the upgrade on the way was cut short from outside (L20). */
  interruptions: number
  /** Of the target's schedule. */
  progress: Progress
  /** Hash of the entry that `progress` is of: who goes back without its fault does not wait for all of it again (L12). */
  progressOf?: string
}

export const emptyObject = (object: string): ObjectState => ({
  object,
  current: null,
  phase: { name: 'idle' },
  attempts: 0,
  futures: [],
  withheld: [],
  failures: [],
  interruptions: 0,
  progress: {}
})

/** L20: so often an upgrade may be cut short from outside; then it is held to be the cause, and has failed here. */
export const MOST_INTERRUPTIONS = 5

/** The state with its next phase. An illegal transition is a defect of ours, not of the world. */
export function enter(state: ObjectState, phase: Phase): ObjectState {
  if (!TRANSITIONS[state.phase.name].includes(phase.name)) {
    throw new Error(`illegal transition of ${state.object} from ${state.phase.name} to ${phase.name}`)
  }
  const attempts = 'attempt' in phase ? Math.max(state.attempts, phase.attempt) : state.attempts
  return { ...state, phase, attempts }
}

export const targetOf = (phase: Phase): number => ('target' in phase ? phase.target : 0)

/** L2: the commit, one durable write. */
export function commit(state: ObjectState): ObjectState {
  if (state.phase.name !== 'proving') throw new Error(`commit of ${state.object} while ${state.phase.name}`)
  const { target, entry, attempt } = state.phase
  const next = enter(state, { name: 'activating', target, entry, attempt })
  return {
    ...next,
    current: { version: target, entry, attempt },
    futures: state.futures.filter((one) => one > target),
    withheld: state.withheld.filter((one) => one > target),
    ...(state.simulated === undefined ? {} : { simulated: above(state.simulated, target) }),
    interruptions: 0,
    progress: {}
  }
}

const above = <Value>(byVersion: Readonly<Record<number, Value>>, target: number): Record<number, Value> =>
  Object.fromEntries(Object.entries(byVersion).filter(([version]) => Number(version) > target))

/** L4: back to the old version, for a reason that is not the new one's fault. */
export function goBack(state: ObjectState, reason: string): ObjectState {
  if (!('attempt' in state.phase)) throw new Error(`${state.object} cannot go back while ${state.phase.name}`)
  const { target, entry, attempt } = state.phase
  return enter(state, { name: 'returning', target, entry, attempt, reason })
}

/** L5: back to the old version; remembered. */
export function fail(state: ObjectState, reason: string, retries: number): ObjectState {
  const next = goBack(state, reason)
  if (next.phase.name !== 'returning') throw new Error('going back is returning')
  const { target, entry } = next.phase
  const others = state.failures.filter((one) => one.entry !== entry)
  const failures = [...others, { version: target, entry, reason, retries }].slice(-8)
  return { ...next, failures, interruptions: 0, progress: {} }
}

/** L20: the step is done again in a fresh attempt; undefined when that happened too often. */
export function repeat(state: ObjectState): ObjectState | undefined {
  const { phase } = state
  if (!('attempt' in phase)) throw new Error(`${state.object} has nothing to repeat while ${phase.name}`)
  const interruptions = state.interruptions + 1
  if (interruptions >= MOST_INTERRUPTIONS) return undefined
  const { target, entry } = phase
  const next: Phase =
    phase.name === 'warming'
      ? { name: 'waiting', target, entry }
      : { name: 'transforming', target, entry, attempt: state.attempts + 1 }
  return { ...enter(state, next), interruptions }
}

/** Where a node goes on after a restart (L3, L4, L20). */
export type Resumption =
  /** Serve what is committed; an attempt that had not stopped it is dropped. */
  | { serve: true; state: ObjectState }
  /** The old object is stopped: go on with the transform, in a fresh attempt. */
  | { serve: false; state: ObjectState; from: number }

/** @param retries of the entry on the way that have been stated, should it fail here */
export function resume(state: ObjectState, retries: number): Resumption {
  const { phase } = state
  switch (phase.name) {
    case 'idle':
    case 'fetching':
    case 'waiting':
    case 'activating':
    case 'returning':
      return { serve: true, state }
    case 'warming':
      return { serve: true, state: enter(state, { name: 'waiting', target: phase.target, entry: phase.entry }) }
    case 'draining':
    case 'transforming':
    case 'proving': {
      const again = repeat(state)
      if (again !== undefined) return { serve: false, state: again, from: phase.attempt }
      const reason = `this node's daemon or its processes were killed ${MOST_INTERRUPTIONS} times while ${phase.name}`
      return { serve: true, state: fail(state, reason, retries) }
    }
  }
}
