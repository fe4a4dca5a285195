/** Push epidemics: broadcasts by gossip against the formula of Serf's convergence simulator. */
import { type GossipParameters, productionGossip } from '../../sim/mesh.ts'
import type { PeerLimits } from '../../src/overlay/events.ts'
import { fleetOf, quantile, timesUntilAll, withoutEagerness } from './fleet.ts'
import { type Law, mean, type Row, runsOf, type Sizes } from './law.ts'
import { serfRounds, serfShare } from './theory.ts'

const ROUND_MS = 100
/** Anti-entropy waits until the broadcast is over. */
const QUIET_MS = 600_000
/** Four neighbours, all of the mesh: whoever hears something passes it on to the three others. */
export const FANOUT = 3
export const ofFour = { degree: FANOUT + 1, degreeMax: FANOUT + 1 }
export const meshOfFour: GossipParameters = {
  ...productionGossip,
  ...{ D: FANOUT + 1, Dlo: FANOUT + 1, Dhi: FANOUT + 1, Dout: 0, Dlazy: 0, gossipFactor: 0, floodPublish: false }
}

/** When each peer was informed, in rounds since the first; ascending. */
export function broadcast(
  seed: number,
  peers: number,
  gossip: GossipParameters,
  degrees: Partial<PeerLimits> = {}
): { rounds: Float64Array; degree: number } {
  const limits = { ...degrees, roundMs: QUIET_MS, roundMaxMs: QUIET_MS, roundMaxLargeMs: QUIET_MS }
  const network = { delayMs: 0, passMs: ROUND_MS, gossip }
  const simulator = withoutEagerness(fleetOf({ seed, peers, limits, network }), false)
  const times = timesUntilAll(simulator, 'informed', QUIET_MS / 2)
  const { mesh } = simulator.network.gossip
  return {
    rounds: times.map((one) => one / ROUND_MS),
    degree: mean(Array.from({ length: peers }, (_, node) => mesh.size(node)))
  }
}

export function pushLaw(sizes: Sizes): Law {
  const rows: Row[] = []
  let last: Float64Array[] = []
  for (const peers of sizes.peers) {
    const seeds = Array.from({ length: runsOf(sizes, peers) }, (_, index) => index + 1)
    last = seeds.map((seed) => broadcast(seed, peers, meshOfFour, ofFour).rounds)
    const reached = (share: number) => mean(last.map((rounds) => quantile(rounds, share)))
    const row = (what: string, share: number, expected: readonly [number, number]): Row => ({
      ...{ what: `fan-out ${FANOUT}, ${what}`, peers },
      ...{ theory: serfRounds(share, peers, FANOUT), measured: reached(share), expected }
    })
    rows.push(row('half informed', 0.5, [0, 0.45]))
    for (const [what, share] of [
      ['99 % informed', 0.99],
      ['all but one', 1 - 1 / peers]
    ] as const)
      rows.push(row(what, share, [-0.3, 0.3]))
    const own = seeds.map((seed) => broadcast(seed, peers, productionGossip))
    const measured = mean(own.map(({ rounds }) => quantile(rounds, 1 - 1 / peers)))
    const fanout = mean(own.map(({ degree }) => degree)) - 1
    const what = `as peers run it, fan-out ${fanout.toFixed(1)}, all but one`
    rows.push({ what, peers, theory: serfRounds(1 - 1 / peers, peers, fanout), measured })
  }
  return {
    name: 'push',
    title: 'Push epidemics: gossip against Serf’s formula',
    unit: 'rounds',
    said:
      'Same: each peer passes what it hears on to three others, one round after it heard it; no loss; IHAVE rests, and what anti-entropy sends is lost. ' +
      'Different: the formula’s peers push to three random ones in every round for ever, gossip’s pass each message on once, to the links of a fixed mesh of four. ' +
      'So growth is slower: 3 a round against e^1.5 = 4.5, by which half of a large fleet takes ln 4.5/ln 3 = 1.37 times the rounds (whole ones: up to 1.45). ' +
      'The end is faster, since a mesh reaches everybody where random pushes miss some, which is half of the formula’s rounds: together within 30 %. ' +
      'As peers run it the mesh has more links; the formula then grows by e^(fan-out/2) a round, which no push of that fan-out can (at most 1 + fan-out), so that row is told, not judged.',
    rows,
    plot: pushPlot(sizes.peers.at(-1)!, last)
  }
}

function pushPlot(peers: number, runs: readonly Float64Array[]): Law['plot'] {
  const most = Math.ceil(Math.max(...runs.map((rounds) => rounds.at(-1)!), serfRounds(1 - 1 / peers, peers, FANOUT)))
  const axis = Array.from({ length: 10 * most + 1 }, (_, index) => index / 10)
  const share = (round: number) =>
    mean(runs.map((rounds) => rounds.filter((one) => one <= round + 1e-9).length / rounds.length))
  const whole = Array.from({ length: most + 1 }, (_, index) => index)
  const line = (name: string, at: readonly number[], of: (round: number) => number) => ({
    name,
    points: at.map((round) => [round, 100 * of(round)] as const)
  })
  return {
    name: 'push',
    title: `Informed by push, ${peers.toLocaleString('en')} peers, fan-out ${FANOUT}`,
    caption: 'Share of the peers that know of an upgrade, by round; the formula is 1/(1 + (N + 1)·e^(−0.5·fanout·t)).',
    x: { label: 'rounds' },
    y: { label: 'informed, %' },
    lines: [
      line('Serf’s formula', axis, (round) => serfShare(round, peers, FANOUT)),
      line('simulated gossip', whole, share)
    ]
  }
}
