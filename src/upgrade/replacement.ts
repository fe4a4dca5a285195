/**
 * Upgrades that replace others (SPEC R): the way on after an abort, and the end of a fork. What such an entry must bring
 * is checked by everyone who takes it in, with nothing but the log.
 */
import { Refusal } from '../errors.ts'
import type { Entry } from './manifest.ts'
import type { LineageVersion, Schema } from './schema.ts'

/** What the check looks at. */
export interface Ancestry {
  get(hash: string): Entry | undefined
  /** The schema after the entry of this hash. */
  schemaAt(hash: string): Schema
}

/**
 * R2. @throws Refusal Malformed, naming what is lacking, if a node could hold a version from which `entry` brings no
 * way. Entries that it replaces are known to `ancestry`.
 */
export function checkReplacement(entry: Entry, ancestry: Ancestry): void {
  const replaces = new Set(entry.manifest.replaces)
  const strayWay = entry.manifest.classes.find((upgrade) => upgrade.ways !== undefined)
  if (replaces.size === 0) {
    if (strayWay === undefined) return
    throw new Refusal(
      'Malformed',
      `version ${entry.version} replaces nothing, so class ${strayWay.to} needs no "ways"; remove them, or name what it replaces`
    )
  }
  checkClosed(entry, replaces, ancestry)
  const before = ancestry.schemaAt(entry.parent)
  const after = before.after(entry)
  for (const hash of replaces) {
    const replaced = ancestry.get(hash)!
    for (const [lineage, version] of versionsBy(replaced, ancestry)) {
      const onBranch = before.versions(lineage).length === 0
      // A class that only the other branch has stays where it is; nothing of this branch can take its place (R3).
      if (onBranch) continue
      const target = after.versions(lineage).at(-1)!
      if (target.entry !== entry) {
        throw new Refusal(
          'Malformed',
          `version ${entry.version} replaces version ${replaced.version} (${hash.slice(0, 12)}), which upgraded class ${version.className}; upgrade that class, too`
        )
      }
      checkWays(entry, lineage, target, [version, ...held(before, lineage, replaces)], after)
    }
  }
}

/** What is chained on a replaced entry goes with it, unless it replaces that itself: it must be named, too. */
function checkClosed(entry: Entry, replaces: ReadonlySet<string>, ancestry: Ancestry): void {
  const above: Entry[] = []
  for (let one = ancestry.get(entry.parent); one !== undefined; one = ancestry.get(one.parent)) {
    if (replaces.has(one.hash)) {
      const left = above.find((a) => !replaces.has(a.hash) && !a.manifest.replaces?.includes(one!.hash))
      if (left !== undefined) {
        throw new Refusal(
          'Malformed',
          `version ${entry.version} replaces version ${one.version}, but not version ${left.version} (${left.hash.slice(0, 12)}), which is chained on it; replace both`
        )
      }
    }
    above.push(one)
  }
}

/** The versions of a lineage whose next step is this entry: the newest that nobody replaced, and all later ones. */
function held(before: Schema, lineage: string, replaces: ReadonlySet<string>): LineageVersion[] {
  const versions = before.versions(lineage)
  const isDead = (one: LineageVersion) => replaces.has(one.entry.hash) || before.replaced.has(one.entry.hash)
  const living = versions.findLastIndex((one) => !isDead(one))
  return versions.slice(Math.max(0, living))
}

function versionsBy(replaced: Entry, ancestry: Ancestry): [string, LineageVersion][] {
  const found: [string, LineageVersion][] = []
  for (const [lineage, versions] of ancestry.schemaAt(replaced.hash).lineages) {
    const version = versions.at(-1)!
    if (version.entry === replaced) found.push([lineage, version])
  }
  return found
}

function checkWays(
  entry: Entry,
  lineage: string,
  target: LineageVersion,
  holdable: readonly LineageVersion[],
  after: Schema
): void {
  const lacking = holdable.find((one) => after.wayTo(lineage, target, one.entry.hash) === undefined)
  if (lacking === undefined) return
  throw new Refusal(
    'Malformed',
    `version ${entry.version}, class ${target.className}: nodes may hold version ${lacking.version} (${lacking.className}, entry ${lacking.entry.hash.slice(0, 12)}), and there is no way from it; add one to "ways"`
  )
}
