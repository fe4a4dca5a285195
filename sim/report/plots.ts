/** What a report draws of runs (SPEC M31). */

import type { Point } from '../measures.ts'
import { type Curves, type Run, STEPS } from '../outcome.ts'
import { nameOf } from '../statistics.ts'
import type { Axis, Line, Plot, XY } from './plot.ts'

const DOWN = ['draining', 'transforming', 'proving', 'activating', 'returning']
/** Reasons that are drawn; the rarer ones are one area. */
const MOST_REASONS = 7
/** Runs that are compared in one plot. */
const MOST_LINES = 10

const time = (ms: number): string => {
  const units: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's']
  ]
  const [length, unit] = units.find(([one]) => Math.abs(ms) >= one) ?? [1, 'ms']
  return `${Number((ms / length).toPrecision(3))} ${unit}`
}

export const bytes = (count: number): string => {
  const units: [number, string][] = [
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB']
  ]
  const [length, unit] = units.find(([one]) => count >= one) ?? [1, 'B']
  return `${Number((count / length).toPrecision(3))} ${unit}`
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))}%`

/** Of each variant the run in the middle: the one that a sentence about it would mean. */
export function middleRuns(runs: readonly Run[]): Run[] {
  const variants = new Map<string, Run[]>()
  for (const run of runs) {
    const key = JSON.stringify(run.outcome.variant)
    variants.set(key, [...(variants.get(key) ?? []), run])
  }
  const reached = ({ outcome }: Run) => outcome.upgraded.p99
  return [...variants.values()].map(
    (all) => all.toSorted((a, b) => reached(a) - reached(b))[Math.floor((all.length - 1) / 2)]!
  )
}

/** Plots of one run. */
export function plotsOf(run: Run): Plot[] {
  const { curves } = run
  const { points } = curves
  if (points.length < 2) return []
  return [
    spread(run),
    versions(points),
    phases(points),
    waiting(points),
    service(points),
    traffic(points),
    perPeer(curves)
  ].filter((plot) => plot.lines.some((one) => one.points.length > 0))
}

/** News take milliseconds, schedules hours, so time is logarithmic. */
const since = { label: 'since the upgrade was accepted (logarithmic)', format: time, time: true, log: true }

/** Which share of the peers had got there when. Who did at once, as the peer that took it, stands at half a millisecond. */
function reachedLine(name: string, { reached }: Curves, step: (typeof STEPS)[number]): Line {
  const { share, quantilesMs } = reached[step]
  const last = quantilesMs.length - 1
  return { name, points: quantilesMs.map((ms, index): XY => [Math.max(0.5, ms), (index / last) * share]) }
}

function spread({ curves }: Run): Plot {
  return {
    name: 'spread',
    title: 'Informed, fetched, upgraded',
    caption: 'Share of the peers that know of the last upgrade, hold its bundle, and serve it.',
    x: since,
    y: { label: 'peers', format: percent },
    lines: STEPS.map((step) => reachedLine(step, curves, step)),
    steps: true
  }
}

/** One line or area for every name that occurs. */
const named = (
  points: readonly Point[],
  names: readonly string[],
  of: (point: Point, name: string) => number
): Line[] => names.map((name) => ({ name, points: points.map((point): XY => [point.atMs, of(point, name)]) }))

const simulated = { label: 'simulated time', format: time, time: true }

function versions(points: readonly Point[]): Plot {
  const all = [...new Set(points.flatMap((point) => Object.keys(point.versions)))].sort((a, b) => Number(a) - Number(b))
  const lines = named(points, all, (point, version) => point.versions[Number(version)] ?? 0)
  return {
    name: 'versions',
    title: 'Versions',
    caption: 'Peers by the version that they came to serve last.',
    x: simulated,
    y: { label: 'peers' },
    lines: lines.map((one) => ({ ...one, name: `version ${one.name}` })),
    stacked: true
  }
}

function phases(points: readonly Point[]): Plot {
  const fetching = points.map((point): XY => [point.atMs, point.phases['fetching'] ?? 0])
  const waitingToo = points.map((point): XY => [point.atMs, point.phases['waiting'] ?? 0])
  const down = points.map((point): XY => [point.atMs, DOWN.reduce((sum, phase) => sum + (point.phases[phase] ?? 0), 0)])
  return {
    name: 'phases',
    title: 'On their way',
    caption: 'Peers that fetch, that wait for their schedule, and that do not serve because they upgrade.',
    x: simulated,
    y: { label: 'peers' },
    lines: [
      { name: 'fetching', points: fetching },
      { name: 'waiting', points: waitingToo },
      { name: 'down for the upgrade', points: down }
    ],
    steps: true
  }
}

function waiting(points: readonly Point[]): Plot {
  const weights = new Map<string, number>()
  for (const { reasons } of points)
    for (const [reason, count] of Object.entries(reasons)) weights.set(reason, (weights.get(reason) ?? 0) + count)
  const all = [...weights].sort(([, a], [, b]) => b - a).map(([reason]) => reason)
  const [drawn, rest] = [all.slice(0, MOST_REASONS), all.slice(MOST_REASONS)]
  const lines = named(points, drawn, ({ reasons }, reason) => reasons[reason] ?? 0)
  const others = points.map(({ atMs, reasons }): XY => [atMs, rest.reduce((sum, one) => sum + (reasons[one] ?? 0), 0)])
  return {
    name: 'waiting',
    title: 'What peers wait for',
    caption: 'Peers whose schedule says wait, by the reason that they give.',
    x: simulated,
    y: { label: 'peers' },
    lines: [...lines, ...(rest.length === 0 ? [] : [{ name: 'others', points: others }])],
    stacked: true
  }
}

/** Differences of counters from point to point, at the later one. */
function rates(points: readonly Point[], of: (before: Point, after: Point) => number): XY[] {
  return points.slice(1).flatMap((after, index): XY[] => {
    const before = points[index]!
    return after.atMs > before.atMs ? [[after.atMs, of(before, after)]] : []
  })
}

function service(points: readonly Point[]): Plot {
  const made = points.at(-1)!.calls > 0
  const failed = rates(
    points,
    (before, after) => (after.failed - before.failed) / Math.max(1, after.calls - before.calls)
  )
  return {
    name: 'service',
    title: 'Calls that failed',
    caption:
      'Share of the calls between peers, each at its caller’s version, that nobody had answered at their deadline.',
    x: simulated,
    y: { label: 'calls', format: percent },
    lines: made ? [{ name: 'failed', points: failed }] : [],
    steps: true
  }
}

function traffic(points: readonly Point[]): Plot {
  const perSecond = rates(points, (before, after) => ((after.bytes - before.bytes) / (after.atMs - before.atMs)) * 1000)
  return {
    name: 'traffic',
    title: 'Traffic of the fleet',
    caption: 'Bytes a second that all peers together sent.',
    x: simulated,
    y: { label: 'a second', format: bytes },
    lines: [{ name: 'sent', points: perSecond }],
    steps: true
  }
}

function perPeer({ sentBytes }: Curves): Plot {
  return {
    name: 'per-peer',
    title: 'Traffic of a peer',
    caption:
      'So many bytes, or fewer, did that share of the peers send in the whole run: how evenly the work is spread.',
    x: { label: 'share of the peers', format: (value) => `${value}%` },
    y: { label: 'sent', format: bytes },
    lines: [{ name: 'sent', points: sentBytes.map((sent, share): XY => [share, sent]) }]
  }
}

/** Where several variants ran: how each of them spread. */
export function comparisons(runs: readonly Run[]): Plot[] {
  const shown = middleRuns(runs).slice(0, MOST_LINES)
  if (shown.length < 2 || shown.some(({ curves }) => curves.points.length < 2)) return []
  const reached = (step: (typeof STEPS)[number]) =>
    shown.map(({ outcome, curves }) => reachedLine(nameOf(outcome.variant), curves, step))
  const down = shown.map(({ outcome, curves: { points, acceptedAtMs } }) => ({
    name: nameOf(outcome.variant),
    points: points
      .filter(({ atMs }) => atMs > acceptedAtMs)
      .map(({ atMs, phases: of }): XY => [atMs - acceptedAtMs, DOWN.reduce((sum, phase) => sum + (of[phase] ?? 0), 0)])
  }))
  const y = { label: 'peers', format: percent }
  const plot = (name: string, title: string, caption: string, lines: Line[], axis: Axis = y): Plot => ({
    name: `compared-${name}`,
    title,
    caption,
    x: since,
    y: axis,
    lines,
    steps: true
  })
  return [
    plot('upgraded', 'Upgraded', 'Share of the peers that serve the last upgrade.', reached('upgraded')),
    plot('fetched', 'Fetched', 'Share of the peers that hold its bundle.', reached('fetched')),
    plot('informed', 'Informed', 'Share of the peers that know of it.', reached('informed')),
    plot('down', 'Down for the upgrade', 'Peers that do not serve because they upgrade.', down, { label: 'peers' })
  ]
}
