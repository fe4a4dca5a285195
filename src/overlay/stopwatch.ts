/**
 * The time that a condition counts (SPEC S3), while the peer is up: in memory at every look, durable when it begins and
 * once a minute, so that a crash costs a soak a minute at most.
 */
import type { Progress, Verdict } from '../schedule/evaluate.ts'

const KEEP_MS = 60_000

export class Stopwatch {
  /** Undefined until the first look of this process: time while the peer was off does not count. */
  #lookedAt: number | undefined
  #keptAt = 0

  /** The time begins now. */
  begin(now: number): void {
    this.#lookedAt = now
  }

  /** @param keep told of progress that changed; not `durable`: in memory, until it is worth a write */
  look(
    known: Progress,
    now: number,
    judge: (passedMs: number) => Verdict,
    keep: (progress: Progress, durable: boolean) => void
  ): Verdict {
    const passedMs = this.#lookedAt === undefined ? 0 : Math.max(0, now - this.#lookedAt)
    this.#lookedAt = now
    const verdict = judge(passedMs)
    const { progress } = verdict
    const grown = Object.keys(progress).length !== Object.keys(known).length
    if (grown || Object.entries(progress).some(([path, passed]) => known[path] !== passed)) {
      const durable = grown || now - this.#keptAt >= KEEP_MS
      if (durable) this.#keptAt = now
      keep(progress, durable)
    }
    return verdict
  }

  /** When to look again, ms: what is counted is kept in time; what waits for a moment of the clock sleeps until it comes. */
  lookAgain({ inMs, progress }: Extract<Verdict, { go: false }>, now: number): number | undefined {
    if (inMs === undefined || Object.keys(progress).length === 0) return inMs
    return Math.min(inMs, Math.max(0, this.#keptAt + KEEP_MS - now))
  }
}
