/** Peers as processes of their own: `upstart-peer`, each with its data directory and its log, all on loopback. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { HostCommandName } from '../../src/overlay/events.ts'

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
  process: ChildProcess
  readonly logPath: string
}

/** What of a peer is killed: one of its processes, or the daemon with all that it has started. */
export type Victim = 'daemon' | 'all' | 'object' | 'transform'

/** What a fleet that is to be killed needs beyond an ordinary one (SPEC X6). */
export interface Hunted {
  /** Told of each command that a daemon gives to its host. */
  heard(name: string, command: HostCommandName): void
}

/** Who a peer is to be. */
export interface Named {
  readonly name: string
  readonly group: string
  /** Further options of `upstart-peer`. */
  readonly flags?: readonly string[]
  /** Variables beyond ours. */
  readonly environment?: Readonly<Record<string, string>>
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
  readonly #hunted: Hunted | undefined
  /** Daemons that were killed on purpose. */
  readonly #struck = new Set<ChildProcess>()
  #ending = false

  /** @param died told of a peer that ends though nobody asked it to */
  constructor(directory: string, root: string, died: (reason: Error) => void, hunted?: Hunted) {
    this.#directory = directory
    this.#root = root
    this.#died = died
    this.#hunted = hunted
  }

  get members(): readonly Member[] {
    return this.#members
  }

  async start(peers: readonly Named[], started: () => void): Promise<void> {
    // Loading the program is most of a peer's start. A process that ends leaves its compiled code to all that follow.
    await once(this.#spawn(['--version'], 'ignore', 'ignore'), 'exit')
    const [first, ...rest] = peers
    const begin = async (one: Named, bootstrap: string[]): Promise<Started> =>
      await this.#start(one, bootstrap, this.#hunted === undefined ? 0 : await freePort())
    const members: Started[] = [await begin(first!, [])]
    const left = rest.entries()
    const startNext = async (): Promise<void> => {
      for (const [index, one] of left) {
        members[index + 1] = await begin(one, [members[0]!.address])
        started()
      }
    }
    await Promise.all(Array.from({ length: STARTING_AT_ONCE }, startNext))
    this.#members.push(...members)
  }

  /**
   * SIGKILL for one process of a peer, or for all at once. @param turn which one, where there are several
   * @returns what was killed: the object's process where no TF runs, the daemon where it has no such process
   */
  async strike(name: string, wanted: Victim, turn: number): Promise<Victim> {
    const { process: daemon } = this.#member(name)
    const children = await childrenOf(daemon.pid!)
    const victim = [wanted, 'object' as const].find((one) => children.some(({ role }) => role === one))
    if (victim !== undefined && wanted !== 'daemon' && wanted !== 'all') {
      const those = children.filter(({ role }) => role === victim)
      killOne(those[turn % those.length]!.pid)
      return victim
    }
    this.#struck.add(daemon)
    const gone = hasEnded(daemon) ? undefined : once(daemon, 'exit')
    daemon.kill('SIGKILL')
    if (wanted === 'all') for (const { pid } of children) killOne(pid)
    await gone
    return wanted === 'all' ? 'all' : 'daemon'
  }

  /** The processes of a peer, the daemon first. */
  async processesOf(name: string): Promise<{ pid: number; role: string }[]> {
    const daemon = this.#member(name).process.pid!
    return [{ pid: daemon, role: 'daemon' }, ...(await childrenOf(daemon))]
  }

  /**
   * Starts a daemon that was killed, at the address that it had, on the directory that it left.
   * @param environment variables beyond ours, of this life
   */
  async restart(name: string, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#ending) return
    const member = this.#member(name)
    const bootstrap = this.#members.filter((one) => one !== member).slice(0, 1)
    const { address } = member
    const started = await this.#start(
      { ...member, environment },
      bootstrap.map((one) => one.address),
      Number(/\/tcp\/(\d+)/.exec(address)?.[1])
    )
    if (started.address !== address) throw new Error(`${name} came back as ${started.address}, it was ${address}`)
    member.process = started.process
  }

  #member(name: string): Started {
    const found = this.#members.find((one) => one.name === name)
    if (found === undefined) throw new Error(`no peer is called ${name}`)
    return found
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

  async #start({ name, group, flags = [], environment }: Named, bootstrap: string[], port: number): Promise<Started> {
    const data = join(this.#directory, name)
    const logPath = `${data}.log`
    await mkdir(data, { recursive: true, mode: 0o700 })
    const args = ['--data', data, '--root', this.#root, '--group', group, ...flags]
    for (const address of bootstrap) args.push('--bootstrap', address)
    if (port !== 0) args.push('--listen', `/ip4/127.0.0.1/tcp/${port}`)
    if (this.#hunted !== undefined) args.push('--log-level', 'debug')
    const child = this.#spawn(args, 'pipe', 'pipe', environment)
    createInterface(child.stderr!).on('line', (line) => {
      appendFileSync(logPath, `${line}\n`)
      const command = commandIn(line)
      if (command !== undefined) this.#hunted?.heard(name, command)
    })
    child.on('exit', (code, signal) => {
      if (!this.#ending && !this.#struck.has(child))
        this.#died(new Error(`peer ${name} ended (${signal ?? `exit code ${code}`}); see ${logPath}`))
    })
    const [line] = await Promise.race([
      once(createInterface(child.stdout!), 'line') as Promise<[string]>,
      once(child, 'exit').then((): [string] => {
        throw new Error(`peer ${name} did not start: ${warningsIn(logPath).at(-1) ?? 'it said nothing'}`)
      })
    ])
    const { peer, addresses } = JSON.parse(line) as { peer: string; addresses: string[] }
    return { name, group, peer, address: addresses[0]!, process: child, logPath }
  }

  #spawn(
    args: string[],
    stdout: 'pipe' | 'ignore',
    stderr: 'pipe' | 'ignore',
    environment: Readonly<Record<string, string>> = {}
  ): ChildProcess {
    const env = {
      ...process.env,
      ...environment,
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(this.#directory, 'compiled')
    }
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', stdout, stderr], env })
    this.#processes.push(child)
    return child
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

const killOne = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It ended by itself since it was seen.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const run = promisify(execFile)

/** What a daemon has started, by what its command line says that it is for (SPEC H6). */
async function childrenOf(daemon: number): Promise<{ pid: number; role: string }[]> {
  const { stdout } = await run('ps', ['-axww', '-o', 'pid=,ppid=,args='], { maxBuffer: 64 * 1024 * 1024 })
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, args] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
    if (Number(parent) !== daemon) return []
    return [{ pid: Number(pid), role: / (object|transform) \S+ \d+$/.exec(args!)?.[1] ?? 'other' }]
  })
}

/** Below the range from which systems take ports for outgoing connections: it stays free while its peer is down. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    const taken = Promise.withResolvers<boolean>()
    server.once('error', () => taken.resolve(true))
    server.listen(port, '127.0.0.1', () => taken.resolve(false))
    const isTaken = await taken.promise
    server.close()
    if (!isTaken) return port
  }
}

/** The command of a line of the daemon's log that tells of one. */
function commandIn(line: string): HostCommandName | undefined {
  if (!line.includes('"msg":"host command"')) return undefined
  return (JSON.parse(line) as { command: HostCommandName }).command
}

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
