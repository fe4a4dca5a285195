/**
 * How an upgrade fares elsewhere, for guards (SPEC S22): shares of the view's sample, counted anew only when the view or
 * the statements changed; and of the whole fleet, by the census, where the view is not the whole (O24).
 */

import type { Culprit, Evidence } from '../schedule/constraints.ts'
import { conditionsOf, type Schedule, wholeOf } from '../schedule/schedule.ts'
import { SmallMap, SmallSet } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import { type Census, keyOf } from './census.ts'
import { hasLeft, type ObjectRecord, type PeerRecord } from './record.ts'
import { gotWorse, shownBy } from './shown.ts'
import type { View } from './view.ts'

/** One peer's calls weigh no more than these, whatever it tells: it could outweigh, and so hide, those of all others. */
const MOST_WEIGHT = 4096
/** Named in a verdict, at most. */
const MAX_CULPRITS = 8
/** Upgrades that neighbours hear of at once when they go badly somewhere: the log's newest. */
const MAX_GUARDED = 4

const NONE = new SmallSet<string>()

export class Guards {
  readonly #log: UpgradeLog
  readonly #statements: StatementSet
  readonly #view: View
  readonly #census: Census
  readonly #clock: { now(): number }
  /** Of each object, what was counted last. */
  readonly #counted = new SmallMap<string, { entry: Entry; seen: number; evidence: Evidence }>()
  #knownLog = -1
  #guarded: { object: string; entry: Entry }[] = []
  /** Lines of the census that a schedule may look at, by key: of those guarded, and of those that code decides about. */
  #watched = NONE

  constructor(parts: { log: UpgradeLog; statements: StatementSet; view: View; census: Census; now(): number }) {
    const { log, statements, view } = parts
    this.#census = parts.census
    this.#clock = parts
    this.#log = log
    this.#statements = statements
    this.#view = view
  }

  evidence(entry: Entry, object: string): readonly Evidence[] {
    const seen = this.#view.changes + this.#statements.size
    const known = this.#counted.get(object)
    if (known?.entry === entry && known.seen === seen) return [known.evidence, ...this.#fleetwide(entry, object)]
    const evidence = this.#count(entry, object)
    this.#counted.set(object, { entry, seen, evidence })
    return [evidence, ...this.#fleetwide(entry, object)]
  }

  #fleetwide(entry: Entry, object: string): Evidence[] {
    const reading = this.#view.isFull ? this.#census.read(entry, object, this.#clock.now()) : undefined
    if (reading === undefined) return []
    const { reached, failed } = reading
    const calls = { calls: 0, failed: 0, expected: 0, before: 0 }
    const of = 'the fleet, by the census,'
    return [{ of, tried: reached + failed, failed, run: reached, unhealthy: 0, calls, culprits: [] }]
  }

  /** Whether a record shows what some guard would halt for: such news must not wait for the next slow round. */
  isAlarming(record: PeerRecord): boolean {
    this.#list()
    return this.#guarded.some(({ object, entry }) => {
      const seen = record.objects[object]
      if (seen === undefined) return false
      const { state } = shownBy(record, object, entry)
      return state === 'failed' || state === 'sick' || (seen.version === entry.version && gotWorse(seen.calls))
    })
  }

  /** Whether a schedule may look at a line of the census (O21). */
  isWatched(key: string): boolean {
    this.#list()
    return this.#watched.has(key)
  }

  #list(): void {
    if (this.#knownLog === this.#log.size) return
    this.#knownLog = this.#log.size
    this.#guarded = this.#newest(({ constraints }) => constraints.some(({ kind }) => kind === 'guard'))
    const coded = this.#newest((schedule) => [...conditionsOf(wholeOf(schedule))].some(({ kind }) => kind === 'custom'))
    this.#watched = new SmallSet(
      [...this.#guarded, ...coded].map(({ object, entry }) => keyOf(object, entry.hash.slice(0, 16)))
    )
  }

  #newest(fits: (schedule: Schedule) => boolean): { object: string; entry: Entry }[] {
    const listed: { object: string; entry: Entry }[] = []
    for (const [object, versions] of this.#log.schema.lineages)
      for (const { entry, upgrade } of versions) if (fits(upgrade.schedule)) listed.push({ object, entry })
    return listed.sort((a, b) => b.entry.version - a.entry.version).slice(0, MAX_GUARDED)
  }

  #count(entry: Entry, object: string): Evidence {
    const counts = { tried: 0, failed: 0, run: 0, unhealthy: 0 }
    const culprits: Culprit[] = []
    const calls = { calls: 0, failed: 0, expected: 0, before: 0 }
    const blame = (peer: string, what: Culprit['what'], reason: string): void => {
      if (culprits.filter((one) => one.what === what).length < MAX_CULPRITS) culprits.push({ peer, what, reason })
    }
    for (const record of this.#view.sample()) {
      if (record.objects[object] === undefined || hasLeft(record) || this.#statements.excludedAnywhere(record.peer))
        continue
      const { state, reason } = shownBy(record, object, entry)
      const runs = state === 'runs' || state === 'sick'
      if (!runs && state !== 'failed') continue
      counts.tried += 1
      if (runs) counts.run += 1
      const worse = record.objects[object].version === entry.version && compare(record.objects[object].calls, calls)
      if (worse) blame(record.peer, 'worse', worse)
      if (state === 'runs') continue
      const what = state === 'failed' ? 'failed' : 'unhealthy'
      counts[what] += 1
      blame(record.peer, what, reason)
    }
    return { of: 'the peers known', ...counts, calls, culprits }
  }
}

/** S23: adds one peer's calls; in words if they got worse. */
function compare(
  calls: ObjectRecord['calls'],
  all: { calls: number; failed: number; expected: number; before: number }
): string | false {
  if (calls === undefined) return false
  const { now, before } = calls
  const weight = Math.min(now.calls, MOST_WEIGHT)
  all.calls += weight
  all.failed += weight * (now.failed / now.calls)
  all.expected += weight * (before.failed / before.calls)
  all.before += Math.min(before.calls, MOST_WEIGHT)
  if (!gotWorse(calls)) return false
  return `${now.failed} of ${now.calls} calls fail, ${before.failed} of ${before.calls} did before`
}
