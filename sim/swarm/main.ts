/** Command line of the swarm (SPEC M47): draws scenarios from seeds, runs them, makes what fails small. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { Refusal } from '../../src/errors.ts'
import { commitOf } from '../commit.ts'
import { drawFaults } from '../faults.ts'
import { performAll } from '../jobs.ts'
import type { Outcome } from '../outcome.ts'
import { progressOn } from '../progress.ts'
import type { Scenario } from '../scenario.ts'
import { type Result, run } from '../simulator.ts'
import { freshSeed } from './fresh.ts'
import { shrink } from './shrink.ts'
import { textOf, writtenIn } from './written.ts'

interface Options {
  seed?: number
  seeds: number
  jobs: number
  peers?: number
  shrink: number
  out: string
  replay?: string
}

const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('a whole number is needed')
  return number
}

const program = new Command('scripts/swarm')
  .description('runs fleets whose whole story is drawn from a seed, and watches every event')
  .option('--seed <n>', 'first seed (default: fresh ones, from the time)', whole)
  .option('--seeds <n>', 'how many', whole, 100)
  .option('--jobs <n>', 'how many at a time, in threads', whole, 2)
  .option('--peers <n>', 'size of the fleets (default: drawn)', whole)
  .option('--shrink <n>', 'runs to make what fails smaller; 0: none', whole, 150)
  .option('--out <directory>', 'where scenarios that fail are written', join(tmpdir(), 'upstart-swarm'))
  .option('--replay <file>', 'runs a scenario that was written')

/** A run that failed, in the words of which an engineer begins. */
function say(said: string, commit: string, { violations, stuck }: Pick<Result, 'violations' | 'stuck'>): void {
  for (const one of violations) {
    console.log(`FAILED ${said} commit ${commit}: ${one.rule} at ${one.atMs.toFixed(1)} ms, ${one.peer}: ${one.text}`)
    for (const line of one.history) console.log(`    ${line}`)
  }
  for (const { peer, why } of stuck.slice(0, 8)) console.log(`    stuck: ${peer}: ${why}`)
}

async function reduce(outcome: Outcome, peers: number | undefined, { shrink: runs, out }: Options): Promise<void> {
  const { seed, commit, violations } = outcome
  const { rule } = violations[0]!
  const { scenario } = drawFaults(seed, peers)
  const breaks = (candidate: Scenario) => run(candidate).violations[0]?.rule === rule
  const small = shrink(scenario, breaks, runs)
  const result = run(small.scenario)
  // What breaks early need not be watched for long; what is stuck must have had its time.
  const ended = rule === 'M18' ? small.scenario : { ...small.scenario, durationMs: result.violations[0]!.atMs + 1 }
  await mkdir(out, { recursive: true })
  const file = join(out, `seed-${seed}.json`)
  await writeFile(file, textOf({ rule, commit, scenario: ended }))
  const { actions, faults } = ended
  console.log(
    `shrunk in ${small.runs} runs to ${ended.peers} peers, ${actions.length} of ${scenario.actions.length} actions, ${faults.length} of ${scenario.faults.length} faults:`
  )
  for (const one of [...actions, ...faults].sort((a, b) => a.atMs - b.atMs)) console.log(`  ${JSON.stringify(one)}`)
  say(`shrunk seed ${seed}`, commit, result)
  console.log(`again: scripts/swarm --replay ${file}`)
}

async function replay(file: string): Promise<boolean> {
  const { rule, commit, scenario } = writtenIn(file, await readFile(file, 'utf8'))
  const result = run(scenario, { commit: commitOf() })
  if (result.violations.length === 0)
    console.log(`seed ${scenario.seed}: nothing is violated at commit ${result.commit}; at ${commit} it was ${rule}`)
  else say(`${file} (seed ${scenario.seed})`, result.commit, result)
  return result.violations.length > 0
}

async function sweep(options: Options): Promise<boolean> {
  const { seed = freshSeed(Date.now()), seeds, jobs, peers } = options
  const commit = commitOf()
  const task = { variant: {}, commit, scenario: 'faults', faults: true as const, peers }
  const tasks = Array.from({ length: seeds }, (_, index) => ({ ...task, seed: seed + index }))
  console.log(`seeds ${seed} to ${seed + seeds - 1}, commit ${commit}`)
  const progress = progressOn(process.stderr, tasks.length)
  const failed: Outcome[] = []
  let events = 0
  const before = process.cpuUsage()
  const begunMs = performance.now()
  await performAll(tasks, jobs, {
    standing: progress.standing,
    run: ({ outcome }, index) => {
      progress.ended(index)
      events += outcome.events
      if (outcome.violations.length === 0) return
      failed.push(outcome)
      progress.done()
      const { violations, stuck } = outcome
      say(`seed ${outcome.seed}`, commit, { violations, stuck: stuck.first })
    }
  })
  progress.done()
  const { user, system } = process.cpuUsage(before)
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  const took = `${events} events in ${seconds(performance.now() - begunMs)}, ${seconds((user + system) / 1000)} of processor`
  console.log(`${seeds - failed.length} of ${seeds} seeds hold; ${took}`)
  if (options.shrink > 0) for (const outcome of failed.slice(0, MOST_SHRUNK)) await reduce(outcome, peers, options)
  return failed.length > 0
}

/** Many failures have few causes. */
const MOST_SHRUNK = 3

const options = program.parse().opts<Options>()
try {
  process.exitCode = (options.replay === undefined ? await sweep(options) : await replay(options.replay)) ? 1 : 0
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(`swarm: ${error.name}: ${error.message}`)
  process.exitCode = 2
}
