/** How far the peers' census is from the truth, which only the simulator knows (SPEC M26). */

import type { CensusReading } from '../src/overlay/census.ts'
import type { Entry } from '../src/upgrade/manifest.ts'
import { EPOCH_MS, type Machine } from './machine.ts'
import type { Scenario } from './scenario.ts'

/** Peers that are asked: more would not change the figure, and reading is not for nothing. */
const ASKED = 1000

export interface CensusError {
  /** Of peers that run the last version or a later one: mean square distance from the truth, as a share of it, rooted. */
  rmsError: number
  /** Peers asked that had a reading. */
  readings: number
}

/** What a peer that counts can be asked; stand-ins do not count. */
export interface Counting {
  read(entry: Entry, object: string, now: number): CensusReading | undefined
}

/** Undefined where nobody has a reading, or nobody runs the version. */
export function censusError(
  machines: readonly Machine[],
  { lineages }: Scenario,
  entry: Entry | undefined,
  nowMs: number
): CensusError | undefined {
  if (entry === undefined) return undefined
  const object = `${lineages[0]!}v1`
  const runs = ({ departed, record }: Machine) => !departed && (record?.objects[object]?.version ?? 0) >= entry.version
  const truth = machines.filter(runs).length
  const step = Math.ceil(machines.length / ASKED)
  const squares: number[] = []
  for (let node = 0; node < machines.length; node += step) {
    const { up, peer, skewMs } = machines[node]!
    const reading = up ? peer?.census?.read(entry, object, EPOCH_MS + nowMs + skewMs) : undefined
    if (reading !== undefined) squares.push(((reading.reached - truth) / truth) ** 2)
  }
  if (truth === 0 || squares.length === 0) return undefined
  const mean = squares.reduce((sum, one) => sum + one, 0) / squares.length
  return { rmsError: Math.round(Math.sqrt(mean) * 10_000) / 10_000, readings: squares.length }
}
