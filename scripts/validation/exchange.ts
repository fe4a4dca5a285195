/** Anti-entropy alone, gossip silenced, against log₂ N + ln N. */
import { fleetOf, noGossip, quantile, timesUntilAll, withoutEagerness } from './fleet.ts'
import { type Law, mean, type Row, runsOf, type Sizes } from './law.ts'
import { pushRounds } from './theory.ts'

const ROUND_MS = 1000
const HOUR_MS = 3_600_000

/** When each peer was informed by rounds of exchanges alone, ms since the first; ascending. */
export function exchanged(seed: number, peers: number): Float64Array {
  const limits = { roundMs: ROUND_MS, roundMaxMs: ROUND_MS, roundMaxLargeMs: ROUND_MS }
  const network = { delayMs: 0, passMs: 0, gossip: noGossip }
  return timesUntilAll(withoutEagerness(fleetOf({ seed, peers, limits, network }), true), 'informed', HOUR_MS)
}

/** The same as peers run it, at ways of 5 ms, but for gossip. */
function eager(seed: number, peers: number): Float64Array {
  return timesUntilAll(fleetOf({ seed, peers, network: { gossip: noGossip } }), 'informed', HOUR_MS)
}

export function exchangeLaw(sizes: Sizes): Law {
  const rows: Row[] = []
  const points: Record<'half' | 'all' | 'theory', [number, number][]> = { half: [], all: [], theory: [] }
  for (const peers of sizes.peers) {
    const seeds = Array.from({ length: runsOf(sizes, peers) }, (_, index) => index + 1)
    const steady = seeds.map((seed) => exchanged(seed, peers))
    const [half, all] = [0.5, 1].map((share) => mean(steady.map((times) => quantile(times, share))) / ROUND_MS)
    const theory = pushRounds(peers)
    rows.push({ what: 'an exchange a round, all informed', peers, theory, measured: all!, expected: [-0.75, 0] })
    const own = mean(seeds.map((seed) => quantile(eager(seed, peers), 1)))
    rows.push({ what: 'as peers run it, in rounds of 1 s', peers, theory, measured: own / ROUND_MS })
    points.half.push([peers, half!])
    points.all.push([peers, all!])
    points.theory.push([peers, theory])
  }
  return {
    name: 'anti-entropy',
    title: 'Anti-entropy: exchanges against log₂ N + ln N',
    unit: 'rounds',
    said:
      'Same: each peer begins one exchange in a round, with one neighbour; no gossip, no delay, and nobody tells of news but in its rounds. ' +
      'Different: the bound is of pushes alone, to a random peer of all, in step. Peers exchange both ways, so that who asks is informed too; with each of their eight neighbours in turn, in random order; not in step (rounds of 0.75 to 1.25 s, and news brings the next one forward), so that news can go on several times within a round. ' +
      'All of this but the fixed neighbours makes it faster: it must stay below the bound, and grow with log N (a push both ways needs about log₃ N). ' +
      'As peers run it nobody waits for a round: whoever hears something new sends summaries to all its neighbours at once, so that news crosses the fleet in a few ways (5 ms) even where gossip fails. That row is told, not judged; for the other one these summaries were lost.',
    rows,
    plot: {
      name: 'anti-entropy',
      title: 'Rounds of anti-entropy until peers are informed',
      caption: 'One exchange a round with a neighbour, gossip switched off; by the size of the fleet.',
      x: { label: 'peers', log: true },
      y: { label: 'rounds' },
      lines: [
        { name: 'log₂ N + ln N', points: points.theory },
        { name: 'simulated: all', points: points.all },
        { name: 'simulated: half', points: points.half }
      ]
    }
  }
}
