/**
 * The reference object (SPEC M14): what clients wrote, by the version that they wrote it at. A write is to be read at every
 * version; what only its own version has words for lies in that version's SO, or in the object itself, and must be there
 * as long as the version is served, however often objects, SOs and machines end and whatever is upgraded meanwhile.
 */
import { SmallMap } from '../src/small.ts'

/** What a process hosts beside its object. */
export interface Links {
  version: number
  past: readonly number[]
  future: readonly number[]
}

export const linksOf = ({ version, past, future }: Links): number[] => [...past, version, ...future]

export class Contents {
  /** What every version reads. */
  writes = 0
  /** Version → writes in its own words. */
  readonly own = new SmallMap<number, number>()

  write(version: number): void {
    this.writes += 1
    this.own.set(version, (this.own.get(version) ?? 0) + 1)
  }

  forget(versions: Iterable<number>): void {
    for (const version of versions) this.own.delete(version)
  }

  /** Versions above this one whose SO has something of its own. */
  above(version: number): number[] {
    return [...this.own.keys()].filter((one) => one > version).sort((a, b) => a - b)
  }

  /** What a TF makes of it: of future SOs it knows only what it is told of. */
  transformed(version: number, futures: readonly number[]): Contents {
    const made = new Contents()
    made.writes = this.writes
    for (const [one, count] of this.own) if (one <= version || futures.includes(one)) made.own.set(one, count)
    return made
  }
}

/** What is wrong with what an object that comes to serve holds. `withheld`: SOs that it serves without, and keeps. */
export function lost(
  links: Links,
  held: Contents,
  acknowledged: Contents,
  withheld: readonly number[]
): string | undefined {
  if (held.writes !== acknowledged.writes)
    return `serves with ${held.writes} of ${acknowledged.writes} acknowledged writes`
  for (const version of linksOf(links)) {
    const [has, should] = [held.own.get(version) ?? 0, acknowledged.own.get(version) ?? 0]
    if (has !== should) return `reads wrong at version ${version}: ${has} of ${should} writes that were made at it`
  }
  const dropped = acknowledged
    .above(links.version)
    .find((version) => !links.future.includes(version) && !withheld.includes(version))
  return dropped === undefined
    ? undefined
    : `serves without the SO of version ${dropped}, through which ${acknowledged.own.get(dropped)} writes were made`
}
