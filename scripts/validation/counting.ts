/** The census against the standard error of its sketches. */
import { hash53 } from '../../sim/authority.ts'
import { censusError } from '../../sim/census.ts'
import { EMPTY, elementOf, estimate, REGISTERS, type Sketch, withElement } from '../../src/overlay/sketch.ts'
import { fleetOf, timesUntilAll } from './fleet.ts'
import { type Law, type Row, runsOf, type Sizes } from './law.ts'
import { linearCountingError, sketchError } from './theory.ts'

const MINUTE_MS = 60_000
/** Peers that are added to sketches in all, for each size. */
const ADDED = 10_000_000
const MOST_SKETCHES = 400
const SKETCHED = [100, 1_000, 10_000, 100_000, 1_000_000]

function sketchOf(peers: number, name: string): Sketch {
  let sketch = EMPTY
  for (let peer = 0; peer < peers; peer++) sketch = withElement(sketch, elementOf(hash53(`census/${name}${peer}`)))
  return sketch
}

/** Root of the mean square error of sketches of so many peers each, as a share. */
export function rmsError(peers: number, sketches: number): number {
  let squares = 0
  for (let index = 0; index < sketches; index++) squares += (estimate(sketchOf(peers, `${index}/P`)) / peers - 1) ** 2
  return Math.sqrt(squares / sketches)
}

/** What peers of a fleet that came to a new version say of it, half an hour and two hours after, and what one sketch of them all says. */
export function fleetError(seed: number, peers: number): { early: number; measured: number; ideal: number } {
  const simulator = fleetOf({ seed, peers })
  timesUntilAll(simulator, 'fetched', 30 * MINUTE_MS)
  const { machines, scenario, world, kernel } = simulator
  const since = kernel.now
  const errorAfter = (minutes: number): number => {
    simulator.advance(since + minutes * MINUTE_MS)
    const error = censusError(machines, scenario, world.entries[1], kernel.now)
    if (error === undefined) throw new Error(`no peer of ${peers} has a reading after ${minutes} minutes`)
    return error.rmsError
  }
  let sketch = EMPTY
  for (const { id } of machines) sketch = withElement(sketch, elementOf(hash53(`census/${id}`)))
  const ideal = Math.abs(Math.round(estimate(sketch)) / peers - 1)
  return { early: errorAfter(30), measured: errorAfter(120), ideal }
}

export function countingLaw(sizes: Sizes): Law {
  const bound = sketchError(REGISTERS)
  const points: [number, number][] = []
  const rows: Row[] = SKETCHED.map((peers) => {
    const measured = rmsError(peers, Math.min(MOST_SKETCHES, ADDED / peers))
    points.push([peers, 100 * measured])
    const isFew = peers < REGISTERS
    const theory = isFew ? linearCountingError(peers, REGISTERS) : bound
    // Of n sketches the root of the mean square is known to about 1/√(2n); few peers are counted better than the rest.
    const noise = 3 / Math.sqrt(2 * Math.min(MOST_SKETCHES, ADDED / peers))
    const least = peers < 10 * REGISTERS ? -0.4 : -noise
    const what = isFew ? 'sketches of few peers, against linear counting' : 'sketches'
    return {
      what,
      peers,
      theory: 100 * theory,
      measured: 100 * measured,
      expected: [Math.min(least, -noise), noise + 0.05]
    }
  })
  for (const peers of sizes.peers) {
    const { early, measured, ideal } = fleetError(runsOf(sizes, peers), peers)
    const readings = (after: string) => `readings of a fleet ${after} after, against one sketch of all its peers`
    const theory = 100 * ideal
    rows.push({ what: readings('two hours'), peers, theory, measured: 100 * measured, expected: [-0.1, 0.1] })
    rows.push({ what: readings('half an hour'), peers, theory, measured: 100 * early })
  }
  const ends = [points[0]![0], points.at(-1)![0]]
  return {
    name: 'census',
    title: `The census against 1.04/√m, m = ${REGISTERS}`,
    unit: '% error, root of the mean square',
    said:
      'Same: the sketches and the hash that peers count with, of as many peers as the fleet has. ' +
      'Different: registers end at rank 15 and are read by Ertl’s estimator, which is as good as the formula for many and better for few (there the error is that of linear counting). ' +
      'A fleet adds one thing: what reaches whom. Its rows hold what peers answer two hours after a new version came against one sketch of all of them, made at once (both in whole peers); their own error is one draw of the formula’s. ' +
      'In fleets larger than a view the census is told in turns of ten minutes where no guard looks at it: half an hour after it is still on its way there, which is told, not judged.',
    rows,
    plot: {
      name: 'census',
      title: `Error of the census, ${REGISTERS} registers`,
      caption:
        'Root of the mean square, by the number of peers counted; of a million peers there are ten sketches only.',
      x: { label: 'peers', log: true },
      y: { label: 'error, %' },
      lines: [
        { name: '1.04/√m', points: ends.map((peers) => [peers, 100 * bound] as const) },
        { name: 'sketches', points }
      ]
    }
  }
}
