/** When members were down, and how many of a group at one moment (SPEC X4). */

export interface Stretch {
  fromMs: number
  toMs: number
}

/** Joins stretches that overlap or touch. */
export function union(stretches: readonly Stretch[]): Stretch[] {
  const joined: Stretch[] = []
  for (const { fromMs, toMs } of stretches.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = joined.at(-1)
    if (last !== undefined && fromMs <= last.toMs) last.toMs = Math.max(last.toMs, toMs)
    else joined.push({ fromMs, toMs })
  }
  return joined
}

/** The most members that were down at one moment; one that comes back at the moment when another goes does not count. */
export function mostAtOnce(members: readonly (readonly Stretch[])[]): number {
  const moments = members.flatMap((stretches) =>
    union(stretches).flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, change: 1 },
      { atMs: toMs, change: -1 }
    ])
  )
  moments.sort((a, b) => a.atMs - b.atMs || a.change - b.change)
  let down = 0
  let most = 0
  for (const { change } of moments) {
    down += change
    most = Math.max(most, down)
  }
  return most
}

/**
 * What looking now and then proves: a peer that was found down at several looks in a row was down from the first answer
 * to the last question. One look alone proves a moment, which cannot be compared with a moment of another peer.
 */
export class Looks {
  readonly #proven: Stretch[] = []
  readonly #outlasts: boolean
  #since: number | undefined

  /** @param outlasts what is looked for outlasts looks that fail: an upgrade that has begun goes on after a restart */
  constructor(outlasts = false) {
    this.#outlasts = outlasts
  }

  add(down: boolean, askedMs: number, answeredMs: number): void {
    if (!down) this.#since = undefined
    else if (this.#since === undefined) this.#since = answeredMs
    else if (askedMs > this.#since) this.#proven.push({ fromMs: this.#since, toMs: askedMs })
  }

  /** A look that failed: what was before and after it are no looks in a row. */
  miss(): void {
    if (!this.#outlasts) this.#since = undefined
  }

  get proven(): Stretch[] {
    return union(this.#proven)
  }
}
