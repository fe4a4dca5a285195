/**
 * The coordinator (SPEC K3, K4, K7, K8): any member reads and changes any key by asking the members of its group.
 * It runs outside the object's section, so a slow member holds nobody up.
 */
import { CallError } from '../../../src/errors.ts'
import type { Entry, Row, Vote } from './acceptor.ts'
import { type Ballot, type Clock, NO_BALLOT } from './ballot.ts'

/**
 * Sends one message to every member of the group: as many promises as members, its own first. The own one is always
 * waited for, so that nothing of a call still runs at this member when it has ended.
 */
export interface Electorate<E extends Entry> {
  prepare(cell: string, ballot: Ballot): Promise<Vote<E>>[]
  accept(cell: string, ballot: Ballot, entry: E): Promise<Vote<E>>[]
  read(cell: string): Promise<Row<E> | null>[]
}

/** What a change makes of the entry it found: another entry to agree on, or none to leave it; and the call's result. */
export interface Outcome<E extends Entry, R> {
  entry?: E
  result: R
}
export type Change<E extends Entry, R> = (found: E | null, stamp: Ballot) => Outcome<E, R>

/** A retry is recognised until this many later changes of the same key (K8). */
export const REMEMBERED_CALLS = 16
const MAX_BACKOFF_MS = 100

const majority = (members: number): number => Math.floor(members / 2) + 1

interface Poll<T> {
  good: T[]
  bad: T[]
  failures: unknown[]
}

/** Resolves as soon as a majority is good or cannot be any more. Late answers of others are not waited for. */
function poll<T>(answers: Promise<T>[], isGood: (answer: T) => boolean): Promise<Poll<T>> {
  const needed = majority(answers.length)
  const sofar: Poll<T> = { good: [], bad: [], failures: [] }
  let ownIsIn = false
  return new Promise((resolve) => {
    const settle = (answer: Promise<T>) => {
      ownIsIn ||= answer === answers[0]
      const lost = sofar.bad.length + sofar.failures.length
      if (!ownIsIn) return
      if (sofar.good.length >= needed || lost > answers.length - needed) {
        resolve({ good: [...sofar.good], bad: [...sofar.bad], failures: [...sofar.failures] })
      }
    }
    for (const answer of answers) {
      answer.then(
        (value) => {
          const side = isGood(value) ? sofar.good : sofar.bad
          side.push(value)
          settle(answer)
        },
        (failure) => {
          sofar.failures.push(failure)
          settle(answer)
        }
      )
    }
  })
}

const newest = <E extends Entry>(rows: (Row<E> | null)[]): Row<E> | null =>
  rows.reduce<Row<E> | null>((best, row) => (row && row.ballot > (best?.ballot ?? NO_BALLOT) ? row : best), null)

export class Register<E extends Entry> {
  /** How long a coordinator tries to win a majority: longer than a member takes to restart. Milliseconds. */
  static patienceMs = 4_000
  readonly #clock: Clock
  readonly #electorate: Electorate<E>

  constructor(clock: Clock, electorate: Electorate<E>) {
    this.#clock = clock
    this.#electorate = electorate
  }

  /** K7: one round where a majority agrees already; otherwise the group is made to agree first. */
  async read(cell: string): Promise<E | null> {
    const answers = this.#electorate.read(cell)
    const { good } = await poll(answers, () => true)
    const ballots = new Set(good.map((row) => row?.ballot ?? NO_BALLOT))
    if (good.length >= majority(answers.length) && ballots.size === 1) return good[0]?.entry ?? null
    return this.agree(cell)
  }

  /** Brings a majority, and every member that answers, to the newest entry, and gives it. */
  agree(cell: string): Promise<E | null> {
    return this.change(cell, (found) => (found ? { entry: found, result: found } : { result: null }))
  }

  /**
   * Applies `change` to the entry exactly once, or ends `OutcomeUnknown`: nothing is promised about a change that no
   * majority said yes to, and it is the name by which a host lets clients try again with the same id.
   */
  async change<R>(cell: string, change: Change<E, R>): Promise<R> {
    const givesUpAt = this.#clock.now() + Register.patienceMs
    let proposed = false
    let failure: unknown
    for (let attempt = 0; attempt === 0 || this.#clock.now() < givesUpAt; attempt++) {
      if (attempt > 0) await backOff(attempt)
      const ballot = this.#clock.next()
      const promises = await this.#ask(this.#electorate.prepare(cell, ballot))
      if ('failure' in promises) {
        failure = promises.failure
        continue
      }
      const found = newest(promises.rows)
      const outcome = change(found?.entry ?? null, ballot)
      const agreed = promises.rows.every((row) => row?.ballot === found?.ballot)
      // An earlier attempt's proposal may lie at a member that did not answer now: only a newer one buries it.
      if (!outcome.entry && agreed && !proposed) return outcome.result
      const entry = outcome.entry ?? found?.entry ?? (absent(ballot) as E)
      if (entry !== found?.entry) proposed = true
      const votes = await this.#ask(this.#electorate.accept(cell, ballot, entry))
      if ('rows' in votes) return outcome.result
      failure = votes.failure
    }
    const text = `no majority of the group answered for ${JSON.stringify(cell)}; try again with the same id`
    throw new CallError('OutcomeUnknown', text, { cause: failure })
  }

  /** The rows of a majority that said yes; otherwise the attempt is void, and the clock runs ahead of who outbid it. */
  async #ask(answers: Promise<Vote<E>>[]): Promise<{ rows: (Row<E> | null)[] } | { failure: unknown }> {
    const { good, bad, failures } = await poll(answers, (vote) => vote.yes)
    if (good.length >= majority(answers.length)) return { rows: good.map((vote) => (vote.yes ? vote.row : null)) }
    for (const vote of bad) if (!vote.yes) this.#clock.observe(vote.ballot)
    return { failure: failures[0] ?? new Error('outbid') }
  }
}
const absent = (stamp: Ballot): Entry => ({ stamp, value: null, calls: [] })

/** K8: what a change does for a call that it did already, or else remembers it with the entry it makes. */
export function once<E extends Entry>(found: E | null, id: string): Entry['calls'][number] | undefined {
  return found?.calls.find((call) => call.id === id)
}
export function remember(found: Entry | null, id: string, stamp: Ballot): Entry['calls'] {
  const call = { id, stamp, existed: found !== null && found.value !== null }
  return [...(found?.calls ?? []), call].slice(-REMEMBERED_CALLS)
}

/** Coordinators that outbid each other part by chance. */
function backOff(attempt: number): Promise<void> {
  const ms = Math.random() * Math.min(MAX_BACKOFF_MS, 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, ms))
}
