/**
 * What operators and signers say in a fault plan beside its upgrades (SPEC M45, M46): every statement, forks, versions that
 * are bad, members that are gone for ever. Each part draws from a stream of its own, so that a change of one does not
 * shift the others.
 */
import { Generator } from '../src/prng.ts'
import type { Condition, Schedule } from '../src/schedule/schedule.ts'
import { MILLION } from '../src/schedule/schedule.ts'
import { REGIONS } from './judging.ts'
import { peerName } from './names.ts'
import { type Action, type Fault, immediateSchedule, type PausedOf } from './scenario.ts'

export interface Drawn {
  seed: number
  groups: number
  groupSize: number
  untilMs: number
  actions: Action[]
  faults: Fault[]
}

type Upgrade = Extract<Action, { what: 'upgrade' }>

export function drawStatements(plan: Drawn): void {
  drawEnding(new Generator(plan.seed, 31), plan)
  waitForApproval(new Generator(plan.seed, 32), plan)
  drawExclusion(new Generator(plan.seed, 33), plan)
  drawPauses(new Generator(plan.seed, 34), plan)
  drawRest(new Generator(plan.seed, 35), plan)
  drawRotations(new Generator(plan.seed, 39), plan)
}

/** T13, T14: the fleet's keys change while all else goes on, in some runs again and again. */
function drawRotations(random: Generator, { actions, untilMs }: Drawn): void {
  if (!random.chance(0.2)) return
  for (let left = random.pick([1, 1, 2, 5]); left > 0; left--)
    actions.push({ atMs: random.between(1000, untilMs), what: 'rotate' })
}

const upgradesIn = (actions: readonly Action[]): Upgrade[] =>
  actions.filter((one): one is Upgrade => one.what === 'upgrade' && one.schedule !== immediateSchedule)

/** The last upgrade but one may be disputed, or bad; it is the last one's part to end that. */
function drawEnding(random: Generator, { actions, untilMs }: Drawn): void {
  const upgrades = upgradesIn(actions)
  const last = upgrades.at(-1)
  const isTaken = upgrades.some((one) => one.replaces !== undefined) || actions.some((one) => one.what === 'leave')
  if (last === undefined || isTaken) return
  const what = random.pick(['fork', 'fork', 'fork', 'bad', 'bad', 'neither'])
  if (what === 'neither') return
  const latestMs = Math.max(...upgrades.map(({ atMs }) => atMs))
  const atMs = Math.max(latestMs + 1000, untilMs - random.below(40_000))
  const { constraints } = last.schedule
  const common = { what: 'upgrade', pieces: random.between(1, 6), future: random.chance(0.7), past: true } as const
  const calm: Schedule = { when: { kind: 'immediately' }, constraints }
  const first = actions.length
  if (what === 'fork') actions.push({ ...common, atMs, schedule: calm, rival: true })
  else
    actions.push({ ...common, atMs, schedule: { when: firstCanaries(random), constraints }, broken: badShare(random) })
  const endMs = atMs + random.between(20_000, 120_000)
  actions.push({ ...common, atMs: endMs, schedule: calm, replaces: first })
  if (what === 'bad') return
  // R3: what the losing branch's future SOs hold is an operator's to give up; once soon, once when all came to know of it.
  for (const laterMs of [60_000, 400_000]) {
    const afterMs = Math.max(endMs, untilMs) + laterMs
    actions.push({ atMs: afterMs, what: 'retry', upgrade: first, peer: null, discardFuture: true })
  }
}

const badShare = (random: Generator): number => random.pick([1, 1, 0.5])

function firstCanaries(random: Generator): Condition {
  const share = random.pick([{ count: random.between(1, 2) }, { perMillion: random.between(50_000, 400_000) }])
  const canary = { kind: 'canary' as const, share, soakMs: random.between(1000, 20_000) }
  const ends = [random.between(50_000, 400_000), MILLION]
  const waves = { kind: 'waves' as const, ends, everyMs: random.between(1000, 20_000), success: MILLION }
  return random.pick<Condition>([canary, canary, waves, { kind: 'sequence', of: [canary, { kind: 'immediately' }] }])
}

/** Some upgrades wait for a word, which comes. */
function waitForApproval(random: Generator, { actions }: Drawn): void {
  for (const action of upgradesIn(actions)) {
    if (action.broken !== undefined || !random.chance(0.12)) continue
    const { when, constraints } = action.schedule
    action.schedule = { when: { kind: 'all', of: [when, { kind: 'manual' }] }, constraints }
    const atMs = action.atMs + random.below(60_000)
    actions.push({ atMs, what: 'approve', upgrade: actions.indexOf(action) })
  }
}

/** A member goes for ever without a word; the operator says so, and states a roster without it. */
function drawExclusion(random: Generator, { actions, faults, groups, groupSize, untilMs }: Drawn): void {
  const isForked = actions.some((one) => one.what === 'upgrade' && one.rival === true)
  if (isForked || !random.chance(0.2)) return
  const group = random.below(groups)
  const isChanged = actions.some((one) => one.what === 'roster' && one.group === group && one.number > 1)
  if (isChanged || actions.some((one) => one.what === 'leave')) return
  const members = Array.from({ length: groupSize }, (_, member) => group * groupSize + member)
  // The first node is whom all others are told of at their start.
  const node = random.pick(members.filter((one) => one > 0))
  const atMs = random.between(20_000, untilMs - 1)
  faults.push({ atMs, what: 'depart', node })
  actions.push({ atMs: atMs + random.between(1, 20_000), what: 'exclude', node, group, roster: 1 })
  const left = members.filter((one) => one !== node)
  actions.push({ atMs: atMs + random.between(1, 40_000), what: 'roster', group, number: 2, members: left })
}

/** Pauses of some peers or classes only, and two statements of one sequence. */
function drawPauses(random: Generator, { actions, groups, groupSize, untilMs }: Drawn): void {
  for (let left = random.pick([0, 0, 1, 2]); left > 0; left--) {
    const of = random.pick<PausedOf>([
      { peer: peerName(random.below(groups * groupSize)) },
      { labels: { region: random.pick(REGIONS) } },
      { class: `Thingv${random.between(1, 3)}` }
    ])
    const atMs = random.between(5000, untilMs)
    const lastsMs = random.between(5000, 120_000)
    actions.push({ atMs, what: 'pause', version: random.pick([null, 2, 2]), lastsMs, of })
  }
  if (!random.chance(0.15)) return
  const atMs = random.between(5000, untilMs)
  const pause = { what: 'pause' as const, version: null, lastsMs: random.between(5000, 60_000) }
  actions.push({ atMs, ...pause }, { atMs: atMs + 1, ...pause, version: 2, equivocates: true })
}

function drawRest(random: Generator, { actions, groups, groupSize, untilMs }: Drawn): void {
  const upgrades = actions.flatMap((one, index) => (one.what === 'upgrade' ? [index] : []))
  const somewhen = () => random.between(10_000, untilMs + 20_000)
  if (random.chance(0.2)) actions.push({ atMs: somewhen(), what: 'hasten', upgrade: random.pick(upgrades) })
  if (random.chance(0.3)) {
    const peer = random.chance(0.6) ? null : random.below(groups * groupSize)
    const discardFuture = random.chance(0.5)
    actions.push({ atMs: somewhen(), what: 'retry', upgrade: random.pick(upgrades), peer, discardFuture })
  }
  if (random.chance(0.2)) actions.push({ atMs: somewhen(), what: 'forget', upgrade: random.pick(upgrades) })
}

/** One or two peers that are not the fleet's friends for a while. */
export function drawHostility({ seed, groups, groupSize, untilMs, faults }: Drawn): void {
  const random = new Generator(seed, 36)
  for (let left = random.pick([0, 0, 0, 1, 2]); left > 0; left--) {
    const atMs = random.between(1000, untilMs - 1)
    const forMs = Math.min(random.between(1000, 60_000), untilMs - atMs)
    faults.push({ atMs, what: 'hostile', node: random.below(groups * groupSize), forMs })
  }
}

/** Some fleets are private; in some of these a peer is put out, and admitted again before or after everybody knows. */
export function drawTickets({ seed, groups, groupSize, untilMs, actions, faults }: Drawn): boolean {
  const random = new Generator(seed, 40)
  if (!random.chance(0.2)) return false
  if (random.chance(0.6)) {
    const node = random.below(groups * groupSize)
    actions.push({ atMs: random.between(5_000, untilMs), what: 'revoke', node })
    faults.push({ atMs: random.between(5_000, untilMs), what: 'ticket', node })
  }
  return true
}
