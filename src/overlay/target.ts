/**
 * Which version an object is on its way to (SPEC L1, L5, L11): strictly the next one; without state, the newest that its
 * schedule permits now (S10). None while the log disputes it, after it failed here, or when it or what it stands on is aborted.
 */
import { type ConstraintFacts, evaluateConstraints } from '../schedule/constraints.ts'
import { evaluate } from '../schedule/evaluate.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { Statement } from '../upgrade/statement.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Failure, ObjectState } from './lifecycle.ts'

export type Choice = { target: LineageVersion } | { target: undefined; reason: string }

interface Knowledge {
  log: UpgradeLog
  statements: StatementSet
  self: string
}

interface Sight extends Knowledge {
  readonly labels: Readonly<Record<string, string>>
  /** What the schedule of an upgrade looks at. */
  facts(entry: Entry, object: string): ConstraintFacts
}

/** The abort that covers an entry: its own, or that of an entry which it was chained on and does not replace (L11, R1). */
export function abortOf({ log, statements }: Knowledge, entry: Entry): Statement | undefined {
  const replaced = new Set<string>()
  for (let one: Entry | undefined = entry; one !== undefined; one = log.get(one.parent)) {
    const abort = replaced.has(one.hash) ? undefined : statements.abort(one.hash)
    if (abort !== undefined) return abort
    for (const hash of one.manifest.replaces ?? []) replaced.add(hash)
  }
  return undefined
}

/** Why an object that is on its way to `entry` must not get there: in words, or undefined. */
export function forbidden(knowledge: Knowledge, entry: string): string | undefined {
  const { log } = knowledge
  const known = log.get(entry)
  if (known === undefined || log.at(known.version) !== known) return 'the log forked at this version'
  const replacement = log.schema.replaced.get(entry)
  if (replacement !== undefined) return `it is replaced by version ${replacement.version}`
  const abort = abortOf(knowledge, known)
  return abort === undefined ? undefined : `aborted by statement ${abort.hash.slice(0, 12)}`
}

/** A failure of this entry that no retry has lifted since. */
export function failureOf({ statements, self }: Knowledge, state: ObjectState, entry: string): Failure | undefined {
  const failure = state.failures.find((one) => one.entry === entry)
  return failure === undefined || failure.retries < statements.retries(entry, self) ? undefined : failure
}

export function chooseTarget(state: ObjectState, knowledge: Sight, now: number): Choice {
  return state.current === null ? firstTarget(state, knowledge, now) : nextTarget(state, state.current, knowledge)
}

/** L1, S10: without state the newest version that its schedule permits now, else the newest; never a forbidden one. */
function firstTarget(state: ObjectState, knowledge: Sight, now: number): Choice {
  const { schema } = knowledge.log
  let reason = ''
  let newest: LineageVersion | undefined
  for (const one of schema.versions(state.object).toReversed()) {
    if (schema.replaced.has(one.entry.hash)) continue
    const obstacle = obstacleTo(one, state, knowledge)
    if (obstacle === undefined && isPermitted(one, state.object, knowledge, now)) return { target: one }
    if (obstacle === undefined) newest ??= one
    else if (reason === '') reason = obstacle
  }
  return newest === undefined ? { target: undefined, reason } : { target: newest }
}

/** The pause that keeps this object of this peer from an upgrade, if there is one. */
export function pauseOf(
  { upgrade, entry }: LineageVersion,
  { statements, self, labels }: Pick<Sight, 'statements' | 'self' | 'labels'>,
  now: number
): Statement | undefined {
  return statements.pauses(entry.hash, now, { peer: self, labels, classes: [upgrade.from, upgrade.to] })[0]
}

function isPermitted(one: LineageVersion, object: string, sight: Sight, now: number): boolean {
  if (pauseOf(one, sight, now) !== undefined) return false
  const { when, constraints } = one.upgrade.schedule
  const facts = sight.facts(one.entry, object)
  if (!sight.statements.hastened(one.entry.hash) && !evaluate(when, {}, 0, facts).go) return false
  return evaluateConstraints(constraints, {}, 0, facts, false).go
}

function nextTarget(state: ObjectState, held: { version: number; entry: string }, knowledge: Knowledge): Choice {
  const step = knowledge.log.schema.stepFrom(state.object, held)
  if (step === undefined) return { target: undefined, reason: '' }
  const { target, way } = step
  if (way === undefined) {
    // It runs a branch that the fleet went past (T6), or disputes; whoever ends the fork may not have known of this one.
    const isOnChain = knowledge.log.at(held.version)?.hash === held.entry
    const reason = `version ${target.version} brings no way from version ${held.version} (${held.entry.slice(0, 12)}) that runs here; replace it with one that does`
    return { target: undefined, reason: isOnChain || knowledge.log.fork.length === 0 ? reason : '' }
  }
  const obstacle = obstacleTo(target, state, knowledge)
  return obstacle === undefined ? { target } : { target: undefined, reason: obstacle }
}

function obstacleTo(one: LineageVersion, state: ObjectState, knowledge: Knowledge): string | undefined {
  const abort = abortOf(knowledge, one.entry)
  if (abort !== undefined) {
    const note = abort.body.note === '' ? '' : ` (${abort.body.note})`
    return `version ${one.version} is aborted by statement ${abort.hash.slice(0, 12)}${note}`
  }
  const failure = failureOf(knowledge, state, one.entry.hash)
  return failure === undefined ? undefined : `went back from version ${failure.version}: ${failure.reason}`
}
