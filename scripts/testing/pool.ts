/** Runs tests in mocha processes, several at a time; what each prints is shown whole when it has ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { setPriority, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Outcome } from './reporter.ts'

/** What one mocha process runs. */
export interface Batch {
  /** Files, and options of mocha. */
  args: string[]
  /** It needs nothing but the processor, and gives way to tests that have bounds in real time. */
  computes: boolean
}

export interface PoolInit {
  /** How many batches run at a time. */
  lanes: number
  /** The longest that a batch may take; then it is ended, and has failed. */
  boundMs: number
  /** Takes what a batch printed. */
  print: (text: string) => void
}

/** A third of the processor beside one that does not give way: enough to come to an end on a busy machine. */
const GIVING_WAY = 5

export class Pool {
  readonly #init: PoolInit
  readonly #directory = mkdtempSync(join(tmpdir(), 'upstart-test-'))
  readonly #running = new Set<ChildProcess>()
  #started = 0

  constructor(init: PoolInit) {
    this.#init = init
  }

  /**
   * Begins them in their order, but every second lane with those that compute, so that waiting and computing go on
   * beside each other for as long as there are both.
   * @returns the outcome of each, in the order of their ends
   */
  async run(batches: readonly Batch[]): Promise<Outcome[]> {
    const computing = batches.filter((one) => one.computes)
    const waiting = batches.filter((one) => !one.computes)
    const outcomes: Outcome[] = []
    const lane = async (first: Batch[], then: Batch[]): Promise<void> => {
      for (let batch = first.shift() ?? then.shift(); batch !== undefined; batch = first.shift() ?? then.shift())
        outcomes.push(await this.#mocha(batch))
    }
    await Promise.all(
      Array.from({ length: this.#init.lanes }, (_, index) =>
        index % 2 === 0 ? lane(waiting, computing) : lane(computing, waiting)
      )
    )
    return outcomes
  }

  /** Ends what runs, with the processes that it started, and clears away. */
  close(): void {
    for (const child of this.#running) endGroup(child)
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }

  async #mocha({ args, computes }: Batch): Promise<Outcome> {
    const { boundMs, print } = this.#init
    this.#started += 1
    const file = join(this.#directory, `${this.#started}.json`)
    const reporter = ['--reporter', resolve('scripts/testing/reporter.ts'), '--reporter-option', `outcome=${file}`]
    // Half of the start of a process is compiling: what one of them has compiled is there for all.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.#directory, 'compiled') }
    // How long computing takes depends on who else computes: only what waits for something is bounded by itself.
    const timeout = computes ? ['--timeout', String(boundMs)] : []
    // A group of its own, so that no process of its group outlives it.
    const child = spawn('mocha', [...reporter, ...timeout, ...args], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#running.add(child)
    let end = ''
    const bound = setTimeout(() => {
      end = `was ended after ${boundMs / 1000} s`
      endGroup(child)
    }, boundMs)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        // One batch alone is somebody's who watches it.
        if (this.#init.lanes === 1) print(text)
        else output += text
      })
    child.once('exit', (code, signal) => {
      end ||= signal === null ? `ended with exit code ${code}` : `ended by ${signal}`
      endGroup(child)
    })
    child.once('spawn', () => {
      if (computes) setPriority(child.pid!, GIVING_WAY)
    })
    try {
      await once(child, 'close')
    } catch (error) {
      end = `did not start: ${String(error)}`
    }
    clearTimeout(bound)
    this.#running.delete(child)
    print(output)
    return outcomeOf(file, `mocha ${args.join(' ')} ${end}`, child.exitCode === 0)
  }
}

/** A mocha that died, was ended, or failed outside of any test must not pass for its counts. */
function outcomeOf(file: string, end: string, endedWell: boolean): Outcome {
  let outcome: Outcome
  try {
    outcome = JSON.parse(readFileSync(file, 'utf8')) as Outcome
  } catch (cause) {
    return { passed: 0, failed: 1, skipped: 0, failures: `${end}, without its outcome: ${String(cause)}\n` }
  }
  if (endedWell || outcome.failed > 0) return outcome
  return { ...outcome, failed: 1, failures: `${end}, after its tests had passed\n` }
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
