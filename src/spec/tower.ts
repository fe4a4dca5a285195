/**
 * A chain of several versions of one class checked whole (SPEC Q13), after its upgrades were checked pair by pair: a node
 * stands for as many states as there are versions. What a call means at the next version its shadow says; what it
 * means beyond that follows from the mutators of that next version that make the same change.
 */
import fc from 'fast-check'
import type { Value } from '../versions/types.ts'
import { type Call, effectOf, resultOf } from './model.ts'
import { keyOf } from './plain.ts'
import type { Domain, MethodModel, Specification, TypeModel } from './specification.ts'
import { undetermined } from './specification.ts'
import type { CheckedCode, Stage, Subject } from './subject.ts'

/** One call of a tower: `level` counts versions from the oldest, 0. */
export type TowerCall = Omit<Call, 'side'> & { readonly level: number }
export type TowerStep = ({ readonly do: 'call' } & TowerCall) | { readonly do: 'upgrade' } | { readonly do: 'restart' }

export interface TowerViolation {
  steps: string[]
  text: string
}

export interface Tower {
  /** One for each upgrade, from the oldest. */
  specs: readonly Specification[]
  codes: readonly CheckedCode[]
  stage: Stage
}

/** Mutators that may make up one change of a version in between. */
const MAX_WORDS = 3

const typesOf = ({ specs }: Tower): TypeModel<any>[] => [specs[0]!.old, ...specs.map((spec) => spec.new)]
const versionsOf = ({ codes }: Tower): number[] => [codes[0]!.from, ...codes.map((code) => code.to)]
const modelOf = (types: readonly TypeModel<any>[], { level, method }: TowerCall): MethodModel<any> =>
  types[level]!.methods[method]!

/** Interceptors that would miss what passes below the SO that they rest on, since that one emits no effects. */
export function unreachable({ codes }: Pick<Tower, 'codes'>): string[] {
  const found: string[] = []
  for (const [at, code] of codes.entries()) {
    const above = codes[at + 1]
    const isSilent = (so: CheckedCode['past']) => so !== null && so !== 'subtype' && so.effects !== true
    if (above !== undefined && above.future !== null && above.future.intercepts.length > 0 && isSilent(code.future))
      found.push(
        `the future SO of version ${above.to} intercepts on that of version ${code.to}, which emits no effects`
      )
    const { past } = code
    if (
      above !== undefined &&
      past !== null &&
      past !== 'subtype' &&
      past.intercepts.length > 0 &&
      isSilent(above.past)
    )
      found.push(`the past SO of version ${code.from} intercepts on that of version ${code.to}, which emits no effects`)
  }
  return found
}

class TowerRun {
  readonly steps: string[] = []
  readonly #tower: Tower
  readonly #types: TypeModel<any>[]
  readonly #subject: Subject
  #states: any[]
  #current = 0
  #simulated = 0

  constructor(tower: Tower, subject: Subject) {
    this.#tower = tower
    this.#types = typesOf(tower)
    this.#subject = subject
    this.#states = [this.#types[0]!.initial]
    for (const spec of tower.specs) this.#states.push(spec.mapping(this.#states.at(-1)))
  }

  async take(step: TowerStep): Promise<TowerViolation | undefined> {
    if (step.do === 'call') return await this.#call(step)
    if (step.do === 'upgrade' && this.#current === this.#tower.codes.length) return undefined
    this.steps.push(`*${step.do}*`)
    try {
      await this.#subject[step.do]()
    } catch (error) {
      return { steps: this.steps, text: `${step.do} failed: ${(error as Error).message}` }
    }
    if (step.do === 'upgrade') {
      this.#current += 1
      this.#simulated = Math.max(this.#simulated, this.#current)
    }
    return undefined
  }

  async #call(call: TowerCall): Promise<TowerViolation | undefined> {
    try {
      for (; this.#simulated < call.level; this.#simulated++) await this.#subject.simulate()
    } catch (error) {
      return { steps: this.steps, text: `a future SO did not start: ${(error as Error).message}` }
    }
    const version = versionsOf(this.#tower)[call.level]!
    const said = `${call.method}(${call.args.map((one) => (typeof one === 'string' ? one : keyOf(one))).join(', ')})@${version}`
    const model = modelOf(this.#types, call)
    const refused = this.#isDisallowed(call)
    const value = resultOf(model, this.#states[call.level], call.args)
    const wanted = refused ? 'refused' : value === undetermined ? 'undetermined' : keyOf(value)
    const got = await this.#subject.call(version, call.method, call.args).then(keyOf, nameOf)
    this.steps.push(got === 'null' ? said : `${said} = ${got}`)
    if (got !== wanted) return { steps: this.steps, text: `${said} answers ${got}, must be ${wanted}` }
    if (!refused && model.kind === 'mutator') this.#change(call)
    return undefined
  }

  #isDisallowed({ level, method, args }: TowerCall): boolean {
    if (level === this.#current) return false
    const phase = level > this.#current ? 'before' : 'after'
    const below = phase === 'before' ? level - 1 : level
    const predicate = this.#tower.specs[below]!.disallows[phase][method]
    return predicate?.(this.#states[below], this.#states[below + 1], ...args) ?? false
  }

  /** The change at its own version, then at each version above and below, in that version's words. */
  #change(call: TowerCall): void {
    const before = this.#states
    this.#states = [...before]
    this.#states[call.level] = effectOf(modelOf(this.#types, call), before[call.level], call.args)
    for (const direction of [1, -1]) {
      let words: TowerCall[] = [call]
      for (let level = call.level + direction; this.#types[level] !== undefined; level += direction) {
        const spec = this.#tower.specs[direction > 0 ? level - 1 : level]!
        const shadows = direction > 0 ? spec.shadows.new : spec.shadows.old
        let state = before[level]
        for (const { method, args } of words) state = shadows[method]!(state, ...args)
        this.#states[level] = state
        words = wordsFor(this.#types[level]!, level, before[level], state)
      }
    }
  }
}

const nameOf = (error: unknown): string => {
  const { name, message } = error as Error
  return name === 'Disallowed' ? 'refused' : `${name}: ${message}`
}

/** The fewest mutators of a type that lead from one of its states to another. @throws Error if a few do not */
function wordsFor(type: TypeModel<any>, level: number, from: unknown, to: unknown): TowerCall[] {
  const wanted = keyOf(to)
  let edge: { state: unknown; words: TowerCall[] }[] = [{ state: from, words: [] }]
  for (let length = 0; length <= MAX_WORDS; length++) {
    const found = edge.find(({ state }) => keyOf(state) === wanted)
    if (found !== undefined) return found.words
    edge = edge.flatMap(({ state, words }) =>
      mutatorsAt(type, level).map((call) => ({
        state: effectOf(type.methods[call.method]!, state, call.args),
        words: [...words, call]
      }))
    )
  }
  throw new Error(`no ${MAX_WORDS} mutators of version ${level + 1} lead from ${keyOf(from)} to ${wanted}`)
}

const known = new WeakMap<TypeModel<any>, TowerCall[]>()

function mutatorsAt(type: TypeModel<any>, level: number): TowerCall[] {
  const calls = known.get(type) ?? smallCallsOf(type, level, 'mutator')
  known.set(type, calls)
  return calls
}

function smallCallsOf(type: TypeModel<any>, level: number, kind: 'observer' | 'mutator'): TowerCall[] {
  return Object.entries(type.methods)
    .filter(([, model]) => model.kind === kind)
    .flatMap(([method, model]) =>
      (model.args as Domain<Value>[])
        .reduce<Value[][]>((lists, domain) => lists.flatMap((args) => domain.small.map((one) => [...args, one])), [[]])
        .map((args) => ({ level, method, args }))
    )
}

/** Runs one history; all observers of all versions follow every step, or the last one only, or none. */
export async function climb(
  tower: Tower,
  steps: readonly TowerStep[],
  observe: 'always' | 'last' | 'never' = 'always'
): Promise<TowerViolation | undefined> {
  const subject = await tower.stage.open()
  const run = new TowerRun(tower, subject)
  const observers = typesOf(tower).flatMap((type, level) => smallCallsOf(type, level, 'observer'))
  try {
    for (const [at, step] of steps.entries()) {
      const violation = await run.take(step)
      if (violation !== undefined) return violation
      if (observe === 'never' || (observe === 'last' && at < steps.length - 1)) continue
      for (const call of observers) {
        const seen = await run.take({ do: 'call', ...call })
        if (seen !== undefined) return seen
      }
    }
    return undefined
  } finally {
    await subject.close()
  }
}

const UPGRADE: TowerStep = { do: 'upgrade' }

/** All sequences of a few mutators with the first of alike values, at a node of each version. */
function* briefly(tower: Tower, length: number): Generator<TowerStep[]> {
  const types = typesOf(tower)
  const calls = types.flatMap((type, level) =>
    smallCallsOf(type, level, 'mutator').filter((call) =>
      (modelOf(types, call).args as Domain<Value>[]).every((one, at) => !one.alike || call.args[at] === one.small[0])
    )
  )
  let sequences: TowerStep[][] = [[]]
  for (let left = length; left > 0; left--)
    sequences = sequences.flatMap((steps) => calls.map((call): TowerStep[] => [...steps, { do: 'call', ...call }]))
  for (let current = 0; current < types.length; current++)
    for (const steps of sequences) yield [...Array<TowerStep>(current).fill(UPGRADE), ...steps]
}

export interface WholeReport {
  unreachable: string[]
  histories: number
  violation: TowerViolation | undefined
}

/** Q13. Brief histories first, the shortest first; then random ones from a seed, with upgrades and crashes, which shrink. */
export async function checkWhole(
  tower: Tower,
  options: { mutators: number; seed: number; histories: number; calls: number }
): Promise<WholeReport> {
  const found = { unreachable: unreachable(tower), histories: 0 }
  for (let length = 1; length <= options.mutators; length++) {
    for (const steps of briefly(tower, length)) {
      found.histories += 1
      if ((await climb(tower, steps, 'last')) !== undefined)
        return { ...found, violation: await shortened(tower, steps) }
    }
  }
  const property = fc.asyncProperty(
    fc.array(stepOf(tower), { maxLength: options.calls, size: 'max' }),
    async (steps) => {
      found.histories += 1
      const violation = await climb(tower, steps)
      if (violation !== undefined) throw new Error(violation.text)
    }
  )
  const details = await fc.check(property, { seed: options.seed, numRuns: options.histories })
  const [shrunk] = details.counterexample ?? []
  return { ...found, violation: shrunk === undefined ? undefined : await shortened(tower, shrunk) }
}

function stepOf(tower: Tower): fc.Arbitrary<TowerStep> {
  const mutators = typesOf(tower).flatMap((type, level) => smallCallsOf(type, level, 'mutator'))
  return fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...mutators).map((call): TowerStep => ({ do: 'call', ...call })) },
    { weight: 1, arbitrary: fc.constant<TowerStep>(UPGRADE) },
    { weight: 1, arbitrary: fc.constant<TowerStep>({ do: 'restart' }) }
  )
}

/** With the one observer that shows it, rather than all. */
async function shortened(tower: Tower, steps: readonly TowerStep[]): Promise<TowerViolation | undefined> {
  for (const [level, type] of typesOf(tower).entries()) {
    for (const call of smallCallsOf(type, level, 'observer')) {
      const violation = await climb(tower, [...steps, { do: 'call', ...call }], 'never')
      if (violation !== undefined) return violation
    }
  }
  return await climb(tower, steps)
}
