/**
 * What an SO says passes below it (SPEC Q18, V14), held against the shadows: whoever stacks on it relies on that, and no
 * history of two versions shows it. A probe stands where the next SO would, and takes down what it is offered.
 */
import type { Coverage } from './coverage.ts'
import { mutatorSequences } from './histories.ts'
import { type Bench, type Line, type Violation, versionOf, written } from './judge.ts'
import {
  after,
  type Call,
  effectOf,
  expect,
  initialPair,
  isDisallowed,
  methodOf,
  type Phase,
  type Side,
  stateKey
} from './model.ts'
import type { Specification } from './specification.ts'
import { type CheckedCode, type CheckedSimulation, NeedsDirectory, type Stage, type Subject } from './subject.ts'

type StageOf = (codes: readonly CheckedCode[]) => Stage

/** Mutators before the one whose effects are looked at, and that one. */
const LENGTH = 2

/** Whether the future SO (before), or the past SO (after), says what passes below it. */
export function emits({ future, past }: CheckedCode, phase: Phase): boolean {
  const so = phase === 'before' ? future : past
  return so !== null && so !== 'subtype' && so.effects === true
}

/** The first of short histories in which what the SO says makes something else of its state than the shadow does. */
export async function checkEffects(
  spec: Specification,
  code: CheckedCode,
  phase: Phase,
  stageOf: StageOf,
  coverage: Coverage
): Promise<Violation | undefined> {
  const told: Call[] = []
  const side: Side = phase === 'before' ? 'new' : 'old'
  const stage = stageOf(withProbe(code, phase, spec, (method, args) => told.push({ side, method, args })))
  for (let length = 1; length <= LENGTH; length++) {
    for (const calls of mutatorSequences(spec, length)) {
      if (calls.at(-1)!.side === side) continue
      coverage.begin()
      const violation = await tell(spec, code, phase, stage, calls, told)
      if (violation !== undefined) return violation
    }
  }
  return undefined
}

async function tell(
  spec: Specification,
  code: CheckedCode,
  phase: Phase,
  stage: Stage,
  calls: readonly Call[],
  told: Call[]
): Promise<Violation | undefined> {
  const bench = { from: code.from, to: code.to }
  const subject = await stage.open()
  const lines: Line[] = []
  try {
    await begin(subject, phase)
    let pair = initialPair(spec)
    for (const call of calls) {
      if (isDisallowed(spec, pair, phase, call)) return undefined
      told.length = 0
      await subject.call(versionOf(bench, call.side), call.method, call.args)
      lines.push({ step: { do: 'call', ...call }, got: '' })
      const { pair: next } = expect(spec, pair, phase, call)
      const above: Side = phase === 'before' ? 'new' : 'old'
      if (call.side !== above) {
        const state = above === 'new' ? pair.next : pair.old
        const wanted = above === 'new' ? after(spec, pair, call).next : after(spec, pair, call).old
        const got = told.reduce((left, one) => effectOf(methodOf(spec, one), left, one.args), state)
        const [made, must] = [stateKey(got), stateKey(wanted)]
        if (made !== must) return violationOf(bench, lines, call, told, made, must)
      }
      pair = next
    }
    return undefined
  } catch (error) {
    if (error instanceof NeedsDirectory) throw error
    return { rule: 'effects', lines, expected: 'no failure', text: (error as Error).message }
  } finally {
    await subject.close()
  }
}

async function begin(subject: Subject, phase: Phase): Promise<void> {
  // Before: the SO, then the probe on it. After: the step that brings the probe, then the one under check.
  if (phase === 'before') {
    await subject.simulate()
    await subject.simulate()
    return
  }
  await subject.upgrade()
  await subject.upgrade()
}

function violationOf(
  bench: Pick<Bench, 'from' | 'to'>,
  lines: Line[],
  call: Call,
  told: readonly Call[],
  got: string,
  wanted: string
): Violation {
  const said = told.length === 0 ? 'nothing' : told.map((one) => written(bench, one)).join(', ')
  const text = `"effects" says that ${written(bench, call)} means ${said}, which makes ${got}; the shadow makes ${wanted}`
  return { rule: 'effects', lines, expected: wanted, text }
}

/** The code with one more version beyond the SO's own: nothing but an interceptor of all its mutators. */
function withProbe(
  code: CheckedCode,
  phase: Phase,
  spec: Specification,
  tell: (method: string, args: any[]) => void
): CheckedCode[] {
  const watched = spec[phase === 'before' ? 'new' : 'old'].methods
  const intercepts = Object.keys(watched).filter((method) => watched[method]!.kind === 'mutator')
  const nothing = { methods: {}, calls: {} }
  const probe: CheckedSimulation = {
    interface: nothing,
    intercepts,
    construct: () =>
      ({
        intercept(method: string, args: any[]) {
          tell(method, args)
          return []
        }
      }) as never
  }
  const empty = { className: 'Probe', interface: nothing, construct: () => ({}) }
  if (phase === 'before') {
    const above = {
      from: code.to,
      to: code.to + 1,
      old: code.new,
      new: empty,
      future: probe,
      past: null,
      transform: null
    }
    return [code, above]
  }
  // The probe's own version is below all others, so that they keep their numbers.
  return [
    { from: code.from - 1, to: code.from, old: empty, new: code.old, future: null, past: probe, transform: null },
    code
  ]
}
