/**
 * The schema of a fleet: which class has which version by which upgrade (MODEL: schema, version). A *lineage* is one
 * object through all its upgrades, named by its first class; class names change along it.
 */
import { Refusal } from '../errors.ts'
import { type ClassUpgrade, type Entry, MAX_CLASSES } from './manifest.ts'

export interface LineageVersion {
  version: number
  className: string
  upgrade: ClassUpgrade
  entry: Entry
}

/** What a node upgrades to, and the TF that leads there from what it holds; undefined if the upgrade has none. */
export interface Step {
  target: LineageVersion
  way: { transform: string | null } | undefined
}

export class Schema {
  /** lineage → its versions, ascending. */
  readonly lineages: ReadonlyMap<string, readonly LineageVersion[]>
  /** Hash of an entry → the newest entry that replaces it (R1). */
  readonly replaced: ReadonlyMap<string, Entry>

  constructor(
    lineages: ReadonlyMap<string, readonly LineageVersion[]> = new Map(),
    replaced: ReadonlyMap<string, Entry> = new Map()
  ) {
    this.lineages = lineages
    this.replaced = replaced
  }

  /**
   * The schema after an upgrade (U7).
   * @throws Refusal UnknownClass if a class it upgrades does not exist, or a new one has a name in use.
   */
  after(entry: Entry): Schema {
    const current = new Map<string, string>()
    for (const [lineage, versions] of this.lineages) current.set(versions.at(-1)!.className, lineage)
    const next = new Map(this.lineages)
    const freed = new Set(entry.manifest.classes.map((upgrade) => upgrade.from))
    for (const upgrade of entry.manifest.classes) {
      const lineage = upgrade.from === null ? upgrade.to : current.get(upgrade.from)
      if (lineage === undefined) {
        throw new Refusal(
          'UnknownClass',
          `version ${entry.version} upgrades class ${upgrade.from}, which version ${entry.version - 1} does not have; it has ${[...current.keys()].join(', ') || 'none'}`
        )
      }
      const taken = upgrade.from !== upgrade.to && (current.has(upgrade.to) ? !freed.has(upgrade.to) : false)
      if (taken || (upgrade.from === null && this.lineages.has(upgrade.to))) {
        throw new Refusal(
          'UnknownClass',
          `version ${entry.version} names a class ${upgrade.to} that exists already; choose another name`
        )
      }
      next.set(lineage, [
        ...(next.get(lineage) ?? []),
        { version: entry.version, className: upgrade.to, upgrade, entry }
      ])
    }
    if (next.size > MAX_CLASSES) {
      throw new Refusal(
        'UnknownClass',
        `version ${entry.version} brings the fleet to ${next.size} classes; at most ${MAX_CLASSES} are known at once, replace one instead`
      )
    }
    const replaced = new Map(this.replaced)
    for (const hash of entry.manifest.replaces ?? []) replaced.set(hash, entry)
    return new Schema(next, replaced)
  }

  /** What a caller of `className` at `version` means; `object` is the lineage. */
  find(className: string, version: number): (LineageVersion & { object: string }) | undefined {
    for (const [object, versions] of this.lineages) {
      const found = versions.find((one) => one.version === version && one.className === className)
      if (found !== undefined) return { object, ...found }
    }
    return undefined
  }

  /** The version of a lineage that a class's name, at that or any other version, is meant by. */
  lineageAt(className: string, version: number): (LineageVersion & { object: string }) | undefined {
    const exact = this.find(className, version)
    const object = exact?.object ?? this.lineageOf(className)
    const found = object === undefined ? undefined : this.at(object, version)
    return found === undefined ? undefined : { object: object!, ...found }
  }

  /** The lineage that ever had a class of this name. */
  lineageOf(className: string): string | undefined {
    for (const [lineage, versions] of this.lineages)
      if (versions.some((one) => one.className === className)) return lineage
    return undefined
  }

  versions(lineage: string): readonly LineageVersion[] {
    return this.lineages.get(lineage) ?? []
  }

  at(lineage: string, version: number): LineageVersion | undefined {
    return this.versions(lineage).find((one) => one.version === version)
  }

  /** The neighbour in the chain: the version whose upgrade brings the past SO of this one, replaced or not. */
  next(lineage: string, version: number): LineageVersion | undefined {
    return this.versions(lineage).find((one) => one.version > version)
  }

  /** R4: the first later version that nobody replaced; undefined if there is none. */
  stepFrom(lineage: string, held: { version: number; entry: string }): Step | undefined {
    const target = this.versions(lineage).find(
      (one) => one.version > held.version && !this.replaced.has(one.entry.hash)
    )
    return target === undefined ? undefined : { target, way: this.wayTo(lineage, target, held.entry) }
  }

  /** The TF to `target` from the version that came with `entry`. */
  wayTo(lineage: string, target: LineageVersion, entry: string): Step['way'] {
    const before = this.versions(lineage).findLast((one) => one.version < target.version)
    if (before?.entry.hash === entry) return { transform: target.upgrade.transform }
    return target.upgrade.ways?.find((one) => one.entry === entry)
  }

  /** Versions of the lineage between two, both excluded: those that a node skips (R4). */
  between(lineage: string, from: number, to: number): number[] {
    return this.versions(lineage)
      .map((one) => one.version)
      .filter((version) => version > from && version < to)
  }

  /** Versions below `version` that past SOs can serve, ascending: the unbroken run of upgrades that bring one. */
  past(lineage: string, version: number): number[] {
    const versions = this.versions(lineage)
    const served: number[] = []
    for (let i = versions.findIndex((one) => one.version === version); i > 0; i--) {
      if (versions[i]!.upgrade.past === null) break
      served.unshift(versions[i - 1]!.version)
    }
    return served
  }
}
