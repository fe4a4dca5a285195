/**
 * Faults: how each is done to a simulated fleet, and the plan that one seed draws (SPEC M11). A plan has a safety phase
 * in which anything may happen at any time, upgrades included; then faults stop, and everything must converge.
 */

import { Generator } from '../src/prng.ts'
import type { Condition, Constraint } from '../src/schedule/schedule.ts'
import { hash64, type ScheduleCode } from './authority.ts'
import { rootKey } from './checkers.ts'
import { calmHost } from './host.ts'
import { HOSTILE_MS } from './hostile.ts'
import { lookAtOthers, REGIONS } from './judging.ts'
import { EventKind } from './kernel.ts'
import type { Machine } from './machine.ts'
import { peerName } from './names.ts'
import { calmNetwork } from './network.ts'
import { type Action, type Fault, immediateSchedule, rollingSchedule, type Scenario, scenario } from './scenario.ts'
import type { Simulator } from './simulator.ts'
import { drawHostility, drawStatements, drawTickets } from './statements.ts'

/** A clock that is not farther off is right enough: two of them differ by less than schedules bear. */
const RIGHT_MS = 120_000

/** @param index of the fault in its scenario: one that lasts comes again. */
export function applyFault(simulator: Simulator, fault: Fault, index: number): void {
  const { kernel, network, machines } = simulator
  switch (fault.what) {
    case 'crash':
      if (!machines[fault.node]!.up) return
      machines[fault.node]!.crash()
      kernel.after(fault.downMs, EventKind.restart, fault.node)
      return
    case 'depart':
      machines[fault.node]!.departed = true
      return machines[fault.node]!.crash()
    case 'kill':
      for (const object of [...machines[fault.node]!.host.objects()]) machines[fault.node]!.host.kill(object)
      return
    case 'partition':
      return network.partition(Int32Array.from(fault.cells))
    case 'heal':
      return network.partition(undefined)
    case 'flap':
      return network.flap(fault.node, fault.share)
    case 'slow':
      network.slow(fault.node, fault.delayMs)
      machines[fault.node]!.slowFactor = fault.factor
      return
    case 'skew':
      return machines[fault.node]!.skew(fault.skewMs)
    case 'load':
      return machines[fault.node]!.load.change(fault.perSecond)
    case 'lock': {
      const { forMs, node } = fault
      return machines[node]!.step({ type: 'lock', request: -1, name: 'backup', reason: 'a backup runs', forMs })
    }
    case 'ticket':
      return machines[fault.node]!.admit(simulator.world.admit(peerName(fault.node), { number: 2 }))
    case 'unlock':
      return machines[fault.node]!.step({ type: 'unlock', request: -1, name: 'backup' })
    case 'hostile':
      simulator.hostility.act(fault.node)
      if (kernel.now + HOSTILE_MS < fault.atMs + fault.forMs) kernel.after(HOSTILE_MS, EventKind.fault, 0, index)
      return
    case 'forge':
      return forge(simulator, fault.node, fault.from)
    case 'rot':
      machines[fault.node]!.rotten = true
      return
    case 'call':
      return call(simulator, fault.node, fault.from)
    case 'stop':
      return stop(simulator)
  }
}

/** Everything that an attacker without keys can say, in every way in which it can be heard. */
function forge(simulator: Simulator, node: number, from: number): void {
  const { world, machines, scenario } = simulator
  const machine = machines[node]!
  const sender = peerName(from)
  const forged = world.forgeEntry({
    lineages: scenario.lineages,
    schedule: immediateSchedule,
    pieces: 1,
    future: true,
    past: true
  })
  const bytes = () => world.forgeBytes(400)
  machine.step({ type: 'published', from: sender, topic: 'entry', bytes: forged.bytes })
  machine.step({ type: 'published', from: sender, topic: 'statement', bytes: bytes() })
  const delta = { kind: 'delta' as const, more: false, entries: [], statements: [], records: [] }
  machine.step({ type: 'message', from: sender, message: { ...delta, entries: [forged.bytes] } })
  machine.step({ type: 'message', from: sender, message: { ...delta, statements: [bytes()] } })
  machine.step({ type: 'message', from: sender, message: { ...delta, records: [bytes()] } })
  machine.step({ type: 'message', from: sender, message: { ...delta, roots: [bytes()] } })
  stolen(simulator, machine, sender)
  machine.step({ type: 'inject', request: -1, topic: 'entry', bytes: forged.bytes, bundleHeld: true })
  // Contacts at addresses where nobody is: a dial is all that they may cost.
  const contacts = machines.slice(0, 8).map(({ id }, ageMs) => ({ peer: id, addresses: ['/nowhere'], ageMs }))
  for (const answer of [true, false])
    machine.step({ type: 'message', from: sender, message: { kind: 'shuffle', contacts, answer } })
  const bundle = forged.manifest.bundle.sha256
  machine.step({ type: 'message', from: sender, message: { kind: 'have', bundle, pieces: Uint8Array.of(255) } })
  machine.step({ type: 'message', from: sender, message: { kind: 'piece', bundle, index: 0, bytes: bytes() } })
}

/** T14: someone has the keys of the root before, and shows what they sign to a peer that knows of the newest one. */
function stolen({ world, scenario }: Simulator, machine: Machine, from: string): void {
  const root = world.roots.at(-1)!
  if (root.version === 1 || !machine.durable.has(rootKey(root))) return
  const request = { lineages: scenario.lineages, schedule: immediateSchedule, pieces: 1, future: true, past: true }
  const { bytes } = world.stealEntry(request)
  machine.step({ type: 'published', from, topic: 'entry', bytes })
  const message = { kind: 'delta' as const, more: false, entries: [bytes], statements: [], records: [] }
  machine.step({ type: 'message', from, message })
  machine.step({ type: 'inject', request: -1, topic: 'entry', bytes, bundleHeld: true })
}

/** A call from a peer, or a client, that is ahead: it carries a head, and wants a version that may not be served yet. */
function call(simulator: Simulator, node: number, from: number): void {
  const { machines } = simulator
  const ahead = machines[from]!.record?.head
  if (ahead === undefined) return
  machines[node]!.step({
    type: 'head-seen',
    from: peerName(from),
    head: ahead,
    statements: hash64('other').slice(0, 16)
  })
  for (const object of simulator.scenario.lineages) {
    if (ahead.version > 0) machines[node]!.step({ type: 'wanted', object, version: ahead.version })
  }
}

function stop(simulator: Simulator): void {
  const { network, machines, operator, power } = simulator
  power?.end()
  network.partition(undefined)
  Object.assign(network.options, { loss: 0, raw: false, duplication: 0 })
  for (const machine of machines) {
    network.slow(machine.index, 0)
    machine.slowFactor = 1
    machine.rotten = false
    machine.host.failing = false
    machine.load.change(0)
    // Whose clock is far off waits for its moments until somebody sets it right (S27).
    if (Math.abs(machine.skewMs) > RIGHT_MS) machine.skew(Math.sign(machine.skewMs) * RIGHT_MS)
  }
  operator.bringAgain()
}

// ---- plans

/** How much each kind of fault strikes; drawn anew for each plan, so that some runs are crashes only, others all at once. */
export interface FaultPlan {
  scenario: Scenario
  /** In words, for reports. */
  summary: string
}

/** Draws size, upgrades, operator and faults from a seed. `peers` fixes the size. */
export function drawFaults(seed: number, peers?: number): FaultPlan {
  const random = new Generator(seed, 5)
  const groupSize = random.pick([3, 3, 3, 4, 5])
  const groups = peers === undefined ? random.between(1, 4) : Math.ceil(peers / groupSize)
  const count = peers ?? groups * groupSize
  const unavailable = groupSize > 3 && random.chance(0.3) ? 2 : 1
  const untilMs = random.between(60, 180) * 1000
  const actions = drawActions(random, groups, groupSize, unavailable, untilMs)
  nameCanaries(new Generator(seed, 6), actions)
  constrain(new Generator(seed, 8), actions)
  const keepMs = letBundlesGo(new Generator(seed, 7), actions)
  startFutures(new Generator(seed, 21), actions)
  askCode(new Generator(seed, 22), actions)
  const weights = drawWeights(random)
  const faults = drawEvents(random, weights, count, untilMs)
  disturb(new Generator(seed, 9), faults, count, untilMs)
  const plan = { seed, groups, groupSize, untilMs, actions, faults }
  drawStatements(plan)
  drawHostility(plan)
  const isPrivate = drawTickets(plan)
  const raw = random.chance(0.2)
  const network = {
    ...calmNetwork,
    delayMs: random.pick([1, 5, 20, 100]),
    jitterMs: random.pick([0, 3, 50]),
    loss: random.pick([0, 0, 0.001, 0.01, raw ? 0.1 : 0.03]),
    raw,
    duplication: raw ? random.pick([0, 0.05, 0.3]) : 0,
    detectionMaxMs: random.pick([300, 5000, 30_000])
  }
  const rate = random.pick([0, 0, 0.03, 0.15])
  const failures = { start: rate, warm: rate / 3, transform: rate / 3, prove: rate / 3, serve: rate, simulate: rate }
  const lineages = random.chance(0.2) ? ['Thing', 'Other'] : ['Thing']
  lookAtOthers(new Generator(seed, 11), actions, lineages)
  return {
    summary: `${count} peers in groups of ${groupSize}, k ${unavailable}, ${faults.length} faults until ${untilMs} ms${raw ? ', raw' : ''}`,
    scenario: scenario({
      seed,
      peers: count,
      private: isPrivate,
      groupSize,
      unavailable,
      lineages,
      regions: REGIONS,
      limits: {
        keepMs,
        strangers: new Generator(seed, 8).pick([4, 256]),
        passive: new Generator(seed, 38).pick([6, 32]),
        ...(random.chance(0.3) ? { view: random.pick([8, 12, 20]), degree: 4, degreeMax: 6 } : {})
      },
      lateShare: random.pick([0, 0, 0.2]),
      lateMs: untilMs / 2,
      network,
      host: {
        ...calmHost,
        failures,
        durationsMs: {
          ...calmHost.durationsMs,
          transform: random.pick([
            [10, 200],
            [1000, 20_000]
          ])
        }
      },
      disk: {
        syncMs: random.pick([
          [0.5, 3],
          [0.5, 3],
          [5, 500]
        ]),
        storeMs: [2, 50]
      },
      actions,
      faults: [...faults, { atMs: untilMs, what: 'stop' }],
      calls: { perSecond: new Generator(seed, 37).pick([0, 1, 4]), deadlineMs: 5000 },
      // Who has no place for all records hears of them every 15 minutes, and may wait for several, one after the other.
      durationMs: untilMs + 7_200_000
    })
  }
}

/** A member leaves: the statement and the roster without it, in either order. */
function drawLeave(random: Generator, group: number, groupSize: number, untilMs: number): Action[] {
  const members = Array.from({ length: groupSize }, (_, member) => group * groupSize + member)
  const node = random.pick(members)
  return [
    { atMs: random.between(20_000, untilMs), what: 'leave', node },
    {
      atMs: random.between(20_000, untilMs),
      what: 'roster',
      group,
      number: 2,
      members: members.filter((one) => one !== node)
    }
  ]
}

function drawActions(
  random: Generator,
  groups: number,
  groupSize: number,
  unavailable: number,
  untilMs: number
): Action[] {
  const upgrade = () => ({
    what: 'upgrade' as const,
    pieces: random.between(1, 12),
    future: random.chance(0.7),
    past: true
  })
  const rolling = { ...rollingSchedule, constraints: [{ kind: 'rolling' as const, by: 'group' as const, unavailable }] }
  const when = (): Condition => {
    const after = { kind: 'after' as const, delayMs: random.below(20_000) }
    return random.pick<Condition>([
      { kind: 'immediately' },
      { kind: 'immediately' },
      after,
      { kind: 'sequence', of: [after, { kind: 'all', of: [{ kind: 'immediately' }, after] }] }
    ])
  }
  const actions: Action[] = [{ atMs: 1500, ...upgrade(), schedule: immediateSchedule }]
  for (let group = 0; group < groups; group++) {
    actions.push({ atMs: random.between(1000, 20_000), what: 'roster', group, number: 1 })
    // A second roster with the same members, in mid-run: grants are handed over (P5, P6).
    if (random.chance(0.3)) actions.push({ atMs: random.between(20_000, untilMs), what: 'roster', group, number: 2 })
    else if (random.chance(0.15)) actions.push(...drawLeave(random, group, groupSize, untilMs))
  }
  for (let left = random.between(1, 3); left > 0; left--) {
    actions.push({ atMs: random.between(5000, untilMs), ...upgrade(), schedule: { ...rolling, when: when() } })
  }
  // An upgrade is aborted in mid-flight, and the way on is one that replaces it, and perhaps one chained on it.
  if (random.chance(0.4)) {
    const first = actions.length
    const atMs = untilMs + random.between(-50_000, -20_000)
    const chained = random.chance(0.4)
    const next = () => ({ ...upgrade(), schedule: { ...rolling, when: when() } })
    actions.push({ atMs, ...next() }, { atMs: atMs + random.between(0, 15_000), what: 'abort', upgrade: first })
    if (chained) actions.push({ atMs: atMs + random.between(0, 15_000), ...next() })
    actions.push({ atMs: atMs + random.between(15_000, 19_000), ...next(), replaces: first })
  }
  if (random.chance(0.3)) actions.push({ atMs: random.between(10_000, untilMs), what: 'retire', version: 1 })
  if (random.chance(0.3)) {
    const pause = actions.length
    const atMs = random.between(10_000, untilMs)
    actions.push({ atMs, what: 'pause', version: random.pick([null, 2]), lastsMs: random.between(5000, 120_000) })
    if (random.chance(0.5)) actions.push({ atMs: atMs + random.between(1000, 60_000), what: 'resume', pause })
  }
  return actions
}

/** Some upgrades are tried on canaries first. Drawn apart, so that the seeds that once found something still do. */
function nameCanaries(random: Generator, actions: Action[]): void {
  for (const action of actions) {
    if (action.what !== 'upgrade' || action.schedule === immediateSchedule || !random.chance(0.3)) continue
    const share = random.pick([{ count: random.between(1, 4) }, { perMillion: random.between(1, 600_000) }])
    const canary = { kind: 'canary' as const, share, soakMs: random.below(30_000) }
    const { when, constraints } = action.schedule
    const of = random.chance(0.5) ? [canary, when] : [when, canary]
    action.schedule = { when: { kind: random.pick(['sequence', 'all']), of }, constraints }
  }
}

/** Some future SOs are started by themselves. Drawn apart, too. */
function startFutures(random: Generator, actions: Action[]): void {
  for (const action of actions) {
    if (action.what !== 'upgrade' || !random.chance(0.4)) continue
    action.simulate = random.pick<Condition>([
      { kind: 'immediately' },
      { kind: 'gradual', overMs: random.between(1000, 60_000), shape: 'even' },
      { kind: 'canary', share: { count: random.between(1, 4) }, soakMs: random.below(10_000) }
    ])
  }
}

/** Code of a schedule as bad code is: it fails, changes its mind, and wants to be asked again and again. */
const moody: ScheduleCode = {
  'moody.js': ({ random, neighbours }) => {
    const mood = random()
    if (mood < 0.1) throw new Error('out of sorts')
    if (mood < 0.3) return { wait: `${neighbours.length} neighbours are no company`, inMs: 5_000 }
    return mood < 0.35 ? 'nonsense' : { go: true }
  }
}

/** Code of schedules by its name, as scenarios are written. */
export const codes: Readonly<Record<string, ScheduleCode>> = { moody }

/** Some upgrades wait for code. Drawn apart, too. */
function askCode(random: Generator, actions: Action[]): void {
  for (const action of actions) {
    if (action.what !== 'upgrade' || action.schedule === immediateSchedule || !random.chance(0.2)) continue
    const { when, constraints } = action.schedule
    action.code = moody
    action.schedule = { when: { kind: 'all', of: [when, { kind: 'custom', module: 'moody.js' }] }, constraints }
  }
}

/** Some upgrades have more constraints than the permit; each lapses by itself, or is what M18 may name. */
function constrain(random: Generator, actions: Action[]): void {
  for (const action of actions) {
    if (action.what !== 'upgrade' || action.schedule === immediateSchedule) continue
    const { when, constraints } = action.schedule
    const drawn: Constraint[] = []
    if (random.chance(0.25)) {
      const perMillion = random.pick([0, 100_000, 500_000])
      drawn.push({ kind: 'guard', failedPerMillion: perMillion, unhealthyPerMillion: random.pick([0, perMillion]) })
    }
    const first = { kind: 'not', of: { kind: 'after', delayMs: random.below(30_000) } } as const
    const now = { kind: 'window', cron: '*/3 * * * *', timezone: 'UTC', durationMs: 60_000 } as const
    if (random.chance(0.25)) drawn.push({ kind: 'notWhile', condition: random.pick<Condition>([first, now]) })
    const local = random.pick<Condition>([
      { kind: 'quiet', loadBelow: 10, forMs: random.below(20_000) },
      { kind: 'lock', timeoutMs: random.between(1000, 60_000) }
    ])
    const gate: Condition = random.chance(0.3) ? { kind: 'all', of: [when, local] } : when
    const alive = random.chance(0.25)
    const rolling = constraints.map((one) => (alive && one.kind === 'rolling' ? { ...one, minimumAlive: 1 } : one))
    action.schedule = { when: gate, constraints: [...rolling, ...drawn] }
  }
}

/** Upgrades without past SOs, after which old bundles are needed by nobody. Returns how long those stay. */
function letBundlesGo(random: Generator, actions: Action[]): number {
  for (const action of actions) if (action.what === 'upgrade' && random.chance(0.4)) action.past = false
  return random.pick([30_000, 60_000, 600_000])
}

type Weights = Record<
  Exclude<Fault['what'], 'stop' | 'heal' | 'depart' | 'load' | 'lock' | 'unlock' | 'hostile' | 'ticket'>,
  number
>

function drawWeights(random: Generator): Weights {
  const weights: Weights = { crash: 6, kill: 2, partition: 1, flap: 4, slow: 2, skew: 2, forge: 2, rot: 0.5, call: 4 }
  for (const kind of Object.keys(weights) as (keyof Weights)[]) if (random.chance(0.4)) weights[kind] = 0
  return weights
}

function drawEvents(random: Generator, weights: Weights, count: number, untilMs: number): Fault[] {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0)
  if (total === 0) return []
  const faults: Fault[] = []
  for (let left = random.between(0, count * 6); left > 0; left--) {
    drawFault(random, drawKind(random, weights, total), random.between(1000, untilMs - 1), count, faults)
  }
  return faults.sort((a, b) => a.atMs - b.atMs)
}

/** What happens on machines beside faults: load that comes and goes, programs that hold upgrades up. Drawn apart. */
function disturb(random: Generator, faults: Fault[], count: number, untilMs: number): void {
  for (let left = random.below(count * 2); left > 0; left--) {
    const node = random.below(count)
    const atMs = random.between(1000, untilMs - 1)
    if (random.chance(0.5)) faults.push({ atMs, what: 'load', node, perSecond: random.below(30) })
    else faults.push({ atMs, what: 'lock', node, forMs: random.between(1000, 120_000) })
    if (random.chance(0.3)) faults.push({ atMs: atMs + random.below(20_000), what: 'unlock', node })
  }
}

function drawKind(random: Generator, weights: Weights, total: number): keyof Weights {
  let point = random.fraction() * total
  for (const [kind, weight] of Object.entries(weights) as [keyof Weights, number][]) {
    point -= weight
    if (point < 0) return kind
  }
  return 'call'
}

function drawFault(random: Generator, what: keyof Weights, atMs: number, count: number, faults: Fault[]): void {
  const node = random.below(count)
  const from = random.below(count)
  switch (what) {
    case 'crash':
      faults.push({ atMs, what, node, downMs: random.pick([5, 500, 5000, 60_000]) * (0.5 + random.fraction()) })
      return
    case 'partition':
      faults.push({ atMs, what, cells: Array.from({ length: count }, () => random.below(2)) })
      faults.push({ atMs: atMs + random.between(1000, 40_000), what: 'heal' })
      return
    case 'flap':
      faults.push({ atMs, what, node, share: random.pick([0.3, 1]) })
      return
    case 'slow':
      faults.push({ atMs, what, node, delayMs: random.pick([50, 2000, 12_000]), factor: random.pick([3, 30]) })
      return
    case 'skew':
      faults.push({ atMs, what, node, skewMs: random.between(-30_000, 600_000) })
      return
    case 'forge':
    case 'call':
      faults.push({ atMs, what, node, from })
      return
    case 'kill':
    case 'rot':
      faults.push({ atMs, what, node })
      return
  }
}
