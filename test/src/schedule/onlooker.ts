/** A peer whose schedule looks at others: they are what a test says they are. */
import { evaluate, type Facts, type Progress, type Verdict } from '../../../src/schedule/evaluate.ts'
import { type Candidate, type Others, SETTLE_MS, type Shown } from '../../../src/schedule/panel.ts'
import { type Condition, type Filter, MILLION } from '../../../src/schedule/schedule.ts'

type Seen = Candidate & { labels?: Record<string, string>; class?: string }

/** A peer at place 0.9 that looks at others. */
export class Onlooker {
  lowest: Seen[] = []
  place = 0.9
  labels: Record<string, string> = {}
  classes = ['Thing']
  drawn = 0
  settledMs: number | undefined = SETTLE_MS
  fellows = { known: 100, run: 0 }
  signals = { known: 10, ready: 0 }
  progress: Progress = {}
  readonly #condition: Condition

  constructor(condition: Condition) {
    this.#condition = condition
  }

  /** Peers at 0.001, 0.002 … */
  see(...states: Shown[]): this {
    this.lowest = states.map((state, index) => ({
      peer: `peer-canary${index}`,
      place: (index + 1) / 1000,
      state,
      reason: state === 'failed' ? 'no such luck' : ''
    }))
    return this
  }

  /** Peers at these places, or with these labels, or of these classes. */
  seeAll(seen: Partial<Seen>[]): this {
    this.lowest = seen.map((one, index) => ({
      peer: `peer-other${index}`,
      place: 0.5,
      state: 'runs',
      reason: '',
      ...one
    }))
    return this
  }

  after(passedMs: number): Verdict {
    const others: Others = {
      self: 'peer-self',
      version: 2,
      place: this.lowest.find((one) => one.peer === 'peer-self')?.place ?? this.place,
      panel: (filter) => ({ judged: this.lowest.filter((one) => fits(one, filter)), settledMs: this.settledMs }),
      between: () => this.fellows,
      ready: () => ({ ...this.signals, settledMs: this.settledMs })
    }
    const facts: Facts = {
      approved: false,
      others: () => others,
      now: 0,
      labels: this.labels,
      place: () => 0,
      draw: () => this.drawn,
      clockDoubt: () => undefined,
      isQuiet: () => undefined,
      locks: [],
      opinion: () => ({ known: 'asked' }),
      classes: () => this.classes
    }
    const verdict = evaluate(this.#condition, this.progress, passedMs, facts)
    this.progress = verdict.progress
    return verdict
  }

  goes(passedMs: number): boolean {
    return this.after(passedMs).go
  }

  says(passedMs: number): string {
    const verdict = this.after(passedMs)
    return verdict.go ? 'go' : verdict.reason.sentence
  }
}

function fits(one: Seen, filter: Filter): boolean {
  if (filter.by === 'label') return filter.values.includes(one.labels?.[filter.label] ?? '')
  if (filter.by === 'class') return one.class === filter.class
  return one.place * MILLION >= filter.from && one.place * MILLION < filter.to
}
