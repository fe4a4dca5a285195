/**
 * How a member that was away, or is new and empty, comes to hold what the others hold (SPEC K6, K10), and the one
 * timer that does it again and again.
 */
import type { Entry, Page, PageQuery, Row } from './acceptor.ts'
import { atTime, type Ballot, NO_BALLOT, timeOf } from './ballot.ts'

export interface Replica<E extends Entry = Entry> {
  readonly joined: boolean
  others(): string[]
  pull(peer: string, query: PageQuery): Promise<Page<E>>
  adopt(rows: [string, Row<E>][]): Promise<void> | void
  join(clock: Ballot): Promise<void> | void
  ballotOf(cell: string): Ballot
  agree(cell: string): Promise<unknown>
}

export interface CaughtUp {
  joined: boolean
  /** Rows that were taken over or agreed on anew. */
  rows: number
}

/** A proposal is in flight for no longer than this; rows older than a finished round need no second look. Milliseconds. */
const SLACK_MS = 60_000
const AGREEMENTS_AT_ONCE = 16

export class CatchUp<E extends Entry = Entry> {
  readonly #replica: Replica<E>
  #since: Ballot = NO_BALLOT
  #running: Promise<CaughtUp> | null = null

  constructor(replica: Replica<E>) {
    this.#replica = replica
  }

  /** One round over all other members; throws if one of them could not be asked to the end. Never two at once. */
  round(): Promise<CaughtUp> {
    this.#running ??= (this.#replica.joined ? this.#catchUp() : this.#fill()).finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /**
   * K6: an empty member asks *every* other one. The member whose place it takes, or itself before it lost its disk, may
   * have been half of a majority, so any single other member may hold the only other copy of an acknowledged write.
   */
  async #fill(): Promise<CaughtUp> {
    let rows = 0
    let clock = NO_BALLOT
    for (const peer of this.#replica.others()) {
      for await (const page of this.#pages(peer, NO_BALLOT)) {
        await this.#replica.adopt(page.rows)
        rows += page.rows.length
        if (page.clock > clock) clock = page.clock
      }
    }
    await this.#replica.join(clock)
    return { joined: true, rows }
  }

  /**
   * K10: a member that votes may not simply take rows over, for it may have promised not to. It makes the group agree
   * on each key that another member has newer, which brings every member that answers up to date.
   */
  async #catchUp(): Promise<CaughtUp> {
    let rows = 0
    let seen: Ballot | undefined
    for (const peer of this.#replica.others()) {
      let first = true
      for await (const page of this.#pages(peer, this.#since)) {
        if (first && (seen === undefined || page.clock < seen)) seen = page.clock
        first = false
        const missed = page.rows.filter(([cell, row]) => this.#replica.ballotOf(cell) < row.ballot)
        for (let i = 0; i < missed.length; i += AGREEMENTS_AT_ONCE) {
          await Promise.all(missed.slice(i, i + AGREEMENTS_AT_ONCE).map(([cell]) => this.#replica.agree(cell)))
        }
        rows += missed.length
      }
    }
    if (seen) this.#since = atTime(timeOf(seen) - SLACK_MS)
    return { joined: true, rows }
  }

  async *#pages(peer: string, since: Ballot): AsyncGenerator<Page<E>> {
    for (let after: string | null = ''; after !== null; ) {
      const page: Page<E> = await this.#replica.pull(peer, { since, after })
      yield page
      after = page.next
    }
  }
}

const IDLE_MS = 60_000
const FIRST_RETRY_MS = 100

/** Runs `work` soon, again with back-off while it fails, and every minute otherwise: one timer, never two. */
export class Rounds {
  readonly #work: () => Promise<void>
  readonly #onFailure: (error: unknown, retryMs: number) => void
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(work: () => Promise<void>, onFailure: (error: unknown, retryMs: number) => void) {
    this.#work = work
    this.#onFailure = onFailure
  }

  /** In a later turn: an object that is just being started can neither call nor be called. */
  start(): void {
    this.#again(0, FIRST_RETRY_MS)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #run(retryMs: number): void {
    this.#work().then(
      () => this.#again(IDLE_MS, FIRST_RETRY_MS),
      (error) => {
        if (!this.#stopped) this.#onFailure(error, retryMs)
        this.#again(retryMs, Math.min(retryMs * 2, IDLE_MS))
      }
    )
  }

  #again(ms: number, retryMs: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => this.#run(retryMs), ms)
    this.#timer.unref()
  }
}
