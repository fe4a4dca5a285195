/**
 * What the peers of one process do and when, by their turns (node/daemon/turns.ts): the moments that are compared, and how
 * long each piece of work takes there, which the simulator is told.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { TURNS, type Turn } from '../../node/daemon/turns.ts'
import type { Effect, Event } from '../../src/overlay/events.ts'

export const STEPS = ['informed', 'fetched', 'upgraded'] as const
export type Step = (typeof STEPS)[number]

export interface Moment {
  what: Step | 'accepted'
  peer: string
  /** A version, or of what was fetched a bundle. */
  of: number | string
  /** Unix ms, with fractions: clocks of processes on one host agree. */
  at: number
}

/** How often, and the sum, ms. */
export interface Work {
  count: number
  totalMs: number
}

export interface Observed {
  moments: Moment[]
  /** Steps of the core, by event; a message by its kind. */
  steps: Record<string, Work>
  commits: Work
  /** From a command to the host, or work for the disk, until it is answered, ms. */
  answers: Record<string, number[]>
}

const MOST_ANSWERS = 20_000
const nothing = (): Observed => ({ moments: [], steps: {}, commits: { count: 0, totalMs: 0 }, answers: {} })

export class Observer {
  #observed = nothing()
  /** What was begun and not answered yet: since when. */
  readonly #begun = new Map<string, number>()
  readonly #listen = (message: unknown): void => this.#look(message as Turn)

  start(): void {
    subscribe(TURNS, this.#listen)
  }
  end(): void {
    unsubscribe(TURNS, this.#listen)
  }

  /** All since it was taken last. */
  take(): Observed {
    const taken = this.#observed
    this.#observed = nothing()
    return taken
  }

  #look(turn: Turn): void {
    const { peer, events, put, effects, begunAt, durableAt, stepsMs, commitMs } = turn
    const { steps, commits } = this.#observed
    const shareMs = stepsMs / events.length
    for (const event of events) {
      const name = nameOf(event)
      steps[name] ??= { count: 0, totalMs: 0 }
      steps[name].count += 1
      steps[name].totalMs += shareMs
      this.#answered(peer, event, begunAt)
    }
    if (put.length > 0) {
      commits.count += 1
      commits.totalMs += commitMs
    }
    for (const key of put) {
      const version = /^entry\/(\d+)\//.exec(key)?.[1]
      if (version !== undefined) this.#note('informed', peer, Number(version), durableAt)
    }
    for (const effect of effects) this.#begins(peer, effect, durableAt)
  }

  #begins(peer: string, effect: Effect, at: number): void {
    if (effect.type === 'answer' && effect.ok) this.#note('accepted', peer, '', at)
    if (effect.type === 'store-piece') this.#begun.set(`${peer} store ${effect.bundle} ${effect.index}`, at)
    if (effect.type === 'unpack') this.#begun.set(`${peer} unpack ${effect.bundle}`, at)
    if (effect.type === 'run') this.#begun.set(`${peer} ${effect.command.command} ${effect.command.object}`, at)
  }

  #answered(peer: string, event: Event, at: number): void {
    if (event.type === 'piece-stored') this.#answer('store', `${peer} store ${event.bundle} ${event.index}`, at)
    if (event.type === 'unpacked') {
      this.#answer('unpack', `${peer} unpack ${event.bundle}`, at)
      if (event.ok) this.#note('fetched', peer, event.bundle, at)
    }
    if (event.type === 'done') {
      this.#answer(event.command, `${peer} ${event.command} ${event.object}`, at)
      if (event.command === 'serve' && event.ok) this.#note('upgraded', peer, event.version, at)
    }
  }

  #answer(what: string, key: string, at: number): void {
    const since = this.#begun.get(key)
    this.#begun.delete(key)
    if (since === undefined) return
    const { answers } = this.#observed
    answers[what] ??= []
    if (answers[what].length < MOST_ANSWERS) answers[what].push(at - since)
  }

  #note(what: Moment['what'], peer: string, of: Moment['of'], at: number): void {
    this.#observed.moments.push({ what, peer, of, at: performance.timeOrigin + at })
  }
}

const nameOf = (event: Event): string =>
  event.type === 'message'
    ? `message ${event.message.kind}`
    : event.type === 'done'
      ? `done ${event.command}`
      : event.type === 'published'
        ? `published ${event.topic}`
        : event.type
