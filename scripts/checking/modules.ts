/** Source modules of a class upgrade, unbuilt, as code that a check can run: what `upstart check` does with packed ones. */
import { join } from 'node:path'
import type { Family, Parts, Place } from '../../examples/sets/variants/variant.ts'
import { diskCode, loadCode } from '../../node/check/code.ts'
import { DiskStage } from '../../node/check/disk.ts'
import type { ClassPlan } from '../../node/check/plan.ts'
import { importDefault } from '../../node/host/runtime.ts'
import { readStatics } from '../../node/pack/interfaces.ts'
import { CallersStage } from '../../src/spec/callers.ts'
import { sightOf } from '../../src/spec/check.ts'
import type { Bench } from '../../src/spec/judge.ts'
import type { Sight } from '../../src/spec/knowledge.ts'
import { MemoryStage } from '../../src/spec/memory.ts'
import type { Specification } from '../../src/spec/specification.ts'
import type { CheckedCode } from '../../src/spec/subject.ts'

export interface Loaded {
  bench: Bench
  code: CheckedCode
  sight: Sight
}

/** The parts of one class upgrade, on a node. @param where default: in memory */
export async function load(
  directory: string,
  { from, to }: Pick<Family, 'from' | 'to'>,
  parts: Parts,
  spec: Specification,
  where?: Place
): Promise<Loaded> {
  const plan: ClassPlan = {
    from,
    to,
    old: { className: 'Old', ...(await declared(directory, parts.old)) },
    new: { className: 'New', ...(await declared(directory, parts.new)) },
    future: await declared(directory, parts.future),
    past: parts.past === 'subtype' ? 'subtype' : await declared(directory, parts.past),
    transform: join(directory, parts.transform),
    needs: undefined,
    spec: null
  }
  const code = await loadCode(plan)
  const memory = new MemoryStage(code, { defer: (callback) => queueMicrotask(callback) })
  const onCallers = where === 'callers' ? new CallersStage(code, memory) : memory
  const stage = where === 'disk' ? new DiskStage(diskCode(plan)) : onCallers
  return { bench: { spec, from, to, future: true, past: true, stage }, code, sight: sightOf(code) }
}

async function declared(directory: string, path: string) {
  const module = join(directory, path)
  const statics = await importDefault(module)
  const { methods, calls, intercepts } = statics
  const hooks = typeof statics.prototype.effects === 'function' ? ['effects'] : []
  const implemented = [...Object.keys(methods), ...hooks]
  return { ...readStatics(path, { methods, calls, intercepts, implemented }), module }
}
