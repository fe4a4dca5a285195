/**
 * `upstart pack` (SPEC U8 to U10): the author's `upgrade.ts` and its modules → one upgrade file with an entry that is
 * still to be signed. The same sources, parents and expiry give the same bytes.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import { relocated } from '../../src/schedule/custom.ts'
import { conditionsOf, wholeOf } from '../../src/schedule/schedule.ts'
import type { ClassDefinition, UpgradeDefinition } from '../../src/upgrade/define.ts'
import { type Envelope, parseEntry, signEntry } from '../../src/upgrade/entry.ts'
import type { Signer } from '../../src/upgrade/keys.ts'
import { UpgradeLog } from '../../src/upgrade/log.ts'
import type { ClassUpgrade, Manifest, Simulation } from '../../src/upgrade/manifest.ts'
import { pieceTable } from '../../src/upgrade/pieces.ts'
import { checkSchedules } from '../../src/upgrade/scheduling.ts'
import { createArchive } from './archive.ts'
import { buildModules, bundledPath } from './build.ts'
import { writeUpgradeFile } from './file.ts'
import { inspect, type ModuleRole, type Statics } from './inspect.ts'
import { checkClass, type DeclaredClass, readStatics } from './interfaces.ts'

export interface PackOptions {
  /** `upgrade.ts`, or the directory that holds it. */
  source: string
  /** Hash of the fleet it is for. */
  fleet: string
  /**
   * Entries before it, ascending; the last is the parent. One suffices if it names every class upgraded now and
   * nothing is replaced; else all from version 1 on are needed.
   */
  parents: readonly Envelope<Manifest>[]
  /** Entries of other branches of a fork, which this one replaces, too. @default none */
  rivals?: readonly Envelope<Manifest>[]
  /** Bound on its first injection, ms. */
  expiresMs: number
  /** The upgrade file to write. */
  out: string
  /** What a check found in order (Q12). @default none was made */
  checked?: Manifest['checked']
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

export async function findUpgrade(source: string): Promise<string> {
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

export const PACKAGE = new TextEncoder().encode('{"type":"module"}\n')

export async function readDefinition(upgrade: string): Promise<UpgradeDefinition> {
  const built = await buildModules(dirname(upgrade), [`./${basename(upgrade)}`])
  const [path] = built.keys()
  const [definition] = await withModules(new Map([...built, ['package.json', PACKAGE]]), (directory) =>
    inspect([{ role: 'upgrade', path: join(directory, path!), name: basename(upgrade) }])
  )
  return definition as UpgradeDefinition
}

/** The classes in force before an upgrade, with their SOs, as far as the parents given tell. */
function classesBefore(parents: readonly Envelope<Manifest>[]): Map<string, ClassUpgrade> {
  const classes = new Map<string, ClassUpgrade>()
  for (const { content } of parents) {
    for (const { from } of content.classes) if (from !== null) classes.delete(from)
    for (const upgrade of content.classes) classes.set(upgrade.to, upgrade)
  }
  return classes
}

/** Classes that say that they call `name`, and that the upgrade leaves as they are. */
function callersOf(name: string, definitions: readonly ClassDefinition[], before: Map<string, ClassUpgrade>): string[] {
  const named = new Set(definitions.map(({ from }) => from))
  return [...before].flatMap(
    ([
      caller,
      {
        interface: { calls }
      }
    ]) =>
      calls[name] === undefined || named.has(caller) ? [] : [`class ${caller}, written for ${name} ${calls[name]}`]
  )
}

function classBefore(name: string, classes: Map<string, ClassUpgrade>): ClassUpgrade {
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

/** The earlier upgrade that an author names by its version, or by the beginning of its hash. */
function entryNamed(name: string, earlier: readonly Envelope<Manifest>[]): Envelope<Manifest> {
  const isVersion = /^\d{1,7}$/.test(name)
  const found = earlier.filter((one) => (isVersion ? String(one.content.version) === name : one.hash.startsWith(name)))
  if (found.length === 1) return found[0]!
  const given = earlier.map((one) => `${one.content.version} (${one.hash.slice(0, 12)})`).join(', ') || 'none'
  throw new Refusal(
    'UnknownClass',
    found.length === 0
      ? `upgrade.ts names the earlier upgrade ${name}; those given are ${given}: give its file as --parent, or as --rival if it is on another branch of a fork`
      : `upgrade.ts names the earlier upgrade ${name}, which two branches of a fork have (${given}); name it by its hash`
  )
}

/** R2, by the very check that every peer makes. It needs the whole log. */
function checkReplaced(
  { content, hash, bytes }: Envelope<Manifest>,
  options: PackOptions,
  earlier: readonly Envelope<Manifest>[]
): void {
  const { version, parent } = content
  if (content.replaces !== undefined && options.parents[0]?.content.version !== 1) {
    throw new Refusal(
      'StaleParent',
      `version ${version} replaces others: give the upgrade files of all earlier versions as --parent, from version 1 on`
    )
  }
  if (content.replaces === undefined && content.classes.every((one) => one.ways === undefined)) return
  const log = new UpgradeLog(options.fleet)
  for (const one of [...earlier].sort((a, b) => a.content.version - b.content.version))
    log.add({ ...one, version: one.content.version, parent: one.content.parent, manifest: one.content })
  log.check({ version, hash, parent, manifest: content, bytes })
}

/** Built module → what it declares. */
type Declared = Map<string, DeclaredClass>

export async function readDeclarations(
  classes: readonly ClassDefinition[],
  modules: ReadonlyMap<string, Uint8Array>
): Promise<Declared> {
  const roles = new Map<string, ModuleRole>()
  for (const { object, future, past, transform, ways, schedule, simulate } of classes) {
    for (const module of schedulesIn({ schedule, simulate })) roles.set(module, 'schedule')
    for (const module of [transform, ...ways.map((one) => one.transform)])
      if (module !== null) roles.set(module, 'transform')
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

/** Modules of the custom conditions that a class upgrade names. */
function schedulesIn({ schedule, simulate }: Pick<ClassDefinition, 'schedule' | 'simulate'>): string[] {
  const conditions = [wholeOf(schedule), ...(simulate === null ? [] : [simulate])]
  return conditions
    .flatMap((one) => [...conditionsOf(one)])
    .flatMap((one) => (one.kind === 'custom' ? [one.module] : []))
}

export function classUpgrade(
  definition: ClassDefinition,
  declared: Declared,
  earlier: readonly Envelope<Manifest>[]
): ClassUpgrade {
  const simulation = (module: string | null): Simulation | null =>
    module === null ? null : { module: bundledPath(module), ...declared.get(module)! }
  const { from, to, object, transform, future, past, schedule, simulate, needs, access } = definition
  const ways = definition.ways.map((way) => ({
    entry: entryNamed(way.from, earlier).hash,
    transform: way.transform === null ? null : bundledPath(way.transform)
  }))
  return {
    from,
    to,
    object: bundledPath(object),
    interface: declared.get(object)!.interface,
    transform: transform === null ? null : bundledPath(transform),
    future: simulation(future),
    past: past === 'subtype' ? past : simulation(past),
    schedule: relocated(schedule, bundledPath),
    ...(simulate === null ? {} : { simulate: relocated(simulate, bundledPath) }),
    ...(needs === null ? {} : { needs }),
    ...(access === null ? {} : { access }),
    ...(ways.length > 0 ? { ways } : {})
  }
}

/** Packs an upgrade. @throws Refusal with the file and the mend */
export async function pack(options: PackOptions): Promise<Packed> {
  const upgrade = await findUpgrade(options.source)
  const { version, description, replaces, classes } = await readDefinition(upgrade)
  const earlier = [...options.parents, ...(options.rivals ?? [])]
  const parent = checkParents(version, options.fleet, options.parents)
  const inForce = classesBefore(options.parents)
  const before = new Map(classes.map(({ from }) => [from, from === null ? null : classBefore(from, inForce)]))
  const named = classes.flatMap(({ object, transform, ways, future, past, ...scheduled }) => [
    ...[object, transform, future, past],
    ...ways.map((one) => one.transform),
    ...schedulesIn(scheduled)
  ])
  const sources = [...new Set(named)].filter((module): module is string => module !== null && module !== 'subtype')
  const modules = await buildModules(dirname(upgrade), sources)
  // Without it, whether a module is ESM would depend on directories above the bundle.
  modules.set('package.json', PACKAGE)
  const declared = await readDeclarations(classes, modules)
  const upgrades = classes.map((one) => classUpgrade(one, declared, earlier))
  const warnings = classes.flatMap((one, at) => {
    const { interface: object, future, past } = upgrades[at]!
    const callers = one.from === null ? [] : callersOf(one.from, classes, inForce)
    return checkClass(one, version, { before: before.get(one.from) ?? null, object, future, past, callers })
  })
  const bundle = await createArchive(modules)
  const manifest: Manifest = {
    format: 1,
    fleet: options.fleet,
    version,
    parent,
    description,
    ...(replaces.length > 0 ? { replaces: replaces.map((name) => entryNamed(name, earlier).hash) } : {}),
    classes: upgrades,
    ...(options.checked === undefined ? {} : { checked: options.checked }),
    bundle: pieceTable(bundle)
  }
  checkSchedules(
    manifest,
    options.parents.map((one) => one.content)
  )
  const entry = signEntry(manifest, options.expiresMs, options.signers ?? [])
  checkReplaced(parseEntry(entry), options, earlier)
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
