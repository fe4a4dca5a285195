/**
 * Anti-entropy between neighbours: what guarantees delivery of log, statements and records (SPEC O4 to O6). A round
 * costs two short messages when nothing changed; the full digests are exchanged only when something did, and rounds
 * back off while the fleet is quiet, so that cost grows with change, not with time.
 */

import type { Generator } from '../prng.ts'
import { SmallMap } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { PeerLimits } from './events.ts'
import { MAX_DELTA_BYTES, MAX_ROOTS_TOLD, type Message, type MessageOf } from './messages.ts'
import type { Outbox } from './outbox.ts'
import type { Head } from './record.ts'
import type { Roots } from './roots.ts'
import type { View } from './view.ts'

/** Room for the frame of a delta, beside the bytes it carries. */
const BUDGET_BYTES = MAX_DELTA_BYTES

/** What both sides had when a round with a neighbour last ended. */
interface Synced {
  /** Hash of both summaries; 0: there was no round. */
  pair: number
  /** Rounds since that began with the same pair; after a few the difference is one that the bounded views keep. */
  times: number
}

/** What a summary says of the census. */
export interface Counting {
  readonly digest: string
  readonly dueAt: number
  take(now: number): MessageOf<'summary'>['counts']
}

/** Those that rounds are held with. */
export interface Neighbourhood {
  readonly size: number
  has(peer: string): boolean
  all(): Iterable<string>
}

/** By which rounds back off; faster in a fleet larger than the view, where a peer has more neighbours' rounds to hear. */
const [GROWTH, NEWS_GROWTH, LARGE_GROWTH] = [2, 4, 8]

/** Neighbours that are told at once what is new in the census: by two each it spreads, and reaches nearly all. */
const COUNTS_TOLD = 2
const ROUNDS_WITH_THE_SAME_PAIR = 3
const ASK_AGAIN_MS = 500
const MINUTE_MS = 60_000
/** Statements in a digest, about: a larger set is told in slices by hash, one after the other. */
const SLICE = 3000

const NOBODY: never[] = []
const NOTHING: Uint8Array[] = []
const UNSYNCED: Synced = { pair: 0, times: 0 }

const isInSlice = (hash: string, [index, of]: readonly [number, number]): boolean =>
  Number.parseInt(hash.slice(0, 8), 16) % of === index

export interface AntiEntropyInit {
  readonly self: string
  /** Makes the own record say what is so now: before the view is told of. */
  freshen(): void
  /** Whether this peer waits for what others show. */
  awaitsOthers(): boolean
  readonly log: UpgradeLog
  readonly statements: StatementSet
  readonly roots: Roots
  readonly view: View
  readonly census: Counting
  readonly limits: PeerLimits
  readonly generator: Generator
  readonly outbox: Outbox
  hash53(text: string): number
  now(): number
}

export class AntiEntropy {
  readonly #self: string
  readonly #around: AntiEntropyInit
  readonly #log: UpgradeLog
  readonly #statements: StatementSet
  readonly #roots: Roots
  readonly #view: View
  readonly #census: Counting
  readonly #limits: PeerLimits
  readonly #generator: Generator
  readonly #outbox: Outbox
  readonly #synced = new SmallMap<string, Synced>()
  readonly #askedAt = new SmallMap<string, number>()
  #order: string[] = NOBODY
  #intervalMs: number
  #nextRound = 0
  #slice = 0
  #hasNews = false
  /** Not before this time are records exchanged for their own sake, in a fleet larger than the view. */
  #recordsAt = 0

  constructor(parts: AntiEntropyInit) {
    this.#self = parts.self
    this.#around = parts
    this.#log = parts.log
    this.#statements = parts.statements
    this.#roots = parts.roots
    this.#view = parts.view
    this.#census = parts.census
    this.#limits = parts.limits
    this.#generator = parts.generator
    this.#outbox = parts.outbox
    this.#intervalMs = parts.limits.roundMs
  }

  /** Something changed here: the next round comes soon again. `news`: records that others should have soon, too. */
  wake(now: number, news = false): void {
    this.#hasNews ||= news
    this.#intervalMs = this.#limits.roundMs
    this.#nextRound = Math.min(this.#nextRound, now + this.#jitter())
  }

  /** Something is to be told, and not at once: the next round comes within this time. Undefined: it can wait. */
  within(ms: number | undefined, now: number): void {
    if (ms !== undefined && this.#nextRound > 0) this.#nextRound = Math.min(this.#nextRound, now + ms)
  }

  forget(peer: string): void {
    this.#synced.delete(peer)
    this.#askedAt.delete(peer)
  }

  /** Begins a round if it is time. Returns when the next one is due, ms. */
  round(neighbours: Neighbourhood, now: number): number {
    if (neighbours.size === 0) return Number.POSITIVE_INFINITY
    if (this.#nextRound === 0) this.#nextRound = now + this.#jitter()
    const nextAt = Math.min(this.#nextRound, this.#census.dueAt)
    if (now < nextAt) return nextAt
    const counts = this.#census.take(now)
    const told = counts === undefined ? 1 : Math.min(COUNTS_TOLD, neighbours.size)
    for (let turn = 0; turn < told; turn++) this.summarise(this.#nextOf(neighbours), counts)
    const { roundMaxMs, roundMaxLargeMs } = this.#limits
    const largeMs = this.#around.awaitsOthers() ? roundMaxLargeMs / 2 : roundMaxLargeMs
    const mostMs = this.#view.isFull ? Math.max(roundMaxMs, largeMs) : roundMaxMs
    this.#intervalMs = Math.min(mostMs, this.#intervalMs * this.#growth)
    if (this.#intervalMs >= roundMaxMs) this.#hasNews = false
    this.#nextRound = now + this.#jitter()
    return this.#nextRound
  }

  /** News has to reach several neighbours before rounds get rare: it is by them that it spreads. */
  get #growth(): number {
    if (!this.#view.isFull) return GROWTH
    return this.#hasNews ? NEWS_GROWTH : LARGE_GROWTH
  }

  /** Neighbours in turns, in an order that is drawn anew after each turn. */
  #nextOf(neighbours: Neighbourhood): string {
    // Lists that `filter` makes, and those spread, have room for sixteen more; a copy has none.
    if (!this.#order.every((peer) => neighbours.has(peer)))
      this.#order = this.#order.filter((peer) => neighbours.has(peer)).slice()
    if (this.#order.length === 0) this.#order = this.#generator.shuffle([...neighbours.all()].slice())
    return this.#order.pop()!
  }

  summarise(peer: string, counts?: MessageOf<'summary'>['counts']): void {
    this.#around.freshen()
    this.#send(peer, {
      kind: 'summary',
      head: this.#log.head,
      ...this.#roots.said,
      statements: this.#statements.digest,
      records: this.#view.digest,
      time: Math.round(this.#around.now()),
      census: this.#census.digest,
      ...(counts === undefined ? {} : { counts }),
      ...(this.#hasNews || !this.#view.isFull || this.#around.awaitsOthers() ? { news: true as const } : {})
    })
  }

  /**
   * Whoever is met may know what our neighbours do not: after a partition, say. One of the two begins; where that word is
   * lost, a round says it again.
   */
  greet(peer: string): void {
    if (this.#synced.has(peer)) return
    this.#synced.set(peer, UNSYNCED)
    if (this.#self < peer) this.summarise(peer)
  }

  /** A summary that is what both sides had after their last round needs no answer. */
  onSummary(from: string, summary: MessageOf<'summary'>, now: number): void {
    this.#around.freshen()
    const root = summary.root === undefined ? '' : `${summary.root.hash}/`
    const theirs = `${root}${summary.head.hash}/${summary.statements}/${summary.records}`
    const mine = this.#mine()
    if (theirs === mine) return
    // Of a fleet larger than a view no two peers know the same: they tell each other of it now and then.
    const isOfRecords =
      summary.head.hash === this.#log.head.hash &&
      summary.statements === this.#statements.digest &&
      this.#roots.standing(summary.root) === 'same'
    const synced = this.#synced.get(from)
    const isMet = synced === UNSYNCED
    if (isOfRecords && this.#view.isFull && summary.news !== true && (isMet || now < this.#recordsAt)) {
      if (isMet) this.#synced.set(from, { pair: this.#around.hash53(`${mine} ${theirs}`), times: 0 })
      return
    }
    const pair = this.#around.hash53(`${mine} ${theirs}`)
    const times = synced?.pair === pair ? synced.times + 1 : 0
    this.#synced.set(from, { pair, times })
    if (times >= ROUNDS_WITH_THE_SAME_PAIR * this.#slices) return
    this.#sendDigest(from, true)
  }

  onDigest(from: string, digest: MessageOf<'digest'>, now: number): void {
    this.#around.freshen()
    this.#recordsAt = now + this.#jittered(this.#limits.recordsMs)
    const theirStatements = new Set(digest.statements)
    const slice = digest.slice ?? [0, 1]
    const isMissing = (hash: string) => isInSlice(hash, slice) && !theirStatements.has(hash)
    const news = this.#view.newerThan(digest.records, digest.room, this.#generator)
    const standing = this.#roots.standing(digest.root)
    // O27: whoever trusts another root, or one that is not known here, would take what we have for forged.
    const isUnderstood = standing === 'same' || standing === 'behind'
    const entries = isUnderstood ? this.#roots.chained(this.#log.missingFrom(digest.tips)) : []
    const statements = isUnderstood ? [...this.#statements.all()].filter((one) => isMissing(one.hash)) : []
    this.#sendDelta(from, {
      roots: this.#roots.after(digest.root),
      entries: entries.map((one) => one.bytes),
      statements: statements.map((one) => one.bytes).filter((bytes) => this.#roots.trust.covers('statement', bytes)),
      records: news.map((one) => one.bytes),
      agesMs: news.map(({ record }) => this.#ageMs(record.peer, now))
    })
    const behind =
      !isUnderstood ||
      digest.tips.some((tip) => tip.version > 0 && !this.#log.has(tip.hash)) ||
      digest.statements.some((hash) => !this.#statements.has(hash)) ||
      this.#view.lacks(digest.records)
    if (digest.answer && behind) this.#sendDigest(from, false)
  }

  /** Asks a peer because of a head that travelled with a call, or an entry without its parent: not more than now and then. */
  askOnce(peer: string, now: number): void {
    if ((this.#askedAt.get(peer) ?? Number.NEGATIVE_INFINITY) + ASK_AGAIN_MS > now) return
    this.#askedAt.set(peer, now)
    this.ask(peer)
  }

  /** Asks a peer for what it has that we lack, outside of a round. */
  ask(peer: string): void {
    this.#sendDigest(peer, false)
  }

  /** Roots that follow this one, and nothing else. */
  tellRoots(peer: string, theirs: Head | undefined): void {
    this.#sendDelta(peer, {
      roots: this.#roots.after(theirs),
      entries: NOTHING,
      statements: NOTHING,
      records: NOTHING,
      agesMs: []
    })
  }

  /** Sends one's own new record at once to those who act on it (SPEC O5). */
  push(peers: Iterable<string>, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return
    const message: Message = { kind: 'delta', entries: [], statements: [], records: [bytes], more: false }
    for (const peer of peers) this.#send(peer, message)
  }

  get #slices(): number {
    return Math.max(1, Math.ceil(this.#statements.size / SLICE))
  }

  #mine(): string {
    const { root } = this.#roots.said
    return `${root === undefined ? '' : `${root.hash}/`}${this.#log.head.hash}/${this.#statements.digest}/${this.#view.digest}`
  }

  #sendDigest(to: string, answer: boolean): void {
    const of = this.#slices
    this.#slice = (this.#slice + 1) % of
    const slice: [number, number] = [this.#slice, of]
    const hashes = [...this.#statements.all()].map((one) => one.hash)
    const statements = of === 1 ? hashes : hashes.filter((hash) => isInSlice(hash, slice))
    this.#send(to, {
      kind: 'digest',
      ...this.#roots.said,
      tips: this.#log.tips(),
      statements,
      ...(of === 1 ? {} : { slice }),
      records: this.#view.vector(),
      room: Math.min(1024, this.#view.room),
      answer
    })
  }

  /**
   * Roots first: what comes with them is judged by them, so nothing does unless all are told. Then entries, statements and
   * records, within the byte budget; the rest waits for the next digest.
   */
  #sendDelta(
    to: string,
    all: Pick<MessageOf<'delta'>, 'entries' | 'statements' | 'records'> & { roots: Uint8Array[]; agesMs: number[] }
  ): void {
    let left = BUDGET_BYTES
    const fit = (list: Uint8Array[], most: number): Uint8Array[] => {
      const taken: Uint8Array[] = []
      for (const bytes of list) {
        if (taken.length === most || bytes.byteLength > left) break
        left -= bytes.byteLength
        taken.push(bytes)
      }
      return taken
    }
    const roots = fit(all.roots, MAX_ROOTS_TOLD)
    const isJudgeable = roots.length === all.roots.length
    const entries = isJudgeable ? fit(all.entries, 64) : NOTHING
    const statements = isJudgeable ? fit(all.statements, 256) : NOTHING
    const records = fit(all.records, 1024)
    const sent = roots.length + entries.length + statements.length + records.length
    if (sent === 0) return
    const more = sent < all.roots.length + all.entries.length + all.statements.length + all.records.length
    const ages = all.agesMs.some((ageMs) => ageMs > 0) ? { agesMs: all.agesMs.slice(0, records.length) } : {}
    const first = roots.length === 0 ? {} : { roots }
    this.#send(to, { kind: 'delta', ...first, entries, statements, records, ...ages, more })
  }

  /** Since when there was no sign of life of a peer, to the minute: what is passed on does not get younger by it (O11). */
  #ageMs(peer: string, now: number): number {
    const heardAt = peer === this.#self ? now : this.#view.heardAt(peer)
    return Math.max(0, Math.floor((now - heardAt) / MINUTE_MS)) * MINUTE_MS
  }

  #send(to: string, message: Message): void {
    this.#outbox.send({ type: 'send', to, message })
  }

  #jitter(): number {
    return this.#jittered(this.#intervalMs)
  }

  #jittered(ms: number): number {
    return Math.ceil(ms * (0.75 + this.#generator.fraction() / 2))
  }
}
