/**
 * Runs checks in a process of its own (SPEC Q11): an author's code may loop, print or end its process. `runChecks` is the
 * parent's side; run as a program this file is the child's.
 */
import { fork } from 'node:child_process'
import { dirname } from 'node:path'
import { Refusal, type RefusalName } from '../../src/errors.ts'
import { type CheckReport, check, type Effort } from '../../src/spec/check.ts'
import { type Difference, differences, type MatrixRow, matrixOf } from '../../src/spec/matrix.ts'
import { MemoryStage } from '../../src/spec/memory.ts'
import type { Specification } from '../../src/spec/specification.ts'
import { type CheckedCode, NeedsDirectory, type Stage } from '../../src/spec/subject.ts'
import { type Refusal as SuggestedRefusal, suggest } from '../../src/spec/suggest.ts'
import { ended } from '../ended.ts'
import { importDefault } from '../host/runtime.ts'
import { diskCode, loadCode } from './code.ts'
import { DiskStage } from './disk.ts'
import type { ClassPlan } from './plan.ts'
import { ProcessStage } from './processes.ts'

export interface ClassReport {
  className: string
  becomes: string
  from: number
  to: number
  matrix: MatrixRow[]
  differences: Difference[]
  /** Where the code ran: 'in memory' or 'on a disk'; null without a specification. */
  stage: string | null
  check: CheckReport | null
  /** With `suggest`, of a violation: refusals that would make it go away; null if none of those tried does. */
  suggestion?: readonly SuggestedRefusal[] | null
}

interface Work {
  classes: ClassPlan[]
  effort: Effort
  suggest: boolean
}

type Message = { progress: string } | { reports: ClassReport[] } | { failed: { name: string; message: string } }

/** Each refusal that is tried costs one pass: enough to see what most violations need. */
const SUGGEST_BOUNDS = { mutators: 4, alike: 1 }

/** On a disk a call costs as much as thirty in memory, and a history, with its directory and its store, some hundred. */
const DISK_SHARE = 30
const DISK_HISTORIES_SHARE = 3

/** @throws Refusal naming what cannot be checked */
export async function runChecks(work: Work, progress: (text: string) => void): Promise<ClassReport[]> {
  const child = fork(import.meta.filename, ['--check'], { execArgv: [], stdio: ['ignore', 2, 2, 'ipc'] })
  const checked = Promise.withResolvers<ClassReport[]>()
  child.on('message', (message: Message) => {
    if ('progress' in message) progress(message.progress)
    else if ('reports' in message) checked.resolve(message.reports)
    else checked.reject(new Refusal(message.failed.name as RefusalName, message.failed.message))
  })
  ended(child).then((how) => {
    checked.reject(new Refusal('Malformed', `the code under check ended its process (${how})`))
  }, checked.reject)
  child.send(work)
  return await checked.promise.finally(() => child.kill('SIGKILL'))
}

const arities = (code: { prototype?: Record<string, unknown> }, names: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const method = code.prototype?.[name]
      return typeof method === 'function' ? [[name, method.length]] : []
    })
  )

async function checkClass(
  plan: ClassPlan,
  { effort, suggest: isAsked }: Work,
  progress: (text: string) => void
): Promise<ClassReport> {
  const [Old, New] = [await importDefault(plan.old.module), await importDefault(plan.new.module)]
  const code = await loadCode(plan)
  const known = {
    old: arities(Old, Object.keys(plan.old.interface.methods)),
    new: arities(New, Object.keys(plan.new.interface.methods))
  }
  const spec = plan.spec === null ? null : await specOf(plan.spec)
  const memory = inMemory(code)
  const told = (pass: string) => progress(`${plan.old.className} → ${plan.new.className}: ${pass}`)
  const found = spec === null ? null : await checkSomewhere(spec, code, stagesOf(plan, memory), effort, told)
  const isViolated = found?.report.passes.some((pass) => pass.violation !== null) === true
  const suggestion =
    isAsked && isViolated && spec !== null && found?.stage === memory.name
      ? ((await suggest(spec, code, inMemory, SUGGEST_BOUNDS)) ?? null)
      : undefined
  return {
    className: plan.old.className,
    becomes: plan.new.className,
    from: plan.from,
    to: plan.to,
    matrix: matrixOf(code, spec),
    differences: differences(plan.old.interface, plan.new.interface, known),
    stage: found?.stage ?? null,
    check: found?.report ?? null,
    ...(suggestion === undefined ? {} : { suggestion })
  }
}

const inMemory = (codes: CheckedCode | readonly CheckedCode[]): MemoryStage =>
  new MemoryStage(codes, { defer: (callback) => queueMicrotask(callback) })

function stagesOf(plan: ClassPlan, memory: Stage): Record<'memory' | 'disk' | 'processes', Stage> {
  const code = diskCode(plan)
  const links = [code.old, code.new, code.future, code.past]
  const modules = [...links.map((link) => link?.module ?? null), code.transform]
  const directories = modules.flatMap((module) => (module === null ? [] : [dirname(module)]))
  return { memory, disk: new DiskStage(code), processes: new ProcessStage(code, [...new Set(directories)]) }
}

/** In memory if the code keeps all its state in the store, else on a disk. */
async function checkSomewhere(
  spec: Specification,
  code: CheckedCode,
  { memory, disk, processes }: Record<'memory' | 'disk' | 'processes', Stage>,
  effort: Effort,
  progress: (pass: string) => void
): Promise<{ stage: string; report: CheckReport }> {
  try {
    const stages = { main: memory, processes, stacked: inMemory }
    return { stage: memory.name, report: await check(spec, code, stages, effort, progress) }
  } catch (error) {
    if (!(error instanceof NeedsDirectory)) throw error
    const calls = effort.calls / DISK_SHARE
    const less = { ...effort, calls, most: calls / 2, histories: Math.ceil(effort.histories / DISK_HISTORIES_SHARE) }
    return { stage: disk.name, report: await check(spec, code, { main: disk, processes }, less, progress) }
  }
}

async function specOf(path: string): Promise<Specification> {
  const { default: spec } = (await import(path)) as { default?: Specification }
  if (typeof spec?.invariant !== 'function' || typeof spec.disallows !== 'object')
    throw new Refusal('Malformed', 'spec: its default export must be made by defineSpec({ old, new, … })')
  return spec
}

if (process.argv[2] === '--check' && process.argv[1] === import.meta.filename && process.send !== undefined) {
  const send = (message: Message) => process.send!(message)
  process.once('message', async (work: Work) => {
    try {
      const reports: ClassReport[] = []
      for (const plan of work.classes) reports.push(await checkClass(plan, work, (progress) => send({ progress })))
      send({ reports })
    } catch (error) {
      const { name, message } = error as Error
      const isOurs = typeof (error as Refusal).code === 'string' && (error as Refusal).code === name
      send({ failed: { name: isOurs ? name : 'Malformed', message: isOurs ? message : `${name}: ${message}` } })
    }
  })
}
