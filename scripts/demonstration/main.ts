/** `scripts/demo` (SPEC X): arguments, signals, exit code; everything that it starts and writes is gone when it ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ChaosInit } from './chaos.ts'
import { Demonstration } from './demonstration.ts'
import { GROUP_SIZE } from './fleet.ts'
import { reportOf, reportText } from './report.ts'
import { Program, type Shown, showsNamed } from './schedules/program.ts'

const USAGE = `scripts/demo: a fleet of real processes upgrades itself under load

  --once       end after the report; exit code 0 only if everything held
  --json       no picture; the last line is one JSON object
  --peers N    peers, in groups of three (default 6, at most 60)
  --keys N     keys written before the upgrade (default 10000)
  --chaos      kill -9 upgrading peers at random moments, and start them again
  --seed N     what --chaos draws from (default: drawn, and told in the report)
  --kills N    most kills of one peer with --chaos (default 4)
  --schedule NAMES  no load: show what schedules do, one after another, and check it: manual, window, rolling, big-flip,
               servers-first, custom, pause, canary, failing; several with commas, or all. --peers is any even number from 4 to 12
  --keep       leave the peers' directories and logs where they are
`
const MAX_PEERS = 60
/** Of the small fleet on which schedules are shown. */
const [LEAST_ACTORS, MOST_ACTORS] = [4, 12]
/** More interruptions of one upgrade would be taken for a failure of its version (L20). */
const MAX_KILLS = 4
/** The whole demo, until its report; several times what it takes on two cores that do nothing else. */
const BOUND_MS = 180_000
const BOUND_MS_FOR_EACH_PEER = 12_000

interface Options {
  once: boolean
  json: boolean
  keep: boolean
  peers: number
  keys: number
  /** Null: nobody is killed. */
  chaos: ChaosInit | null
  /** Schedules to be shown; null: the roll-out under load. */
  shows: string[] | null
}

function readOptions(args: string[]): Options {
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    args,
    options: {
      once: flag,
      json: flag,
      keep: flag,
      chaos: flag,
      seed: { type: 'string' },
      kills: { type: 'string' },
      help: { ...flag, short: 'h' },
      peers: { type: 'string', default: '6' },
      keys: { type: 'string', default: '10000' },
      schedule: { type: 'string' }
    }
  })
  if (values.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  const { once, json, keep } = values
  const peers = Number(values.peers)
  if (values.schedule !== undefined) {
    if (values.chaos) throw new Error('--schedule shows schedules one by one; leave --chaos out')
    if (!Number.isInteger(peers) || peers < LEAST_ACTORS || peers > MOST_ACTORS || peers % 2 !== 0)
      throw new Error(`--peers ${values.peers}: an even number from ${LEAST_ACTORS} to ${MOST_ACTORS}`)
    return { once: true, json, keep, peers, keys: 0, chaos: null, shows: showsNamed(values.schedule) }
  }
  const keys = Number(values.keys)
  if (!Number.isInteger(peers) || peers < GROUP_SIZE || peers > MAX_PEERS || peers % GROUP_SIZE !== 0)
    throw new Error(`--peers ${values.peers}: a multiple of ${GROUP_SIZE}, from ${GROUP_SIZE} to ${MAX_PEERS}`)
  if (!Number.isInteger(keys) || keys < 1 || keys > 100_000)
    throw new Error(`--keys ${values.keys}: a number from 1 to 100000`)
  return { once, json, keep, peers, keys, chaos: readChaos(values), shows: null }
}

function readChaos({ chaos, seed, kills }: { chaos: boolean; seed?: string; kills?: string }): ChaosInit | null {
  if (!chaos) {
    if (seed !== undefined || kills !== undefined) throw new Error('--seed and --kills are for --chaos; give that too')
    return null
  }
  const init = { seed: Number(seed ?? 1 + Math.floor(Math.random() * 1_000_000)), mostKills: Number(kills ?? 4) }
  if (!Number.isSafeInteger(init.seed) || init.seed < 0) throw new Error(`--seed ${seed}: a whole number, 0 or more`)
  if (!Number.isInteger(init.mostKills) || init.mostKills < 1 || init.mostKills > MAX_KILLS)
    throw new Error(`--kills ${kills}: a number from 1 to ${MAX_KILLS}`)
  return init
}

async function main(options: Options): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'upstart-demo-'))
  const interrupted = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, resolve)
  })
  try {
    const { shows } = options
    return await (shows === null
      ? underLoad(directory, options, interrupted)
      : schedules(directory, { ...options, shows }, interrupted))
  } finally {
    if (options.keep) process.stderr.write(`the peers' directories and logs are in ${directory}\n`)
    else await rm(directory, { recursive: true, force: true })
  }
}

/** X7. */
async function schedules(
  directory: string,
  { json, peers, shows }: Options & { shows: string[] },
  interrupted: Promise<NodeJS.Signals>
): Promise<number> {
  const program = new Program({ directory, peers, names: shows })
  process.on('exit', () => program.kill())
  try {
    const ended = interrupted.then((signal): never => {
      throw new Error(`ended by ${signal}`)
    })
    const shown: Shown[] = await Promise.race([program.run(), ended])
    const held = shown.every((one) => one.held)
    const odd = shown.filter((one) => !one.held).map(({ name }) => name)
    process.stdout.write(`\n ${held ? 'everything held' : `NOT everything held: ${odd.join(', ')}`}\n`)
    if (json) process.stdout.write(`${JSON.stringify({ held, peers, shown })}\n`)
    return held ? 0 : 1
  } catch (error) {
    process.stdout.write(`${(error as Error).message}\n`)
    for (const warning of program.warnings().slice(-20)) process.stderr.write(`${warning}\n`)
    return 1
  } finally {
    await program.end()
  }
}

async function underLoad(
  directory: string,
  { once, json, peers, keys, chaos }: Options,
  interrupted: Promise<NodeJS.Signals>
): Promise<number> {
  const demonstration = new Demonstration({ directory, peers, keys, json, chaos })
  // Whatever ends this process, also a defect of its own, ends what it started.
  process.on('exit', () => demonstration.kill())
  const { screen, operator } = demonstration
  try {
    const run = demonstration.run(BOUND_MS + BOUND_MS_FOR_EACH_PEER * peers)
    const findings = await Promise.race([run, interrupted])
    if (typeof findings === 'string') {
      screen.end(`ended by ${findings}`)
      return 1
    }
    const report = reportOf(findings)
    screen.end(reportText(findings, report, screen.paint))
    if (!once) process.stdout.write(invitation(operator.root, demonstration.address))
    if (json) process.stdout.write(`${JSON.stringify(report)}\n`)
    if (!once) await interrupted
    return report.held ? 0 : 1
  } catch (error) {
    screen.end(`${(error as Error).message}`)
    for (const warning of demonstration.warnings().slice(-20)) process.stderr.write(`${warning}\n`)
    return 1
  } finally {
    await demonstration.end()
  }
}

const invitation = (root: string, address: string): string => `
 The fleet goes on until you press Ctrl-C. In another terminal:

   export UPSTART_ROOT=${root}
   export UPSTART_PEER=${address}
   npx upstart status --watch
   npx upstart call KV2 get default key-00000 --at 2 --group a
   npx upstart call KV get key-00000 --at 1 --group a

`

try {
  process.exit(await main(readOptions(process.argv.slice(2))))
} catch (error) {
  process.stderr.write(`scripts/demo: ${(error as Error).message}\n`)
  process.exit(2)
}
