/** Fleets at rest that something is brought into: all of it the production code of src/ in the simulator's network. */
import { calmHost } from '../../sim/host.ts'
import { type GossipParameters, productionGossip } from '../../sim/mesh.ts'
import { calmNetwork } from '../../sim/network.ts'
import { type Action, immediateSchedule, type Scenario, scenario } from '../../sim/scenario.ts'
import { Simulator } from '../../sim/simulator.ts'

/** When the second upgrade is injected, ms: the formed fleet has come to rest. */
export const INJECTED_MS = 20_000

export interface FleetRequest {
  seed: number
  peers: number
  network?: Partial<Scenario['network']>
  limits?: Scenario['limits']
  bandwidth?: Scenario['bandwidth']
  /** The bundle of the upgrade. @default one piece of the least length */
  pieces?: number
  pieceBytes?: number
}

/** Gossip is what is looked at, or it is what would hide what is looked at. */
export const noGossip: GossipParameters = {
  ...productionGossip,
  ...{ D: 0, Dlo: 0, Dhi: 0, Dout: 0, Dlazy: 0, gossipFactor: 0, floodPublish: false }
}

/** Without groups, calls, jitter, and without time that disks take: what remains is the law under test. */
export function fleetOf({ seed, peers, network, limits, bandwidth, pieces, pieceBytes }: FleetRequest): Simulator {
  const upgrade = { what: 'upgrade', pieces: 1, future: false, past: true, schedule: immediateSchedule } as const
  const second = { ...upgrade, pieces: pieces ?? 1, ...(pieceBytes === undefined ? {} : { pieceBytes }) }
  const actions: Action[] = [
    { atMs: 1500, ...upgrade },
    { atMs: INJECTED_MS, ...second }
  ]
  const lean = { start: 'formed', groupSize: 0, strict: false, history: 0, writesPerSecond: 0, idleMs: 0 } as const
  return new Simulator(
    scenario({
      ...{ seed, peers, actions, ...lean, durationMs: 3_600_000 },
      limits: limits ?? {},
      bandwidth: bandwidth ?? [],
      network: { ...calmNetwork, jitterMs: 0, ...network },
      host: calmHost,
      disk: { syncMs: [0, 0], storeMs: [0, 0] }
    }),
    {}
  )
}

/**
 * Peers tell all their neighbours at once of what they hear (by summaries, beside gossip and rounds): where one way of
 * spreading is under test, what the others send is lost. The peers themselves are left as they are.
 *
 * @param rounds Whether the summaries that begin a round pass: those sent when a peer's time has come.
 */
export function withoutEagerness(simulator: Simulator, rounds: boolean): Simulator {
  const { network, machines } = simulator
  const { send } = network
  let isTime = false
  for (const machine of machines) {
    const { step } = machine
    machine.step = (event) => {
      isTime = event.type === 'wake'
      step.call(machine, event)
      isTime = false
    }
  }
  network.send = (from, to, message, ...others) => {
    const isRest = simulator.kernel.now < INJECTED_MS || message.kind !== 'summary'
    if (isRest || (rounds && isTime)) send.call(network, from, to, message, ...others)
  }
  return simulator
}

const STEP_MS = 1000

/** Plays until every peer has reached that, or throws. Returns when each did, ms since the first. */
export function timesUntilAll(simulator: Simulator, step: 'informed' | 'fetched', mostMs: number): Float64Array {
  const reached = simulator.measures[step]
  const { peers } = simulator.scenario
  simulator.advance(INJECTED_MS)
  for (
    let untilMs = INJECTED_MS + STEP_MS;
    simulator.operator.lastVersion < 2 || reached.count < peers;
    untilMs += STEP_MS
  ) {
    if (untilMs > INJECTED_MS + mostMs)
      throw new Error(
        `${reached.count} of ${peers} peers are ${step} after ${mostMs} ms; seed ${simulator.scenario.seed}`
      )
    simulator.advance(untilMs)
  }
  const sorted = reached.at.toSorted()
  return sorted.map((one) => one - sorted[0]!)
}

/** The value below which a share of them lies; of sorted ones. */
export const quantile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!
