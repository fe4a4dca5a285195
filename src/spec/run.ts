/** One history under way (SPEC Q6): the node, the pairs of states that it may stand for, and what was answered so far. */
import type { Value } from '../versions/types.ts'
import type { Coverage } from './coverage.ts'
import { isExplained } from './explain.ts'
import type { Holder } from './holder.ts'
import {
  answerOf,
  type Bench,
  type CallStep,
  type Got,
  gotKey,
  type Line,
  type Step,
  type Violation,
  written
} from './judge.ts'
import {
  asGiven,
  type Call,
  expect,
  initialPair,
  type Outcome,
  outcomeKey,
  type Pair,
  type Phase,
  type Side
} from './model.ts'
import { Answered, type Names, shown, unified } from './opaque.ts'
import { NeedsDirectory, type Subject } from './subject.ts'

/** What the node may stand for: a pair of states, and which of the code's opaque texts are which of the model's. */
interface World {
  pair: Pair
  names: Names
}

/** A call as the model knows its arguments, and as the code does. */
interface Asked {
  given: Call
  real: Call
  /** Names what it makes that is opaque. */
  made: string
}

export class Run {
  readonly lines: Line[] = []
  /** More than one after calls whose order, or outcome, only later answers tell. */
  #worlds: World[]
  phase: Phase = 'before'
  readonly #bench: Bench
  readonly #subject: Subject
  readonly #holder: Holder
  readonly #coverage: Coverage | undefined
  readonly #held: (isHeld: boolean) => void
  readonly #answered: Answered | undefined
  #calls = 0
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
    this.#worlds = [{ pair: initialPair(bench.spec), names: new Map() }]
    this.#answered = bench.spec.opaque && new Answered(bench.spec.opaque)
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
    const asked = this.#asked(step)
    if (asked === undefined) return undefined
    const got = await this.#answer(asked)
    const key = gotKey(got)
    this.lines.push({ step, got: key })
    const left: World[] = []
    let wanted: Outcome | undefined
    for (const { pair, names } of this.#worlds) {
      const one = expect(this.#bench.spec, pair, this.phase, asked.given, asked.made)
      wanted ??= one.outcome
      const known = unified(outcomeKey(one.outcome), key, names)
      if (known !== null) left.push({ pair: one.pair, names: known })
    }
    this.#coverage?.call(step, this.phase, 'refused' in wanted!)
    if (left.length === 0) return this.#violation(step, wanted!, got)
    this.#worlds = left
    return undefined
  }

  /** Undefined if it would need an opaque text that nobody was given: nobody can make this call. */
  #asked(call: Call): Asked | undefined {
    const made = `${++this.#calls}`
    const { pair, names } = this.#worlds[0]!
    const given = asGiven(this.#bench.spec, pair, call)
    const args = this.#answered === undefined ? given.args : this.#answered.real(given.args, names)
    return args === null ? undefined : { given, made, real: { ...call, args: args as Value[] } }
  }

  async #answer({ real }: Asked): Promise<Got> {
    const got = await answerOf(this.#subject, this.#bench, real)
    if (this.#answered === undefined || !('value' in got)) return got
    return { value: this.#answered.named(got.value) }
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
    const [first, second] = [this.#asked(step.first), step.do === 'cut' ? null : this.#asked(step.second)]
    if (first === undefined || second === undefined) return undefined
    this.#coverage?.event(step.do, this.phase)
    const end = step.do === 'cut' ? 'killed' : 'waits'
    const { held, answer } = this.#holder.hold(step.heldAt, end, () => this.#answer(first))
    const isHeld = await held
    this.#held(isHeld)
    if (second === null) {
      await this.#subject.restart()
      this.lines.push({ step, got: isHeld ? 'unknown' : gotKey(await answer) })
      this.#holder.kill()
      this.#worlds = this.#worlds.flatMap((world) => [world, { ...world, pair: this.#next(world.pair, first) }])
      return undefined
    }
    const { stage } = this.#bench
    const other = await this.#holder.beside(this.#answer(second), stage.patience?.bind(stage))
    const got = [await answer, other].map(gotKey)
    this.lines.push({ step, got: got.join(', ') })
    const worlds = this.#worlds.flatMap((world) => [
      ...this.#inOrder(world, [first, second], got),
      ...this.#inOrder(world, [second, first], got.toReversed())
    ])
    if (worlds.length > 0) {
      this.#worlds = worlds
      return undefined
    }
    const text = `${written(this.#bench, first.given)} and ${written(this.#bench, second.given)} at once answer ${got.join(' and ')}, which no order explains`
    return { rule: 'sequence', lines: this.lines, expected: 'the answers of one order', text }
  }

  /** The world after calls one after the other, if that is what they answered. */
  #inOrder({ pair, names }: World, calls: readonly Asked[], got: readonly string[]): World[] {
    let world: World = { pair, names }
    for (const [at, { given, made }] of calls.entries()) {
      const one = expect(this.#bench.spec, world.pair, this.phase, given, made)
      const known = unified(outcomeKey(one.outcome), got[at]!, world.names)
      if (known === null) return []
      world = { pair: one.pair, names: known }
    }
    return [world]
  }

  #next(pair: Pair, { given, made }: Asked): Pair {
    return expect(this.#bench.spec, pair, this.phase, given, made).pair
  }

  #violation(step: CallStep, outcome: Outcome, got: Got): Violation {
    const expected = shown(outcomeKey(outcome), this.#worlds[0]!.names)
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
