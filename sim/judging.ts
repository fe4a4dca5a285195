/** Conditions that look at other peers, drawn for fault plans (SPEC M11, S40 to S44). */
import type { Generator } from '../src/prng.ts'
import { type Condition, MILLION, type Schedule } from '../src/schedule/schedule.ts'
import { contraryOrders } from '../src/upgrade/scheduling.ts'
import { type Action, immediateSchedule } from './scenario.ts'

/** Values of the label `region` of the peers of a plan. */
export const REGIONS = ['eu', 'us', 'asia']

/** Drawn apart from the rest of a plan, so that the seeds that once found something still do. */
export function lookAtOthers(random: Generator, actions: Action[], lineages: readonly string[]): void {
  for (const action of actions) {
    if (action.what !== 'upgrade' || action.schedule === immediateSchedule || !random.chance(0.4)) continue
    const { when, constraints } = action.schedule
    const condition = drawn(random, when, lineages)
    const of = random.chance(0.5) ? [condition, when] : [when, condition]
    action.schedule = { when: { kind: random.pick(['sequence', 'all']), of }, constraints }
  }
}

function drawn(random: Generator, when: Condition, lineages: readonly string[]): Condition {
  const success = random.pick([MILLION, 800_000, 500_000])
  const everyMs = random.below(20_000)
  const first = random.between(1, 400_000)
  const ends = [first, random.between(first + 1, 900_000), MILLION]
  const waves: Condition = { kind: 'waves', ends, everyMs, success }
  const order = random
    .shuffle(REGIONS.slice())
    .slice(0, random.between(1, REGIONS.length))
    .map((one) => [one])
  const domains: Condition = { kind: 'domains', by: 'region', order, everyMs, success }
  const of = random.pick(['neighbours', 'group', 'sample'] as const)
  const signalled = { kind: 'signalled', of, share: random.pick([MILLION, 700_000, 300_000]) } as const
  const own = { kind: 'random', withinMs: random.between(1, 60_000) } as const
  const picked = random.pick<Condition>([waves, waves, domains, domains, signalled, own])
  const chosen = contraryOrders({ kind: 'all', of: [picked, when] }) === undefined ? picked : waves
  const [before, later] = lineages
  if (before === undefined || later === undefined) return chosen
  // Version 0 stands for the upgrade's own, which nobody knows before it is made.
  const after = { kind: 'afterClass', class: `${before}v1`, version: 0, success } as const
  return { kind: 'byClass', classes: { [`${later}v1`]: random.pick<Condition>([after, chosen]) }, otherwise: when }
}

/** A schedule whose classes are waited for at the version that it is for. */
export const atVersion = (schedule: Schedule, version: number): Schedule =>
  JSON.parse(JSON.stringify(schedule), (_key, value) =>
    value?.kind === 'afterClass' && value.version === 0 ? { ...value, version } : value
  )
