/** The same fleet, simulated with what was measured (SPEC M61). */

import { calmNetwork } from '../../sim/network.ts'
import { type Scenario, scenario } from '../../sim/scenario.ts'
import { Simulator } from '../../sim/simulator.ts'
import type { HostCommandName } from '../../src/overlay/events.ts'
import type { Schedule } from '../../src/schedule/schedule.ts'
import { MIN_PIECE_BYTES } from '../../src/upgrade/manifest.ts'
import type { Costs } from './costs.ts'
import type { Fleet, Timed } from './fleet.ts'
import type { Observed } from './observer.ts'

/** What a calm fleet was seen to take for its steps and its host's work. */
export interface Work extends Pick<Observed, 'steps' | 'commits' | 'answers'> {
  /** Of a processor in a second, by a peer at rest, ms. */
  restMs: number
}

/** The fleet rests for so long before the upgrade that is measured. */
const REST_MS = 5_000
const JOINED_MS = 20_000
const INSTALLED_MS = 10_000

const mean = (values: readonly number[]): number =>
  values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length)

/** The middle half of the durations: what was held up by others, or was first to be compiled, is no cost of its own. */
function middle(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b)
  return mean(ordered.slice(Math.floor(ordered.length / 4), Math.ceil((ordered.length * 3) / 4)))
}

export function scenarioOf(
  { peers, processes, bundleBytes }: Fleet,
  schedule: Schedule,
  costs: Costs,
  work: Work,
  seed: number
): Scenario {
  const { delayMs, ...single } = costs
  const steps = Object.fromEntries(
    Object.entries(work.steps).map(([name, { count, totalMs }]) => [name, totalMs / count])
  )
  const total = Object.values(work.steps).reduce((sum, { totalMs }) => sum + totalMs, 0)
  const count = Object.values(work.steps).reduce((sum, one) => sum + one.count, 0)
  const host = Object.fromEntries(
    Object.entries(work.answers).flatMap(([name, times]) =>
      name === 'store' || name === 'unpack' ? [] : [[name, middle(times)]]
    )
  ) as Partial<Record<HostCommandName, number>>
  // As an archive has it: a header and an end beside the ballast.
  const pieces = Math.ceil((bundleBytes + 4096) / MIN_PIECE_BYTES)
  const upgrade = { what: 'upgrade', pieces, future: false, past: false } as const
  const bare = scenario({ seed, peers })
  const none = [0, 0] as const
  const durationsMs = Object.fromEntries(Object.keys(bare.host.durationsMs).map((name) => [name, none]))
  return {
    ...bare,
    groupSize: 0,
    unavailable: Number.POSITIVE_INFINITY,
    // All are there when the first one is dialled.
    startMs: 0,
    // What opening a copy takes is the processor's.
    network: { ...calmNetwork, delayMs, jitterMs: delayMs, passMs: 0 },
    host: { durationsMs: durationsMs as Scenario['host']['durationsMs'], failures: {} },
    disk: { syncMs: none, storeMs: none },
    processors: {
      count: processes,
      ...single,
      steps,
      stepMs: count === 0 ? 0 : total / count,
      commitMs: work.commits.totalMs / Math.max(1, work.commits.count),
      host,
      restMs: work.restMs
    },
    actions: [
      { atMs: JOINED_MS, ...upgrade, schedule: { when: { kind: 'immediately' }, constraints: [] } },
      { atMs: JOINED_MS + INSTALLED_MS + REST_MS, ...upgrade, schedule }
    ],
    writesPerSecond: 0,
    strict: false,
    history: 0
  }
}

/** One run of it, and what it took of all processors. @throws Error if a peer does not get there */
export function simulate(one: Scenario): Timed {
  const simulator = new Simulator(one, {})
  simulator.advance(JOINED_MS + INSTALLED_MS + REST_MS - 1)
  const before = simulator.processors?.spentMs ?? 0
  const { violations, stuck } = simulator.run()
  if (violations.length > 0 || stuck.length > 0)
    throw new Error(`seed ${one.seed}: ${violations[0]?.text ?? stuck[0]?.why ?? 'nobody knows why'}`)
  const { measures, operator } = simulator
  const after = (times: Float64Array) =>
    [...times].map((at) => Math.max(0, at - operator.lastAcceptedMs)).sort((a, b) => a - b)
  return {
    informed: after(measures.informed.at),
    fetched: after(measures.fetched.at),
    upgraded: after(measures.upgraded.at),
    processorMs: (simulator.processors?.spentMs ?? 0) - before
  }
}
