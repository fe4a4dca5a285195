/**
 * Runs one history on a node and holds every answer against the specification (SPEC Q6). What is wrong is named by
 * the requirement that it violates: *type*, *sequence* or *disallow*.
 */
import type { Value } from '../versions/types.ts'
import type { Coverage } from './coverage.ts'
import { Holder } from './holder.ts'
import { type Call, type Outcome, outcomeKey, type Side, smallCalls } from './model.ts'
import { keyOf } from './plain.ts'
import { Run } from './run.ts'
import type { Specification } from './specification.ts'
import type { Hooks, Stage, Subject } from './subject.ts'

export type Step =
  | ({ readonly do: 'call' } & Call)
  /** The future SO starts. */
  | { readonly do: 'simulate' }
  /** With a number the TF is also interrupted after so many writes, and run again. */
  | { readonly do: 'upgrade'; readonly interruptedAfter?: number }
  /** The object's process is killed and started again. */
  | { readonly do: 'restart' }
  /** Two calls at once: `first` waits at its point number `heldAt` until `second` has ended, or has to wait, too. */
  | { readonly do: 'together'; readonly first: Call; readonly second: Call; readonly heldAt: number }
  /** The object's process is killed at point number `heldAt` of a call, and started again. */
  | { readonly do: 'cut'; readonly first: Call; readonly heldAt: number }
export type CallStep = Extract<Step, { do: 'call' }>

export type Rule = 'type' | 'sequence' | 'disallow' | 'rerun' | 'effects'

/** One line of a history as people read it. */
export interface Line {
  step: Step
  /** What came of a call; empty for other steps. */
  got: string
}

export interface Violation {
  rule: Rule
  lines: Line[]
  /** What should have come of the last call. */
  expected: string
  text: string
}

export interface Bench {
  spec: Specification
  /** Versions of the two types. */
  from: number
  to: number
  /** Whether there are such SOs: without one, calls of its version are not part of histories in its phase. */
  future: boolean
  past: boolean
  stage: Stage
}

/** An answer of the real code: a value, a refusal, or the name of another error. */
export type Got = Outcome | { readonly failed: string; readonly text: string }

export const callStep = (call: Call): CallStep => ({ do: 'call', ...call })
export const versionOf = ({ from, to }: Pick<Bench, 'from' | 'to'>, side: Side): number => (side === 'old' ? from : to)

export async function answerOf(subject: Subject, bench: Bench, call: Call): Promise<Got> {
  try {
    return { value: await subject.call(versionOf(bench, call.side), call.method, call.args) }
  } catch (error) {
    const { name, message, cause } = error as Error
    if (name === 'Disallowed') return { refused: true }
    // What passes a call on to a type that lacks its method does not serve it; nor does a current object that refuses.
    const hidden = (cause as Error | undefined)?.name ?? ''
    return { failed: HIDDEN.has(hidden) ? hidden : name, text: message }
  }
}

const HIDDEN: ReadonlySet<string> = new Set(['NoSuchMethod', 'Disallowed'])

export const gotKey = (got: Got): string => ('failed' in got ? got.failed : outcomeKey(got))

/** A call in people's words: getColor(1)@2. */
export function written(bench: Pick<Bench, 'from' | 'to'>, call: Call): string {
  const args = call.args.map((one: Value) => (typeof one === 'string' ? one : keyOf(one))).join(', ')
  return `${call.method}(${args})@${versionOf(bench, call.side)}`
}

/** Q6: a history with `observers` has each of them run after every step that may have changed something. */
export async function judge(
  bench: Bench,
  steps: readonly Step[],
  options: { observers?: Observers; coverage?: Coverage; held?: (isHeld: boolean) => void } = {}
): Promise<Violation | undefined> {
  const holder = new Holder()
  const isHeld = steps.some((step) => step.do === 'together' || step.do === 'cut')
  const subject = await bench.stage.open(isHeld ? hooksOf(holder) : {})
  const run = new Run(bench, subject, holder, options)
  const { observers } = options
  try {
    for (const step of steps) {
      const violation = await run.take(step)
      if (violation !== undefined) return violation
      if (observers === undefined) continue
      for (const side of ['old', 'new'] as const) {
        if (!run.isServed(side)) continue
        for (const call of observers[side]) {
          const seen = await run.take(call)
          if (seen !== undefined) return seen
        }
      }
    }
    return undefined
  } finally {
    await subject.close()
  }
}

const hooksOf = (holder: Holder): Hooks => ({ point: () => holder.point(), isKilled: () => holder.isKilled() })

export type Observers = Readonly<Record<Side, readonly CallStep[]>>

/** All observers with small arguments; of alike values only the first `alike`. */
export const observersOf = (spec: Specification, alike?: number): Observers => ({
  old: smallCalls(spec, 'old', 'observer', alike).map(callStep),
  new: smallCalls(spec, 'new', 'observer', alike).map(callStep)
})
