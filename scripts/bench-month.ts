/**
 * Whether a fleet that is upgraded every day stays as it is: scripts/bench month [PEERS] [--days N] [--seed N] [--json].
 * Peers come and go for a month of simulated days; each day brings a version, gradually within an hour, and retires and
 * forgets the one of five days before, as operators would. After every day all garbage is collected and what is kept
 * is counted; the slope is that of a straight line through the days after the first seven.
 */
import { parseArgs } from 'node:util'
import { compile } from '../sim/document/compile.ts'
import type { Override } from '../sim/document/document.ts'
import { fitting, loadScenario } from '../sim/document/files.ts'
import { Simulator } from '../sim/simulator.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    days: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false }
  }
})
const peers = Number(positionals[0] ?? 1000)
const days = Number(values.days)
const DAY_MS = 86_400_000
/** Versions that the fleet still serves beside the newest. */
const SERVED = 5
/** Until then sets fill that are bounded: contacts, records, versions that are served. */
const SETTLED_DAYS = 7

interface Day {
  day: number
  bytesPerPeer: number
  events: number
  up: number
  versions: Record<string, number>
}

async function month(): Promise<Simulator> {
  const upgrades = Array.from({ length: days }, (_, day) => ({
    at: `${24 * day + 1}h`,
    bundle: '1MiB',
    schedule: { gradual: { over: '1h' } }
  }))
  const old = Array.from({ length: Math.max(0, days - SERVED) }, (_, day) => day + 1)
  const operator = old.flatMap((version) => [
    { at: `${24 * (version + SERVED - 1) + 12}h`, do: 'retire', version },
    { at: `${24 * (version + SERVED - 1) + 13}h`, do: 'forget', version }
  ])
  const fields = {
    peers,
    groups: { size: 0 },
    start: 'formed',
    strict: false,
    churn: { stay: '3d', away: '20m', until: `${24 * days}h` },
    upgrades,
    operator,
    writes: 0,
    calls: { perSecond: 0 }
  }
  const overrides: Override[] = Object.entries(fields).map(([path, value]) => ({ said: path, path, value }))
  const loaded = await loadScenario(undefined, overrides)
  return new Simulator(
    fitting(loaded, () => compile(loaded.document, loaded.enclosed, Number(values.seed))),
    {}
  )
}

function keptBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function dayOf(simulator: Simulator, day: number, bare: number, before: number): Day {
  const versions: Record<string, number> = {}
  const up = simulator.machines.filter((one) => one.up)
  for (const { record } of up) {
    const version = String(Object.values(record?.objects ?? {})[0]?.version ?? 0)
    versions[version] = (versions[version] ?? 0) + 1
  }
  const events = (simulator.kernel.events - before) / peers
  return { day, bytesPerPeer: (keptBytes() - bare) / peers, events, up: up.length, versions }
}

/** By least squares, a day. */
function slope(kept: readonly Day[], of: (one: Day) => number): number {
  const mean = (all: readonly number[]) => all.reduce((sum, one) => sum + one, 0) / all.length
  const [x, y] = [mean(kept.map((one) => one.day)), mean(kept.map(of))]
  const square = kept.reduce((sum, one) => sum + (one.day - x) ** 2, 0)
  return kept.reduce((sum, one) => sum + (one.day - x) * (of(one) - y), 0) / square
}

if (globalThis.gc === undefined || days < SETTLED_DAYS + 3) {
  console.error(`run it with node --expose-gc, for ${SETTLED_DAYS + 3} days at least`)
  process.exit(2)
}
const bare = keptBytes()
const simulator = await month()
const seen: Day[] = []
if (!values.json) console.log('| day | KB a peer | events a peer | peers up | versions |\n|---|---|---|---|---|')
for (let day = 1; day <= days; day++) {
  const before = simulator.kernel.events
  simulator.advance(day * DAY_MS)
  const one = dayOf(simulator, day, bare, before)
  seen.push(one)
  const versions = Object.entries(one.versions).map(([version, count]) => `${version}: ${count}`)
  const figures = [day, (one.bytesPerPeer / 1024).toFixed(1), one.events.toFixed(0), one.up, versions.join(', ')]
  if (!values.json) console.log(`| ${figures.join(' | ')} |`)
}
const settled = seen.slice(SETTLED_DAYS)
const { violations } = simulator.checkers
const result = {
  peers,
  days,
  bytesPerPeerAndDay: slope(settled, (one) => one.bytesPerPeer),
  eventsPerPeerAndDay: slope(settled, (one) => one.events),
  violations: violations.map(({ rule, text }) => `${rule}: ${text}`),
  cpuS: (process.cpuUsage().user + process.cpuUsage().system) / 1e6
}
if (values.json) console.log(JSON.stringify({ ...result, days: seen }))
else {
  console.log(`heap: ${result.bytesPerPeerAndDay.toFixed(0)} bytes a peer and day after the first ${SETTLED_DAYS} days`)
  console.log(
    `events: ${result.eventsPerPeerAndDay.toFixed(1)} more a peer each day; ${result.cpuS.toFixed(0)} s of processor`
  )
  for (const violation of result.violations) console.log(violation)
}
process.exit(result.violations.length > 0 ? 1 : 0)
