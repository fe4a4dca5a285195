/**
 * A member's vote (SPEC K3 to K6). Every key is a register that a majority of the group agrees on by Paxos; this is
 * the acceptor. It neither waits nor does I/O: `Cells` keeps what must outlive a restart.
 */
import { CallError } from '../../../src/errors.ts'
import { atTime, type Ballot, type Clock, NO_BALLOT, timeOf } from './ballot.ts'

/** A call that changed the entry, remembered so that a retry with its id is recognised (K8). */
export interface Remembered {
  id: string
  /** The stamp that the call gave to the entry. */
  stamp: Ballot
  /** Whether there was a value before it. */
  existed: boolean
}

/** What is agreed on for one key. Members keep fields that their version does not know as they came (K9). */
export interface Entry {
  /** Ballot of the write that made the value; survives repairs, which give the row a new ballot. */
  stamp: Ballot
  /** null: deleted. */
  value: string | null
  /** The last changes, oldest first. */
  calls: Remembered[]
}

/** The newest proposal that a member accepted. */
export interface Row<E extends Entry = Entry> {
  ballot: Ballot
  entry: E
}

export type Vote<E extends Entry = Entry> = { yes: true; row: Row<E> | null } | { yes: false; ballot: Ballot }

export interface PageQuery {
  prefix?: string
  /** Cells after this one only. */
  after?: string
  /** Rows with a higher ballot only. */
  since?: Ballot
  limit?: number
}
export interface Page<E extends Entry = Entry> {
  rows: [cell: string, row: Row<E>][]
  /** Where the next page starts, null at the end. */
  next: string | null
  /** Whether this member votes: what one that does not says of its rows proves nothing. */
  joined: boolean
  /** At least as high as every ballot that this member had seen or issued. */
  clock: Ballot
}

/** The durable part. Writes are durable before the reply that follows from them leaves the member. */
export interface Cells<E extends Entry = Entry> {
  get(cell: string): Row<E> | undefined
  put(cell: string, row: Row<E>): void
  /** Ascending by cell. */
  rows(prefix: string, after: string): Iterable<[string, Row<E>]>
  readonly reserved: Ballot
  reserve(ballot: Ballot): void
  readonly joined: boolean
  join(): void
}

/** Promises are reserved this far ahead, so that hardly one of them costs a write of its own. Milliseconds. */
const RESERVE_MS = 10_000
const MAX_PROMISES = 50_000
const MAX_PAGE_ROWS = 500
const MAX_PAGE_CHARACTERS = 256 * 1024

const higher = (a: Ballot, b: Ballot): Ballot => (a > b ? a : b)

export class Acceptor<E extends Entry = Entry> {
  readonly #cells: Cells<E>
  readonly #clock: Clock
  readonly #promised = new Map<string, Ballot>()
  #floor: Ballot

  /** K5: promises are volatile; whoever starts stands by every one that can have been given: none was above `reserved`. */
  constructor(cells: Cells<E>, clock: Clock) {
    this.#cells = cells
    this.#clock = clock
    this.#floor = cells.reserved
    clock.observe(this.#floor)
  }

  get joined(): boolean {
    return this.#cells.joined
  }

  prepare(cell: string, ballot: Ballot): Vote<E> {
    const row = this.#open(cell)
    this.#clock.observe(ballot)
    const bar = higher(this.#promise(cell), row?.ballot ?? NO_BALLOT)
    if (ballot <= bar) return { yes: false, ballot: bar }
    if (this.#promised.size >= MAX_PROMISES) this.#forgetPromises()
    this.#promised.set(cell, ballot)
    if (ballot > this.#cells.reserved) this.#cells.reserve(atTime(timeOf(ballot) + RESERVE_MS))
    return { yes: true, row: row ?? null }
  }

  accept(cell: string, ballot: Ballot, entry: E): Vote<E> {
    const row = this.#open(cell)
    this.#clock.observe(ballot)
    if (row?.ballot === ballot) return { yes: true, row }
    const bar = higher(this.#promise(cell), row?.ballot ?? NO_BALLOT)
    if (ballot < bar) return { yes: false, ballot: bar }
    const accepted = { ballot, entry }
    this.#cells.put(cell, accepted)
    this.#promised.delete(cell)
    return { yes: true, row: accepted }
  }

  read(cell: string): Row<E> | null {
    return this.#open(cell) ?? null
  }

  /** Answers before the member has joined as well: two empty members must be able to see that they are. */
  page(query: PageQuery): Page<E> {
    const { prefix = '', after = '', since = NO_BALLOT } = query
    const limit = Math.min(query.limit ?? MAX_PAGE_ROWS, MAX_PAGE_ROWS)
    const page: Page<E> = { rows: [], next: null, joined: this.joined, clock: this.#clock.latest }
    let characters = 0
    for (const [cell, row] of this.#cells.rows(prefix, after)) {
      if (row.ballot <= since) continue
      if (page.rows.length >= limit || characters > MAX_PAGE_CHARACTERS) {
        page.next = page.rows.at(-1)?.[0] ?? null
        break
      }
      page.rows.push([cell, row])
      characters += cell.length + (row.entry.value?.length ?? 0) + 200
    }
    return page
  }

  /** K6: an empty member takes over what the others accepted, before it votes for the first time. */
  adopt(rows: [string, Row<E>][]): void {
    if (this.joined) throw new Error('only a member that does not vote yet may adopt rows')
    for (const [cell, row] of rows) {
      if (row.ballot > (this.#cells.get(cell)?.ballot ?? NO_BALLOT)) this.#cells.put(cell, row)
    }
  }

  /** K6: from here on it votes; what it may have promised before it lost its state lies below `clock`. */
  join(clock: Ballot): void {
    this.#clock.observe(clock)
    this.#floor = higher(this.#floor, clock)
    if (this.#floor > this.#cells.reserved) this.#cells.reserve(this.#floor)
    this.#cells.join()
  }

  #open(cell: string): Row<E> | undefined {
    if (!this.joined) {
      throw new CallError('Unavailable', 'this member is empty and still fills itself from the others of its group', {
        retryAfterMs: 200
      })
    }
    return this.#cells.get(cell)
  }

  #promise(cell: string): Ballot {
    return higher(this.#promised.get(cell) ?? NO_BALLOT, this.#floor)
  }

  /** Bounded memory: to have promised more than one did is always safe. */
  #forgetPromises(): void {
    for (const ballot of this.#promised.values()) this.#floor = higher(this.#floor, ballot)
    this.#promised.clear()
  }
}
