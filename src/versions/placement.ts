/**
 * Where the SOs of a call run (SPEC G1, G2): on the callee's node, or, where that does not serve the version called, on
 * the caller's, between the version called and the nearest one that the callee serves.
 */
import { CallError, type ServedRange } from '../errors.ts'
import type { Entry, Interface, Simulation } from '../upgrade/manifest.ts'
import type { LineageVersion } from '../upgrade/schema.ts'

/** The SO of one version that the caller's node would host, and the entry whose bundle holds its code. */
export interface PlacedLink {
  version: number
  className: string
  role: 'past' | 'future'
  simulation: Simulation | 'subtype'
  /** The type that the SO implements. */
  interface: Interface
  entry: Entry
}

export type Placement =
  | { where: 'callee' }
  /** `links`: nearest to the delegate first, the version called last. */
  | { where: 'caller'; links: PlacedLink[]; delegate: LineageVersion }
  | { where: 'nowhere'; reason: string }

/** Whether callers may host the past SO of a version: its retirement says whether they go on. */
export type MayHost = (version: number) => boolean

interface Called {
  version: number
  method: string
}

/** `versions`: those of the object, ascending; `serves`: what the callee said. */
export function place(
  versions: readonly LineageVersion[],
  called: Called,
  serves: ServedRange,
  mayHost: MayHost
): Placement {
  const [low, high] = serves
  if (low <= called.version && called.version <= high) return { where: 'callee' }
  const role = called.version > high ? 'future' : 'past'
  const edge = role === 'future' ? high : low
  const from = versions.findIndex((one) => one.version === edge)
  const to = versions.findIndex((one) => one.version === called.version)
  if (from < 0 || to < 0) return nowhere(`version ${from < 0 ? edge : called.version} is not known here`)
  const step = role === 'future' ? 1 : -1
  const links: PlacedLink[] = []
  for (let at = from + step; at !== to + step; at += step) {
    const link = linkAt(versions, at, role)
    if (link === undefined) return nowhere(`version ${versions[at]!.version} has no ${role} simulation object`)
    if (role === 'past' && !mayHost(link.version)) return nowhere(`version ${link.version} is retired, for callers too`)
    links.push(link)
  }
  if (!claimsStateless(links.at(-1)!, called.method))
    return nowhere(`${called.method} of its ${role} simulation object is not stateless`)
  return { where: 'caller', links, delegate: versions[from]! }
}

/**
 * Throws Misplaced if one of the links serves a version from that of the delegate, exclusive, to the one simulated: the
 * caller's SO of it must not run any more (SPEC G5).
 */
export function checkPlacement(
  links: readonly { version: number; fault: string | null }[],
  delegate: number,
  simulated: number
): void {
  const served = links.filter(({ fault }) => fault === null).map(({ version }) => version)
  const [low, high] = [Math.min(delegate, simulated), Math.max(delegate, simulated)]
  const better = served.find((version) => version !== delegate && low <= version && version <= high)
  if (better === undefined) return
  const serves = [Math.min(...served), Math.max(...served)] as const
  throw new CallError('Misplaced', `version ${better} is served here by now; call it directly`, { serves })
}

/** Whether the caller's node may have to decide at all: some SO of that version claims the method (G6). */
export function mayBePlaced(versions: readonly LineageVersion[], { version, method }: Called): boolean {
  const at = versions.findIndex((one) => one.version === version)
  if (at < 0) return false
  const links = [linkAt(versions, at, 'future'), linkAt(versions, at, 'past')]
  return links.some((link) => link !== undefined && claimsStateless(link, method))
}

/** The past SO of a version comes with the upgrade that left it behind, the future SO with that version's own. */
function linkAt(versions: readonly LineageVersion[], at: number, role: 'past' | 'future'): PlacedLink | undefined {
  const { version, className, upgrade, entry } = versions[at]!
  const bringer = role === 'future' ? { upgrade, entry } : versions[at + 1]
  const simulation = role === 'future' ? upgrade.future : bringer?.upgrade.past
  if (simulation === undefined || simulation === null || bringer === undefined) return undefined
  return { version, className, role, simulation, interface: upgrade.interface, entry: bringer.entry }
}

/** A `subtype` passes every call on as it is: there is no code that could keep anything. */
function claimsStateless({ simulation, interface: type }: PlacedLink, method: string): boolean {
  if (simulation === 'subtype') return Object.hasOwn(type.methods, method)
  const declared = Object.hasOwn(simulation.interface.methods, method)
    ? simulation.interface.methods[method]
    : undefined
  return declared?.stateless === true
}

const nowhere = (reason: string): Placement => ({ where: 'nowhere', reason })
