/**
 * Plots as static SVG text (SPEC M31): axes and paths are d3's (d3-scale, d3-shape: functions, no document), so that they
 * stand in a report, in a page of docs, or alone, without a script or a font of anybody's.
 */
import { scaleLinear, scaleLog } from 'd3-scale'
import { area, curveStepAfter, line, stack } from 'd3-shape'

const WIDTH = 640
const HEIGHT = 300
const MARGIN = { top: 40, right: 16, bottom: 40, left: 64 }
const LEGEND_ROW = 16
/** Okabe and Ito's, told apart by almost every eye. */
const COLOURS = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#d55e00',
  '#cc79a7',
  '#56b4e9',
  '#8c8c00',
  '#444444',
  '#7a5195',
  '#a05d2b'
]

export type XY = readonly [x: number, y: number]

export interface Line {
  name: string
  points: readonly XY[]
}

export interface Axis {
  label: string
  format?: (value: number) => string
  /** Values are ms: ticks stand at times that people name. */
  time?: boolean
  log?: boolean
}

export interface Plot {
  /** File name, and what links name. */
  name: string
  title: string
  /** What to see in it, in a sentence. */
  caption: string
  x: Axis
  y: Axis
  lines: readonly Line[]
  /** Areas on top of each other, all with the same x. */
  stacked?: boolean
  /** Values hold until the next one. */
  steps?: boolean
}

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

interface Scale {
  (value: number): number
  ticks(count: number): number[]
  domain(): number[]
}

function xScale({ x, lines }: Plot): Scale {
  const values = lines.flatMap(({ points }) => points.map(([one]) => one)).filter((one) => x.log !== true || one > 0)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const range = [MARGIN.left, WIDTH - MARGIN.right]
  if (x.log === true)
    return scaleLog()
      .domain([least, Math.max(most, least * 10)])
      .range(range)
  return scaleLinear()
    .domain([least, most === least ? least + 1 : most])
    .range(range)
}

function yScale({ lines, stacked = false }: Plot, top: number): Scale {
  const most = stacked
    ? Math.max(
        ...(lines[0]?.points ?? []).map((_, index) => lines.reduce((sum, { points }) => sum + points[index]![1], 0))
      )
    : Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y)))
  return scaleLinear()
    .domain([0, most > 0 ? most : 1])
    .nice(5)
    .range([HEIGHT - MARGIN.bottom, top])
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const decades = [1, 10, 100, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 10 * HOUR, 4 * DAY, 40 * DAY]
const steps = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
  ...[1, 2, 7, 14, 30, 90, 365].map((count) => count * DAY)
]
const MOST_TICKS = 8

/** d3's are of the decimal system; of times they would be 1.67 min and 3.33 min. */
function ticksOf(scale: Scale, count: number, { time = false, log = false }: Axis): number[] {
  const [least = 0, most = 0] = scale.domain()
  if (!time) {
    if (!log) return scale.ticks(count)
    // Those of one decade lie so close at its end that their labels would lie on each other.
    const leading = most / least > 1000 ? [1] : [1, 2, 5]
    return scale.ticks(count).filter((one) => leading.includes(Number(one.toExponential(0)[0])))
  }
  if (log) {
    const within = (all: readonly number[]) => all.filter((one) => one >= least && one <= most)
    return within(decades).length > 2 ? within(decades) : within(steps)
  }
  const step = steps.find((one) => (most - least) / one <= MOST_TICKS) ?? DAY * 365
  const first = Math.ceil(least / step)
  return Array.from({ length: Math.floor(most / step) - first + 1 }, (_, index) => (first + index) * step)
}

const plain = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: 3 })

function axes({ x, y }: Plot, toX: Scale, toY: Scale, top: number): string {
  const bottom = HEIGHT - MARGIN.bottom
  const across = ticksOf(toY, 5, y).map((value) => {
    const at = toY(value).toFixed(1)
    return `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}" stroke="#e4e4e4"/><text x="${MARGIN.left - 8}" y="${at}" dy="0.32em" text-anchor="end">${escaped((y.format ?? plain)(value))}</text>`
  })
  const along = ticksOf(toX, 7, x).map((value) => {
    const at = toX(value).toFixed(1)
    return `<line x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 4}" stroke="#888"/><text x="${at}" y="${bottom + 16}" text-anchor="middle">${escaped((x.format ?? plain)(value))}</text>`
  })
  return [
    ...across,
    ...along,
    `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${bottom}" y2="${bottom}" stroke="#888"/>`,
    `<text x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escaped(x.label)}</text>`,
    `<text transform="translate(14 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>`
  ].join('')
}

/** About so wide is a letter of the legend; rows are filled to the edge. */
const LETTER = 6.2

function legend(names: readonly string[]): { text: string; rows: number } {
  let [left, row] = [MARGIN.left, 0]
  const items = names.map((name, index) => {
    const width = 24 + name.length * LETTER
    if (left + width > WIDTH - MARGIN.right && left > MARGIN.left) [left, row] = [MARGIN.left, row + 1]
    const [x, y] = [left, 28 + row * LEGEND_ROW]
    left += width
    return `<rect x="${x.toFixed(1)}" y="${y}" width="10" height="10" fill="${COLOURS[index % COLOURS.length]}"/><text x="${(x + 14).toFixed(1)}" y="${y + 9}">${escaped(name)}</text>`
  })
  return { text: items.join(''), rows: row + 1 }
}

function shapes(plot: Plot, toX: Scale, toY: Scale): string {
  const { lines, stacked = false, steps = false } = plot
  if (stacked) {
    const rows = (lines[0]?.points ?? []).map(([x], index) => ({
      x,
      values: lines.map(({ points }) => points[index]![1])
    }))
    const layers = stack<{ x: number; values: number[] }, number>()
      .keys(lines.keys())
      .value(({ values }, key) => values[key]!)(rows)
    const shape = area<(typeof layers)[number][number]>()
      .x((point) => toX(point.data.x))
      .y0(([low]) => toY(low))
      .y1(([, high]) => toY(high))
      .curve(curveStepAfter)
      .digits(1)
    return layers
      .map((layer, index) => `<path d="${shape(layer) ?? ''}" fill="${COLOURS[index % COLOURS.length]}"/>`)
      .join('')
  }
  const shape = line<XY>()
    .x(([x]) => toX(x))
    .y(([, y]) => toY(y))
    .digits(1)
  if (steps) shape.curve(curveStepAfter)
  const drawable = (points: readonly XY[]) => points.filter(([x]) => plot.x.log !== true || x > 0)
  return lines
    .map(
      ({ points }, index) =>
        `<path d="${shape(drawable(points)) ?? ''}" fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="2" stroke-linejoin="round"/>`
    )
    .join('')
}

/** One SVG element that stands alone. */
export function svgOf(plot: Plot): string {
  const { text, rows } = legend(plot.lines.map(({ name }) => name))
  const top = MARGIN.top + rows * LEGEND_ROW
  const [toX, toY] = [xScale(plot), yScale(plot, top)]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="11" fill="#333" role="img" aria-label="${escaped(plot.title)}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${MARGIN.left}" y="16" font-size="13" font-weight="600">${escaped(plot.title)}</text>`,
    text,
    axes(plot, toX, toY, top),
    shapes(plot, toX, toY),
    '</svg>'
  ].join('\n')
}
