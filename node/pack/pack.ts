/**
 * `upstart pack` (SPEC U8 to U10): the author's `upgrade.ts` and its modules → one upgrade file with an entry that is
 * still to be signed. The same sources, parents and expiry give the same bytes.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import type { ClassDefinition, UpgradeDefinition } from '../../src/upgrade/define.ts'
import { type Envelope, parseEntry, signEntry } from '../../src/upgrade/entry.ts'
import type { Signer } from '../../src/upgrade/keys.ts'
import type { ClassUpgrade, Interface, Manifest, Simulation } from '../../src/upgrade/manifest.ts'
import { pieceTable } from '../../src/upgrade/pieces.ts'
import { createArchive } from './archive.ts'
import { buildModules, bundledPath } from './build.ts'
import { writeUpgradeFile } from './file.ts'
import { inspect, type ModuleRole, type Statics } from './inspect.ts'
import { checkClass, readStatics } from './interfaces.ts'

export interface PackOptions {
  /** `upgrade.ts`, or the directory that holds it. */
  source: string
  /** Hash of the fleet it is for. */
  fleet: string
  /** Entries before it, ascending; the last is the parent. One suffices if it names every class upgraded now. */
  parents: readonly Envelope<Manifest>[]
  /** Bound on its first injection, ms. */
  expiresMs: number
  /** The upgrade file to write. */
  out: string
  /** @default none: sign it with `upstart sign` */
  signers?: readonly Signer[]
}

export interface Packed {
  path: string
  hash: string
  manifest: Manifest
  /** What the author should know, though it may be meant. */
  warnings: string[]
}

async function findUpgrade(source: string): Promise<string> {
  const candidates = [source, join(source, 'upgrade.ts'), join(source, 'upgrade.js')]
  for (const path of candidates) {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
      throw error
    })
    if (found?.isFile()) return resolve(path)
  }
  throw new Refusal('Usage', `${source}: there is no upgrade.ts; give the directory that holds it, or the file`)
}

/** Runs `use` with built modules written into a directory that is removed afterwards. */
async function withModules<Result>(
  modules: ReadonlyMap<string, Uint8Array>,
  use: (directory: string) => Promise<Result>
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'upstart-pack-'))
  try {
    for (const [path, bytes] of modules) {
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await writeFile(join(directory, path), bytes)
    }
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const PACKAGE = new TextEncoder().encode('{"type":"module"}\n')

async function readDefinition(upgrade: string): Promise<UpgradeDefinition> {
  const built = await buildModules(dirname(upgrade), [`./${basename(upgrade)}`])
  const [path] = built.keys()
  const [definition] = await withModules(new Map([...built, ['package.json', PACKAGE]]), (directory) =>
    inspect([{ role: 'upgrade', path: join(directory, path!), name: basename(upgrade) }])
  )
  return definition as UpgradeDefinition
}

/** The interface of class `name` before this upgrade: by the newest of the entries given that names it. */
function interfaceBefore(name: string, parents: readonly Envelope<Manifest>[]): Interface {
  const classes = new Map<string, Interface>()
  for (const { content } of parents) {
    for (const { from } of content.classes) if (from !== null) classes.delete(from)
    for (const { to, interface: found } of content.classes) classes.set(to, found)
  }
  const found = classes.get(name)
  if (found !== undefined) return found
  const known = [...classes.keys()].join(', ') || 'none'
  throw new Refusal(
    'UnknownClass',
    `class ${name} is not in the earlier upgrades given (they have ${known}); correct the name, give the earlier upgrade too, or say "new: true"`
  )
}

function checkParents(version: number, fleet: string, parents: readonly Envelope<Manifest>[]): string {
  const parent = parents.at(-1)
  const wanted = version - 1
  if (wanted === 0 && parent === undefined) return fleet
  const found = parent === undefined ? 'none is given' : `version ${parent.content.version} is given`
  if (parent?.content.version !== wanted) {
    throw new Refusal(
      'StaleParent',
      `version ${version} follows version ${wanted}, but ${found}; ${wanted === 0 ? 'leave --parent out' : `give the upgrade file of version ${wanted} as --parent`}`
    )
  }
  const foreign = parents.find((one) => one.content.fleet !== fleet)
  if (foreign !== undefined) {
    throw new Refusal(
      'WrongFleet',
      `the parent of version ${foreign.content.version} is of fleet ${foreign.content.fleet.slice(0, 16)}…, not of ${fleet.slice(0, 16)}…; give the one packed for this root.json`
    )
  }
  for (const [at, one] of parents.entries()) {
    const before = parents[at - 1]
    if (before !== undefined && one.content.parent !== before.hash) {
      throw new Refusal(
        'StaleParent',
        `the parents given are no chain: version ${one.content.version} does not follow the version ${before.content.version} given; order them from the oldest on`
      )
    }
  }
  return parent.hash
}

/** Built module → what it declares. */
type Declared = Map<string, { interface: Interface; intercepts: string[] }>

async function readDeclarations(
  classes: readonly ClassDefinition[],
  modules: ReadonlyMap<string, Uint8Array>
): Promise<Declared> {
  const roles = new Map<string, ModuleRole>()
  for (const { object, future, past, transform } of classes) {
    if (transform !== null) roles.set(transform, 'transform')
    for (const module of [object, future, past]) if (module !== null && module !== 'subtype') roles.set(module, 'class')
  }
  const names = [...roles.keys()]
  const found = await withModules(modules, (directory) =>
    inspect(names.map((name) => ({ role: roles.get(name)!, name, path: join(directory, bundledPath(name)) })))
  )
  const declared: Declared = new Map()
  for (const [at, name] of names.entries()) {
    if (roles.get(name) === 'class') declared.set(name, readStatics(name, found[at] as Statics))
  }
  return declared
}

function classUpgrade(definition: ClassDefinition, declared: Declared): ClassUpgrade {
  const simulation = (module: string | null): Simulation | null =>
    module === null ? null : { module: bundledPath(module), ...declared.get(module)! }
  const { from, to, object, transform, future, past, schedule } = definition
  return {
    from,
    to,
    object: bundledPath(object),
    interface: declared.get(object)!.interface,
    transform: transform === null ? null : bundledPath(transform),
    future: simulation(future),
    past: past === 'subtype' ? past : simulation(past),
    schedule
  }
}

/** Packs an upgrade. @throws Refusal with the file and the mend */
export async function pack(options: PackOptions): Promise<Packed> {
  const upgrade = await findUpgrade(options.source)
  const { version, description, classes } = await readDefinition(upgrade)
  const parent = checkParents(version, options.fleet, options.parents)
  const before = new Map(
    classes.map(({ from }) => [from, from === null ? null : interfaceBefore(from, options.parents)])
  )
  const named = classes.flatMap(({ object, transform, future, past }) => [object, transform, future, past])
  const sources = [...new Set(named)].filter((module): module is string => module !== null && module !== 'subtype')
  const modules = await buildModules(dirname(upgrade), sources)
  // Without it, whether a module is ESM would depend on directories above the bundle.
  modules.set('package.json', PACKAGE)
  const declared = await readDeclarations(classes, modules)
  const upgrades = classes.map((one) => classUpgrade(one, declared))
  const warnings = classes.flatMap((one, at) => {
    const { interface: object, future, past } = upgrades[at]!
    return checkClass(one, version, { old: before.get(one.from) ?? null, object, future, past })
  })
  const bundle = await createArchive(modules)
  const manifest: Manifest = {
    format: 1,
    fleet: options.fleet,
    version,
    parent,
    description,
    classes: upgrades,
    bundle: pieceTable(bundle)
  }
  const entry = signEntry(manifest, options.expiresMs, options.signers ?? [])
  await writeUpgradeFile(
    options.out,
    entry,
    (async function* () {
      yield bundle
    })(),
    bundle.length
  )
  return { path: options.out, hash: parseEntry(entry).hash, manifest, warnings }
}
