/** One run as it is told (SPEC M29): the object of `--json`, and the curves that a report draws. Plain, so that it travels. */

import { type CensusError, censusError } from './census.ts'
import { compile } from './document/compile.ts'
import type { Enclosed } from './document/enclosed.ts'
import type { Document } from './document/schema.ts'
import { drawFaults } from './faults.ts'
import { type Percentiles, type Point, quantilesOf } from './measures.ts'
import type { Scenario } from './scenario.ts'
import { type Result, Simulator } from './simulator.ts'

/** What distinguishes a run from others of its sweep: key → value, as they were written. */
export type Variant = Readonly<Record<string, string>>

/** What a worker is given. */
export type Task = { variant: Variant; seed: number; commit: string; scenario: string } & (
  | { document: Document; enclosed: Enclosed }
  /** Drawn from the seed, at this size or another. */
  | { faults: true; peers: number | undefined }
)

export interface Reached extends Percentiles {
  /** The same, in rounds: mean times of one broadcast from neighbour to neighbour. */
  rounds: Percentiles
}

export interface Outcome extends Omit<Result, 'informed' | 'fetched' | 'upgraded' | 'messages' | 'traffic' | 'stuck'> {
  scenario: string
  variant: Variant
  /** Of a plan that the seed drew: in words. */
  summary: string
  eventsPerSecond: number
  wallMs: number
  rssMb: number
  informed: Reached
  fetched: Reached
  upgraded: Reached
  availability: Result['availability'] & { groupDownMax: number }
  /** Absent where no peer has a reading. */
  census?: CensusError
  messages: { sent: number; perPeer: number; bytesPerPeer: number; duplicates: number }
  /** The first few that did not converge, and how many there are. */
  stuck: { peers: number; first: Result['stuck'] }
}

export const STEPS = ['informed', 'fetched', 'upgraded'] as const

/** What plots are made of; quantiles run from the least to the most. */
export interface Curves {
  points: Point[]
  /** When the last upgrade was accepted, ms. */
  acceptedAtMs: number
  /** Of the peers that got there: when, ms since then; and their share of all. */
  reached: Record<(typeof STEPS)[number], { share: number; quantilesMs: number[] }>
  /** Bytes that a peer sent. */
  sentBytes: number[]
}

const NOBODY = { share: 0, quantilesMs: [] }
/** Of a run whose report nobody wants. */
export const NO_CURVES: Curves = {
  points: [],
  acceptedAtMs: 0,
  reached: { informed: NOBODY, fetched: NOBODY, upgraded: NOBODY },
  sentBytes: []
}

export interface Run {
  outcome: Outcome
  curves: Curves
}

/** How a run stands. */
export interface Standing {
  atMs: number
  events: number
  upgraded: number
  peers: number
  versions: Record<number, number>
}

const STUCK_TOLD = 8

export function perform(task: Task, watch?: (standing: Standing) => void): Run {
  const { commit, seed, variant } = task
  const plan = 'faults' in task ? drawFaults(seed, task.peers) : undefined
  const scenario = 'document' in task ? compile(task.document, task.enclosed, seed) : plan!.scenario
  const simulator = new Simulator(scenario, {
    commit,
    ...(watch === undefined ? {} : { watch: (one: Simulator) => watch(standingOf(one)) })
  })
  const begun = process.hrtime.bigint()
  const result = simulator.run()
  const wallMs = Number(process.hrtime.bigint() - begun) / 1e6
  const outcome = outcomeOf(result, scenario, wallMs, {
    scenario: task.scenario,
    variant,
    summary: plan?.summary ?? ''
  })
  const { machines, world, operator, kernel } = simulator
  const census = censusError(machines, scenario, world.entries[operator.lastVersion - 1], kernel.now)
  return { outcome: { ...outcome, ...(census === undefined ? {} : { census }) }, curves: curvesOf(simulator) }
}

function standingOf({ kernel, measures, scenario }: Simulator): Standing {
  const { versions } = measures.now()
  return { atMs: kernel.now, events: kernel.events, upgraded: measures.upgraded.count, peers: scenario.peers, versions }
}

function outcomeOf(
  result: Result,
  scenario: Scenario,
  wallMs: number,
  told: Pick<Outcome, 'scenario' | 'variant' | 'summary'>
): Outcome {
  const { seed, commit, peers, events, traffic, messages, stuck, informed, fetched, upgraded, ...rest } = result
  const roundMs = roundMsOf(scenario)
  return {
    ...told,
    seed,
    commit,
    peers,
    events,
    eventsPerSecond: Math.round((events / wallMs) * 1000),
    wallMs: Math.round(wallMs),
    rssMb: Math.round(process.memoryUsage().rss / 2 ** 20),
    informed: { ...informed, rounds: inRounds(informed, roundMs) },
    fetched: { ...fetched, rounds: inRounds(fetched, roundMs) },
    upgraded: { ...upgraded, rounds: inRounds(upgraded, roundMs) },
    ...rest,
    availability: { ...rest.availability, groupDownMax: rest.groupDownMax },
    messages: {
      sent: messages,
      perPeer: Math.round((messages / peers) * 10) / 10,
      bytesPerPeer: traffic.bytesPerPeer,
      duplicates: traffic.duplicates
    },
    stuck: { peers: stuck.length, first: stuck.slice(0, STUCK_TOLD) }
  }
}

/** Mean time of one broadcast from neighbour to neighbour (SPEC M26). */
export function roundMsOf(scenario: Scenario): number {
  const { jitterMs, passMs } = scenario.network
  return meanDelayMs(scenario) + jitterMs / 2 + passMs
}

const inRounds = ({ p50, p99, p9999, max }: Percentiles, roundMs: number): Percentiles => {
  const rounds = (ms: number) => Math.round((ms / roundMs) * 10) / 10
  return { p50: rounds(p50), p99: rounds(p99), p9999: rounds(p9999), max: rounds(max) }
}

/** Between two peers picked at random. */
function meanDelayMs({ places, network }: Scenario): number {
  if (places === null) return Math.max(network.delayMs, Number.MIN_VALUE)
  const { shares, delaysMs } = places
  const total = shares.reduce((sum, share) => sum + share, 0)
  const mean = delaysMs.flatMap((row, a) => row.map((delay, b) => (delay * shares[a]! * shares[b]!) / total ** 2))
  return Math.max(
    mean.reduce((sum, one) => sum + one, 0),
    Number.MIN_VALUE
  )
}

function curvesOf({ measures, links, operator }: Simulator): Curves {
  const sent = links.sentBytes.slice().sort()
  const at = (percent: number) => sent[Math.min(sent.length - 1, Math.floor((percent / 100) * sent.length))]!
  const since = operator.lastAcceptedMs
  const reached = (step: (typeof STEPS)[number]) => {
    const { at: times, count } = measures[step]
    return { share: count / times.length, quantilesMs: quantilesOf(times, since) }
  }
  return {
    points: measures.end(),
    acceptedAtMs: since,
    reached: { informed: reached('informed'), fetched: reached('fetched'), upgraded: reached('upgraded') },
    sentBytes: Array.from({ length: 101 }, (_, percent) => at(percent))
  }
}
