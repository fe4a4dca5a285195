/**
 * What a check works on (SPEC Q11): the author's modules, built as they are shipped, and the old object's code from the
 * upgrade file of the version that brought it. Everything lies in one directory that is removed afterwards.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import type { ClassDefinition, UpgradeDefinition } from '../../src/upgrade/define.ts'
import type { ClassUpgrade, Interface } from '../../src/upgrade/manifest.ts'
import type { Needs } from '../../src/upgrade/needs.ts'
import { unpackBundle } from '../pack/archive.ts'
import { buildModules, bundledPath } from '../pack/build.ts'
import { openUpgradeFile, type UpgradeFile } from '../pack/file.ts'
import { checkInterception } from '../pack/interfaces.ts'
import { classUpgrade, findUpgrade, PACKAGE, readDeclarations, readDefinition } from '../pack/pack.ts'

export interface ClassPlan {
  from: number
  to: number
  old: { className: string; interface: Interface; module: string }
  new: { className: string; interface: Interface; module: string }
  future: { interface: Interface; intercepts: string[]; module: string } | null
  past: { interface: Interface; intercepts: string[]; module: string } | 'subtype' | null
  transform: string | null
  needs: Needs | undefined
  /** The built specification. */
  spec: string | null
}

export interface CheckPlan {
  version: number
  classes: ClassPlan[]
  /** Classes that are new in this version: nothing can be broken yet. */
  added: string[]
}

/** Runs `use` with a plan whose modules lie in a directory of their own. */
export async function withPlan<Result>(
  source: string,
  parents: readonly string[],
  use: (plan: CheckPlan) => Promise<Result>
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'upstart-check-'))
  try {
    return await use(await planOf(source, parents, directory))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function planOf(source: string, parents: readonly string[], directory: string): Promise<CheckPlan> {
  const upgrade = await findUpgrade(source)
  const definition = await readDefinition(upgrade)
  const { upgrades, next } = await buildNew(definition, dirname(upgrade), join(directory, 'next'))
  const classes: ClassPlan[] = []
  for (const [at, one] of definition.classes.entries()) {
    if (one.from === null) continue
    const old = await oldObject(one.from, definition.version, parents, directory)
    classes.push(classPlan(one, upgrades[at]!, definition.version, old, next))
  }
  const added = definition.classes.filter((one) => one.from === null).map((one) => one.to)
  return { version: definition.version, classes, added }
}

async function buildNew(
  definition: UpgradeDefinition,
  source: string,
  directory: string
): Promise<{ upgrades: ClassUpgrade[]; next: string }> {
  // A check goes from the version before only: TFs from versions that are skipped are no part of it.
  const classes = definition.classes.map((one) => ({ ...one, ways: [] }))
  const named = classes.flatMap((one) => [one.object, one.transform, one.future, one.past])
  const shipped = [...new Set(named)].filter((module): module is string => module !== null && module !== 'subtype')
  const modules = await buildModules(source, shipped)
  const declared = await readDeclarations(classes, modules)
  const upgrades = classes.map((one) => classUpgrade(one, declared, []))
  const specs = classes.flatMap((one) => (one.spec === null ? [] : [one.spec]))
  for (const [path, bytes] of specs.length === 0 ? [] : await buildModules(source, specs)) modules.set(path, bytes)
  modules.set('package.json', PACKAGE)
  for (const [path, bytes] of modules) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), bytes)
  }
  return { upgrades, next: directory }
}

interface OldObject {
  className: string
  interface: Interface
  module: string
  version: number
}

/** The class as the newest upgrade file before has it, unpacked. */
async function oldObject(
  name: string,
  version: number,
  parents: readonly string[],
  directory: string
): Promise<OldObject> {
  let newest: UpgradeFile | undefined
  for (const path of parents) {
    const file = await openUpgradeFile(path)
    const { content } = file.envelope
    const isNewer = content.version < version && content.version > (newest?.envelope.content.version ?? 0)
    if (isNewer && content.classes.some((one) => one.to === name)) {
      await newest?.close()
      newest = file
    } else await file.close()
  }
  if (newest === undefined) {
    const given = parents.map((path) => basename(path)).join(', ') || 'none is given'
    throw new Refusal(
      'UnknownClass',
      `class ${name} is in no earlier upgrade file (${given}); give the file of the version that brought it as --parent`
    )
  }
  try {
    const { content } = newest.envelope
    const unpacked = join(directory, `version-${content.version}`)
    await unpackBundle(newest.bundle(), unpacked, content.bundle)
    const found = content.classes.find((one) => one.to === name)!
    const module = join(unpacked, found.object)
    return { className: name, interface: found.interface, module, version: content.version }
  } finally {
    await newest.close()
  }
}

function classPlan(
  definition: ClassDefinition,
  upgrade: ClassUpgrade,
  version: number,
  old: OldObject,
  next: string
): ClassPlan {
  const built = (module: string): string => join(next, bundledPath(module))
  const { future, past } = upgrade
  if (future !== null) checkInterception(`${definition.future}, the future SO`, future, old.interface)
  if (past !== null && past !== 'subtype') checkInterception(`${definition.past}, the past SO`, past, upgrade.interface)
  return {
    from: old.version,
    to: version,
    old,
    new: { className: upgrade.to, interface: upgrade.interface, module: join(next, upgrade.object) },
    future: future === null ? null : { ...future, module: join(next, future.module) },
    past: past === null || past === 'subtype' ? past : { ...past, module: join(next, past.module) },
    transform: upgrade.transform === null ? null : join(next, upgrade.transform),
    needs: upgrade.needs,
    spec: definition.spec === null ? null : built(definition.spec)
  }
}
