/**
 * Which version an object is on its way to (SPEC L1, L5, L11): strictly the next one; without state, the newest. None while
 * the log disputes it, after it failed here, or when it or what it stands on is aborted.
 */
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

/** The abort that covers an entry: its own, or that of an entry which it was chained on. */
export function abortOf({ log, statements }: Knowledge, entry: Entry): Statement | undefined {
  for (let one: Entry | undefined = entry; one !== undefined; one = log.get(one.parent)) {
    const abort = statements.abort(one.hash)
    if (abort !== undefined) return abort
  }
  return undefined
}

/** A failure of this entry that no retry has lifted since. */
export function failureOf({ statements, self }: Knowledge, state: ObjectState, entry: string): Failure | undefined {
  const failure = state.failures.find((one) => one.entry === entry)
  return failure === undefined || failure.retries < statements.retries(entry, self) ? undefined : failure
}

export function chooseTarget(state: ObjectState, knowledge: Knowledge): Choice {
  const { schema } = knowledge.log
  const { current, object } = state
  if (current !== null && knowledge.log.at(current.version)?.hash !== current.entry)
    return { target: undefined, reason: '' }
  const versions = current === null ? schema.versions(object).toReversed() : [schema.next(object, current.version)]
  let reason = ''
  for (const one of versions) {
    if (one === undefined) continue
    const obstacle = obstacleTo(one, state, knowledge)
    if (obstacle === undefined) return { target: one }
    if (reason === '') reason = obstacle
  }
  return { target: undefined, reason }
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
