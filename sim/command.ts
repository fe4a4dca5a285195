/** The command line of the simulator (SPEC C16): `upstart sim` is this, in a process of its own. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { Refusal } from '../src/errors.ts'
import { commitOf } from './commit.ts'
import { ScenarioText } from './document/document.ts'
import { readyScenarios } from './document/files.ts'
import { performAll } from './jobs.ts'
import { merged } from './merge.ts'
import { NO_CURVES, type Run } from './outcome.ts'
import { planOf, type RunOptions } from './plan.ts'
import { progressOn } from './progress.ts'
import { writeReport } from './report/directory.ts'
import { sharded, shardIn, shardOf } from './shard.ts'
import { summarize, tableOf } from './statistics.ts'
import { sentenceOf } from './text.ts'

export interface Streams {
  out(text: string): void
  error(text: string): void
  /** Where a bar may be drawn. */
  screen: NodeJS.WriteStream
  environment: NodeJS.ProcessEnv
}

interface Options extends RunOptions {
  json: boolean
  out?: string
}

const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('a whole number is needed')
  return number
}
const positive = (text: string): number => {
  if (whole(text) === 0) throw new InvalidArgumentError('at least 1 is needed')
  return whole(text)
}

function assignment(text: string): [string, string] {
  const found = /^([A-Za-z][\w.]*)=(.+)$/s.exec(text)
  if (found === null) throw new InvalidArgumentError('write it as field=value, like network.loss=0.01')
  return [found[1]!, found[2]!]
}

/** Commas within brackets belong to a value. */
export function commaSeparated(text: string): string[] {
  const parts = ['']
  let depth = 0
  for (const sign of text) {
    if ('([{'.includes(sign)) depth += 1
    if (')]}'.includes(sign)) depth -= 1
    if (sign === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += sign
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

/** @returns the exit code: 1 if a run violated a rule, 2 for a wrong command line. */
export async function simulate(args: readonly string[], streams: Streams): Promise<number> {
  const json = args.includes('--json')
  let failed = false
  const program = programOf(args, streams, (result) => {
    failed = result
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return failed ? 1 : 0
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    const text = (error as Error).message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
    const isUsage = error instanceof CommanderError || (error instanceof Refusal && error.code === 'Usage')
    if (!isUsage && !(error instanceof Refusal)) throw error
    const failure = {
      name: isUsage ? 'Usage' : error.name,
      message: isUsage ? `${text}; see "upstart sim --help"` : text
    }
    if (json) streams.out(`${JSON.stringify({ error: failure })}\n`)
    else streams.error(`upstart: ${failure.name}: ${failure.message}\n`)
    return isUsage ? 2 : 1
  }
}

function programOf(args: readonly string[], streams: Streams, ended: (failed: boolean) => void): Command {
  const append =
    <T>(parse: (text: string) => T) =>
    (text: string, before: T[]): T[] => [...before, parse(text)]
  const swept = (text: string): [string, string[]] => {
    const [key, values] = assignment(text)
    return [key, commaSeparated(values)]
  }
  const program = new Command('upstart sim')
    .description('runs the peers of src/ over a virtual network, clock, disk and host')
    .argument('[scenario]', 'a YAML file, or the name of a ready scenario (default: a calm fleet)')
    .option('--peers <n>', 'size of the fleet (default: 30; with --faults drawn from the seed)', positive)
    .option('--groups <n>', 'members of a group, 0 for none (default: 3)', whole)
    .option('--seed <n>', 'first seed', whole, 1)
    .option('--seeds <n>', 'how many seeds to run', positive, 1)
    .option('--jobs <n>', 'how many runs at a time, in threads', positive, 1)
    .option(
      '--shard <i/n>',
      "this process's share of the runs (default: as a Kubernetes Indexed Job or a Slurm array says)"
    )
    .option('--set <field=value>', 'overrides a field of the scenario, like network.loss=0.01', append(assignment), [])
    .option('--sweep <field=a,b,c>', 'runs all of it with each value', append(swept), [])
    .option(
      '--compare <a,b>',
      "runs all of it with each schedule: a scenario's, an upgrade file's, a YAML file's",
      commaSeparated
    )
    .option('--schedule <schedule>', 'of the last upgrade: a name or a condition, like "gradual: { over: 1h }"')
    .option('--upgrade <file>', 'the last upgrade is this one, as "upstart pack" wrote it')
    .option('--rehearsal <file>', 'its TF takes as long as "upstart rehearse --json" told in this file')
    .option('--transform-ms <n>', 'its TF takes so long (a quarter more or less)', whole)
    .option('--duration <time>', 'simulated time after which a run that has not converged is stuck')
    .option('--idle <minutes>', 'watch the fleet for so long after it converged', whole)
    .option('--faults', 'draw the whole scenario, with faults, from the seed', false)
    .option('--json', 'one object per run, one line each; of several runs the last line has the statistics', false)
    .option('--out <directory>', 'write the runs, CSV time series and an HTML report there')
    .exitOverride()
    .configureOutput({ writeOut: (text) => streams.out(text), writeErr: () => undefined })
  const said = ['upstart sim', ...args].join(' ')
  program.action(async (scenario: string | undefined) =>
    ended(await runAll(scenario, program.opts<Options>(), said, streams))
  )
  program
    .command('merge')
    .description('the answers of several shards as one: files that hold what --json wrote, or runs.jsonl of --out')
    .argument('<file...>')
    .action(async (files: string[]) => {
      const runs = merged(await Promise.all(files.map(async (file) => ({ file, text: await readAll(file) }))))
      const options = program.opts<Options>()
      if (options.json) for (const { outcome } of runs) streams.out(`${JSON.stringify(outcome)}\n`)
      ended(await tell(runs, options, { description: '', said }, streams))
    })
  program
    .command('scenarios')
    .description('the ready scenarios')
    .action(async () => streams.out(await listed(program.opts<Options>().json)))
  return program
}

async function readAll(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Refusal('Usage', `${file}: ${(error as NodeJS.ErrnoException).code}; name files that shards wrote`)
  }
}

async function listed(json: boolean): Promise<string> {
  const ready = (await readyScenarios()).map(({ name, text }) => {
    const { description, peers } = new ScenarioText(name, text).document()
    return { name, peers, description }
  })
  if (json) return `${JSON.stringify({ scenarios: ready })}\n`
  const rows = ready.map(({ name, description }) => `${name.padEnd(22)} ${description.replace(/\s+/g, ' ').trim()}`)
  return `${rows.join('\n')}\n`
}

async function runAll(
  scenario: string | undefined,
  options: Options,
  said: string,
  streams: Streams
): Promise<boolean> {
  const plan = await planOf(scenario, options, commitOf())
  const shard = options.shard === undefined ? shardIn(streams.environment) : shardOf(options.shard)
  const tasks = shard === undefined ? plan.tasks : sharded(plan.tasks, shard)
  const progress = progressOn(streams.screen, tasks.length)
  const runs: Run[] = []
  await performAll(tasks, options.jobs, {
    standing: progress.standing,
    run: (run, index) => {
      progress.ended(index)
      // A million runs' curves would fill the memory; only a report draws them.
      runs.push(options.out === undefined ? { outcome: run.outcome, curves: NO_CURVES } : run)
      if (options.json) streams.out(`${JSON.stringify(run.outcome)}\n`)
      else if (tasks.length <= SENTENCES || run.outcome.violations.length > 0) {
        progress.done()
        streams.out(sentenceOf(run.outcome))
      }
    }
  })
  progress.done()
  if (tasks.length === 0) throw new Refusal('Usage', 'this shard has no run; there are more shards than runs')
  return tell(runs, options, { description: plan.description, said }, streams)
}

/** Up to so many runs are told one by one. */
const SENTENCES = 24

/** What all runs say together. Returns whether one of them broke a rule. */
async function tell(
  runs: Run[],
  { json, out }: Options,
  about: { description: string; said: string },
  streams: Streams
): Promise<boolean> {
  const outcomes = runs.map(({ outcome }) => outcome)
  if (out !== undefined) await writeReport(out, runs, about.description, about.said)
  if (outcomes.length > 1) {
    const summaries = summarize(outcomes)
    if (json) streams.out(`${JSON.stringify({ runs: outcomes.length, summaries })}\n`)
    else streams.out(`${tableOf(summaries)}\n`)
  }
  if (out !== undefined && !json) streams.out(`${join(out, 'report.html')}\n`)
  return outcomes.some((one) => one.violations.length > 0)
}
