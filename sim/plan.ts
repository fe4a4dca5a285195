/** From the options of a command line to the runs that they ask for (SPEC M30): seeds, sweeps, comparisons, shards. */
import { basename, extname, resolve } from 'node:path'
import { Refusal } from '../src/errors.ts'
import { compile } from './document/compile.ts'
import { type Override, overrideOf } from './document/document.ts'
import { fitting, type Loaded, loadScenario, scheduleIn } from './document/files.ts'
import type { Task, Variant } from './outcome.ts'

/** More than this is a slip of the pen. */
const MOST_RUNS = 1_000_000

export interface RunOptions {
  peers?: number
  groups?: number
  seed: number
  seeds: number
  jobs: number
  shard?: string
  faults: boolean
  idle?: number
  duration?: string
  schedule?: string
  upgrade?: string
  rehearsal?: string
  transformMs?: number
  set: [path: string, value: string][]
  sweep: [path: string, values: string[]][]
  compare?: string[]
}

type Axis = { key: string; values: { label: string; override: Override }[] }

/** Flags that stand for a field: they are said of the field in errors, and override the file. */
function overridesOf(options: RunOptions): Override[] {
  const { peers, groups, idle, duration, schedule, upgrade, rehearsal, transformMs } = options
  const given: [string, string, unknown][] = [
    ['--peers', 'peers', peers],
    ['--groups', 'groups.size', groups],
    ['--idle', 'idle', idle === undefined ? undefined : `${idle}m`],
    ['--duration', 'duration', duration],
    ['--upgrade', 'upgrades.last.file', upgrade === undefined ? undefined : resolve(upgrade)],
    ['--transform-ms', 'upgrades.last.transform', transformMs === undefined ? undefined : around(transformMs)],
    ['--rehearsal', 'upgrades.last.transform', rehearsal === undefined ? undefined : { rehearsal: resolve(rehearsal) }]
  ]
  const flags = given.flatMap(([flag, path, value]) =>
    value === undefined ? [] : [{ said: `${flag} ${typeof value === 'object' ? '' : value}`.trim(), path, value }]
  )
  const written = options.set.map(([path, value]) => overrideOf('--set', path, value))
  const named = schedule === undefined ? [] : [overrideOf('--schedule', 'upgrades.last.schedule', schedule)]
  return [...flags, ...named, ...written]
}

const around = (ms: number) => [`${ms * 0.75}ms`, `${ms * 1.25}ms`]

async function axesOf({ sweep, compare }: RunOptions): Promise<Axis[]> {
  const axes: Axis[] = sweep.map(([key, values]) => ({
    key,
    values: values.map((value) => ({ label: value, override: overrideOf('--sweep', key, value) }))
  }))
  if (compare !== undefined) {
    const path = 'upgrades.last.schedule'
    const values = await Promise.all(
      compare.map(async (label) => ({
        label: labelOf(label),
        override: { said: `--compare ${label}`, path, value: await scheduleIn(label) }
      }))
    )
    axes.push({ key: 'schedule', values })
  }
  return axes
}

/** Of a file its name: paths are long, and others' machines have others. */
const labelOf = (written: string): string =>
  /\.(upgrade|ya?ml)$/.test(written) ? basename(written, extname(written)) : written

/** Every choice of one value of each axis, the last axis turning fastest. */
function combinations(axes: readonly Axis[]): { variant: Variant; overrides: Override[] }[] {
  return axes.reduce<{ variant: Variant; overrides: Override[] }[]>(
    (all, { key, values }) =>
      all.flatMap(({ variant, overrides }) =>
        values.map(({ label, override }) => ({
          variant: { ...variant, [key]: label },
          overrides: [...overrides, override]
        }))
      ),
    [{ variant: {}, overrides: [] }]
  )
}

export interface Plan {
  tasks: Task[]
  /** As it was read, for the report; undefined where the seed draws the scenario. */
  description: string
}

/** Reads and checks everything before the first run begins. @throws Refusal */
export async function planOf(scenario: string | undefined, options: RunOptions, commit: string): Promise<Plan> {
  const seeds = Array.from({ length: options.seeds }, (_, index) => options.seed + index)
  if (options.faults) {
    const flags = ['groups', 'idle', 'duration', 'schedule', 'upgrade', 'rehearsal', 'transformMs', 'compare'] as const
    const idle =
      flags.find((name) => options[name] !== undefined) ??
      (options.set.length + options.sweep.length > 0 ? 'set' : undefined)
    if (scenario !== undefined || idle !== undefined)
      throw new Refusal(
        'Usage',
        `--faults draws the whole scenario from the seed: leave out ${scenario ?? `--${idle}`}`
      )
    const task = { variant: {}, commit, scenario: 'faults', faults: true as const, peers: options.peers }
    return { tasks: seeds.map((seed) => ({ ...task, seed })), description: 'Everything is drawn from the seed.' }
  }
  const variants = combinations(await axesOf(options))
  if (variants.length * seeds.length > MOST_RUNS)
    throw new Refusal(
      'Usage',
      `${variants.length} variants of ${seeds.length} seeds are too many runs; ${MOST_RUNS} at most`
    )
  const flags = overridesOf(options)
  const tasks: Task[] = []
  let description = ''
  for (const { variant, overrides } of variants) {
    const loaded: Loaded = await loadScenario(scenario, [...flags, ...overrides])
    const { name, document, enclosed } = loaded
    fitting(loaded, () => compile(document, enclosed, options.seed))
    description = document.description
    tasks.push(...seeds.map((seed) => ({ variant, seed, commit, scenario: name, document, enclosed })))
  }
  return { tasks, description }
}
