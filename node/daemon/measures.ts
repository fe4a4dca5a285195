/**
 * What a daemon measures of the calls that its objects answer (SPEC S24, S25): shares of failures, and the load while a
 * schedule looks at it. The core hears of both only when they matter.
 */
import { CallError, type CallErrorName } from '../../src/errors.ts'
import { CallRate } from '../../src/overlay/call-rate.ts'
import type { Event } from '../../src/overlay/events.ts'
import { staysQuiet } from '../../src/overlay/load.ts'

/** The load is that of the last so many seconds. */
const SECONDS = 10

/** Outcomes that speak against the object; refusals that it declares, and faults of callers, do not. */
const FAULTS: ReadonlySet<CallErrorName> = new Set([
  'ApplicationError',
  'OutcomeUnknown',
  'Unavailable',
  'DeadlineExceeded'
])

type Told = Extract<Event, { type: 'measured' | 'load' }>

export interface MeasuresInit {
  tell(event: Told): void
  /** Milliseconds, never backwards. @default performance.now */
  now?(): number
}

interface Counted {
  attempt: number
  rate: CallRate
}

export class Measures {
  readonly #tell: (event: Told) => void
  readonly #now: () => number
  readonly #objects = new Map<string, Counted>()
  /** Calls in each of the last seconds, the running one last. */
  #seconds: number[] = []
  /** Threshold → what the core was told of it. */
  #watched = new Map<number, boolean | undefined>()
  #timer: NodeJS.Timeout | undefined

  constructor({ tell, now }: MeasuresInit) {
    this.#tell = tell
    this.#now = now ?? (() => performance.now())
  }

  /** A call at the process of an attempt ended, `error` undefined if it was answered. */
  ended(object: string, attempt: number, error: unknown): void {
    if (this.#seconds.length > 0) this.#seconds[this.#seconds.length - 1]! += 1
    const name = error instanceof CallError ? error.name : undefined
    // Nobody waited for it any more: neither good nor bad.
    if (name === 'Cancelled') return
    const failed = error !== undefined && (name === undefined || FAULTS.has(name as CallErrorName))
    const calls = this.#of(object, attempt).count(failed, this.#now())
    if (calls !== undefined) this.#tell({ type: 'measured', object, attempt, ...calls })
  }

  /** The process of an attempt stops for an upgrade: what is known of it now is what the next version is held against. */
  stops(object: string, attempt: number): void {
    const last = this.#of(object, attempt).last()
    this.#objects.delete(object)
    if (last !== undefined) this.#tell({ type: 'measured', object, attempt, ...last })
  }

  watchLoad(thresholds: readonly number[]): void {
    this.#watched = new Map(thresholds.map((below) => [below, this.#watched.get(below)]))
    if (thresholds.length === 0) return this.close()
    if (this.#timer !== undefined) return
    this.#seconds = [0]
    this.#timer = setInterval(() => this.second(), 1000).unref()
  }

  /** A second has passed. */
  second(): void {
    if (this.#seconds.length >= SECONDS) {
      const load = this.#seconds.reduce((all, one) => all + one, 0) / this.#seconds.length
      for (const [below, was] of this.#watched) {
        const quiet = staysQuiet(was ?? true, load, below)
        this.#watched.set(below, quiet)
        if (quiet !== was) this.#tell({ type: 'load', below, quiet })
      }
    }
    this.#seconds = [...this.#seconds.slice(1 - SECONDS), 0]
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#seconds = []
  }

  #of(object: string, attempt: number): CallRate {
    let counted = this.#objects.get(object)
    if (counted?.attempt !== attempt) {
      counted = { attempt, rate: new CallRate() }
      this.#objects.set(object, counted)
    }
    return counted.rate
  }
}
