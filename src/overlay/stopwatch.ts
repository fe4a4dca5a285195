/**
 * The time that a condition counts (SPEC S3), while the peer is up: in memory at every look, durable when it begins and
 * every five minutes while it grows, so that a crash costs a soak no more. Each write is a wake and a sync of every peer
 * that waits.
 */
import type { Progress, Verdict } from '../schedule/evaluate.ts'

const KEEP_MS = 5 * 60_000

export class Stopwatch {
  /** Undefined until the first look of this process: time while the peer was off does not count. */
  #lookedAt: number | undefined
  #keptAt = 0
  /**
   * Whether time was counted at the last look: what has been waited for, or waits for others, is not looked at again.
   * After a start that is not known before the second look.
   */
  #counts = true

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
    const changed = grown || Object.entries(progress).some(([path, passed]) => known[path] !== passed)
    if (grown || passedMs > 0) this.#counts = changed
    if (changed) {
      const durable = grown || now - this.#keptAt >= KEEP_MS
      if (durable) this.#keptAt = now
      keep(progress, durable)
    }
    return verdict
  }

  /** When to look again, ms: what is counted is kept in time; what waits for a moment of the clock sleeps until it comes. */
  lookAgain({ inMs }: Extract<Verdict, { go: false }>, now: number): number | undefined {
    if (inMs === undefined || !this.#counts) return inMs
    return Math.min(inMs, Math.max(0, this.#keptAt + KEEP_MS - now))
  }
}
