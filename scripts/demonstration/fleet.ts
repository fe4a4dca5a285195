/** Peers as processes of their own: `upstart-peer`, each with its data directory and its log, all on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const GROUP_SIZE = 3
const PROGRAM = fileURLToPath(new URL('../../node/bin/upstart-peer.js', import.meta.url))
/** A starting peer needs a second of a core; more at once would only start later together. */
const STARTING_AT_ONCE = 4
/** The daemon ends within 5 s by itself; after this it is killed. */
const END_MS = 6_000

export interface Member {
  /** `a1`, `a2`, `a3`, `b1` …: the letter is the group. */
  readonly name: string
  readonly group: string
  readonly peer: string
  readonly address: string
}

interface Started extends Member {
  readonly process: ChildProcess
  readonly logPath: string
}

export function namesOf(peers: number): { name: string; group: string }[] {
  return Array.from({ length: peers }, (_, index) => {
    const group = String.fromCharCode('a'.charCodeAt(0) + Math.floor(index / GROUP_SIZE))
    return { group, name: `${group}${(index % GROUP_SIZE) + 1}` }
  })
}

export class Fleet {
  readonly #directory: string
  readonly #root: string
  /** Every process ever started, also one that has not said its address yet. */
  readonly #processes: ChildProcess[] = []
  readonly #members: Started[] = []
  readonly #died: (reason: Error) => void
  #ending = false

  /** @param died told of a peer that ends though nobody asked it to */
  constructor(directory: string, root: string, died: (reason: Error) => void) {
    this.#directory = directory
    this.#root = root
    this.#died = died
  }

  get members(): readonly Member[] {
    return this.#members
  }

  async start(peers: number, started: () => void): Promise<void> {
    // Loading the program is most of a peer's start. A process that ends leaves its compiled code to all that follow.
    await once(this.#spawn(['--version'], 'ignore', 'ignore'), 'exit')
    const [first, ...rest] = namesOf(peers)
    const members: Started[] = [await this.#start(first!, [])]
    const left = rest.entries()
    const startNext = async (): Promise<void> => {
      for (const [index, one] of left) {
        members[index + 1] = await this.#start(one, [members[0]!.address])
        started()
      }
    }
    await Promise.all(Array.from({ length: STARTING_AT_ONCE }, startNext))
    this.#members.push(...members)
  }

  /** Ends every process, by its own id; resolves when all are gone. */
  async end(): Promise<void> {
    this.#ending = true
    await Promise.all(
      this.#processes.map(async (process) => {
        if (hasEnded(process)) return
        const ended = once(process, 'exit')
        process.kill('SIGTERM')
        const timer = setTimeout(() => process.kill('SIGKILL'), END_MS)
        await ended
        clearTimeout(timer)
      })
    )
  }

  /** For the last moment of this process, which cannot wait. */
  kill(): void {
    for (const process of this.#processes) if (!hasEnded(process)) process.kill('SIGKILL')
  }

  /** What the peers warned of, newest last. */
  warnings(): string[] {
    return this.#members.flatMap(({ name, logPath }) => warningsIn(logPath).map((text) => `${name}: ${text}`))
  }

  async #start({ name, group }: { name: string; group: string }, bootstrap: string[]): Promise<Started> {
    const data = join(this.#directory, name)
    const logPath = `${data}.log`
    await mkdir(data, { recursive: true, mode: 0o700 })
    const args = ['--data', data, '--root', this.#root, '--group', group]
    for (const address of bootstrap) args.push('--bootstrap', address)
    const child = this.#spawn(args, 'pipe', openSync(logPath, 'w'))
    child.on('exit', (code, signal) => {
      if (!this.#ending) this.#died(new Error(`peer ${name} ended (${signal ?? `exit code ${code}`}); see ${logPath}`))
    })
    const [line] = (await once(createInterface(child.stdout!), 'line')) as [string]
    const { peer, addresses } = JSON.parse(line) as { peer: string; addresses: string[] }
    return { name, group, peer, address: addresses[0]!, process: child, logPath }
  }

  #spawn(args: string[], stdout: 'pipe' | 'ignore', stderr: number | 'ignore'): ChildProcess {
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.#directory, 'compiled') }
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', stdout, stderr], env })
    this.#processes.push(child)
    return child
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

const WARNING = 40

/** The log is pino's: a JSON object on each line; what is not is the last words of a runtime. */
function warningsIn(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.flatMap((line) => {
    if (!line.startsWith('{')) return line.trim() === '' ? [] : [line]
    const { level, msg, ...rest } = JSON.parse(line) as { level: number; time: number; msg: string }
    return level < WARNING ? [] : [`${msg} ${JSON.stringify({ ...rest, time: undefined })}`]
  })
}
