/** Real and simulated moments side by side: percentiles of all runs together, and how far the simulated ones are off. */

import type { Plot } from '../../sim/report/plot.ts'
import { aligned } from '../../sim/statistics.ts'
import type { Run } from './fleet.ts'
import { STEPS, type Step } from './observer.ts'

/** How far a simulated percentile may be from the real one, as a share of it. */
export const BOUNDS = { p50: 0.15, p95: 0.3 } as const
type Percentile = keyof typeof BOUNDS
const PERCENTILES = ['p50', 'p95'] as const

export interface Compared {
  step: Step
  percentile: Percentile
  realMs: number
  simulatedMs: number
  /** Simulated above real, as a share of the real one. */
  deviation: number
  isWithin: boolean
}

/** The value that this share of all does not exceed. @param sorted ascending, at least one */
export function quantileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Of all runs together, ascending. */
export function pooled(runs: readonly Run[], step: Step): number[] {
  return runs.flatMap((run) => run[step]).sort((a, b) => a - b)
}

export function compare(real: readonly Run[], simulated: readonly Run[]): Compared[] {
  return STEPS.flatMap((step) => {
    const [here, there] = [pooled(real, step), pooled(simulated, step)]
    return PERCENTILES.map((percentile) => {
      const share = Number(percentile.slice(1)) / 100
      const [realMs, simulatedMs] = [quantileOf(here, share), quantileOf(there, share)]
      const deviation = simulatedMs / realMs - 1
      return { step, percentile, realMs, simulatedMs, deviation, isWithin: Math.abs(deviation) <= BOUNDS[percentile] }
    })
  })
}

export function tableOf(compared: readonly Compared[]): string {
  const ms = (value: number) => value.toFixed(value < 100 ? 1 : 0)
  const percent = (share: number) => `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %`
  const rows = compared.map(({ step, percentile, realMs, simulatedMs, deviation, isWithin }) => [
    `${step} ${percentile}`,
    ms(realMs),
    ms(simulatedMs),
    percent(deviation),
    `± ${BOUNDS[percentile] * 100} %`,
    isWithin ? 'within' : 'OUTSIDE'
  ])
  return aligned([['ms after acceptance', 'real', 'simulated', 'deviation', 'bound', ''], ...rows])
}

/** Share of the peers over time, of each step, real and simulated. */
export function plotOf(name: string, title: string, real: readonly Run[], simulated: readonly Run[]): Plot {
  const line = (kind: string, runs: readonly Run[], step: Step) => {
    const all = pooled(runs, step)
    const points = Array.from({ length: 201 }, (_, at) => [quantileOf(all, at / 200) / 1000, at / 2] as const)
    return { name: `${step}, ${kind}`, points }
  }
  return {
    name,
    title,
    caption: `All peers of ${real.length} real and ${simulated.length} simulated runs: what share had done each step by when.`,
    x: { label: 's after the upgrade was accepted' },
    y: { label: '% of the peers' },
    lines: STEPS.flatMap((step) => [line('real', real, step), line('simulated', simulated, step)])
  }
}
