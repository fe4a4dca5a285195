/** A law of theory and what was measured of it (SPEC M34). */
import type { Plot } from '../../sim/report/plot.ts'

export interface Row {
  /** What was measured, in which fleet. */
  what: string
  peers: number
  theory: number
  measured: number
  /** measured / theory − 1 that is expected: from, to. Absent: a figure that is told beside the others, and judged by nobody. */
  expected?: readonly [number, number]
}

export interface Law {
  name: string
  title: string
  unit: string
  /** What is the same in theory and simulation, what differs, and what deviation follows from that. */
  said: string
  rows: Row[]
  plot: Plot
}

export interface Sizes {
  peers: number[]
  /** Runs of the smallest fleet; larger ones have fewer, so that each size costs about the same. */
  runs: number
}

export const runsOf = ({ peers, runs }: Sizes, size: number): number =>
  Math.max(1, Math.round((runs * Math.min(...peers)) / size))

export const deviationOf = ({ theory, measured }: Row): number => (measured === theory ? 0 : measured / theory - 1)

export const holds = (row: Row): boolean => {
  if (row.expected === undefined) return true
  const [least, most] = row.expected
  const deviation = deviationOf(row)
  return deviation >= least && deviation <= most
}

export const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / all.length
