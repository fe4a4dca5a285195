/**
 * What the schedules of an upgrade name of others must be there, and must not wait for each other (SPEC S46): checked
 * where an upgrade is packed, and where it is injected. What the chain holds is only evaluated.
 */
import { Refusal } from '../errors.ts'
import { sayUnknown } from '../schedule/reading.ts'
import { type Condition, conditionsOf, partsOf, wholeOf } from '../schedule/schedule.ts'
import type { ClassUpgrade, Manifest } from './manifest.ts'

/** A class through its upgrades: all its names, and the versions that it has. */
interface Lineage {
  names: string[]
  versions: number[]
}

/**
 * @param earlier the manifests before it, ascending, as far as they are known
 * @throws Refusal UnknownStrategy, UnknownClass, or Malformed for schedules that wait for each other
 */
export function checkSchedules(manifest: Manifest, earlier: Iterable<Manifest>): void {
  checkStrategies(manifest)
  for (const { to, schedule } of manifest.classes) {
    const orders = contraryOrders(schedule.when)
    if (orders === undefined) continue
    const text = `class ${to}: ${orders.join(' and ')} put the same peers in two orders, so that some would wait for each other; keep one, or say canary({ where }) with the labels of the first domain`
    throw new Refusal('Malformed', text)
  }
  const lineages = lineagesOf([...earlier, manifest])
  for (const upgrade of manifest.classes) {
    const names = lineageOf(upgrade, lineages).names
    const { schedule, simulate } = upgrade
    for (const condition of [wholeOf(schedule), ...(simulate === undefined ? [] : [simulate])])
      for (const one of conditionsOf(condition, names)) checkNames(one, upgrade, manifest.version, lineages)
  }
  checkCycles(manifest, lineages)
}

/** A release must not hand on, or sign, what it does not know (S45). */
export function checkStrategies({ version, classes }: Manifest): void {
  for (const { to, schedule, simulate } of classes) {
    const unknown = sayUnknown([schedule.when, ...schedule.constraints, simulate])
    if (unknown !== undefined) throw new Refusal('UnknownStrategy', `version ${version}, class ${to}: ${unknown}`)
  }
}

function lineagesOf(manifests: readonly Manifest[]): Lineage[] {
  const lineages: Lineage[] = []
  for (const { version, classes } of manifests) {
    const now = classes.map(({ from }) => lineages.findLast((one) => from !== null && one.names.at(-1) === from))
    classes.forEach(({ from, to }, at) => {
      const known = now[at]
      if (known === undefined) lineages.push({ names: from === null ? [to] : [from, to], versions: [version] })
      else {
        known.names.push(to)
        known.versions.push(version)
      }
    })
  }
  return lineages
}

const lineageOf = ({ to }: Pick<ClassUpgrade, 'to'>, lineages: readonly Lineage[]): Lineage =>
  lineages.find((one) => one.names.at(-1) === to)!

/** The lineage that a name means: that whose name it is now, else one that ever had it. */
const named = (name: string, lineages: readonly Lineage[]): Lineage | undefined =>
  lineages.find((one) => one.names.at(-1) === name) ?? lineages.find((one) => one.names.includes(name))

function checkNames(condition: Condition, { to }: ClassUpgrade, version: number, lineages: readonly Lineage[]): void {
  const known = lineages.map((one) => one.names.at(-1)).join(', ')
  if (condition.kind === 'byClass') {
    const odd = Object.keys(condition.classes).find((name) => named(name, lineages) === undefined)
    if (odd === undefined) return
    throw new Refusal('UnknownClass', `class ${to}: its schedule has a case for class ${odd}; known are ${known}`)
  }
  if (condition.kind !== 'afterClass') return
  const awaited = named(condition.class, lineages)
  const said = `class ${to}: its schedule waits for class ${condition.class} at version ${condition.version}`
  if (awaited === undefined) throw new Refusal('UnknownClass', `${said}; known are ${known}`)
  if (condition.version > version)
    throw new Refusal('Malformed', `${said}, which is later than this upgrade; wait in the later one instead`)
  if (awaited.versions.includes(condition.version)) return
  const versions = `it is known at ${awaited.versions.join(', ')}`
  throw new Refusal('UnknownClass', `${said}, which no upgrade brings: ${versions}; give all earlier upgrade files`)
}

/** Two orders that one peer would have to keep at once, in words; undefined if there are none (S46). */
export function contraryOrders(when: Condition): [string, string] | undefined {
  const cases = [...conditionsOf(when)].flatMap((one) => (one.kind === 'byClass' ? Object.keys(one.classes) : []))
  for (const name of ['', ...cases]) {
    for (const one of conditionsOf(when, [name])) {
      if (one.kind !== 'all' && one.kind !== 'sequence') continue
      const [first, second] = ordersOf(one, [name])
      if (first !== undefined && second !== undefined) return [first, second]
    }
  }
  return undefined
}

/** The orders that a condition surely puts peers in: by their place, or domains of a label. */
function ordersOf(condition: Condition, classes: readonly string[]): ReadonlySet<string> {
  if (condition.kind === 'canary' || condition.kind === 'waves') return new Set(['canaries or waves'])
  if (condition.kind === 'domains')
    return new Set([`domains of ${condition.by} (${condition.order.map((one) => one.join('|')).join(', ')})`])
  if (condition.kind === 'not') return new Set()
  const parts = partsOf(condition, classes).map((one) => ordersOf(one, classes))
  if (condition.kind !== 'any') return new Set(parts.flatMap((one) => [...one]))
  // Where another branch may hold nobody has to keep the order.
  return new Set([...(parts[0] ?? [])].filter((order) => parts.every((one) => one.has(order))))
}

/** Classes that this upgrade lets wait for each other would all wait for ever; one that waits for itself, too. */
function checkCycles({ version, classes }: Manifest, lineages: readonly Lineage[]): void {
  const awaited = new Map<Lineage, Lineage[]>()
  for (const upgrade of classes) {
    const own = lineageOf(upgrade, lineages)
    const others = [...conditionsOf(upgrade.schedule.when, own.names)].flatMap((one) =>
      one.kind === 'afterClass' && one.version === version ? [named(one.class, lineages)!] : []
    )
    awaited.set(own, others)
  }
  for (const start of awaited.keys()) {
    const path = pathTo(start, start, awaited)
    if (path === undefined) continue
    const names = [start, ...path].map((one) => one.names.at(-1)).join(' for ')
    throw new Refusal('Malformed', `version ${version}: schedules wait for each other: ${names}; let one go first`)
  }
}

/** The way from one lineage to another by what each waits for, without the first; undefined if there is none. */
function pathTo(from: Lineage, to: Lineage, awaited: ReadonlyMap<Lineage, Lineage[]>): Lineage[] | undefined {
  const before = new Map<Lineage, Lineage | undefined>()
  const next: Lineage[] = [from]
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    for (const other of awaited.get(one) ?? []) {
      if (before.has(other)) continue
      before.set(other, one)
      next.push(other)
    }
  }
  if (!before.has(to)) return undefined
  const path = [to]
  for (let one = before.get(to); one !== undefined && one !== from; one = before.get(one)) path.unshift(one)
  return path
}
