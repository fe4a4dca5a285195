/**
 * An upgrade as its author writes it (SPEC U1): plain data that names modules by path, checked here as far as it can be
 * without reading them. `pack` reads them, bundles them, and turns it into a manifest.
 */
import { z } from 'zod'
import { Refusal } from '../errors.ts'
import { nameSchema, versionSchema } from '../names.ts'
import { defaultSchedule, immediately } from '../schedule/combinators.ts'
import { type Condition, type Schedule, scheduleSchema, whenSchema } from '../schedule/schedule.ts'
import { type Access, accessSchema } from './access.ts'
import { explain } from './canonical.ts'
import { MAX_CLASSES, MAX_REPLACED } from './manifest.ts'
import { type Needs, needsSchema } from './needs.ts'

/** A module beside `upgrade.ts`: './color-set.ts'. It may be TypeScript and import packages; `pack` bundles it. */
export type ModulePath = `./${string}`

/** A class that takes the place of one of version − 1 (the key names the old class). */
export interface ReplacingClass {
  /** The new class's name. @default the old one's */
  becomes?: string
  object: ModulePath
  /** TF: default export of type TransformFunction. Without one the new object opens the old one's state as it is. */
  transform?: ModulePath
  /**
   * Only where the upgrade replaces others (SPEC R2): TFs from the other versions that a node may hold, by version or
   * by (the beginning of) their entry's hash; null where the new object opens that state as it is.
   */
  ways?: Record<number | string, ModulePath | null>
  /** SO that serves this version before the node upgrades. */
  future?: ModulePath
  /** SO that serves the old version after it did; `'subtype'` where the new class understands every old call. */
  past?: ModulePath | 'subtype'
  /** @default immediately, one member of a group at a time */
  schedule?: Schedule
  /**
   * When nodes start the future SO though nobody called it yet: one with state of its own knows N from then on.
   * @default at the first call
   */
  simulate?: Condition
  /**
   * What its code, its TF and its SOs need beyond their state: the network, files that they read. A node that confines
   * code upgrades only where its operator allows it (`upstart-peer --allow`).
   */
  needs?: Needs
  /** Method → who may call it: peers, classes, operators. @default everybody who may call at all */
  access?: Access
  /** Specification for `upstart check`; not part of the bundle. */
  spec?: ModulePath
  new?: never
}

/** A class that no earlier version has. Every class of version 1 is new; later ones say `new: true`. */
export interface NewClass {
  new: true
  object: ModulePath
  /** @default immediately */
  schedule?: Schedule
  /** As of a class that takes the place of another. */
  needs?: Needs
  access?: Access
  spec?: ModulePath
}

export type FirstClass = Omit<NewClass, 'new'> & { new?: true }

interface Described<Class> {
  description: string
  /** Old class → its upgrade; for a class that is new, its own name. */
  classes: Record<string, Class>
}
export interface FirstUpgrade extends Described<FirstClass> {
  version: 1
}
export interface LaterUpgrade extends Described<ReplacingClass | NewClass> {
  version: number
  /** Upgrades that this one takes the place of, by version or by (the beginning of) their entry's hash. Implies their abort. */
  replaces?: (number | string)[]
}

/** One class of a checked definition: all that was left out is filled in. */
export interface ClassDefinition {
  from: string | null
  to: string
  object: string
  transform: string | null
  ways: { from: string; transform: string | null }[]
  future: string | null
  past: string | null
  schedule: Schedule
  simulate: Condition | null
  needs: Needs | null
  access: Access | null
  spec: string | null
}

/** What `defineUpgrade` gives: checked, frozen, ready to be packed. */
export interface UpgradeDefinition {
  readonly version: number
  readonly description: string
  /** Versions, or beginnings of entry hashes. */
  readonly replaces: readonly string[]
  readonly classes: readonly ClassDefinition[]
}

const moduleSchema = z
  .string()
  .max(200)
  .regex(/^\.\/[^\0]+$/, 'a module is named by its path beside upgrade.ts: "./name.ts"')

const entryNameSchema = z
  .string()
  .regex(
    /^([1-9]\d{0,6}|[0-9a-f]{8,64})$/,
    'an earlier upgrade is named by its version, or by 8 or more digits of its hash'
  )

const classSchema = z.strictObject({
  becomes: nameSchema.optional(),
  object: moduleSchema,
  transform: moduleSchema.optional(),
  ways: z.record(entryNameSchema, moduleSchema.nullable()).optional(),
  future: moduleSchema.optional(),
  past: z.union([z.literal('subtype'), moduleSchema]).optional(),
  schedule: scheduleSchema.optional(),
  simulate: whenSchema.optional(),
  needs: needsSchema.optional(),
  access: accessSchema.optional(),
  spec: moduleSchema.optional(),
  new: z.literal(true).optional()
})

const upgradeSchema = z.strictObject({
  version: versionSchema,
  description: z.string().max(1000),
  replaces: z
    .array(z.union([versionSchema.transform(String), entryNameSchema]))
    .max(MAX_REPLACED)
    .optional(),
  classes: z
    .record(nameSchema, classSchema)
    .refine((classes) => Object.keys(classes).length > 0, 'an upgrade names at least one class')
    .refine((classes) => Object.keys(classes).length <= MAX_CLASSES, `at most ${MAX_CLASSES} classes`)
})

function classDefinition(name: string, input: z.infer<typeof classSchema>, version: number): ClassDefinition {
  const isNew = version === 1 || input.new === true
  const ofOld = (['becomes', 'transform', 'ways', 'future', 'past', 'simulate'] as const).find(
    (field) => input[field] !== undefined
  )
  if (isNew && ofOld !== undefined) {
    const why = version === 1 ? 'version 1 is installed from nothing' : 'it is new'
    throw new Refusal('Malformed', `class ${name}: ${why}, so there is nothing for "${ofOld}"; remove it`)
  }
  if (input.simulate !== undefined && input.future === undefined)
    throw new Refusal('Malformed', `class ${name}: "simulate" is for a future SO; name one as "future", or remove it`)
  return {
    from: isNew ? null : name,
    to: input.becomes ?? name,
    object: input.object,
    transform: input.transform ?? null,
    ways: Object.entries(input.ways ?? {}).map(([from, transform]) => ({ from, transform })),
    future: input.future ?? null,
    past: input.past ?? null,
    schedule: input.schedule ?? (isNew ? { when: immediately(), constraints: [] } : defaultSchedule()),
    simulate: input.simulate ?? null,
    needs: input.needs ?? null,
    access: input.access ?? null,
    spec: input.spec ?? null
  }
}

/** U1. Defines one step, from `version − 1` to `version`; the default export of `upgrade.ts`. */
export function defineUpgrade(upgrade: FirstUpgrade | LaterUpgrade): UpgradeDefinition {
  const parsed = upgradeSchema.safeParse(upgrade)
  if (!parsed.success) throw new Refusal('Malformed', `upgrade: ${explain(parsed.error)}`)
  const { version, description, replaces = [] } = parsed.data
  const classes = Object.entries(parsed.data.classes).map(([name, input]) => classDefinition(name, input, version))
  const twice = classes.find((one, at) => classes.findIndex((other) => other.to === one.to) !== at)
  if (twice !== undefined)
    throw new Refusal('Malformed', `upgrade: two classes become ${twice.to}; each needs a name of its own`)
  return Object.freeze({ version, description, replaces: Object.freeze(replaces), classes: Object.freeze(classes) })
}
