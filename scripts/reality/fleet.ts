/** Many real peers on this host, upgraded again and again: when each was informed, had fetched and was upgraded, run by run. */

import { createClient } from '../../node/index.ts'
import type { Schedule } from '../../src/schedule/schedule.ts'
import { LiveFleet, until } from '../../test/node/daemon/live-fleet.ts'
import { Crowd } from '../crowd/crowd.ts'
import { type Moment, type Observed, STEPS, type Step, type Work } from './observer.ts'
import { type MadeUpgrade, makeUpgrade } from './upgrades.ts'

const BOUND_MS = 180_000

/** Of each step, how long after the acceptance each peer took it, ms, ascending. */
export type Run = Record<Step, number[]>

/** A run, and what it took of all processors, ms. */
export type Timed = Run & { processorMs: number }

export interface Fleet {
  peers: number
  processes: number
  bundleBytes: number
}

export class RealFleet {
  readonly #fleet: LiveFleet
  readonly #crowd: Crowd
  readonly #of: Fleet
  readonly #made: MadeUpgrade[] = []
  #addresses: string[] = []
  /** Of the host's work, since the fleet was started or `forget` was called. */
  #observed: Observed[] = []

  private constructor(fleet: LiveFleet, of: Fleet) {
    this.#fleet = fleet
    this.#of = of
    this.#crowd = new Crowd(of.processes, fleet.directory, fleet.keys.rootBytes)
  }

  /** Starts them, and waits until each knows all others. */
  static async start(of: Fleet): Promise<RealFleet> {
    const fleet = new RealFleet(await LiveFleet.create(), of)
    try {
      fleet.#addresses = await fleet.#crowd.start(of.peers)
      await fleet.#crowd.observe()
      await until(
        'all peers know all',
        async () => {
          const { looks } = await fleet.#crowd.look()
          return looks.length === of.peers && looks.every(({ known }) => known === of.peers)
        },
        BOUND_MS
      )
      return fleet
    } catch (error) {
      await fleet.close()
      throw error
    }
  }

  /** Neighbours of each peer, on average. */
  async degree(): Promise<number> {
    const { looks } = await this.#crowd.look()
    return looks.reduce((sum, { neighbours }) => sum + neighbours.length, 0) / looks.length
  }

  /** One more upgrade, injected at one peer; ends when all run it. Tells also what it took of all processors. */
  async upgrade(schedule: Schedule): Promise<Timed> {
    const { peers, bundleBytes } = this.#of
    const upgrade = await makeUpgrade(this.#fleet.keys, this.#made, bundleBytes, schedule)
    this.#made.push(upgrade)
    const moments: Moment[] = []
    await this.#take()
    const before = await this.processorMs()
    // Peers close what was quiet for long: each upgrade comes by a connection of its own, as an operator's does.
    const client = await createClient({ root: this.#fleet.keys.rootBytes, peers: this.#addresses })
    await client.injectUpgrade(upgrade).finally(() => client.close())
    const of = {
      informed: this.#made.length,
      fetched: upgrade.envelope.content.bundle.sha256,
      upgraded: this.#made.length
    }
    const reached = (step: Step) => moments.filter(({ what, of: one }) => what === step && one === of[step])
    await until(
      `all run version ${this.#made.length}`,
      async () => {
        moments.push(...(await this.#take()))
        return STEPS.every((step) => reached(step).length >= peers)
      },
      BOUND_MS,
      () => STEPS.map((step) => `${step} ${reached(step).length}`)
    )
    const accepted = moments.find(({ what }) => what === 'accepted')
    if (accepted === undefined) throw new Error('no peer accepted the upgrade that all run')
    const after = (step: Step) => reached(step).map(({ at }) => Math.max(0, at - accepted.at))
    return {
      informed: sorted(after('informed')),
      fetched: sorted(after('fetched')),
      upgraded: sorted(after('upgraded')),
      processorMs: (await this.processorMs()) - before
    }
  }

  /** What was observed of the peers' work since the last time. */
  async work(): Promise<Pick<Observed, 'steps' | 'commits' | 'answers'>> {
    await this.#take()
    return merged(this.#observed.splice(0))
  }

  /** What all peers together took of the processors so far, ms: whoever else uses the host does not count. */
  async processorMs(): Promise<number> {
    return (await this.#crowd.look()).cpuMs
  }

  async close(): Promise<void> {
    await this.#crowd.end()
    await this.#fleet.close()
  }

  async #take(): Promise<Moment[]> {
    const observed = (await this.#crowd.observe()).flatMap((report) => report.observed ?? [])
    this.#observed.push(...observed)
    return observed.flatMap(({ moments }) => moments)
  }
}

const sorted = (values: number[]): number[] => values.sort((a, b) => a - b)

function merged(all: readonly Observed[]): Pick<Observed, 'steps' | 'commits' | 'answers'> {
  const steps: Record<string, Work> = {}
  const answers: Record<string, number[]> = {}
  const commits: Work = { count: 0, totalMs: 0 }
  const add = (to: Work, one: Work) => {
    to.count += one.count
    to.totalMs += one.totalMs
  }
  for (const observed of all) {
    add(commits, observed.commits)
    for (const [name, work] of Object.entries(observed.steps)) {
      steps[name] ??= { count: 0, totalMs: 0 }
      add(steps[name], work)
    }
    for (const [name, durations] of Object.entries(observed.answers))
      answers[name] = sorted([...(answers[name] ?? []), ...durations])
  }
  return { steps, commits, answers }
}
