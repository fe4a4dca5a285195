/**
 * The census: how many peers of the whole fleet run, simulate and failed a version, in constant state (SPEC O21 to O24).
 * Each peer adds itself to sketches that neighbours merge. What a peer is no more leaves with the epoch: in a new one
 * everybody adds only what it is then. No clock is compared: epochs are numbers, the highest heard of counts.
 */

import type { Generator } from '../prng.ts'
import { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { Schema } from '../upgrade/schema.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import { COUNTED, type Count, type Counted } from './counted.ts'
import type { PeerLimits } from './events.ts'
import { MAX_COUNTED_VERSIONS, type MessageOf } from './messages.ts'
import type { Outbox } from './outbox.ts'
import {
  checksum,
  type Element,
  EMPTY,
  elementOf,
  estimate,
  REGISTERS,
  type Sketch,
  union,
  withElement
} from './sketch.ts'

const HOUR_MS = 3_600_000
const NONE: readonly Count[] = []
/** Epochs of a large fleet last so many times as long. */
const LARGE_EPOCHS = 3
/** Peers of a fleet in which each tells news as rarely as ever; in a smaller one, where less is new, more often. */
const LARGE = 1000
/** How far ahead of this peer's clock an hour may be that another one tells. */
const MAX_SKEW_HOURS = 24

export interface CensusReading {
  /** It or a later one. */
  reached: number
  run: number
  simulate: number
  failed: number
  /** What was counted may have ended since it began, so long ago, ms. */
  ageMs: number
}

/** One version of one object. */
interface Line {
  readonly object: string
  readonly version: number
  /** First 16 digits of the entry's hash. */
  readonly entry: string
  readonly run?: Sketch | undefined
  readonly simulate?: Sketch | undefined
  readonly failed?: Sketch | undefined
  /** Retries for everybody that were stated of the entry: a later one makes earlier failures count no more. */
  readonly retries: number
  /** The hour since 1970 in which a call at this version was last answered somewhere; 0: none was heard of. */
  readonly called: number
}

type Lines = SmallMap<string, Line>

export interface CensusParts {
  log: UpgradeLog
  statements: StatementSet
  limits: PeerLimits
  generator: Generator
  outbox: Outbox
  /** Whether the fleet is larger than what a peer knows of it. */
  readonly view: { readonly isFull: boolean }
  /** Whether the schedule of an upgrade may look at the census; by key of the line. */
  readonly guards: { isWatched(key: string): boolean }
}

/** What is told of what is counted here. */
type Told = Pick<MessageOf<'census'>, 'epoch' | 'lines' | 'before' | 'whole'>

export const keyOf = (object: string, entry: string): string => `${object}/${entry}`

export class Census {
  readonly #parts: CensusParts
  readonly #element: Element
  #epoch = 1
  #enteredAt: number | undefined
  #bornAt: number | undefined
  /** When this epoch may end, if somebody is counted who is no more what is counted. */
  #endsAt = Number.POSITIVE_INFINITY
  #lines: Lines = new SmallMap()
  /** The last epoch's, until this one has settled. */
  #before: Lines = new SmallMap()
  #own: readonly Count[] = NONE
  /** Somebody is counted in this epoch who is that no more. */
  #outdated = false
  /** Whether all that this peer's neighbours know is here: else there is no reading. */
  #whole = false
  /** When neighbours were last told what is counted here, and when they are to be told again: there is something new. */
  #toldAt = Number.NEGATIVE_INFINITY
  #dueAt = Number.POSITIVE_INFINITY
  /** How large the fleet is, as far as that matters: as a share of one in which news is told most rarely. */
  #share = 0
  /** Until then a schedule may wait for what is told: it had something new of its upgrade. */
  #hurriesUntil = Number.NEGATIVE_INFINITY
  #digest: string | undefined
  /** Grows with whatever may change a reading. */
  #changes = 0
  /** Counted versions, by key; made anew with the log. */
  #counted: ReadonlyMap<string, { object: string; entry: Entry }> = new SmallMap()
  #knownLog = -1
  #knownStatements = -1

  constructor(self: string, hash53: (text: string) => number, parts: CensusParts) {
    this.#parts = parts
    this.#element = elementOf(hash53(`census/${self}`))
  }

  get changes(): number {
    return this.#changes
  }

  /** Of all that is counted here; equal on peers that count the same. */
  get digest(): string {
    this.#countedNow()
    if (this.#digest !== undefined) return this.#digest
    let sum = 0
    for (const [key, line] of this.#lines) {
      let part = checksumOf(key)
      for (const what of COUNTED)
        part = Math.imul(part ^ checksum(line[what] ?? EMPTY), 0x01000193) + line.retries + line.called
      sum = (sum + (part >>> 0)) % 2 ** 32
    }
    this.#digest = this.#lines.size === 0 ? '' : `${this.#epoch}.${sum.toString(16)}`
    return this.#digest
  }

  /** What this peer is now. Whoever is less than before is counted wrongly until the next epoch. Returns as `onMessage` does. */
  own(counts: readonly Count[], now: number): number | undefined {
    const is = (count: Count) => counts.some((one) => same(one, count))
    if (!this.#own.every(is)) this.#expire(now)
    this.#own = counts
    const added = this.#addOwn()
    if (added === undefined) return undefined
    if (this.#parts.guards.isWatched(added)) this.#hurry(now)
    return this.#soon(this.#parts.limits.censusMs, now)
  }

  /** When neighbours are to be told what is new, in a large fleet: with a round, or without one. Infinity: nothing is. */
  get dueAt(): number {
    return this.#dueAt
  }

  /** What goes with a summary now; undefined while there is nothing new, or it is not yet time. */
  take(now: number): Told | undefined {
    if (now < this.#dueAt) return undefined
    this.#toldAt = now
    this.#dueAt = Number.POSITIVE_INFINITY
    const sizes = [...this.#parts.log.schema.lineages.keys()].map((object) => this.size(object))
    this.#share = Math.min(1, Math.max(...sizes) / LARGE)
    return this.#told(false)
  }

  /** Somebody who was counted has gone. */
  lost(now: number): void {
    this.#expire(now)
  }

  /** Begins a new epoch when it is time. Returns when that is, ms. */
  turn(now: number): number {
    this.#enteredAt ??= now
    this.#bornAt ??= now
    const settlesAt = this.#enteredAt + this.#settleMs
    if (now >= settlesAt && this.#before.size > 0) {
      this.#before.clear()
      this.#changes += 1
    }
    if (now >= this.#bornAt + this.#parts.limits.epochMs / 6) this.#becomeWhole()
    if (now >= this.#endsAt) this.#enter(this.#epoch + 1, now)
    return this.#before.size > 0 ? Math.min(this.#endsAt, this.#enteredAt + this.#settleMs) : this.#endsAt
  }

  #becomeWhole(): void {
    if (!this.#whole) this.#changes += 1
    this.#whole = true
  }

  /** A neighbour counts something else: tell it what is counted here, and hear what it counts. Returns as `onMessage` does. */
  onSummary(from: string, { census, counts }: MessageOf<'summary'>, now: number): number | undefined {
    if (counts !== undefined) return this.#onTold(from, { ...counts, digest: census, answer: !counts.whole }, now)
    if (census === this.digest || now < this.#toldAt + this.#againMs(now)) return undefined
    this.#toldAt = now
    this.#tell(from, true, false)
    return undefined
  }

  /** Returns how soon a round should tell neighbours of it, ms; undefined if there is nothing new, or it can wait (`dueAt`). */
  onMessage(from: string, message: MessageOf<'census'>, now: number): number | undefined {
    // The exchange is not one-sided: what is new by it was told to one neighbour, at least.
    if (message.answer) this.#toldAt = now
    return this.#onTold(from, message, now)
  }

  #onTold(from: string, message: Told & { digest: string; answer: boolean }, now: number): number | undefined {
    this.#enteredAt ??= now
    if (message.epoch > this.#epoch && this.#mayEnter(message.epoch, now)) this.#enter(message.epoch, now)
    let soonMs: number | undefined
    if (message.epoch === this.#epoch) {
      const before = this.digest
      soonMs = this.#merge(this.#lines, message.lines, now)
      this.#merge(this.#before, message.before, now)
      this.#digest = undefined
      if (message.whole) this.#becomeWhole()
      // What is not new is told, too, until everybody counts the same in this epoch.
      if (this.digest !== before) {
        soonMs ??= this.#parts.limits.censusMs * 5
        this.#changes += 1
      }
    }
    const lacks = message.digest !== this.digest || (this.#whole && !message.whole)
    if (message.answer && message.epoch <= this.#epoch && lacks) this.#tell(from, false, !message.whole)
    return soonMs === undefined ? undefined : this.#soon(soonMs, now)
  }

  /** A schedule may look at what is new: for some time all is told as fast as in a small fleet. */
  #hurry(now: number): void {
    this.#hurriesUntil = now + this.#parts.limits.censusLargeMs
  }

  /**
   * O21: in a small fleet rounds tell it. In a large one, where there is always something new while an upgrade rolls out,
   * each peer tells and hears it few times, however much changes: unless a schedule may wait for it.
   */
  #soon(soonMs: number, now: number): number | undefined {
    if (!this.#parts.view.isFull) return soonMs
    const hopMs = Math.ceil(soonMs * this.#parts.generator.fraction())
    const againMs = now < this.#hurriesUntil ? soonMs : this.#againMs(now)
    this.#dueAt = Math.min(this.#dueAt, Math.max(now + hopMs, this.#toldAt + againMs))
    return undefined
  }

  /** Least time from one exchange to the next. */
  #againMs(now: number): number {
    const { censusMs, censusLargeMs } = this.#parts.limits
    if (!this.#parts.view.isFull) return 0
    if (now < this.#hurriesUntil) return censusMs / 12
    return Math.max(2 * censusMs, censusLargeMs * this.#share)
  }

  /** How many peers run, simulate and failed a version; undefined while too little was heard. */
  read(entry: Entry, object: string, now: number): CensusReading | undefined {
    const key = keyOf(object, entry.hash.slice(0, 16))
    if (!this.#whole || this.#enteredAt === undefined || !this.#countedNow().has(key)) return undefined
    const [reached, later] = [this.#reached(object, entry.version), this.#reached(object, entry.version + 1)].map(
      estimate
    )
    const run = lessThose(estimate(this.#sketch(key, 'run')), reached!, later!)
    const simulate = lessThose(estimate(this.#sketch(key, 'simulate')), this.size(object), reached!)
    // Who failed, and came to run it by a retry, has not failed.
    const ever = this.#sketch(key, 'failed')
    const either = estimate(union(ever, this.#reached(object, entry.version)))
    const failed = lessThose(estimate(ever), either, reached!)
    const settled = now >= this.#enteredAt + this.#settleMs
    const ageMs = now - this.#enteredAt + (settled ? 0 : this.#epochMs)
    return {
      reached: Math.round(reached!),
      run: Math.round(run),
      simulate: Math.round(simulate),
      failed: Math.round(failed),
      ageMs
    }
  }

  /** How many peers host an object with state. */
  size(object: string): number {
    return Math.round(estimate(this.#reached(object, 1)))
  }

  /** A call at this version of an object was answered here. */
  called(object: string, version: number, now: number): void {
    const entry = this.#parts.log.schema.at(object, version)?.entry
    const key = keyOf(object, entry?.hash.slice(0, 16) ?? '')
    const line = this.#lineAt(this.#lines, key)
    const hour = Math.floor(now / HOUR_MS)
    if (line === undefined || line.called >= hour) return
    this.#lines.set(key, { ...line, called: hour })
    this.#digest = undefined
  }

  /** Begin of the hour in which a call at this version was last answered, anywhere, Unix ms; 0: none was heard of. */
  lastCall(object: string, entry: Entry): number {
    return (this.#lines.get(keyOf(object, entry.hash.slice(0, 16)))?.called ?? 0) * HOUR_MS
  }

  /** News takes longer to be heard everywhere in a large fleet, where it is told more rarely. */
  get #epochMs(): number {
    return this.#parts.limits.epochMs * (this.#parts.view.isFull ? LARGE_EPOCHS : 1)
  }
  get #settleMs(): number {
    return (this.#epochMs * 2) / 3
  }

  /** O22: nobody can make epochs pass faster than they settle, nor use their numbers up. */
  #mayEnter(epoch: number, now: number): boolean {
    const leastMs = this.#parts.limits.epochMs / 4
    if (epoch > Math.max(this.#epoch + 1, now / leastMs)) return false
    return !this.#whole || now >= this.#enteredAt! + leastMs
  }

  #enter(epoch: number, now: number): void {
    this.#before = new SmallMap([...this.#before, ...this.#lines])
    const called = [...this.#lines].filter(([, line]) => line.called > 0)
    this.#lines = new SmallMap(called.map(([key, { run: _, simulate: __, failed: ___, ...rest }]) => [key, rest]))
    this.#digest = undefined
    this.#changes += 1
    this.#epoch = epoch
    this.#enteredAt = now
    this.#endsAt = Number.POSITIVE_INFINITY
    this.#outdated = false
    this.#addOwn()
  }

  #expire(now: number): void {
    if (this.#outdated) return
    this.#outdated = true
    // The first to come brings all others along: they are spread, so that few begin at once.
    const waitMs = this.#epochMs * (1 + this.#parts.generator.fraction() / 2)
    this.#endsAt = Math.max(now, (this.#enteredAt ?? now) + waitMs)
  }

  /** Returns the key of a line in which this peer is newly counted, if any. */
  #addOwn(): string | undefined {
    let added: string | undefined
    for (const { object, entry, what } of this.#own) {
      const line = this.#lineAt(this.#lines, keyOf(object, entry))
      if (line === undefined) continue
      const sketch = withElement(line[what] ?? EMPTY, this.#element)
      if (sketch === line[what]) continue
      this.#lines.set(keyOf(object, entry), { ...line, [what]: sketch })
      this.#digest = undefined
      this.#changes += 1
      added = keyOf(object, entry)
    }
    return added
  }

  /** The line as it is to be counted now: without failures that a later retry lifted. Undefined: it is not counted. */
  #lineAt(lines: Lines, key: string): Line | undefined {
    const counted = this.#countedNow().get(key)
    if (counted === undefined) return undefined
    const { object, entry } = counted
    const retries = this.#parts.statements.retries(entry.hash, '')
    const line = lines.get(key) ?? {
      object,
      version: entry.version,
      entry: entry.hash.slice(0, 16),
      retries,
      called: 0
    }
    if (line.retries === retries) return line
    const { failed: _, ...rest } = line
    return { ...rest, retries }
  }

  /** Merges what a neighbour counts. */
  #merge(lines: Lines, told: MessageOf<'census'>['lines'], now: number): number | undefined {
    let soonMs: number | undefined
    for (const other of told) {
      const key = keyOf(other.object, other.entry)
      const line = this.#lineAt(lines, key)
      if (line === undefined) continue
      // An hour that is far ahead is of a clock that is wrong.
      const called = other.called > now / HOUR_MS + MAX_SKEW_HOURS ? line.called : Math.max(line.called, other.called)
      const merged: Record<string, unknown> = { ...line, called }
      for (const what of COUNTED) {
        const sketch = other[what]
        if (sketch === undefined || (what === 'failed' && other.retries !== line.retries)) continue
        merged[what] = union(line[what] ?? EMPTY, sketch)
        // What the last epoch had counted already is no news.
        const known = union(line[what] ?? EMPTY, this.#before.get(key)?.[what] ?? EMPTY)
        if (union(known, sketch) === known) continue
        const { censusMs } = this.#parts.limits
        if (this.#parts.guards.isWatched(key)) this.#hurry(now)
        soonMs = Math.min(soonMs ?? censusMs, what === 'failed' ? censusMs / 5 : censusMs)
      }
      lines.set(key, merged as unknown as Line)
    }
    return soonMs
  }

  #tell(to: string, answer: boolean, before: boolean): void {
    const message = { kind: 'census' as const, digest: this.digest, ...this.#told(before), answer }
    this.#parts.outbox.send({ type: 'send', to, message })
  }

  #told(before: boolean): Told {
    return {
      epoch: this.#epoch,
      lines: [...this.#lines.values()],
      before: before ? [...this.#before.values()] : [],
      whole: this.#whole
    }
  }

  #sketch(key: string, what: Counted): Sketch {
    const [line, last] = [this.#lineAt(this.#lines, key), this.#lineAt(this.#before, key)]
    return union(line?.[what] ?? EMPTY, last?.[what] ?? EMPTY)
  }

  /** Who runs this version or a later one. */
  #reached(object: string, version: number): Sketch {
    let all = EMPTY
    for (const [key, one] of this.#countedNow())
      if (one.object === object && one.entry.version >= version) all = union(this.#sketch(key, 'run'), all)
    return all
  }

  #countedNow(): ReadonlyMap<string, { object: string; entry: Entry }> {
    const { log, statements } = this.#parts
    if (log.size === this.#knownLog && statements.size === this.#knownStatements) return this.#counted
    this.#knownLog = log.size
    this.#knownStatements = statements.size
    const counted = countedBy(log.schema)
    this.#counted = counted
    this.#digest = undefined
    for (const lines of [this.#lines, this.#before]) {
      for (const [key, known] of lines) {
        const line = this.#lineAt(lines, key)
        if (line === undefined) lines.delete(key)
        else lines.set(key, line)
        // What a retry lifted here is told by the own record, soon; it is not counted anew until then.
        const isLifted = (one: Count) => one.what === 'failed' && keyOf(one.object, one.entry) === key
        if (line !== known) this.#own = this.#own.filter((one) => !isLifted(one))
      }
    }
    this.#addOwn()
    return counted
  }
}

/** Peers that share a schema share this. */
const COUNTED_BY = new WeakMap<Schema, ReadonlyMap<string, { object: string; entry: Entry }>>()

function countedBy(schema: Schema): ReadonlyMap<string, { object: string; entry: Entry }> {
  const known = COUNTED_BY.get(schema)
  if (known !== undefined) return known
  const counted = new Map<string, { object: string; entry: Entry }>()
  for (const [object, versions] of schema.lineages)
    for (const { entry } of versions.slice(-MAX_COUNTED_VERSIONS))
      counted.set(keyOf(object, entry.hash.slice(0, 16)), { object, entry })
  COUNTED_BY.set(schema, counted)
  return counted
}

/**
 * Peers that were counted, less those that have gone on since: `all` less `beyond`. That difference is used only where
 * it differs by more than a deviation, since it is the less exact the fewer are left.
 */
function lessThose(counted: number, all: number, beyond: number): number {
  const left = Math.max(0, all - beyond)
  return counted - left > Math.sqrt((counted * all) / REGISTERS) ? left : counted
}

const same = (a: Count, b: Count): boolean => a.object === b.object && a.entry === b.entry && a.what === b.what

function checksumOf(text: string): number {
  let sum = 0x811c9dc5
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193)
  return sum
}
