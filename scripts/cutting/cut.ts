/**
 * Random histories of small fleets in which the power goes at durable steps (SPEC M62): what a restart finds must be the
 * state before the step or after it, nothing acknowledged may be lost, and everything must converge once the power stays.
 */
import { drawFaults } from '../../sim/faults.ts'
import type { Cuts } from '../../sim/power.ts'
import { Simulator } from '../../sim/simulator.ts'

/** Shares of the steps at which the power goes, in turns: with many cuts peers hardly come further than their start. */
const SHARES = [0.05, 0.15, 0.4]

export interface CutRun {
  seed: number
  cuts: Cuts
  /** Rule, time and text of what was violated first. */
  violation: string | undefined
}

export function cutRun(seed: number, commit: string): CutRun {
  const { scenario } = drawFaults(seed)
  const powerCuts = SHARES[seed % SHARES.length]!
  const simulator = new Simulator({ ...scenario, powerCuts }, { commit })
  const [first] = simulator.run().violations
  const violation = first && `${first.rule} at ${Math.round(first.atMs)} ms, ${first.peer}: ${first.text}`
  return { seed, cuts: simulator.power!.cuts, violation }
}

/** Adds the cuts of a run to those of earlier ones. Returns how many it had. */
export function addCuts(all: Cuts, { cuts }: CutRun): number {
  let count = 0
  for (const [step, { before, after }] of Object.entries(cuts)) {
    const sum = all[step] ?? { before: 0, after: 0 }
    all[step] = { before: sum.before + before, after: sum.after + after }
    count += before + after
  }
  return count
}
