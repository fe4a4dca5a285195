/**
 * Whether an object begins its next upgrade now (SPEC S): the condition of the schedule, statements, what else this node
 * is at, and last the constraints. The verdict is data: go, or wait because …
 */
import { evaluateConstraints } from '../schedule/constraints.ts'
import { earlier, evaluate, type Verdict } from '../schedule/evaluate.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { ObjectState } from './lifecycle.ts'
import { Stopwatch } from './stopwatch.ts'
import type { Surroundings } from './surroundings.ts'
import { pauseOf } from './target.ts'

/** How long to wait after an obstacle that is not the version's fault. */
const TRY_AGAIN_MS = 30_000

/** What a decision needs of its object. */
export interface DecisionOwner {
  readonly state: ObjectState
  readonly around: Surroundings
  /** What keeps the object from stopping just now, whatever the schedule says; undefined if nothing does. */
  obstacle(target: number): string | undefined
  /** Keeps the time that the schedule has counted; not `durable`: in memory, until it is worth a write. */
  progress(progress: ObjectState['progress'], durable: boolean): void
}

export class Decision {
  readonly #owner: DecisionOwner
  readonly #stopwatch = new Stopwatch()
  /** After an obstacle that is not the version's fault: no new attempt before this time, and what the obstacle was. */
  #notBefore = 0
  #obstacle = ''

  constructor(owner: DecisionOwner) {
    this.#owner = owner
  }

  /** The object has a new target: its time begins now. */
  begin(now: number): void {
    this.#stopwatch.begin(now)
  }

  /** What it waits for was no fault of the version: it is tried again later. */
  postpone(obstacle: string, now: number): void {
    this.#notBefore = now + TRY_AGAIN_MS
    this.#obstacle = obstacle
  }

  /** How many of its group may be down while this upgrade is: the k of the permit it needs; null if it needs none. */
  permitFor(target: LineageVersion): number | null {
    const { constraints } = target.upgrade.schedule
    const most = constraints.flatMap((one) => (one.kind === 'rolling' ? [one.unavailable] : []))
    return this.#owner.state.current === null || most.length === 0 ? null : Math.min(...most)
  }

  /** S5: also asked again after the new code was imported, before the object stops: a permit may have been given back. */
  mayBegin(target: LineageVersion, now: number): boolean {
    return this.judge(target, now).go && (this.permitFor(target) === null || this.#holdsPermit())
  }

  /** Go, or wait and for what. Constraints come last: a permit is asked for only when all else holds. */
  consider(target: LineageVersion, now: number): Verdict & { permit: number | null } {
    const verdict = this.judge(target, now)
    if (!verdict.go) return { ...verdict, inMs: this.#stopwatch.lookAgain(verdict, now), permit: null }
    const permit = this.permitFor(target)
    if (permit === null || this.#holdsPermit()) return { ...verdict, permit }
    const reason = { kind: 'permit', ...this.#owner.around.sayPermit(permit) } as const
    return { go: false, progress: verdict.progress, reason, inMs: verdict.forMs, permit }
  }

  /** All but the permit. */
  judge(target: LineageVersion, now: number): Verdict {
    const { around, state } = this.#owner
    const facts = around.facts(target.entry, state.object)
    const { when, constraints } = target.upgrade.schedule
    let verdict!: Verdict
    const judged = (passedMs: number): Verdict => {
      verdict = evaluate(when, state.progress, passedMs, facts)
      return evaluateConstraints(constraints, verdict.progress, passedMs, facts, state.current !== null)
    }
    const isHeld = this.#stopwatch.look(state.progress, now, judged, (next, durable) =>
      this.#owner.progress(next, durable)
    )
    const { progress } = this.#owner.state
    const wait = (kind: 'pause' | 'turn' | 'unknown', sentence: string, inMs?: number): Verdict & { go: false } => ({
      go: false,
      progress,
      reason: { kind, sentence },
      inMs
    })
    const pause = pauseOf(target, around, now)
    if (pause !== undefined) {
      const note = pause.body.note === '' ? '' : ` (${pause.body.note})`
      const paused = wait('pause', `paused by statement ${pause.hash.slice(0, 12)}${note}`, pause.expires - now)
      return { ...paused, reason: { ...paused.reason, statement: pause.hash } }
    }
    if (!verdict.go && !around.statements.hastened(target.entry.hash)) return verdict
    if (around.leaves()) return wait('turn', 'this peer leaves the fleet')
    if (now < this.#notBefore) return wait('turn', this.#obstacle, this.#notBefore - now)
    const obstacle = this.#owner.obstacle(target.version)
    if (obstacle !== undefined) return wait('turn', obstacle)
    if (!isHeld.go) return isHeld
    const forMs = earlier(verdict.go ? verdict.forMs : undefined, isHeld.forMs)
    return { go: true, progress, ...(forMs === undefined ? {} : { forMs }) }
  }

  #holdsPermit(): boolean {
    return this.#owner.around.holdsPermit(this.#owner.state.object)
  }
}
