/**
 * What `scripts/test` runs: the compiler's types, the linter's style, mocha's tests. Type and style errors count as
 * failed tests, so that one line tells the whole; a run without any test has failed.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { allBatches } from './batches.ts'
import { Pool } from './pool.ts'
import type { Outcome, Totals } from './reporter.ts'

/** Several times what the longest file of tests needs on a busy machine. */
const BATCH_MS = 480_000
/** What a user chose may take longer than any one file. */
const CHOSEN_MS = 3_600_000

/** Runs a tool with its output shown; its errors are counted by a pattern, and a bad exit is at least one. */
const countErrors = (tool: string, args: string[], error: RegExp): number => {
  const run = spawnSync(tool, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (run.error !== undefined) {
    console.log(`${tool} did not start: ${run.error.message}`)
    return 1
  }
  if (run.status === 0) return 0
  process.stdout.write(run.stdout + run.stderr)
  return Math.max(1, `${run.stdout}${run.stderr}`.match(error)?.length ?? 0)
}

/** Paths are meant from where the user stands; mocha runs in the repository's root. Other words are values of options. */
const fromRoot = (given: string, args: string[]): string[] =>
  args.map((arg) => {
    const isPath = !arg.startsWith('-') && (arg.includes('*') || existsSync(resolve(given, arg)))
    return isPath ? relative('', resolve(given, arg)) || '.' : arg
  })

/** All tests in batches, more of them at a time than there are cores, for most of them wait; or what the user chose, by itself. */
async function runTests(chosen: string[]): Promise<Outcome[]> {
  const all = chosen.length === 0
  const pool = new Pool({
    lanes: all ? availableParallelism() + 2 : 1,
    boundMs: all ? BATCH_MS : CHOSEN_MS,
    print: (text) => process.stdout.write(text)
  })
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15]
  ] as const) {
    process.once(signal, () => {
      pool.close()
      process.exit(128 + number)
    })
  }
  try {
    return await pool.run(all ? allBatches() : [{ args: chosen, computes: false }])
  } finally {
    pool.close()
  }
}

const [given = process.cwd(), ...args] = process.argv.slice(2)
const typeErrors = countErrors('tsc', ['--noEmit', '--pretty', 'false'], /error TS\d+/g)
const styleErrors = countErrors(
  'biome',
  ['check', '--colors=off', '.'],
  /^\S+:\d+:\d+ .*━|^\S+ (?:format|assist\S*) ━/gm
)
const outcomes = await runTests(fromRoot(given, args))
const sum = (of: keyof Totals) => outcomes.reduce((total, one) => total + one[of], 0)
const failed = sum('failed') + typeErrors + styleErrors
const failures = outcomes.map((one) => one.failures).filter((text) => text !== '')
// Again, for they are far above, between the outputs of others.
if (failures.length > 0) console.log(`\nFailed:\n${failures.join('')}`)
if (typeErrors + styleErrors > 0) console.log(`${typeErrors} type errors, ${styleErrors} style errors`)
if (sum('passed') + failed === 0) console.log('no test ran')
console.log(`${sum('passed')} passed, ${failed} failed, ${sum('skipped')} skipped`)
process.exitCode = failed > 0 || sum('passed') === 0 ? 1 : 0
