/** Command line of the simulator; the only file of sim/ that does I/O (SPEC M1). */
import { execFileSync } from 'node:child_process'
import { Command, InvalidArgumentError } from 'commander'
import { drawFaults } from './faults.ts'
import { calmHost } from './host.ts'
import { scenario } from './scenario.ts'
import { type Result, run } from './simulator.ts'

const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('a whole number is needed')
  return number
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore']
    }).trim()
  } catch (error) {
    // An installed package lies in no repository; the failure still names its seed.
    return error instanceof Error && 'status' in error ? 'none' : 'no git'
  }
}

interface Options {
  peers?: number
  seed: number
  seeds: number
  groups: number
  faults: boolean
  idle: number
  transformMs?: number
  json: boolean
}

const program = new Command('sim')
  .description('runs the peers of src/ over a virtual network, clock, disk and host')
  .option('--peers <n>', 'size of the fleet (default: 30; with --faults drawn from the seed)', whole)
  .option('--seed <n>', 'first seed', whole, 1)
  .option('--seeds <n>', 'how many seeds to run, one after the other', whole, 1)
  .option('--groups <n>', 'members of a group, 0 for none', whole, 3)
  .option('--faults', 'draw the whole scenario, with faults, from the seed', false)
  .option('--idle <minutes>', 'watch the fleet for so long after it converged', whole, 0)
  .option('--transform-ms <n>', 'how long a TF takes, as "upstart rehearse" tells (a quarter more or less)', whole)
  .option('--json', 'one object per run, one line each', false)
  .parse()

const options = program.opts<Options>()
const commit = commitOf()
let failed = 0

for (let seed = options.seed; seed < options.seed + options.seeds; seed++) {
  const calm = () => {
    const groupSize = options.groups
    // A large fleet is measured, not examined: histories and copies would be most of the cost.
    const large = (options.peers ?? 30) > 300 ? { strict: false, history: 0 } : {}
    const init = { seed, peers: options.peers ?? 30, groupSize, idleMs: options.idle * 60_000, ...large }
    const { transformMs } = options
    if (transformMs === undefined) return { summary: '', scenario: scenario(init) }
    const transform = [transformMs * 0.75, transformMs * 1.25] as const
    const host = { ...calmHost, durationsMs: { ...calmHost.durationsMs, transform } }
    return { summary: '', scenario: scenario({ ...init, host }) }
  }
  const plan = options.faults ? drawFaults(seed, options.peers) : calm()
  const begun = process.hrtime.bigint()
  const result = run(plan.scenario, { commit })
  const wallMs = Number(process.hrtime.bigint() - begun) / 1e6
  if (result.violations.length > 0) failed += 1
  if (options.json) {
    const rssMb = Math.round(process.memoryUsage().rss / 2 ** 20)
    const eventsPerSecond = Math.round((result.events / wallMs) * 1000)
    console.log(JSON.stringify({ ...result, eventsPerSecond, wallMs: Math.round(wallMs), rssMb }))
  } else say(result, plan.summary, wallMs)
}
process.exitCode = failed > 0 ? 1 : 0

function say(result: Result, summary: string, wallMs: number): void {
  const { seed, peers, events, upgraded, groupDownMax, violations } = result
  const end = result.converged ? `converged after ${(result.endedAtMs / 1000).toFixed(0)} s` : 'stuck'
  const speed = `${events} events in ${wallMs.toFixed(0)} ms`
  console.log(
    `seed ${seed}: ${summary || `${peers} peers`}; ${end}; upgraded p50 ${upgraded.p50} ms, max ${upgraded.max} ms; ` +
      `at most ${groupDownMax} of a group down; ${result.messages} messages; ${speed}; trace ${result.trace}`
  )
  const { components, oneSided, neighbours, known } = result.overlay
  console.log(
    `  overlay: ${components} part${components === 1 ? '' : 's'}, ${oneSided} one-sided; neighbours ${neighbours.least} to ${neighbours.most} (mean ${neighbours.mean}); known to ${known.least} to ${known.most} passive sets (mean ${known.mean}, deviation ${known.deviation})`
  )
  for (const violation of violations) {
    console.log(
      `  VIOLATION ${violation.rule} seed ${seed} commit ${commit} at ${violation.atMs.toFixed(1)} ms, ${violation.peer}: ${violation.text}`
    )
    for (const line of violation.history) console.log(`    ${line}`)
  }
  for (const { peer, why } of result.stuck.slice(0, 8)) console.log(`  STUCK ${peer}: ${why}`)
}
