/** From a checked document to the plain scenario of one run (SPEC M28). Pure: equal documents and seeds, equal scenarios. */
import type { PeerLimits } from '../../src/overlay/events.ts'
import type { Schedule } from '../../src/schedule/schedule.ts'
import { pieceLengthFor } from '../../src/upgrade/pieces.ts'
import type { Effort } from '../authority.ts'
import { type Curve, calmHost, type HostOptions } from '../host.ts'
import { EPOCH_MS } from '../machine.ts'
import { calmNetwork, type NetworkOptions } from '../network.ts'
import type { Places } from '../places.ts'
import { freeProcessors } from '../processors.ts'
import { type Action, immediateSchedule, type Scenario, scenario } from '../scenario.ts'
import { Unfit } from './document.ts'
import type { Enclosed, RealRehearsal, RealUpgrade } from './enclosed.ts'
import { strikes } from './faults.ts'
import { checkApprovals, operatorActions } from './operator.ts'
import { bare, type WrittenSchedule } from './schedules.ts'
import type { Document, DocumentUpgrade } from './schema.ts'

const INSTALL_MS = 1500
const ROSTERS_MS = 2000
const FIRST_UPGRADE_MS = 20_000
const BETWEEN_UPGRADES_MS = 60_000
/** Added to what schedules take at most: for gossip, transforms, groups that go one by one. */
const SLACK_MS = 3_600_000
/** A window may first open a week later. */
const WINDOW_MS = 7 * 24 * 3_600_000
/** Larger fleets are measured, not examined: histories and copies would be most of the cost. */
const STRICT_PEERS = 300

/** @throws Unfit with the path of the field. */
export function compile(document: Document, enclosed: Enclosed, seed: number): Scenario {
  const { peers, groups, late, disk } = document
  const lineages = lineagesOf(document, enclosed)
  const upgrades = [document.install, ...document.upgrades]
  const made = upgrades.map((one, index) => upgradeAction(document, enclosed, one, index, lineages))
  const strict = document.strict ?? peers <= STRICT_PEERS
  const bare = scenario({
    seed,
    peers,
    groupSize: groups.size,
    unavailable: mostDown(made.slice(1)),
    lineages,
    labels: document.labels,
    places: placesOf(document),
    topology: document.topology === 'scale-free' ? 'scale-free' : 'random',
    bandwidth: [document.bandwidth].flat().map((one) => ({
      where: 'where' in one ? one.where : {},
      upBytesPerMs: one.up,
      downBytesPerMs: one.down
    })),
    limits: limitsOf(document),
    bootstrap: document.bootstrap,
    ...(document.start === 'formed' ? { start: 'formed' } : { startMs: document.start }),
    lateShare: late?.share ?? 0,
    lateMs: late?.at ?? 0,
    network: networkOf(document),
    host: hostOf(document),
    processors: processorsOf(document),
    disk: { syncMs: disk.sync, storeMs: disk.store },
    calls: { perSecond: document.calls.perSecond, deadlineMs: document.calls.deadline },
    writesPerSecond: document.writes,
    idleMs: document.idle,
    strict,
    history: strict ? 24 : 0
  })
  checkApprovals(document, made)
  const stated = rosters(peers, groups.size)
  const actions = [...made, ...stated, ...operatorActions(document, made.length, stated.length)]
  const faults = strikes(document, bare)
  const lastMs = Math.max(0, ...actions.map((one) => one.atMs), ...faults.map((one) => one.atMs), late?.at ?? 0)
  const longestMs = made.reduce((sum, one) => sum + longestOf(one), 0)
  return { ...bare, actions, faults, durationMs: document.duration ?? lastMs + longestMs + SLACK_MS }
}

/** k: what the schedules together allow; Infinity where one of them allows anything. */
function mostDown(made: readonly UpgradeAction[]): number {
  const schedules = made.flatMap((one) => [one.schedule, ...Object.values(one.schedules ?? {})])
  const bounds = schedules.map(({ constraints }) =>
    Math.min(...constraints.map((one) => (one.kind === 'rolling' ? one.unavailable : Number.POSITIVE_INFINITY)))
  )
  return Math.max(1, ...bounds)
}

/** Each class keeps the name that it had when the scenario's first upgrade found it. */
function lineagesOf({ classes, upgrades, install }: Document, { upgrades: real }: Enclosed): string[] {
  const named = upgrades.flatMap((one, index) => (one.file === undefined ? [] : [{ index, file: real[one.file]! }]))
  if (install.file !== undefined)
    throw new Unfit(['install', 'file'], 'version 1 is installed from nothing; name the file under "upgrades"')
  const first = named[0]
  if (first === undefined) return classes ?? ['Thing']
  const names = first.file.classes.map(({ from, to }) => from ?? to)
  if (classes !== undefined)
    throw new Unfit(['classes'], `the classes are those of the upgrade file: ${names.join(', ')}; leave them out`)
  for (const { index, file } of named) {
    if (file.classes.length === names.length) continue
    const text = `it upgrades ${file.classes.length} classes, the first one ${names.length}; the upgrades of one scenario upgrade the same ones: give each a scenario of its own`
    throw new Unfit(['upgrades', index, 'file'], text)
  }
  return names
}

type UpgradeAction = Extract<Action, { what: 'upgrade' }>

/** @param index 0 is the installation; the version is one more. */
function upgradeAction(
  document: Document,
  enclosed: Enclosed,
  one: DocumentUpgrade,
  index: number,
  lineages: string[]
): UpgradeAction {
  const path = index === 0 ? ['install'] : ['upgrades', index - 1]
  const real = one.file === undefined ? undefined : enclosed.upgrades[one.file]!
  const { pieces, pieceBytes } = real ?? piecesOf(one.bundle ?? 1024 ** 2)
  const own = scheduleOf(document, one.schedule, [...path, 'schedule'])
  const usual = index === 0 ? immediateSchedule : usualSchedule(document)
  const simulate = real?.classes.find((each) => each.simulate !== undefined)?.simulate
  if (one.replaces !== undefined && one.replaces > index)
    throw new Unfit([...path, 'replaces'], `version ${index + 1} can replace versions 1 to ${index}`)
  return {
    atMs: one.at ?? (index === 0 ? INSTALL_MS : FIRST_UPGRADE_MS + (index - 1) * BETWEEN_UPGRADES_MS),
    what: 'upgrade',
    schedule: own ?? real?.classes[0]?.schedule ?? usual,
    ...(own === undefined && real !== undefined ? { schedules: schedulesOf(real, lineages) } : {}),
    ...(simulate === undefined ? {} : { simulate }),
    pieces,
    pieceBytes,
    future: one.future ?? real?.classes.some((each) => each.future) ?? true,
    past: one.past ?? real?.classes.some((each) => each.past) ?? true,
    ...(one.replaces === undefined ? {} : { replaces: one.replaces - 1 }),
    ...(one.broken ? { broken: 1 } : {}),
    ...(one.errors === undefined ? {} : { errors: one.errors }),
    effort: effortOf(one, enclosed)
  }
}

const schedulesOf = ({ classes }: RealUpgrade, lineages: string[]): Record<string, Schedule> =>
  Object.fromEntries(lineages.map((lineage, index) => [lineage, classes[index]!.schedule]))

function piecesOf(bundleBytes: number): { pieces: number; pieceBytes: number } {
  const pieceBytes = pieceLengthFor(Math.ceil(bundleBytes))
  return { pieces: Math.ceil(bundleBytes / pieceBytes), pieceBytes }
}

function usualSchedule({ groups }: Document): Schedule {
  if (groups.size === 0) return immediateSchedule
  return {
    when: { kind: 'immediately' },
    constraints: [{ kind: 'rolling', by: 'group', unavailable: groups.unavailable }]
  }
}

function scheduleOf(
  document: Document,
  written: WrittenSchedule | string | undefined,
  path: (string | number)[]
): Schedule | undefined {
  if (written === undefined) return undefined
  if (typeof written === 'string') {
    const names = Object.keys(document.schedules)
    const named = document.schedules[written] ?? written
    const read = typeof named === 'string' ? bare(named) : named
    if (read === undefined)
      throw new Unfit(
        path,
        `there is no schedule "${written}"; under "schedules" there are: ${names.join(', ') || 'none'}`
      )
    return scheduleOf(document, read, path)
  }
  return { when: written.when, constraints: written.constraints ?? usualSchedule(document).constraints }
}

/** A quarter more or less than a rehearsal took: other machines, other states. */
const around = (ms: number): Curve => [
  [0, ms * 0.75],
  [1, ms * 1.25]
]

function curveOf(written: NonNullable<DocumentUpgrade['transform']>, rehearsal: RealRehearsal | undefined): Curve {
  if (Array.isArray(written))
    return [
      [0, written[0]],
      [1, written[1]]
    ]
  if ('rehearsal' in written) return around(rehearsal!.transformMs)
  return [
    [0, written.least],
    [0.5, written.p50],
    [0.95, written.p95],
    [1, written.most]
  ]
}

function effortOf({ transform, fails, simulation }: DocumentUpgrade, { rehearsals }: Enclosed): Effort {
  const rehearsal = transform !== undefined && 'rehearsal' in transform ? rehearsals[transform.rehearsal] : undefined
  return {
    times: {
      ...(transform === undefined ? {} : { transform: curveOf(transform, rehearsal) }),
      ...(rehearsal === undefined ? {} : { prove: around(rehearsal.proveMs) })
    },
    ...(fails === undefined ? {} : { fails }),
    ...(simulation === undefined ? {} : { simulation: { costMs: simulation.cost, disallows: simulation.disallows } })
  }
}

function rosters(peers: number, groupSize: number): Action[] {
  const groups = groupSize > 0 ? Math.ceil(peers / groupSize) : 0
  return Array.from({ length: groups }, (_, group) => ({ atMs: ROSTERS_MS, what: 'roster', group, number: 1 }))
}

function placesOf({ topology, groups }: Document): Places | null {
  if (typeof topology === 'string') return null
  const groupsTogether = topology.groups === 'together' && groups.size > 0
  if (topology.kind === 'clusters') {
    const { count, delay, within, link, local } = topology
    const row = (of: number) => Array.from({ length: count }, (_, other) => (other === of ? within : delay))
    const names = Array.from({ length: count }, (_, index) => `cluster-${index}`)
    return {
      names,
      shares: names.map(() => 1 / count),
      delaysMs: names.map((_, of) => row(of)),
      groupsTogether,
      linkBytesPerMs: link,
      localShare: local
    }
  }
  const names = Object.keys(topology.shares)
  const delayMs = (a: string, b: string): number => {
    const found = topology.latency[a]?.[b] ?? topology.latency[b]?.[a]
    if (found === undefined) throw new Unfit(['topology', 'latency', a], `the latency between ${a} and ${b} is missing`)
    return found
  }
  const stranger = Object.entries(topology.latency)
    .flatMap(([a, row]) => [a, ...Object.keys(row)])
    .find((name) => !names.includes(name))
  if (stranger !== undefined)
    throw new Unfit(['topology', 'latency'], `${stranger} is no region; there are ${names.join(', ')}`)
  const delaysMs = names.map((a) => names.map((b) => delayMs(a, b)))
  const shares = names.map((name) => topology.shares[name]!)
  return {
    names,
    shares,
    delaysMs,
    groupsTogether,
    linkBytesPerMs: Number.POSITIVE_INFINITY,
    localShare: topology.local
  }
}

function networkOf({ network }: Document): NetworkOptions {
  const { delay, jitter, loss, raw, duplication, detection, dialTimeout, pass } = network
  return {
    delayMs: delay,
    jitterMs: jitter,
    loss,
    raw,
    duplication,
    detectionMs: detection[0],
    detectionMaxMs: detection[1],
    dialTimeoutMs: dialTimeout,
    passMs: pass,
    gossip: calmNetwork.gossip
  }
}

function processorsOf({ processors: written }: Document): Scenario['processors'] {
  if (written === undefined) return null
  const { count, steps, host, ...each } = written
  const costs = Object.fromEntries(Object.entries(each).map(([name, ms]) => [`${name}Ms`, ms]))
  const commands = Object.fromEntries(Object.entries(host).filter(([, ms]) => ms !== undefined))
  return { ...freeProcessors, ...costs, count, steps, host: commands }
}

function hostOf({ host: { failures, ...written } }: Document): HostOptions {
  const times = Object.entries(written).filter(([, times]) => times !== undefined)
  return { durationsMs: { ...calmHost.durationsMs, ...Object.fromEntries(times) }, failures }
}

function limitsOf({ limits }: Document): Partial<PeerLimits> {
  const { round, roundMax, drain, keep, census, epoch, ...same } = limits
  const renamed = {
    ...same,
    roundMs: round,
    roundMaxMs: roundMax,
    drainMs: drain,
    keepMs: keep,
    censusMs: census,
    epochMs: epoch
  }
  return Object.fromEntries(Object.entries(renamed).filter(([, value]) => value !== undefined))
}

/** What a schedule can take, roughly: all its times one after another. */
function longestOf({ schedule, schedules }: UpgradeAction): number {
  return Math.max(...[schedule, ...Object.values(schedules ?? {})].map((one) => timesIn(one)))
}

function timesIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + timesIn(one), 0)
  if (typeof value !== 'object' || value === null) return 0
  const map = value as Record<string, unknown>
  if (map['kind'] === 'window') return WINDOW_MS
  const steps = [map['ends'], map['order']].find(Array.isArray)?.length ?? 1
  return Object.entries(map).reduce((sum, [name, one]) => {
    if (typeof one !== 'number') return sum + timesIn(one)
    if (name === 'timeMs') return sum + Math.max(0, one - EPOCH_MS)
    return sum + (name.endsWith('Ms') ? one * steps : 0)
  }, 0)
}
