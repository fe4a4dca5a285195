/** The picture of a running demo as text: groups as rows, peers as cells, each with its own line of time (SPEC X3). */
import type { ObjectStatus } from '../../node/daemon/status.ts'
import type { Progress } from './load.ts'
import type { Seen, State } from './watch.ts'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'blue' | 'magenta'
export type Paint = (style: Style, text: string) => string
export const plain: Paint = (_style, text) => text

export interface Scene {
  elapsedMs: number
  /** Steps of the demo in their order, and the index of the running one. */
  steps: readonly string[]
  step: number
  /** Of the running step, like `4,000 of 10,000`. */
  detail: string
  peers: readonly Seen[]
  /** When the lines of time begin, Unix ms. */
  sinceMs: number
  load: Progress
  /** Commands given, oldest first. */
  commands: readonly string[]
}

export interface Size {
  columns: number
  rows: number
}

const CELLS = 3
const MARKS: Record<State, { mark: string; style: Style }> = {
  '.': { mark: '·', style: 'dim' },
  '1': { mark: '─', style: 'blue' },
  '1+': { mark: '═', style: 'cyan' },
  '-': { mark: '✕', style: 'red' },
  '2': { mark: '━', style: 'green' }
}
const LEGEND: readonly (readonly [State, string])[] = [
  ['1', 'v1'],
  ['1+', 'v1, simulates v2'],
  ['-', 'not serving'],
  ['2', 'v2, simulates v1']
]
/** Reasons shown in full. */
const REASONS = 3

export function draw(scene: Scene, size: Size, paint: Paint): string {
  const width = Math.min(size.columns, 132)
  const groups = [...Map.groupBy(scene.peers, ({ member }) => member.group).values()]
  const around = [...head(scene, width, paint), '', ...foot(scene, width, paint)]
  // Where the terminal is too low for all, cells lose their last line, then the space between them, then their line of time.
  const heights = [4, 3, 2, 1]
  const height = heights.find((one) => around.length + groups.length * one < size.rows) ?? 1
  const cellWidth = Math.floor((width - 2) / CELLS) - 2
  const rows = groups.flatMap((members) => {
    const cells = members.map((one) => cell(one, scene, cellWidth, paint).slice(0, Math.min(height, 3)))
    const lines = cells[0]!.map((_, line) => ` ${cells.map((one) => one[line]).join('  ')}`)
    return height === 4 ? [...lines, ''] : lines
  })
  return [...head(scene, width, paint), '', ...rows, ...foot(scene, width, paint)].join('\n')
}

function head({ elapsedMs, steps, step, detail }: Scene, width: number, paint: Paint): string[] {
  const clock = clockOf(elapsedMs)
  const title = ' upstart-peer: a fleet upgrades itself'
  const path = steps.map((name, index) => {
    if (index < step) return paint('green', `✓ ${name}`)
    return index === step ? paint('bold', `▸ ${name}${detail === '' ? '' : ` ${detail}`}`) : paint('dim', name)
  })
  return [
    paint('bold', title) + paint('dim', clock.padStart(width - title.length)),
    ` ${path.join(paint('dim', ' · '))}`
  ]
}

function foot({ load, commands, peers }: Scene, width: number, paint: Paint): string[] {
  const { calls, failed, longestMs } = load
  const parts = [
    `calls at v1 ${count(calls[1])}`,
    `at v2 ${count(calls[2])}`,
    paint(failed > 0 ? 'red' : 'green', `failed ${count(failed)}`),
    `longest wait ${Math.round(longestMs)} ms`
  ]
  const legend = LEGEND.map(([state, means]) => {
    const { mark, style } = MARKS[state]
    return `${paint(style, mark.repeat(2))} ${paint('dim', means)}`
  })
  return [
    ` ${legend.join('   ')}`,
    '',
    ` ${paint('bold', 'clients')}  ${parts.join(paint('dim', ' · '))}`,
    '',
    ...reasons(peers).map((reason) => paint('yellow', fit(` ${reason}`, width))),
    '',
    ...commands.slice(-3).map((command) => paint('dim', fit(` $ ${command}`, width)))
  ]
}

/** Why the first few that wait do; always as many lines, so that nothing jumps. */
function reasons(peers: readonly Seen[]): string[] {
  const waiting = peers.filter(({ object }) => object !== undefined && object.reason !== '')
  const lines = waiting.slice(0, REASONS).map(({ member, object }) => `${member.name} ${object!.reason}`)
  if (waiting.length > REASONS) lines[REASONS - 1] += ` (and ${waiting.length - REASONS} more wait)`
  return [...lines, '', '', ''].slice(0, REASONS)
}

function cell(seen: Seen, scene: Scene, width: number, paint: Paint): string[] {
  const { member, object, rate } = seen
  const state = seen.history.at(-1)?.state ?? '.'
  const { style } = MARKS[state]
  const version = versionText(object)
  const calls = `${count(Math.round(rate))}/s`.padStart(8)
  const phase = object === undefined || object.phase === 'idle' ? '' : object.phase
  const room = width - member.name.length - version.length - calls.length - 4
  const first =
    `${paint('bold', member.name)}  ${paint(style, version)}  ${paint('yellow', fit(phase, room).padEnd(room))}` +
    paint('dim', calls)
  return [first, timeline(seen, scene, width, paint), notes(object, width, paint)]
}

function versionText(object: ObjectStatus | undefined): string {
  if (object === undefined || object.version === 0) return '-'.padEnd(7)
  return (object.target > object.version ? `v${object.version} → v${object.target}` : `v${object.version}`).padEnd(7)
}

/** One mark for each slice of the time since the beginning; a slice in which it was down for a moment shows that. */
function timeline({ history }: Seen, { sinceMs }: Scene, width: number, paint: Paint): string {
  const untilMs = Math.max(history.at(-1)?.atMs ?? sinceMs, sinceMs + 1)
  const slices: State[] = new Array<State>(width).fill('.')
  let from = 0
  let state: State = '.'
  for (const look of history) {
    const slice = Math.min(width - 1, Math.floor(((look.atMs - sinceMs) / (untilMs - sinceMs)) * width))
    for (let at = from; at < slice; at++) if (slices[at] !== '-') slices[at] = state
    if (slice >= 0 && slices[slice] !== '-') slices[slice] = look.state
    from = Math.max(from, slice)
    state = look.state
  }
  const runs: { state: State; length: number }[] = []
  for (const one of slices) {
    const last = runs.at(-1)
    if (last?.state === one) last.length += 1
    else runs.push({ state: one, length: 1 })
  }
  return runs.map(({ state: one, length }) => paint(MARKS[one].style, MARKS[one].mark.repeat(length))).join('')
}

/** The transform's progress, why it waits, or how long it was away. */
function notes(object: ObjectStatus | undefined, width: number, paint: Paint): string {
  if (object === undefined) return ''.padEnd(width)
  if (object.phase === 'transforming') {
    const length = width - 9
    const done = Math.round(object.progress * length)
    const percent = `${Math.round(object.progress * 100)}`.padStart(4)
    return `TF ${paint('yellow', '█'.repeat(done))}${paint('dim', '░'.repeat(length - done))}${percent} %`
  }
  if (object.reason !== '') return paint('dim', fit(object.reason, width).padEnd(width))
  if (object.phase === 'idle' && object.highest > object.version)
    return paint('dim', fit(`simulates v${object.highest}`, width).padEnd(width))
  const away = object.version < 2 ? undefined : object.unavailableMs.at(-1)
  const text = away === undefined ? '' : `was not serving for ${Math.round(away)} ms`
  return paint('dim', fit(text, width).padEnd(width))
}

export const count = (value: number): string => value.toLocaleString('en-US')
const fit = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`

export function clockOf(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}.${Math.floor((ms % 1000) / 100)}`
}
