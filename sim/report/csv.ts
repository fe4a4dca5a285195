/** Time series and runs as CSV, for whoever draws them otherwise (SPEC M31). */
import type { Run } from '../outcome.ts'
import { MEASURES, nameOf } from '../statistics.ts'

const cell = (value: string | number): string => {
  const text = Number.isNaN(value) ? '' : String(value)
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export const csvOf = (rows: readonly (readonly (string | number)[])[]): string =>
  `${rows.map((row) => row.map(cell).join(',')).join('\n')}\n`

/** A line for every point of every run; one column for every version, phase and reason that occurs. */
export function seriesOf(runs: readonly Run[]): string {
  const points = runs.flatMap(({ curves }) => curves.points)
  const all = (of: 'versions' | 'phases' | 'reasons') =>
    [...new Set(points.flatMap((point) => Object.keys(point[of])))].sort()
  const [versions, phases, reasons] = [all('versions'), all('phases'), all('reasons')]
  const head = ['variant', 'seed', 'atMs', 'informed', 'fetched', 'upgraded', 'bytes', 'calls', 'failed']
  const named = [...versions.map((one) => `version ${one}`), ...phases, ...reasons.map((one) => `waits: ${one}`)]
  const rows = runs.flatMap(({ outcome, curves }) =>
    curves.points.map((point) => [
      nameOf(outcome.variant),
      outcome.seed,
      Number(point.atMs.toFixed(3)),
      point.informed,
      point.fetched,
      point.upgraded,
      point.bytes,
      point.calls,
      point.failed,
      ...versions.map((one) => point.versions[Number(one)] ?? 0),
      ...phases.map((one) => point.phases[one] ?? 0),
      ...reasons.map((one) => point.reasons[one] ?? 0)
    ])
  )
  return csvOf([[...head, ...named], ...rows])
}

export function runsOf(runs: readonly Run[]): string {
  const head = ['variant', 'seed', 'trace', 'converged', 'violations', ...Object.keys(MEASURES)]
  const rows = runs.map(({ outcome }) => [
    nameOf(outcome.variant),
    outcome.seed,
    outcome.trace,
    String(outcome.converged),
    outcome.violations.length,
    ...Object.values(MEASURES).map((of) => of(outcome))
  ])
  return csvOf([head, ...rows])
}
