/** Many runs as one answer (SPEC M30): of each measure its spread over the runs of a variant, and what differs between variants. */
import type { Outcome, Variant } from './outcome.ts'

export interface Spread {
  p50: number
  p95: number
  least: number
  most: number
}

export interface Summary {
  variant: Variant
  runs: number
  seeds: number[]
  /** Runs with a violation. */
  failed: number
  measures: Record<string, Spread>
}

/** What a table compares; name in tables → where it lies in an outcome. NaN: it was not measured. */
export const MEASURES: Readonly<Record<string, (outcome: Outcome) => number>> = {
  'informed.p50': (one) => one.informed.p50,
  'informed.p99': (one) => one.informed.p99,
  'informed.max': (one) => one.informed.max,
  'informed.rounds.p9999': (one) => one.informed.rounds.p9999,
  'fetched.p50': (one) => one.fetched.p50,
  'fetched.p99': (one) => one.fetched.p99,
  'fetched.max': (one) => one.fetched.max,
  'upgraded.p50': (one) => one.upgraded.p50,
  'upgraded.p99': (one) => one.upgraded.p99,
  'upgraded.max': (one) => one.upgraded.max,
  endedAtMs: (one) => one.endedAtMs,
  'availability.calls': (one) => one.availability.calls,
  'availability.failed': (one) => one.availability.failed,
  'availability.disallowed': (one) => one.availability.disallowed,
  'availability.simulated': (one) => one.availability.simulated,
  'availability.waited': (one) => one.availability.waited,
  'availability.longestMs': (one) => one.availability.longestMs,
  'availability.groupDownMax': (one) => one.availability.groupDownMax,
  'messages.perPeer': (one) => one.messages.perPeer,
  'messages.bytesPerPeer': (one) => one.messages.bytesPerPeer,
  'messages.duplicates': (one) => one.messages.duplicates,
  'census.rmsError': (one) => one.census?.rmsError ?? Number.NaN,
  events: (one) => one.events,
  stuck: (one) => one.stuck.peers
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p95: at(0.95), least: at(0), most: at(1) }
}

const keyOf = (variant: Variant): string => JSON.stringify(variant)

/** One of each variant, in the order in which variants first come. */
export function summarize(outcomes: readonly Outcome[]): Summary[] {
  const variants = new Map<string, Outcome[]>()
  for (const outcome of outcomes) {
    const key = keyOf(outcome.variant)
    variants.set(key, [...(variants.get(key) ?? []), outcome])
  }
  return [...variants.values()].map((runs) => ({
    variant: runs[0]!.variant,
    runs: runs.length,
    seeds: runs.map((one) => one.seed).toSorted((a, b) => a - b),
    failed: runs.filter((one) => one.violations.length > 0).length,
    measures: Object.fromEntries(
      Object.entries(MEASURES).flatMap(([name, of]) => {
        const values = runs.map(of).filter((value) => !Number.isNaN(value))
        return values.length === 0 ? [] : [[name, spreadOf(values)]]
      })
    )
  }))
}

export const nameOf = (variant: Variant): string =>
  Object.entries(variant)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ') || 'all runs'

/** A table of what differs between variants; of one variant, of everything that is not nothing. */
export function tableOf(summaries: readonly Summary[]): string {
  const many = summaries.length > 1
  const say = (spread: Spread | undefined) => {
    if (spread === undefined) return '-'
    const { p50, p95 } = spread
    return p50 === p95 ? short(p50) : `${short(p50)} / ${short(p95)}`
  }
  const rows = Object.keys(MEASURES).flatMap((measure) => {
    const cells = summaries.map((one) => say(one.measures[measure]))
    const shown = many ? cells.some((cell) => cell !== cells[0]) : cells[0] !== '0' && cells[0] !== '-'
    return shown ? [[measure, ...cells]] : []
  })
  const failed = summaries.some((one) => one.failed > 0)
  const head = ['p50 / p95 of runs', ...summaries.map((one) => nameOf(one.variant))]
  const runs = ['runs', ...summaries.map((one) => String(one.runs))]
  const bad = ['with violations', ...summaries.map((one) => String(one.failed))]
  return aligned([head, runs, ...(failed ? [bad] : []), ...rows])
}

const short = (number: number): string =>
  Number.isInteger(number) ? String(number) : number.toFixed(number < 1 ? 4 : 1)

/** The first column to the left, the others to the right. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n')
}
