/**
 * What can be told of an upgrade from interfaces alone (SPEC U10, requirement "modularity"): knowing only the version
 * before and this one. What cannot, is for the check of specifications.
 */
import { z } from 'zod'
import { Refusal } from '../../src/errors.ts'
import { nameSchema } from '../../src/names.ts'
import { explain } from '../../src/upgrade/canonical.ts'
import type { ClassDefinition } from '../../src/upgrade/define.ts'
import {
  type ClassUpgrade,
  type Interface,
  interfaceSchema,
  methodSchema,
  type Simulation
} from '../../src/upgrade/manifest.ts'
import type { Statics } from './inspect.ts'

const staticsSchema = z.object({
  methods: z.record(z.string(), z.union([z.enum(['observer', 'mutator']), methodSchema])),
  calls: z.record(z.string(), z.unknown()).optional(),
  intercepts: z.array(nameSchema).optional()
})

/** What a built class declares; `effects`: it says what passes below it (V14). */
export interface DeclaredClass {
  interface: Interface
  intercepts: string[]
  effects?: boolean
}

/** The interface that a built class declares. @throws Refusal naming the module and the static that is wrong */
export function readStatics(module: string, statics: Statics): DeclaredClass {
  if (statics.methods === undefined) {
    throw new Refusal('Malformed', `${module}: the class lacks "static methods = { name: 'observer' | 'mutator', … }"`)
  }
  const parsed = staticsSchema.safeParse(statics)
  if (!parsed.success) throw new Refusal('Malformed', `${module}: static ${explain(parsed.error)}`)
  const methods = Object.entries(parsed.data.methods).map(
    ([name, kind]) => [name, typeof kind === 'string' ? { kind } : kind] as const
  )
  const found = interfaceSchema.safeParse({ methods: Object.fromEntries(methods), calls: parsed.data.calls ?? {} })
  if (!found.success) throw new Refusal('Malformed', `${module}: static ${explain(found.error)}`)
  const implemented = new Set(statics.implemented)
  const lacking = Object.keys(found.data.methods).find((name) => !implemented.has(name))
  if (lacking !== undefined)
    throw new Refusal('Malformed', `${module}: "static methods" names ${lacking}, which the class does not have`)
  const effects = implemented.has('effects') ? { effects: true } : {}
  return { interface: found.data, intercepts: parsed.data.intercepts ?? [], ...effects }
}

/** Methods of `old` that callers of `old` would miss or find changed in `next`. */
export function broken(old: Interface, next: Interface): string[] {
  return Object.entries(old.methods).flatMap(([name, { kind }]) => {
    const found = next.methods[name]
    if (found === undefined) return [`${name} is gone`]
    return found.kind === kind ? [] : [`${name} became ${found.kind === 'mutator' ? 'a mutator' : 'an observer'}`]
  })
}

/** Methods that claim that a caller's node may run them (G3). */
const claiming = ({ methods }: Interface): string[] =>
  Object.keys(methods).filter((name) => methods[name]!.stateless === true)

/** An SO implements the type of its version; what it has beyond that is its own, called through `context.self`. */
function checkSimulation(which: string, simulation: Simulation, simulated: Interface, delegate: Interface): void {
  const lacking = broken(simulated, simulation.interface)
  if (lacking.length > 0) {
    throw new Refusal(
      'Malformed',
      `${which}: ${lacking.join(', ')}; an SO has every method of its version (one without correct behaviour throws Disallowed)`
    )
  }
  // Its own delegate calls do not pass its interceptions: what those would have written, its mutators must write (G3).
  const claimed = claiming(simulation.interface).find((name) => simulation.interface.methods[name]!.kind === 'mutator')
  if (simulation.intercepts.length > 0 && claimed !== undefined) {
    throw new Refusal(
      'Malformed',
      `${which}: mutator ${claimed} cannot be stateless, for the SO intercepts ${simulation.intercepts.join(', ')} and so keeps state; drop "stateless", or the interception`
    )
  }
  checkInterception(which, simulation, delegate)
}

/** An interception of anything else would be one of nothing. */
export function checkInterception(which: string, { intercepts }: Pick<Simulation, 'intercepts'>, delegate: Interface) {
  const odd = intercepts.find((name) => delegate.methods[name]?.kind !== 'mutator')
  if (odd === undefined) return
  const mutators = Object.keys(delegate.methods).filter((name) => delegate.methods[name]!.kind === 'mutator')
  throw new Refusal(
    'Malformed',
    `${which}: it intercepts ${odd}, which is no mutator of its delegate (it has ${mutators.join(', ') || 'none'})`
  )
}

/** V14: SOs of the version before may stack on the new ones, and the new future SO on the old one. */
function checkStack(
  { past: module, from, to }: ClassDefinition,
  before: NonNullable<ClassInterfaces['before']>,
  { future, past }: Pick<ClassInterfaces, 'future' | 'past'>
): string[] {
  const older = before.past === 'subtype' ? null : before.past
  if (older !== null && older.intercepts.length > 0 && past !== null && past !== 'subtype' && past.effects !== true) {
    throw new Refusal(
      'Malformed',
      `${module}, the past SO: the one of the version before, which stacks on it, intercepts ${older.intercepts.join(', ')}; give it a method "effects" that says what passes below it`
    )
  }
  if ((future?.intercepts.length ?? 0) === 0 || before.future === null || before.future.effects === true) return []
  return [
    `${from} → ${to}: the future SO intercepts, and that of ${from} emits no effects: nodes that are two versions behind cannot serve this version`
  ]
}

export interface ClassInterfaces {
  /** The class that is replaced, with its own SOs; null for a new one. */
  before: Pick<ClassUpgrade, 'interface' | 'future' | 'past'> | null
  object: Interface
  future: Simulation | null
  past: Simulation | 'subtype' | null
  /** Classes that this upgrade does not name, and that call `old`: they go on saying so. */
  callers?: string[]
}

/** U10. Refuses what breaks callers; returns what the author should know but may want. */
export function checkClass(
  definition: ClassDefinition,
  version: number,
  { before, object, future, past, callers = [] }: ClassInterfaces
): string[] {
  const { from, to } = definition
  const old = before?.interface ?? null
  const late = [object, future?.interface, past === 'subtype' ? null : past?.interface]
    .flatMap((one) => Object.entries(one?.calls ?? {}))
    .find(([, called]) => called > version)
  if (late !== undefined) {
    throw new Refusal(
      'Malformed',
      `class ${to}: "static calls" names ${late[0]} at version ${late[1]}, which is later than this upgrade (${version})`
    )
  }
  const [own] = claiming(object)
  if (own !== undefined) {
    throw new Refusal(
      'Malformed',
      `class ${to}: ${own} is declared stateless, which only methods of simulation objects can be: an object is its state; remove it`
    )
  }
  if (from === null || old === null || before === null) return []
  const changes = broken(old, object)
  if (past === null && changes.length > 0) {
    throw new Refusal(
      'Malformed',
      `class ${from} → ${to}: ${changes.join(', ')}, so callers at version ${version - 1} would fail${callers.length === 0 ? '' : ` (among them ${callers.join(', ')}, which this upgrade does not name)`}; give a past SO ("past: './past.ts'") that serves them`
    )
  }
  if (past === 'subtype' && changes.length > 0) {
    throw new Refusal(
      'Malformed',
      `class ${from} → ${to}: ${changes.join(', ')}, so it is no subtype; give a past SO instead of "past: 'subtype'"`
    )
  }
  if (future !== null) checkSimulation(`${definition.future}, the future SO`, future, object, old)
  if (past !== null && past !== 'subtype') checkSimulation(`${definition.past}, the past SO`, past, old, object)
  const step = from === to ? to : `${from} → ${to}`
  const warnings = checkStack(definition, before, { future, past })
  if (past === null)
    warnings.push(`${step}: no past SO; calls at version ${version - 1} end as Retired on nodes that upgraded`)
  if (future === null)
    warnings.push(`${step}: no future SO; calls at version ${version} are Unavailable on nodes that have not upgraded`)
  if (definition.transform === null)
    warnings.push(`${step}: no transform; the new object opens the old one's state as it is`)
  return warnings
}
