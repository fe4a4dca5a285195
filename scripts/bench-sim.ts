/**
 * What a roll-out on a simulated fleet costs: node scripts/bench-sim.ts [PEERS…] [--view N] [--strangers N] [--over MINUTES] [--json].
 * Each size runs in a process of its own: N peers without groups install version 1, rest, and get version 2, each at its
 * moment within an hour. Counts follow from the seed; times are processor time of this machine, and depend on its load.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Action, immediateSchedule, type Scenario, scenario } from '../sim/scenario.ts'
import { Simulator } from '../sim/simulator.ts'
import { gradual } from '../src/schedule/combinators.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    view: { type: 'string', default: '256' },
    strangers: { type: 'string', default: '256' },
    over: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    one: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false }
  }
})
/** The fleet has met, installed version 1 and come to rest by then, ms. */
const restedMs = (peers: number) => 10 * 60_000 + peers * 10

interface Figures {
  peers: number
  joinEvents: number
  events: number
  eventsPerSecond: number
  messages: number
  messagesByKind: Record<string, number>
  heapPerPeer: number
  rssMb: number
  joinCpuS: number
  cpuS: number
  upgradedMaxS: number
  violations: string[]
}

function planned(peers: number): Scenario {
  const upgrade = { what: 'upgrade', pieces: 1, future: true, past: true } as const
  const over = Number(values.over) * 60_000
  const limits = { view: Number(values.view), strangers: Number(values.strangers) }
  const actions: Action[] = [
    { atMs: 1500, ...upgrade, schedule: immediateSchedule },
    { atMs: restedMs(peers), ...upgrade, schedule: { when: gradual({ over }), constraints: [] } }
  ]
  const durationMs = restedMs(peers) + over + 30 * 60_000
  // A hundred peers a second: a fleet that starts within one measures how few know each other then.
  const startMs = peers * 10
  const lean = { startMs, groupSize: 0, strict: false, history: 0, writesPerSecond: 0 }
  return scenario({ seed: Number(values.seed), peers, ...lean, limits, actions, durationMs })
}

const cpuS = (): number => process.cpuUsage().user / 1e6

function heapBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function measure(peers: number): Figures {
  const [bare, begun] = [heapBytes(), cpuS()]
  const simulator = new Simulator(planned(peers), {})
  simulator.advance(restedMs(peers) - 1)
  const joinCpuS = cpuS() - begun
  const heapPerPeer = (heapBytes() - bare) / peers
  const { sentByKind, sent } = simulator.network
  const [events, before, byKind] = [simulator.kernel.events, cpuS(), { ...sentByKind }]
  const result = simulator.run()
  const spentS = cpuS() - before
  const kinds = Object.entries(result.messagesByKind).map(([kind, all]) => [kind, (all - (byKind[kind] ?? 0)) / peers])
  return {
    peers,
    joinEvents: events / peers,
    events: (result.events - events) / peers,
    eventsPerSecond: (result.events - events) / spentS,
    messages: (result.messages - sent) / peers,
    messagesByKind: Object.fromEntries(kinds),
    heapPerPeer,
    rssMb: process.memoryUsage().rss / 2 ** 20,
    joinCpuS,
    cpuS: spentS,
    upgradedMaxS: result.upgraded.max / 1000,
    violations: result.violations.map(({ rule, text }) => `${rule}: ${text}`)
  }
}

function inItsOwnProcess(peers: number): Figures {
  const script = fileURLToPath(import.meta.url)
  const sizes = ['--view', values.view, '--strangers', values.strangers]
  const options = [...sizes, '--over', values.over, '--seed', values.seed]
  const node = ['--expose-gc', '--max-old-space-size=16384', script, '--one', String(peers), ...options]
  return JSON.parse(execFileSync(process.execPath, node, { encoding: 'utf8', maxBuffer: 2 ** 24 })) as Figures
}

const round = (number: number, digits = 0) => number.toFixed(digits)

function say(one: Figures): void {
  const kinds = Object.entries(one.messagesByKind)
    .sort((a, b) => b[1] - a[1])
    .map(([kind, count]) => `${kind} ${round(count, 1)}`)
  console.log(
    `| ${one.peers} | ${round(one.joinEvents)} | ${round(one.events)} | ${round(one.messages)} | ${kinds.join(', ')} | ${round(one.eventsPerSecond / 1000)} k | ${round(one.joinCpuS, 1)} | ${round(one.cpuS, 1)} | ${round(one.heapPerPeer / 1024, 1)} KB | ${round(one.rssMb)} MB |`
  )
  for (const text of one.violations) console.log(`violation at ${one.peers} peers: ${text}`)
}

const sizes = positionals.length > 0 ? positionals.map(Number) : [100, 1000, 10_000]
if (values.one) console.log(JSON.stringify(measure(sizes[0]!)))
else {
  if (!values.json) {
    console.log(
      '| peers | events to join, a peer | events of the roll-out, a peer | messages of it, a peer | by kind | events/s | join CPU s | roll-out CPU s | heap, an idle peer | rss |'
    )
    console.log('|---|---|---|---|---|---|---|---|---|---|')
  }
  for (const peers of sizes) {
    const one = inItsOwnProcess(peers)
    if (values.json) console.log(JSON.stringify(one))
    else say(one)
    if (one.violations.length > 0) process.exitCode = 1
  }
}
