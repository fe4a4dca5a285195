/** The modules of a class upgrade as the two stages of a check want them (SPEC Q5). */
import type { CheckedCode } from '../../src/spec/subject.ts'
import type { LinkPlan } from '../host/host.ts'
import { importDefault } from '../host/runtime.ts'
import type { DiskCode } from './disk.ts'
import type { ClassPlan } from './plan.ts'

/** Imports everything. */
export async function loadCode(plan: ClassPlan): Promise<CheckedCode> {
  const [Old, New] = [await importDefault(plan.old.module), await importDefault(plan.new.module)]
  const Future = plan.future === null ? null : await importDefault(plan.future.module)
  const Past = plan.past === null || plan.past === 'subtype' ? null : await importDefault(plan.past.module)
  return {
    from: plan.from,
    to: plan.to,
    old: { ...plan.old, construct: (context) => new Old(context) },
    new: { ...plan.new, construct: (context) => new New(context) },
    future: plan.future === null ? null : { ...plan.future, construct: (context) => new Future(context) },
    past:
      plan.past === null || plan.past === 'subtype'
        ? plan.past
        : { ...plan.past, construct: (context) => new Past(context) },
    transform: plan.transform === null ? null : await importDefault(plan.transform)
  }
}

export function diskCode(plan: ClassPlan): DiskCode {
  const link = (role: LinkPlan['role'], version: number, className: string) => ({ role, version, className })
  const { old, new: next, future, past } = plan
  const past1 = past === 'subtype' ? { interface: old.interface, intercepts: [], module: null } : past
  return {
    old: { ...link('current', plan.from, old.className), ...old, intercepts: [] },
    new: { ...link('current', plan.to, next.className), ...next, intercepts: [] },
    future: future === null ? null : { ...link('future', plan.to, next.className), ...future },
    past: past1 === null ? null : { ...link('past', plan.from, old.className), ...past1 },
    transform: plan.transform,
    needs: plan.needs
  }
}
