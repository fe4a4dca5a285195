/** One history under way (SPEC Q6): the node, the pairs of states that it may stand for, and what was answered so far. */
import type { Coverage } from './coverage.ts'
import type { Holder } from './holder.ts'
import {
  answerOf,
  type Bench,
  type CallStep,
  type Got,
  gotKey,
  isExplained,
  type Line,
  type Step,
  type Violation,
  written
} from './judge.ts'
import {
  after,
  type Call,
  expect,
  initialPair,
  type Outcome,
  outcomeKey,
  type Pair,
  type Phase,
  type Side
} from './model.ts'
import { NeedsDirectory, type Subject } from './subject.ts'

export class Run {
  readonly lines: Line[] = []
  /** More than one after calls whose order, or outcome, only later answers tell. */
  pairs: Pair[]
  phase: Phase = 'before'
  readonly #bench: Bench
  readonly #subject: Subject
  readonly #holder: Holder
  readonly #coverage: Coverage | undefined
  readonly #held: (isHeld: boolean) => void
  /** Whether calls of the new version can be answered already. */
  simulated = false

  constructor(
    bench: Bench,
    subject: Subject,
    holder: Holder,
    { coverage, held = () => undefined }: { coverage?: Coverage; held?: (isHeld: boolean) => void }
  ) {
    this.#bench = bench
    this.#subject = subject
    this.#holder = holder
    this.#coverage = coverage
    this.#held = held
    this.pairs = [initialPair(bench.spec)]
  }

  /** Whether observers of a side are part of the history now. */
  isServed(side: Side): boolean {
    if (this.phase === 'before') return side === 'old' || this.simulated
    return side === 'new' || this.#bench.past
  }

  async take(step: Step): Promise<Violation | undefined> {
    if (step.do === 'call') return await this.#call(step)
    if (step.do === 'together' || step.do === 'cut') return await this.#heldCall(step)
    this.lines.push({ step, got: '' })
    try {
      await this.#perform(step)
    } catch (error) {
      return this.#broken(step, error as Error)
    }
    this.#coverage?.event(step.do, this.phase)
    if (step.do === 'simulate') this.simulated = true
    if (step.do === 'upgrade') this.phase = 'after'
    return undefined
  }

  #perform(step: Extract<Step, { do: 'simulate' | 'upgrade' | 'restart' }>): Promise<void> {
    if (step.do === 'upgrade') return this.#subject.upgrade(step.interruptedAfter)
    return step.do === 'simulate' ? this.#subject.simulate() : this.#subject.restart()
  }

  /** An SO, a TF or an object that does not start is wrong whatever the spec says. */
  #broken(step: Step, { name, message }: Error): Violation {
    if (name === 'NeedsDirectory') throw new NeedsDirectory(message)
    const text = name === 'RerunDiffers' ? message : `${step.do} failed: ${name}: ${message}`
    return { rule: name === 'RerunDiffers' ? 'rerun' : 'type', lines: this.lines, expected: 'no failure', text }
  }

  async #call(step: CallStep): Promise<Violation | undefined> {
    const missing = await this.#simulateFor(step)
    if (missing !== undefined) return missing
    const got = await answerOf(this.#subject, this.#bench, step)
    this.lines.push({ step, got: gotKey(got) })
    const { spec } = this.#bench
    const expected = this.pairs.map((pair) => expect(spec, pair, this.phase, step))
    this.#coverage?.call(step, this.phase, 'refused' in expected[0]!.outcome)
    const left = expected.filter((one) => outcomeKey(one.outcome) === gotKey(got))
    if (left.length === 0) return this.#violation(step, expected[0]!.outcome, got)
    this.pairs = left.map((one) => one.pair)
    return undefined
  }

  async #simulateFor({ side }: Call): Promise<Violation | undefined> {
    const isNeeded = side === 'new' && this.phase === 'before' && !this.simulated
    return isNeeded ? await this.take({ do: 'simulate' }) : undefined
  }

  /** What came of it shows in later answers: one order of two calls, or all or nothing of one, must explain them. */
  async #heldCall(step: Extract<Step, { do: 'together' | 'cut' }>): Promise<Violation | undefined> {
    for (const call of step.do === 'cut' ? [step.first] : [step.first, step.second]) {
      const missing = await this.#simulateFor(call)
      if (missing !== undefined) return missing
    }
    const { spec, stage } = this.#bench
    const call = (one: Call) => answerOf(this.#subject, this.#bench, one)
    this.#coverage?.event(step.do, this.phase)
    if (step.do === 'cut') {
      const first = this.#holder.hold(step.heldAt, 'killed', () => call(step.first))
      const isHeld = await first.held
      this.#held(isHeld)
      await this.#subject.restart()
      this.lines.push({ step, got: isHeld ? 'unknown' : gotKey(await first.answer) })
      this.#holder.kill()
      this.pairs = this.pairs.flatMap((pair) => [pair, this.#next(pair, step.first)])
      return undefined
    }
    const first = this.#holder.hold(step.heldAt, 'waits', () => call(step.first))
    this.#held(await first.held)
    const answers = [await this.#holder.beside(call(step.second), stage.patience?.bind(stage)), await first.answer]
    const got = answers.map(gotKey).toReversed()
    this.lines.push({ step, got: got.join(', ') })
    const orders = this.pairs.flatMap((pair) =>
      [
        [step.first, step.second],
        [step.second, step.first]
      ].flatMap(([one, other]) => {
        const begun = expect(spec, pair, this.phase, one!)
        const ended = expect(spec, begun.pair, this.phase, other!)
        const outcomes = [begun, ended].map((each) => outcomeKey(each.outcome))
        const inOrder = one === step.first ? outcomes : outcomes.toReversed()
        return inOrder.join(', ') === got.join(', ') ? [ended.pair] : []
      })
    )
    if (orders.length > 0) {
      this.pairs = orders
      return undefined
    }
    const text = `${written(this.#bench, step.first)} and ${written(this.#bench, step.second)} at once answer ${got.join(' and ')}, which no order explains`
    return { rule: 'sequence', lines: this.lines, expected: 'the answers of one order', text }
  }

  #next(pair: Pair, call: Call): Pair {
    const { spec } = this.#bench
    return 'value' in expect(spec, pair, this.phase, call).outcome ? after(spec, pair, call) : pair
  }

  #violation(step: CallStep, outcome: Outcome, got: Got): Violation {
    const expected = 'refused' in outcome ? 'refused' : outcomeKey(outcome)
    const called = written(this.#bench, step)
    const common = { lines: this.lines, expected }
    if ('refused' in outcome) {
      const text = `${called} is declared as refused here, and was served: ${gotKey(got)}`
      return { ...common, rule: 'disallow', text }
    }
    if ('refused' in got || ('failed' in got && NOT_SERVED.has(got.failed))) {
      const why = 'failed' in got ? `${got.failed}: ${got.text}` : 'Disallowed'
      return { ...common, rule: 'disallow', text: `${called} is refused (${why}), and that is not declared` }
    }
    if ('failed' in got) return { ...common, rule: 'type', text: `${called} failed: ${got.failed}: ${got.text}` }
    const rule = isExplained(this.#bench.spec, step.side, this.lines) ? 'sequence' : 'type'
    return { ...common, rule, text: `${called} answers ${gotKey(got)}, must be ${expected}` }
  }
}

/** Errors that say that nobody serves the method. */
const NOT_SERVED: ReadonlySet<string> = new Set(['Disallowed', 'NoSuchMethod', 'Unavailable', 'Retired'])
