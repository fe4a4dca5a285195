/**
 * Who the canaries of an upgrade are, and what their signed records show (SPEC O9, S7 to S9). For each canary condition
 * of the log's newest upgrades the lowest records by place are pinned in the view and offered before others, so that
 * every peer of a fleet of any size comes to know the same ones.
 */
import { type CanaryFacts, type CanaryState, type Candidate, MAX_JUDGED } from '../schedule/canary.ts'
import { namesCanaries } from '../schedule/schedule.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import { BEGUN } from './lifecycle.ts'
import { hasLeft, type ObjectRecord, type PeerRecord } from './record.ts'
import type { Pins, View } from './view.ts'

/** Conditions of the log's newest upgrades whose canaries are pinned. */
const MAX_CONDITIONS = 4

export interface CanariesInit {
  self: string
  log: UpgradeLog
  statements: StatementSet
  /** Records pinned in all, at most. */
  room: number
  hash53(text: string): number
  view(): View
  /** Cut off from all others though there are some: what is known may be old. */
  isCutOff(): boolean
}

interface Pinned {
  peer: string
  place: number
  shown: CanaryState
}

/** One canary condition: of an upgrade's entry, for one object. */
interface Condition {
  entry: Entry
  object: string
  /** How many are pinned, and who, ascending by place. */
  most: number
  pinned: Pinned[]
  /** Whether `pinned` has to be found anew in the view. */
  stale: boolean
  /** When the peer saw that these are the ones; undefined: not looked at since. */
  since: number | undefined
}

export class Canaries implements Pins {
  readonly #init: CanariesInit
  #conditions: Condition[] = []
  /** Of each object, the condition that it waits for, where that is none of these. */
  readonly #older = new Map<string, Condition>()
  #knownLog = 0
  #knownStatements = 0
  #news = false
  /** All that are pinned; undefined: to be listed anew. */
  #pinned: ReadonlySet<string> | undefined

  constructor(init: CanariesInit) {
    this.#init = init
  }

  /** Whether a canary has shown something new since this was last asked. */
  takeNews(): boolean {
    const news = this.#news
    this.#news = false
    return news
  }

  has(peer: string): boolean {
    const conditions = this.#current()
    this.#pinned ??= new Set(conditions.flatMap((one) => one.pinned.map((pinned) => pinned.peer)))
    return this.#pinned.has(peer)
  }

  wants(record: PeerRecord): boolean {
    return this.#current().some((condition) => {
      if (!this.#mayBe(record, condition.object)) return false
      const last = condition.pinned.at(-1)
      return condition.pinned.length < condition.most || this.#place(condition.entry, record.peer) < last!.place
    })
  }

  note(record: PeerRecord): void {
    for (const condition of this.#current()) {
      const { pinned } = condition
      const at = pinned.findIndex((one) => one.peer === record.peer)
      if (!this.#mayBe(record, condition.object)) {
        if (at >= 0) condition.stale = true
        continue
      }
      const shown = shownBy(record.objects[condition.object]!, condition.entry).state
      if (at >= 0) {
        if (pinned[at]!.shown !== shown) this.#news = true
        pinned[at]!.shown = shown
        continue
      }
      const place = this.#place(condition.entry, record.peer)
      if (pinned.length >= condition.most && place > pinned.at(-1)!.place) continue
      insert(pinned, { peer: record.peer, place, shown })
      if (pinned.length > condition.most) pinned.pop()
      condition.since = undefined
      this.#pinned = undefined
      this.#news = true
    }
  }

  forget(peer: string): void {
    for (const condition of this.#conditions)
      if (condition.pinned.some((one) => one.peer === peer)) condition.stale = true
  }

  facts(entry: Entry, object: string, now: number): CanaryFacts {
    const { self } = this.#init
    const view = this.#init.view()
    const pinned = this.#current().find((one) => one.entry === entry && one.object === object)
    const condition = pinned ?? this.#olderOne(entry, object)
    if (this.#init.isCutOff()) condition.since = undefined
    else condition.since ??= now
    const lowest = condition.pinned.flatMap(({ peer, place }): Candidate[] => {
      const seen = view.get(peer)?.objects[object]
      return seen === undefined ? [] : [{ peer, place, ...shownBy(seen, entry) }]
    })
    return {
      self,
      version: entry.version,
      place: this.#place(entry, self),
      lowest,
      settledMs: condition.since === undefined ? undefined : now - condition.since,
      above: (place) => this.#above(entry, object, place)
    }
  }

  /** Of an upgrade that the newest have crowded out: its canaries are those in the view, which nothing keeps there. */
  #olderOne(entry: Entry, object: string): Condition {
    const known = this.#older.get(object)
    const fresh = { entry, object, most: MAX_JUDGED, pinned: [], stale: true, since: undefined }
    const condition = known?.entry === entry ? known : fresh
    this.#older.set(object, condition)
    return this.#find(condition)
  }

  #above(entry: Entry, object: string, place: number): { known: number; run: number } {
    const counts = { known: 0, run: 0 }
    for (const { record } of this.#init.view().all()) {
      if (record.peer === this.#init.self || !this.#mayBe(record, object)) continue
      if (this.#place(entry, record.peer) <= place) continue
      counts.known += 1
      if (shownBy(record.objects[object]!, entry).state === 'runs') counts.run += 1
    }
    return counts
  }

  /** S9. */
  #mayBe(record: PeerRecord, object: string): boolean {
    if (hasLeft(record)) return false
    return (
      record.objects[object] !== undefined && !hasLeft(record) && !this.#init.statements.excludedAnywhere(record.peer)
    )
  }

  #place(entry: Entry, peer: string): number {
    return this.#init.hash53(`${entry.hash}/${peer}`) / 2 ** 53
  }

  /** The conditions of the log as it is now, with their lowest peers. */
  #current(): readonly Condition[] {
    const { log, statements } = this.#init
    if (log.size !== this.#knownLog) {
      this.#knownLog = log.size
      this.#conditions = this.#listed()
      this.#pinned = undefined
    }
    if (statements.size !== this.#knownStatements) {
      this.#knownStatements = statements.size
      for (const one of this.#conditions) one.stale = true
    }
    for (const one of this.#conditions) if (one.stale) this.#find(one)
    return this.#conditions
  }

  #listed(): Condition[] {
    const { log, room } = this.#init
    const listed: Condition[] = []
    for (const [object, versions] of log.schema.lineages)
      for (const { entry, upgrade } of versions)
        if (namesCanaries(upgrade.schedule.when))
          listed.push({ entry, object, most: 0, pinned: [], stale: true, since: undefined })
    const newest = listed.sort((a, b) => b.entry.version - a.entry.version).slice(0, MAX_CONDITIONS)
    const most = Math.max(1, Math.min(MAX_JUDGED, Math.floor(room / Math.max(1, newest.length))))
    return newest.map((one) => ({ ...one, most }))
  }

  /** Finds the lowest in the view: after the log, a statement or an eviction changed who they are. */
  #find(condition: Condition): Condition {
    const { entry, object, most } = condition
    const before = condition.pinned
    condition.pinned = []
    condition.stale = false
    for (const { record } of this.#init.view().all()) {
      if (!this.#mayBe(record, object)) continue
      const place = this.#place(entry, record.peer)
      if (condition.pinned.length >= most && place > condition.pinned.at(-1)!.place) continue
      const shown = shownBy(record.objects[object]!, entry).state
      insert(condition.pinned, { peer: record.peer, place, shown })
      if (condition.pinned.length > most) condition.pinned.pop()
    }
    const same =
      before.length === condition.pinned.length && before.every((one, at) => one.peer === condition.pinned[at]?.peer)
    if (!same) {
      condition.since = undefined
      this.#pinned = undefined
    }
    return condition
  }
}

function insert(pinned: Pinned[], one: Pinned): void {
  const at = pinned.findIndex((other) => other.place > one.place)
  pinned.splice(at < 0 ? pinned.length : at, 0, one)
}

/** S8. A peer that starts, or is down for its next upgrade, has shown nothing against the version. */
function shownBy(object: ObjectRecord, entry: Entry): { state: CanaryState; reason: string } {
  if (object.version < entry.version || (object.version === entry.version && !entry.hash.startsWith(object.entry))) {
    const failure = object.failed.find((one) => one.version === entry.version)
    return failure === undefined
      ? { state: 'behind', reason: object.reason }
      : { state: 'failed', reason: failure.reason }
  }
  const goesOn = BEGUN.has(object.phase) && object.target > object.version
  if (object.serving || goesOn) return { state: 'runs', reason: '' }
  return object.reason === '' ? { state: 'behind', reason: '' } : { state: 'sick', reason: object.reason }
}
