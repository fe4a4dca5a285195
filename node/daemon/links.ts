/** From the schema to what a host is told: which module serves which version of an object (SPEC V1). */
import { join } from 'node:path'
import type { Schema } from '../../src/upgrade/schema.ts'
import type { LinkPlan, TransformPlan } from '../host/host.ts'

/** Directory of an unpacked bundle, compared with its record before code of it runs (D10). */
export type BundlePath = (sha256: string) => Promise<string>

async function currentLink(schema: Schema, object: string, version: number, path: BundlePath): Promise<LinkPlan> {
  const { upgrade, className, entry } = known(schema, object, version)
  const module = join(await path(entry.manifest.bundle.sha256), upgrade.object)
  return { version, className, role: 'current', module, interface: upgrade.interface, intercepts: [] }
}

/** The past SO of `version` comes with the upgrade that left that version behind. */
async function pastLink(schema: Schema, object: string, version: number, path: BundlePath): Promise<LinkPlan> {
  const { className, upgrade: own } = known(schema, object, version)
  const successor = schema.next(object, version)
  const past = successor?.upgrade.past ?? null
  if (successor === undefined || past === null)
    throw new Error(`${object} has no past simulation object of version ${version}`)
  if (past === 'subtype')
    return { version, className, role: 'past', module: null, interface: own.interface, intercepts: [] }
  const module = join(await path(successor.entry.manifest.bundle.sha256), past.module)
  return { version, className, role: 'past', module, interface: past.interface, intercepts: past.intercepts }
}

export async function futureLink(schema: Schema, object: string, version: number, path: BundlePath): Promise<LinkPlan> {
  const { className, upgrade, entry } = known(schema, object, version)
  const { future } = upgrade
  if (future === null) throw new Error(`${object} has no future simulation object of version ${version}`)
  const module = join(await path(entry.manifest.bundle.sha256), future.module)
  return { version, className, role: 'future', module, interface: future.interface, intercepts: future.intercepts }
}

/** The whole chain of an object, ascending by version. A future SO may be of a branch that the log disputes by now. */
export async function chainLinks(
  schema: Schema,
  futureSchema: (version: number) => Schema,
  object: string,
  versions: { past: readonly number[]; current: number; future: readonly number[] },
  path: BundlePath
): Promise<LinkPlan[]> {
  return await Promise.all([
    ...versions.past.map((version) => pastLink(schema, object, version, path)),
    currentLink(schema, object, versions.current, path),
    ...versions.future.map((version) => futureLink(futureSchema(version), object, version, path))
  ])
}

/** What a TF is told (SPEC H8, R5), from the version that runs to the one that comes. */
export async function transformPlan(
  schemas: { old: Schema; new: Schema },
  object: string,
  { version, to, future }: { version: number; to: number; future: readonly number[] },
  path: BundlePath
): Promise<Pick<TransformPlan, 'module' | 'from' | 'to' | 'skipped' | 'carried' | 'futures' | 'needs'>> {
  const target = known(schemas.new, object, to)
  const way = schemas.new.wayTo(object, target, known(schemas.old, object, version).entry.hash)
  if (way === undefined) throw new Error(`${object}: version ${to} brings no transform from version ${version}`)
  const { transform } = way
  const module = transform === null ? null : join(await path(target.entry.manifest.bundle.sha256), transform)
  // A past SO goes on with its state only where its code is the same: after a fork it may come with another upgrade (R3).
  const isSame = (past: number) => schemas.old.next(object, past)?.entry === schemas.new.next(object, past)?.entry
  const carried = [...schemas.old.past(object, version).filter(isSame), ...future.filter((one) => one > to)]
  const skipped = schemas.new.between(object, version, to)
  const { needs } = target.upgrade
  return { module, from: version, to, skipped, carried, futures: future.filter((one) => one <= to), needs }
}

function known(schema: Schema, object: string, version: number) {
  const found = schema.at(object, version)
  if (found === undefined) throw new Error(`${object} has no version ${version} in the log`)
  return found
}
