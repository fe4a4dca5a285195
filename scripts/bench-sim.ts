/**
 * What a roll-out on a simulated fleet costs: scripts/bench sim [PEERS…] [--view N] [--strangers N] [--passive N]
 * [--over MINUTES] [--idle HOURS] [--join] [--seed N] [--json]. Each size runs in a process of its own: N peers without groups, of
 * degree 8, which have met and run version 1 (SPEC M32), rest for two minutes and get version 2, each at its moment within
 * an hour. Counts follow from the seed; times are processor time of this machine, all threads, and depend on its load.
 * The exponent is that of time over size. With --join they join first, a hundred a second, install version 1, and rest
 * for ten minutes.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { roundMsOf } from '../sim/outcome.ts'
import { type Action, immediateSchedule, type Scenario, scenario } from '../sim/scenario.ts'
import { Simulator } from '../sim/simulator.ts'
import { gradual } from '../src/schedule/combinators.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    view: { type: 'string', default: '20' },
    strangers: { type: 'string', default: '8' },
    passive: { type: 'string', default: '8' },
    over: { type: 'string', default: '60' },
    idle: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    join: { type: 'boolean', default: false },
    one: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false }
  }
})
const SIZES = [1000, 10_000, 100_000, 1_000_000]
/** A fleet has come to rest, ms. */
const restedMs = (peers: number) => (values.join ? 10 * 60_000 + 10 * peers : 2 * 60_000)
const HOUR_MS = 3_600_000
/** Young objects are most of all; a larger nursery lets more of them die in it. */
const NODE_OPTIONS = ['--expose-gc', '--max-old-space-size=16384', '--max-semi-space-size=64']
/** Of the push epidemic that times are held against. */
const SERF_FANOUT = 3

interface Figures {
  peers: number
  /** Of the whole run, of forming and resting alone; processor time, s. */
  cpuS: number
  formedCpuS: number
  wallS: number
  /** A peer's, of the whole run and of forming. */
  events: number
  formedEvents: number
  eventsPerSecond: number
  messages: number
  messagesByKind: Record<string, number>
  /** Of a peer at rest: all that is kept for it. */
  bytesPerPeer: number
  rssMb: number
  informedRounds: { p50: number; p9999: number }
  upgradedMaxS: number
  idle: { eventsPerHour: number; cpuSPerDay: number } | null
  violations: string[]
}

function planned(peers: number): Scenario {
  const upgrade = { what: 'upgrade', pieces: 1, future: true, past: true } as const
  const over = Number(values.over) * 60_000
  const limits = { view: Number(values.view), strangers: Number(values.strangers), passive: Number(values.passive) }
  const actions: Action[] = [
    { atMs: values.join ? 1500 : 0, ...upgrade, schedule: immediateSchedule },
    { atMs: restedMs(peers), ...upgrade, schedule: { when: gradual({ over }), constraints: [] } }
  ]
  const durationMs = restedMs(peers) + over + 30 * 60_000
  // A fleet that starts within a second measures how few know each other then.
  const start = values.join ? ({ start: 'empty', startMs: 10 * peers } as const) : ({ start: 'formed' } as const)
  const lean = { ...start, groupSize: 0, strict: false, history: 0, writesPerSecond: 0 } as const
  return scenario({ seed: Number(values.seed), peers, ...lean, limits, actions, durationMs })
}

function cpuS(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function keptBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function measure(peers: number): Figures {
  const bare = keptBytes()
  const [begun, begunAt] = [cpuS(), performance.now()]
  const plan = planned(peers)
  const simulator = new Simulator(plan, {})
  simulator.advance(restedMs(peers) - 1)
  const [formedCpuS, formedEvents] = [cpuS() - begun, simulator.kernel.events / peers]
  const [rested, restedAt] = [cpuS(), performance.now()]
  const bytesPerPeer = (keptBytes() - bare) / peers
  const [lookedS, lookedMs] = [cpuS() - rested, performance.now() - restedAt]
  const result = simulator.run()
  const wholeS = cpuS() - begun - lookedS
  const { events, informed, upgraded, violations, messages, messagesByKind } = result
  const roundMs = roundMsOf(plan)
  return {
    peers,
    cpuS: wholeS,
    formedCpuS,
    wallS: (performance.now() - begunAt - lookedMs) / 1000,
    events: events / peers,
    formedEvents,
    eventsPerSecond: events / wholeS,
    messages: messages / peers,
    messagesByKind: Object.fromEntries(Object.entries(messagesByKind).map(([kind, all]) => [kind, all / peers])),
    bytesPerPeer,
    rssMb: process.memoryUsage().rss / 2 ** 20,
    informedRounds: { p50: informed.p50 / roundMs, p9999: informed.p9999 / roundMs },
    upgradedMaxS: upgraded.max / 1000,
    idle: Number(values.idle) > 0 ? idle(simulator, Number(values.idle)) : null,
    violations: violations.map(({ rule, text }) => `${rule}: ${text}`)
  }
}

/** A fleet with nothing to do: after an hour in which the roll-out's echoes fade. */
function idle(simulator: Simulator, hours: number): Figures['idle'] {
  const { kernel, scenario } = simulator
  simulator.advance(kernel.now + HOUR_MS)
  const [events, begun] = [kernel.events, cpuS()]
  simulator.advance(kernel.now + hours * HOUR_MS)
  return {
    eventsPerHour: (kernel.events - events) / scenario.peers / hours,
    cpuSPerDay: ((cpuS() - begun) / hours) * 24
  }
}

function inItsOwnProcess(peers: number): Figures {
  const script = fileURLToPath(import.meta.url)
  const names = ['view', 'strangers', 'passive', 'over', 'idle', 'seed'] as const
  const options = [...names.flatMap((name) => [`--${name}`, values[name]]), ...(values.join ? ['--join'] : [])]
  const node = [...NODE_OPTIONS, script, '--one', String(peers), ...options]
  return JSON.parse(execFileSync(process.execPath, node, { encoding: 'utf8', maxBuffer: 2 ** 24 })) as Figures
}

/** Rounds after which this share of a fleet is informed: x(t) = 1/(1 + (N + 1)·e^(−fanout·t/2)), solved for t. */
const serfRounds = (peers: number, share: number): number =>
  Math.log(((peers + 1) * share) / (1 - share)) / (SERF_FANOUT / 2)

const round = (number: number, digits = 0) => number.toFixed(digits)

function rowOf(one: Figures): string {
  const { p50, p9999 } = one.informedRounds
  const cells = [
    one.peers,
    `${round(one.cpuS, 1)} (${round(one.formedCpuS, 1)})`,
    round(one.wallS, 1),
    `${round(one.events)} (${round(one.formedEvents)})`,
    round(one.messages),
    `${round(one.eventsPerSecond / 1000)} k`,
    `${round(one.bytesPerPeer / 1024, 1)} KB`,
    `${round(one.rssMb)} MB`,
    `${round(p50, 1)} / ${round(serfRounds(one.peers, 0.5), 1)}`,
    `${round(p9999, 1)} / ${round(serfRounds(one.peers, 0.9999), 1)}`,
    one.idle === null ? '–' : `${round(one.idle.eventsPerHour, 1)}; ${round(one.idle.cpuSPerDay, 1)} s`
  ]
  return `| ${cells.join(' | ')} |`
}

const HEAD = [
  'peers',
  'CPU s (forming)',
  'wall s',
  'events a peer (forming)',
  'messages a peer',
  'events a CPU s',
  'idle peer',
  'rss',
  'p50 informed, rounds / Serf',
  'p99.99',
  'idle: events a peer and hour; CPU a day'
]

/** Of time over size: least squares over the logarithms. */
function exponentOf(all: readonly Figures[]): number {
  const points = all.map(({ peers, cpuS }) => [Math.log(peers), Math.log(cpuS)] as const)
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0)
  return over / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}

const sizes = positionals.length > 0 ? positionals.map(Number) : SIZES
if (values.one) console.log(JSON.stringify(measure(sizes[0]!)))
else {
  const all: Figures[] = []
  if (!values.json) console.log(`| ${HEAD.join(' | ')} |\n|${'---|'.repeat(HEAD.length)}`)
  for (const peers of sizes) {
    const one = inItsOwnProcess(peers)
    all.push(one)
    console.log(values.json ? JSON.stringify(one) : rowOf(one))
    for (const text of one.violations) console.error(`violation at ${peers} peers: ${text}`)
    if (one.violations.length > 0) process.exitCode = 1
  }
  const exponent = all.length > 1 ? exponentOf(all) : undefined
  if (values.json) console.log(JSON.stringify({ exponent }))
  else if (exponent !== undefined) console.log(`\ntime grows as peers to the power of ${round(exponent, 2)}`)
}
