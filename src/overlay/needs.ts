/**
 * Which bundles a peer needs itself (SPEC B1): for what it runs, for its way to the newest version, for calls from the
 * future, and for the SOs that it may host for its own calls.
 */
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import { firstRefused, NETWORK } from '../upgrade/needs.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { ObjectState } from './lifecycle.ts'
import { targetOf } from './lifecycle.ts'
import type { Pieces } from './pieces.ts'

export interface NeedingObject {
  readonly state: ObjectState
  /** Versions below one that past SOs are hosted for, retired ones left out. */
  pastOf(version: number): number[]
}

/** Bundles are fetched in this order. */
export const [FIRST, LATER] = [0, 1_000_000]

/** Bundle → its place in the order; equal ones oldest version first. */
export function neededBundles(log: UpgradeLog, objects: Iterable<NeedingObject>): Map<string, number> {
  const needed = new Map<string, number>()
  const add = (entry: Entry | undefined, from: number): void => {
    if (entry === undefined) return
    const { sha256 } = entry.manifest.bundle
    needed.set(sha256, Math.min(needed.get(sha256) ?? Number.POSITIVE_INFINITY, from + entry.version))
  }
  // Whoever comes next asks for the newest.
  add(log.chain.at(-1), LATER)
  for (const object of objects) {
    const { current, phase, futures, simulated } = object.state
    const lineage = object.state.object
    const target = log.schema.at(lineage, targetOf(phase))
    if (target !== undefined) for (const one of onTheWay(object, target, log)) add(one.entry, FIRST)
    const newest = log.schema.versions(lineage).at(-1)
    if (newest !== undefined) for (const one of onTheWay(object, newest, log)) add(one.entry, LATER)
    if (current === null) continue
    add(log.get(current.entry), LATER)
    for (const version of futures) add(log.get(simulated?.[version] ?? ''), LATER)
    // The past SO of a version came with the upgrade from it.
    const schema = log.schemaOf(current.entry)
    for (const past of object.pastOf(current.version)) add(schema.next(lineage, past)?.entry, LATER)
    for (const { className, version } of callsOf(schema.at(lineage, current.version)))
      for (const one of log.schema.versions(log.schema.lineageOf(className) ?? ''))
        if (one.version >= version) add(one.entry, LATER)
  }
  return needed
}

/**
 * Upgrades whose code a node with this state needs on its way to `target`: each step's, and those that bring the past SOs
 * that it will serve; what is replaced and brings none may be lost. A node that comes from another branch has none of the chain's yet (R3).
 */
export function onTheWay(object: NeedingObject, target: LineageVersion, log: UpgradeLog): LineageVersion[] {
  const { schema } = log
  const { current } = object.state
  const past = new Set(object.pastOf(target.version))
  const isStep = ({ version, entry }: LineageVersion) =>
    current !== null && version > current.version && !schema.replaced.has(entry.hash)
  return schema.versions(object.state.object).filter((one, index, all) => {
    if (one.version >= target.version) return one.version === target.version
    return isStep(one) || past.has(all[index - 1]?.version ?? 0)
  })
}

/** The bundle that an upgrade to `target` still lacks, in words; undefined if all are here. */
export function missingBundle(
  object: NeedingObject,
  target: LineageVersion,
  { log, pieces }: { log: UpgradeLog; pieces: Pieces }
): string | undefined {
  for (const { version, entry } of onTheWay(object, target, log)) {
    const { sha256 } = entry.manifest.bundle
    if (pieces.isReady(sha256)) continue
    const [held, all] = pieces.share(sha256)
    return `fetches the bundle of version ${version}: ${held} of ${all} pieces`
  }
  return undefined
}

/** H11: what an upgrade's code needs and the operator of this node does not allow, in words; undefined if there is nothing. */
export function refusedNeed(
  target: LineageVersion,
  init: { allowed?: readonly string[] | undefined }
): string | undefined {
  const { needs } = target.upgrade
  if (needs === undefined || init.allowed === undefined) return undefined
  const refused = firstRefused(needs, init.allowed)
  if (refused === undefined) return undefined
  const what = refused === NETWORK ? 'the network' : refused
  return `version ${target.version} needs ${what}, which this peer does not allow to it: restart it with --allow ${refused}`
}

function callsOf(one: LineageVersion | undefined): { className: string; version: number }[] {
  if (one === undefined) return []
  const { past, future, interface: own } = one.upgrade
  const sos = [past, future].flatMap((so) => (so === null || so === 'subtype' ? [] : [so.interface]))
  return [own, ...sos].flatMap(({ calls }) =>
    Object.entries(calls).map(([className, version]) => ({ className, version }))
  )
}
