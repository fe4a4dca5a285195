/**
 * How many calls of one version of an object fail, as a figure that seldom changes (SPEC S24): drivers count, and tell
 * the core only what others would act on. A steady object tells its figure anew when its calls have grown eightfold;
 * one whose share of failures changed says so from the next chunk on. Pure: the time is passed in.
 */

/** Calls in one chunk at least, and how long it lasts at least. */
export const CHUNK_CALLS = 128
export const CHUNK_MS = 10_000
/** What was counted before an upgrade says something from so many calls on. */
const LEAST_CALLS = 32
/** A steady figure of so many calls is good enough for ever: it is told twice more at most, since each time costs
 * the fleet a round. */
const MOST_CALLS = 4096
const GROWTH = 8
/** Shares that differ by less than this, or by less than so many standard errors, are the same. */
const DIFFERENCE = 0.01
const DEVIATIONS = 5

export interface Calls {
  readonly calls: number
  /** Of them, those that failed through the object's fault. */
  readonly failed: number
}

const NONE: Calls = { calls: 0, failed: 0 }
const sum = (a: Calls, b: Calls): Calls => ({ calls: a.calls + b.calls, failed: a.failed + b.failed })

/** Standard error of the difference of two shares. */
function standardError(a: Calls, b: Calls): number {
  const share = (a.failed + b.failed) / (a.calls + b.calls)
  return Math.sqrt(share * (1 - share) * (1 / a.calls + 1 / b.calls))
}

function differ(a: Calls, b: Calls): boolean {
  const difference = Math.abs(a.failed / a.calls - b.failed / b.calls)
  return difference > Math.max(DIFFERENCE, DEVIATIONS * standardError(a, b))
}

export class CallRate {
  /** What was told last. */
  #told: Calls = NONE
  /** Whole chunks since. */
  #since: Calls = NONE
  #calls = 0
  #failed = 0
  #begunAt: number | undefined

  /** Counts a call that ended. Returns the figure if it is to be told anew. */
  count(failed: boolean, now: number): Calls | undefined {
    this.#begunAt ??= now
    this.#calls += 1
    if (failed) this.#failed += 1
    if (this.#calls < CHUNK_CALLS || now - this.#begunAt < CHUNK_MS) return undefined
    const chunk = { calls: this.#calls, failed: this.#failed }
    this.#calls = this.#failed = 0
    this.#begunAt = now
    return this.#close(chunk)
  }

  /** All that is known when the object stops; undefined if that is too little to say anything. */
  last(): Calls | undefined {
    const all = sum(sum(this.#told, this.#since), { calls: this.#calls, failed: this.#failed })
    return all.calls < LEAST_CALLS ? undefined : all
  }

  #close(chunk: Calls): Calls | undefined {
    if (this.#told.calls > 0 && differ(this.#told, chunk)) return this.#tell(chunk)
    this.#since = sum(this.#since, chunk)
    const enough = this.#told.calls >= MOST_CALLS
    return enough || this.#since.calls < (GROWTH - 1) * this.#told.calls
      ? undefined
      : this.#tell(sum(this.#told, this.#since))
  }

  #tell(calls: Calls): Calls {
    this.#since = NONE
    this.#told = calls
    return calls
  }
}
