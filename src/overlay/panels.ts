/**
 * Panels: who is judged for an upgrade, and what their signed records show (SPEC O9, S8, S40 to S43). For the conditions
 * of the log's newest upgrades that judge others, the lowest records by place that fit each are pinned in the view and
 * offered before others, so that every peer of a fleet of any size comes to know the same ones.
 */

import { type Candidate, MAX_JUDGED, type Others, type Panel, type Shown } from '../schedule/panel.ts'
import { type Filter, keyOf, MAX_PANELS, MILLION, panelsOf, type Signalling, wholeOf } from '../schedule/schedule.ts'
import { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { PeerLimits } from './events.ts'
import { hasLeft, MAX_OBEYED, type PeerRecord } from './record.ts'
import { holdsReady, shownBy } from './shown.ts'
import type { Pins, View } from './view.ts'

/** Schedules of the log's newest upgrades whose panels are pinned, of all classes together. */
const MAX_SCHEDULES = 4

/** Panels that are looked at and not pinned, at most: more than a peer has pending upgrades with panels of their own. */
const MAX_LOOSE = 256

export interface PanelsInit {
  self: string
  group: string | null
  log: UpgradeLog
  statements: StatementSet
  readonly limits: Pick<PeerLimits, 'view' | 'degreeMax'>
  hash53(text: string): number
  readonly view: View
  isNeighbour(peer: string): boolean
  /** Cut off from all others though there are some: what is known may be old. */
  isCutOff(): boolean
}

interface Pinned {
  peer: string
  place: number
  shown: Shown
}

/** What the peers of a panel are held against: the version of an upgrade's entry, of one object. */
interface Judged {
  entry: Entry
  object: string
}

interface Pinning {
  /** The upgrade whose schedule looks at it: its hash gives the places. */
  entry: Entry
  object: string
  filter: Filter
  /** Undefined while the log knows no such class and version. */
  judged: Judged | undefined
  /** How many are pinned, and who, ascending by place. */
  most: number
  pinned: Pinned[]
  /** Whether `pinned` has to be found anew in the view. */
  stale: boolean
  /** When the peer saw that these are the ones; undefined: not looked at since. */
  since: number | undefined
  /** What was seen of them last, and at which state of view, statements and log. */
  seen?: { stamp: string; judged: readonly Candidate[] }
}

export class Panels implements Pins {
  readonly #init: PanelsInit
  #pinnings: Pinning[] = []
  /**
   * Panels that are looked at and not pinned, by object, upgrade and filter, the one looked at longest ago first: an
   * object may look at those of several upgrades in turn, to begin the next and to start future SOs.
   */
  readonly #loose = new SmallMap<string, Pinning>()
  #knownLog = 0
  #knownStatements = 0
  #news = false
  /** All that are pinned; undefined: to be listed anew. */
  #pinned: ReadonlySet<string> | undefined
  /** The place that was computed last: one peer is asked about for several panels of one upgrade. */
  #placed = { entry: '', peer: '', place: 0 }
  /** Since when the peer is not cut off; undefined while it is. */
  #connectedSince: number | undefined

  constructor(init: PanelsInit) {
    this.#init = init
  }

  /** Whether somebody in a panel has shown something new since this was last asked. */
  takeNews(): boolean {
    const news = this.#news
    this.#news = false
    return news
  }

  has(peer: string): boolean {
    const pinnings = this.#current()
    if (pinnings.length === 0) return false
    this.#pinned ??= new Set(pinnings.flatMap((one) => one.pinned.map((pinned) => pinned.peer)))
    return this.#pinned.has(peer)
  }

  wants(record: PeerRecord): boolean {
    return this.#current().some((one) => {
      if (!this.#fits(record, one)) return false
      return one.pinned.length < one.most || this.#place(one.entry, record.peer) < one.pinned.at(-1)!.place
    })
  }

  note(record: PeerRecord): void {
    for (const one of this.#current()) {
      const { pinned } = one
      const at = pinned.findIndex(({ peer }) => peer === record.peer)
      if (!this.#fits(record, one)) {
        // Others wait for it until they hear of that.
        if (at >= 0) one.stale = this.#news = true
        continue
      }
      const shown = shownBy(record, one.judged!.object, one.judged!.entry).state
      if (at >= 0) {
        if (pinned[at]!.shown !== shown) this.#news = true
        pinned[at]!.shown = shown
        continue
      }
      const place = this.#place(one.entry, record.peer)
      if (pinned.length >= one.most && place > pinned.at(-1)!.place) continue
      insert(pinned, { peer: record.peer, place, shown })
      if (pinned.length > one.most) pinned.pop()
      one.since = undefined
      this.#pinned = undefined
      this.#news = true
    }
  }

  forget(peer: string): void {
    for (const one of this.#pinnings) if (one.pinned.some((pinned) => pinned.peer === peer)) one.stale = true
  }

  /** What the schedule of an upgrade of an object looks at. */
  others(entry: Entry, object: string, now: number): Others {
    const { self } = this.#init
    return {
      self,
      version: entry.version,
      place: this.#place(entry, self),
      panel: (filter) => this.#panel(entry, object, filter, now),
      between: (from, to) => this.#between(entry, object, from, to),
      ready: (of) => this.#ready(entry, object, of, now)
    }
  }

  #panel(entry: Entry, object: string, filter: Filter, now: number): Panel {
    const key = keyOf(filter)
    const pinning =
      this.#current().find((one) => one.entry === entry && one.object === object && keyOf(one.filter) === key) ??
      this.#looseOne(entry, object, filter, key)
    if (this.#init.isCutOff()) pinning.since = undefined
    else pinning.since ??= now
    const settledMs = pinning.since === undefined ? undefined : now - pinning.since
    return { judged: this.#candidates(pinning), settledMs }
  }

  /** Those pinned; by label everybody in the view: a fleet that is fully known is judged as a whole. */
  #candidates(pinning: Pinning): readonly Candidate[] {
    const { view, statements, log } = this.#init
    const stamp = `${view.changes}.${statements.size}.${log.size}`
    if (pinning.seen?.stamp !== stamp) pinning.seen = { stamp, judged: this.#look(pinning) }
    return pinning.seen.judged
  }

  #look(pinning: Pinning): Candidate[] {
    const { filter, judged, pinned, entry } = pinning
    if (judged === undefined) return []
    const view = this.#init.view
    const candidate = (record: PeerRecord, place: number): Candidate => ({
      peer: record.peer,
      place,
      ...shownBy(record, judged.object, judged.entry)
    })
    if (filter.by !== 'label')
      return pinned.flatMap(({ peer, place }) => {
        const record = view.get(peer)
        return record?.objects[judged.object] === undefined ? [] : [candidate(record, place)]
      })
    const found: Candidate[] = []
    for (const { record } of view.all())
      if (this.#fits(record, pinning)) found.push(candidate(record, this.#place(entry, record.peer)))
    return found.sort((a, b) => a.place - b.place)
  }

  /** Of an upgrade that the newest have crowded out: they are those in the view, which nothing keeps there. */
  #looseOne(entry: Entry, object: string, filter: Filter, key: string): Pinning {
    const name = `${object} ${entry.hash} ${key}`
    const pinning = this.#loose.get(name) ?? this.#pinning(entry, object, filter)
    this.#loose.delete(name)
    this.#loose.set(name, pinning)
    if (this.#loose.size > MAX_LOOSE) this.#loose.delete(this.#loose.keys().next().value!)
    pinning.most = MAX_JUDGED
    pinning.judged = this.#judgedBy(entry, object, filter)
    return this.#find(pinning)
  }

  #between(entry: Entry, object: string, from: number, to: number): { known: number; run: number } {
    const counts = { known: 0, run: 0 }
    for (const { record } of this.#init.view.all()) {
      if (record.peer === this.#init.self || !this.#mayBe(record, object)) continue
      const place = this.#place(entry, record.peer)
      if (place <= from || place >= to) continue
      counts.known += 1
      if (shownBy(record, object, entry).state === 'runs') counts.run += 1
    }
    return counts
  }

  /** S43. */
  #ready(entry: Entry, object: string, of: Signalling, now: number): ReturnType<Others['ready']> {
    const around = this.#init
    const { self, group } = around
    this.#connectedSince = around.isCutOff() ? undefined : (this.#connectedSince ?? now)
    const settledMs = this.#connectedSince === undefined ? undefined : now - this.#connectedSince
    const counts = { known: 0, ready: 0, settledMs }
    for (const { record } of this.#init.view.all()) {
      const counted =
        of === 'sample' ||
        record.peer === self ||
        (of === 'group' ? record.group === group : around.isNeighbour(record.peer))
      if (!counted || (of === 'group' && group === null && record.peer !== self)) continue
      if (!this.#mayBe(record, object)) continue
      counts.known += 1
      if (holdsReady(record, object, entry)) counts.ready += 1
    }
    if (of === 'group' && group !== null) counts.known = Math.max(counts.known, this.#members(group))
    return counts
  }

  /** Of the newest roster, those excluded left out: a member that is not heard of holds nothing ready. */
  #members(group: string): number {
    const { statements, view } = this.#init
    const number = statements.newestRoster(group)
    const members = statements.roster(group, number)?.members ?? []
    return members.filter((peer) => !statements.excluded(group, peer, number) && !this.#leaves(view.get(peer))).length
  }

  #fits(record: PeerRecord, { entry, filter, judged }: Pinning): boolean {
    if (judged === undefined || !this.#mayBe(record, judged.object)) return false
    if (filter.by === 'label') return filter.values.includes(record.labels[filter.label] ?? '')
    if (filter.by === 'class') return true
    const place = this.#place(entry, record.peer) * MILLION
    return place >= filter.from && place < filter.to
  }

  /** S9. */
  #mayBe(record: PeerRecord, object: string): boolean {
    if (this.#leaves(record) || record.objects[object] === undefined) return false
    return !this.#init.statements.excludedAnywhere(record.peer)
  }

  /** Who is ordered to leave begins nothing more, and its farewell may be heard by few (O12). */
  #leaves(record: PeerRecord | undefined): boolean {
    if (record === undefined || hasLeft(record)) return record !== undefined
    return Math.min(MAX_OBEYED, this.#init.statements.leaves(record.peer).length) > (record.obeyed ?? 0)
  }

  #place({ hash }: Entry, peer: string): number {
    const last = this.#placed
    if (last.entry === hash && last.peer === peer) return last.place
    const place = this.#init.hash53(`${hash}/${peer}`) / 2 ** 53
    this.#placed = { entry: hash, peer, place }
    return place
  }

  #judgedBy(entry: Entry, object: string, filter: Filter): Judged | undefined {
    if (filter.by !== 'class') return { entry, object }
    const found = this.#init.log.schemaOf(entry.hash).lineageAt(filter.class, filter.version)
    return found === undefined ? undefined : { entry: found.entry, object: found.object }
  }

  /** The panels of the log as it is now, with their lowest peers. */
  #current(): readonly Pinning[] {
    const { log, statements } = this.#init
    if (log.size !== this.#knownLog) {
      this.#knownLog = log.size
      this.#pinnings = this.#listed()
      this.#pinned = undefined
    }
    if (statements.size !== this.#knownStatements) {
      this.#knownStatements = statements.size
      for (const one of this.#pinnings) one.stale = true
    }
    for (const one of this.#pinnings) if (one.stale) this.#find(one)
    return this.#pinnings
  }

  #listed(): Pinning[] {
    const { log, limits } = this.#init
    // Records pinned in all, at most.
    const room = Math.floor((limits.view - limits.degreeMax) / 2)
    const schedules: Pinning[][] = []
    for (const [object, versions] of log.schema.lineages) {
      const classes = versions.map((one) => one.className)
      for (const { entry, upgrade } of versions) {
        const { schedule, simulate = schedule.when } = upgrade
        const filters = panelsOf({ kind: 'all', of: [wholeOf(schedule), simulate] }, classes)
        if (filters.length > 0) schedules.push(filters.map((filter) => this.#pinning(entry, object, filter)))
      }
    }
    const newest = schedules.sort((a, b) => b[0]!.entry.version - a[0]!.entry.version).slice(0, MAX_SCHEDULES)
    const listed = newest.flat().slice(0, Math.max(1, Math.min(MAX_PANELS, room)))
    const most = Math.max(1, Math.min(MAX_JUDGED, Math.floor(room / Math.max(1, listed.length))))
    return listed.map((one) => ({ ...one, most }))
  }

  #pinning(entry: Entry, object: string, filter: Filter): Pinning {
    const judged = this.#judgedBy(entry, object, filter)
    return { entry, object, filter, judged, most: 0, pinned: [], stale: true, since: undefined }
  }

  /** Finds the lowest in the view: after the log, a statement or an eviction changed who they are. */
  #find(pinning: Pinning): Pinning {
    const { entry, judged, most } = pinning
    const before = pinning.pinned
    pinning.pinned = []
    pinning.stale = false
    for (const { record } of this.#init.view.all()) {
      if (!this.#fits(record, pinning)) continue
      const place = this.#place(entry, record.peer)
      if (pinning.pinned.length >= most && place > pinning.pinned.at(-1)!.place) continue
      const shown = shownBy(record, judged!.object, judged!.entry).state
      insert(pinning.pinned, { peer: record.peer, place, shown })
      if (pinning.pinned.length > most) pinning.pinned.pop()
    }
    const { pinned } = pinning
    const same = before.length === pinned.length && before.every((one, at) => one.peer === pinned[at]?.peer)
    if (!same) {
      pinning.since = undefined
      this.#pinned = undefined
    }
    return pinning
  }
}

function insert(pinned: Pinned[], one: Pinned): void {
  const at = pinned.findIndex((other) => other.place > one.place)
  pinned.splice(at < 0 ? pinned.length : at, 0, one)
}
