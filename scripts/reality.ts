/**
 * The simulator against reality (SPEC M61): the same upgrades on real peers over loopback, and simulated with costs that
 * were measured apart from them: node scripts/reality.ts [--peers N] [--processes N] [--runs N] [--bundle MIB]
 * [--over SECONDS] [--only immediate|gradual] [--out DIR] [--json]. Fails where a percentile is out of its bound.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { svgOf } from '../sim/report/plot.ts'
import { immediateSchedule } from '../sim/scenario.ts'
import type { Schedule } from '../src/schedule/schedule.ts'
import { compare, plotOf, quantileOf, tableOf } from './reality/comparison.ts'
import { type Costs, measureCosts } from './reality/costs.ts'
import { type Fleet, RealFleet, type Timed } from './reality/fleet.ts'
import { scenarioOf, simulate, type Work } from './reality/simulated.ts'

const REST_MS = 3_000
/** Upgrades before those that are compared: code is compiled, and single steps are measured while the fleet is calm. */
const CALM_RUNS = 3
const CALM_OVER_MS = 10_000
/** The fleet comes to rest, and is left at rest for so long. */
const SETTLE_MS = 10_000
const IDLE_MS = 15_000

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '50' },
    // As many as the host has processors: peers of one process share one.
    processes: { type: 'string', default: '2' },
    runs: { type: 'string', default: '20' },
    bundle: { type: 'string', default: '1' },
    over: { type: 'string', default: '10' },
    only: { type: 'string' },
    out: { type: 'string' },
    json: { type: 'boolean', default: false }
  }
})
const runs = Number(values.runs)
const fleetOf: Fleet = {
  peers: Number(values.peers),
  processes: Number(values.processes),
  bundleBytes: Number(values.bundle) * 2 ** 20
}
const gradual = (overMs: number): Schedule => ({ when: { kind: 'gradual', overMs, shape: 'even' }, constraints: [] })
const all: Record<string, Schedule> = { immediate: immediateSchedule, gradual: gradual(Number(values.over) * 1000) }
const chosen = Object.entries(all).filter(([name]) => values.only === undefined || values.only === name)
const say = (text: string) => process.stderr.write(`${text}\n`)
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const rest = () => wait(REST_MS)

// One disk for all peers is no part of what is compared: where there is memory for it, nobody waits for a disk.
if (existsSync('/dev/shm')) process.env.TMPDIR = '/dev/shm'

async function play(): Promise<{ work: Work; degree: number; real: Record<string, Timed[]> }> {
  const fleet = await RealFleet.start(fleetOf)
  try {
    say(`${fleetOf.peers} peers know each other`)
    await fleet.upgrade(immediateSchedule)
    for (let run = 0; run < CALM_RUNS; run++) {
      await rest()
      // What the first ones take is the compiler's.
      if (run === 1) await fleet.work()
      await fleet.upgrade(gradual(CALM_OVER_MS))
    }
    const [observed, degree] = [await fleet.work(), await fleet.degree()]
    await wait(SETTLE_MS)
    const idleFromMs = await fleet.processorMs()
    await wait(IDLE_MS)
    const idleMs = (await fleet.processorMs()) - idleFromMs
    const work = { ...observed, restMs: idleMs / fleetOf.peers / (IDLE_MS / 1000) }
    const real: Record<string, Timed[]> = {}
    for (const [name, schedule] of chosen) {
      real[name] = []
      for (let run = 0; run < runs; run++) {
        await rest()
        real[name].push(await fleet.upgrade(schedule))
        say(`${name}, real run ${run + 1} of ${runs}`)
      }
    }
    return { work, degree, real }
  } finally {
    await fleet.close()
  }
}

function meanOf(some: readonly Costs[]): Costs {
  const names = Object.keys(some[0]!) as (keyof Costs)[]
  return Object.fromEntries(
    names.map((name) => [name, some.reduce((sum, one) => sum + one[name], 0) / some.length])
  ) as unknown as Costs
}

function medianMs(runs: readonly Timed[]): number {
  const ordered = runs.map(({ processorMs }) => processorMs).sort((a, b) => a - b)
  return Math.round(quantileOf(ordered, 0.5))
}

const load = [loadavg()[0]!]
const before = await measureCosts()
const { work, degree, real } = await play()
load.push(loadavg()[0]!)
// Once more at the end: whoever else uses the host comes and goes.
const costs = meanOf([before, await measureCosts()])
const scenarios = chosen.map(([name, schedule]) => {
  const scenario = (seed: number) => scenarioOf(fleetOf, schedule, costs, work, seed)
  const simulated = Array.from({ length: runs }, (_, index) => simulate(scenario(index + 1)))
  // Not moved by whoever else uses the host: where these agree and moments do not, it is their waiting for others.
  const processorMs = { real: medianMs(real[name]!), simulated: medianMs(simulated) }
  return { name, compared: compare(real[name]!, simulated), processorMs, real: real[name]!, simulated }
})
const { processors, network } = scenarioOf(fleetOf, immediateSchedule, costs, work, 1)
const parameters = { processors, delayMs: network.delayMs, jitterMs: network.jitterMs }
const report = {
  ...fleetOf,
  runs,
  overMs: Number(values.over) * 1000,
  degree,
  loadAverage: load.map((one) => Number(one.toFixed(2))),
  parameters,
  scenarios: scenarios.map(({ name, compared, processorMs }) => ({ name, compared, processorMs }))
}
if (values.out !== undefined) {
  await mkdir(values.out, { recursive: true })
  await writeFile(join(values.out, 'reality.json'), JSON.stringify({ ...report, moments: scenarios }))
  for (const { name, real: here, simulated } of scenarios) {
    const title = `${fleetOf.peers} real peers and simulated ones, ${name}`
    await writeFile(join(values.out, `reality-${name}.svg`), svgOf(plotOf(name, title, here, simulated)))
  }
}
if (values.json) console.log(JSON.stringify(report))
else {
  console.log(
    `${fleetOf.peers} peers in ${fleetOf.processes} processes, ${runs} runs, bundles of ${values.bundle} MiB, ${degree.toFixed(1)} neighbours; load average ${report.loadAverage.join(' to ')}`
  )
  for (const { name, compared, processorMs } of scenarios) {
    console.log(`\n${name}\n${tableOf(compared)}`)
    console.log(`processor time of a run: real ${processorMs.real} ms, simulated ${processorMs.simulated} ms`)
  }
}
if (scenarios.some(({ compared }) => compared.some((one) => !one.isWithin))) process.exitCode = 1
