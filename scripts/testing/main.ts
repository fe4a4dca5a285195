/**
 * What `scripts/test` runs: the compiler's types, the linter's style, mocha's tests. Type and style errors count as
 * failed tests, so that one line tells the whole; a run without any test has failed.
 */
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import type { Totals } from './reporter.ts'

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

const runTests = (args: string[]): Totals => {
  const directory = mkdtempSync(join(tmpdir(), 'upstart-test-'))
  const totalsFile = join(directory, 'totals.json')
  try {
    const reporter = ['--reporter', resolve('scripts/testing/reporter.ts'), '--reporter-option', `totals=${totalsFile}`]
    const run = spawnSync('mocha', [...reporter, ...args], { stdio: 'inherit' })
    const totals = readTotals(totalsFile)
    // A mocha that died, did not end by itself, or failed outside of any test must not pass for its counts.
    if (run.status !== 0 && totals.failed === 0) totals.failed = 1
    return totals
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const readTotals = (file: string): Totals => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Totals
  } catch (cause) {
    console.log(`mocha ended without its totals: ${String(cause)}`)
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

/** Paths are meant from where the user stands; mocha runs in the repository's root. */
const fromRoot = (given: string, args: string[]): string[] =>
  args.map((arg) => (arg.startsWith('-') || given === process.cwd() ? arg : relative('', resolve(given, arg)) || '.'))

/**
 * Tests without processes, sockets and disks run beside each other, one file on each core. Those of test/node
 * and test/scripts run one after the other: they have bounds in real time, and look at the processes that they started.
 */
const runAll = (): Totals => {
  const [alone, beside] = [true, false].map((one) =>
    globSync('test/**/*.test.ts').filter((file) => /^test[/\\](node|scripts)[/\\]/.test(file) === one)
  ) as [string[], string[]]
  const runs = [runTests(['--parallel', '--jobs', '2', ...beside.sort()]), runTests(alone.sort())]
  const sum = (of: keyof Totals) => runs.reduce((total, run) => total + run[of], 0)
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
}

const [given = process.cwd(), ...args] = process.argv.slice(2)
const typeErrors = countErrors('tsc', ['--noEmit', '--pretty', 'false'], /error TS\d+/g)
const styleErrors = countErrors(
  'biome',
  ['check', '--colors=off', '.'],
  /^\S+:\d+:\d+ .*━|^\S+ (?:format|assist\S*) ━/gm
)
const totals = args.length === 0 ? runAll() : runTests(fromRoot(given, args))
const failed = totals.failed + typeErrors + styleErrors
if (typeErrors + styleErrors > 0) console.log(`${typeErrors} type errors, ${styleErrors} style errors`)
if (totals.passed + totals.failed === 0) console.log('no test ran')
console.log(`${totals.passed} passed, ${failed} failed, ${totals.skipped} skipped`)
process.exitCode = failed > 0 || totals.passed === 0 ? 1 : 0
