/**
 * Which method of which version is served by what, in which phase (SPEC Q10): from the interfaces alone, and sharper
 * where there is a specification.
 */
import type { Interface } from '../upgrade/manifest.ts'
import { reach } from './laws.ts'
import { isDisallowed, type Phase, type Side, smallCalls } from './model.ts'
import type { Specification } from './specification.ts'
import type { CheckedCode } from './subject.ts'

export type Cell =
  /** The current object serves it. */
  | 'direct'
  /** The current object serves it, and an SO is offered it first. */
  | 'intercepted'
  /** An SO serves it. */
  | 'delegated'
  /** An SO refuses it, always or in some states. */
  | 'disallowed'
  | 'partly disallowed'
  /** There is no SO of that version: Unavailable before the upgrade, Retired after it. */
  | 'not served'
  /** There is an SO, and it lacks the method: an error. */
  | 'missing'

export interface MatrixRow {
  version: number
  className: string
  method: string
  kind: 'observer' | 'mutator'
  before: Cell
  after: Cell
}

export interface Difference {
  method: string
  /** gone, added, became an observer, became a mutator, takes other arguments. */
  what: string
}

type Served = Pick<CheckedCode, 'from' | 'to' | 'past' | 'future'> & {
  old: { className: string; interface: Interface }
  new: { className: string; interface: Interface }
}

export function matrixOf(code: Served, spec: Specification | null): MatrixRow[] {
  const { future, past } = code
  const kindOf = (declared: Interface, method: string) => declared.methods[method]!.kind
  const rows: MatrixRow[] = []
  for (const method of Object.keys(code.old.interface.methods)) {
    const before = future?.intercepts.includes(method) === true ? 'intercepted' : 'direct'
    const served = past === 'subtype' ? code.new.interface : (past?.interface ?? null)
    const after = refusals(spec, 'after', method, cellOf(served, method))
    rows.push({
      version: code.from,
      className: code.old.className,
      method,
      kind: kindOf(code.old.interface, method),
      before,
      after
    })
  }
  for (const method of Object.keys(code.new.interface.methods)) {
    const isOffered = past !== null && past !== 'subtype' && past.intercepts.includes(method)
    const before = refusals(spec, 'before', method, cellOf(future?.interface ?? null, method))
    rows.push({
      version: code.to,
      className: code.new.className,
      method,
      kind: kindOf(code.new.interface, method),
      before,
      after: isOffered ? 'intercepted' : 'direct'
    })
  }
  return rows
}

const cellOf = (served: Interface | null, method: string): Cell =>
  served === null ? 'not served' : Object.hasOwn(served.methods, method) ? 'delegated' : 'missing'

/** Whether the SO refuses the method in some reachable state, or in all. */
function refusals(spec: Specification | null, phase: Phase, method: string, cell: Cell): Cell {
  if (spec === null || cell !== 'delegated' || spec.disallows[phase][method] === undefined) return cell
  const side: Side = phase === 'before' ? 'new' : 'old'
  const kind = spec[side].methods[method]!.kind
  const calls = smallCalls(spec, side, kind).filter((call) => call.method === method)
  const refused = reach(spec)
    .reached.filter((one) => one.phase === phase)
    .flatMap(({ pair }) => calls.map((call) => isDisallowed(spec, pair, phase, call)))
  if (refused.length > 0 && refused.every(Boolean)) return 'disallowed'
  return refused.some(Boolean) ? 'partly disallowed' : cell
}

/** What callers of the old type would find changed. `arities`: number of parameters, where known. */
export function differences(
  old: Interface,
  next: Interface,
  arities: { old: Record<string, number>; new: Record<string, number> } = { old: {}, new: {} }
): Difference[] {
  const found: Difference[] = []
  for (const [method, { kind }] of Object.entries(old.methods)) {
    const other = next.methods[method]
    if (other === undefined) found.push({ method, what: 'gone' })
    else if (other.kind !== kind)
      found.push({ method, what: `became ${other.kind === 'mutator' ? 'a mutator' : 'an observer'}` })
    else if (arities.old[method] !== undefined && arities.old[method] !== arities.new[method])
      found.push({ method, what: `takes ${arities.new[method]} instead of ${arities.old[method]} arguments` })
  }
  for (const method of Object.keys(next.methods))
    if (!Object.hasOwn(old.methods, method)) found.push({ method, what: 'added' })
  return found
}
