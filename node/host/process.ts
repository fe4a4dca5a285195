/**
 * One hosted process as the daemon sees it (SPEC H4, H5, H6): started with a clean environment in a working directory of its own,
 * recorded, watched, and gone when `ended` resolves.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { CallError, Refusal } from '../../src/errors.ts'
import { Conversation, type Handlers, MAX_ERROR_LENGTH } from './conversation.ts'
import { eachLine, type Log } from './lines.ts'
import type { HOST_DEFAULTS } from './options.ts'
import { commandLine, type Reach } from './sandbox.ts'
import { killGroup, type ProcessRecords, residentBytesOf } from './survivors.ts'

export type Settings = typeof HOST_DEFAULTS & { directory: string; compiledDirectory: string }

export interface HostedInit {
  /** What it is for, in words that `ps` shows: `object KV 2`, `transform KV 2`, `probe`. */
  role: string[]
  settings: Settings
  records: ProcessRecords
  confinement: Reach
  handlers: Handlers
  log: Log
}

/** What a process that ended may still have in its pipes is read within this time. */
const LAST_WORDS_MS = 1000
const WATCH_MS = 500
/** How bubblewrap says by which signal its child ended. */
const SIGNAL_CODES: Record<number, NodeJS.Signals> = { 137: 'SIGKILL', 143: 'SIGTERM' }
const MIB = 1024 * 1024

/** A process was killed from outside: no fault of the code that it ran (L20). */
export class Interrupted extends Error {}

export class HostedProcess {
  readonly pid: number
  readonly conversation: Conversation
  /** Resolves with the reason when the process is gone and everything it said was read. */
  readonly ended: Promise<string>
  readonly #process: ChildProcess
  readonly #confined: boolean
  /** It ended by a signal that this daemon did not send (L20). */
  interrupted = false
  /** It ended since its disk was full (L20). */
  lackedSpace = false
  #reason: string | null = null
  #lastLine = ''
  #forget: () => Promise<void> = async () => undefined

  static async start(init: HostedInit): Promise<HostedProcess> {
    await mkdir(init.settings.directory, { recursive: true })
    const workDirectory = await mkdtemp(join(init.settings.directory, 'work-'))
    const hosted = new HostedProcess(init, workDirectory)
    // H5: durable before it is told anything.
    try {
      if (hosted.pid > 0) hosted.#forget = await init.records.add(hosted.pid)
    } catch (error) {
      // Without a record no later daemon would find it: it must not live.
      await hosted.kill('it could not be recorded')
      throw error
    }
    return hosted
  }

  private constructor(init: HostedInit, workDirectory: string) {
    const { role, settings, confinement, handlers, log } = init
    const { maxFrameBytes, maxQueuedBytes } = settings
    const args = [String(maxFrameBytes), String(maxQueuedBytes), settings.compiledDirectory, ...role]
    const line = commandLine(settings.sandbox, { ...confinement, workDirectory }, args)
    // A session of its own: a signal to the daemon's terminal must not end objects before the daemon has drained them.
    this.#process = spawn(line.command, line.args, {
      cwd: workDirectory,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true
    })
    this.pid = this.#process.pid ?? 0
    this.#confined = line.confined
    this.#process.on('error', (error) => this.#end(`it could not be started: ${error.message}`))
    eachLine(this.#process.stdout as Readable, (text) => log(text, { stream: 'stdout' }))
    eachLine(this.#process.stderr as Readable, (text) => {
      if (text.trim() !== '') this.#lastLine = text.trim().slice(0, MAX_ERROR_LENGTH)
      log(text, { stream: 'stderr' })
    })
    this.conversation = new Conversation(this.#process.stdio[3] as Duplex, {
      handlers,
      maxFrameBytes,
      maxQueuedBytes,
      closed: (reason) => this.#closed(reason),
      lost: (kind, sent, reason) => lost(kind, sent, reason, this)
    })
    this.ended = this.#watchEnd(workDirectory)
    this.#watchMemory(settings.maxResidentBytes)
  }

  /** Kills it at once; resolves when it is gone. */
  async kill(reason: string, lackedSpace = false): Promise<void> {
    this.lackedSpace ||= lackedSpace
    this.#end(reason)
    await this.ended
  }

  #end(reason: string): void {
    this.#reason ??= reason
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#killAll()
  }

  /** It leads a group of its own: what it started ends with it, or would go on writing to state that others open. */
  #killAll(): void {
    if (this.pid > 0) killGroup(this.pid)
  }

  /** The pipe of a process that just ended closes too: its exit says more than that. */
  #closed(reason: string): void {
    void Promise.race([this.ended, delay(LAST_WORDS_MS, undefined, { ref: false })]).then(() => this.#end(reason))
    if (reason.startsWith('the other end')) this.#end(reason)
  }

  async #watchEnd(workDirectory: string): Promise<string> {
    const closed = once(this.#process, 'close')
    const [code, signal] = this.pid > 0 ? await once(this.#process, 'exit') : [null, null]
    this.#killAll()
    await Promise.race([closed, delay(LAST_WORDS_MS)])
    const killer = signal ?? (this.#confined ? SIGNAL_CODES[code ?? 0] : undefined)
    const exit = killer === undefined ? `it exited with code ${code}` : `it was killed by ${killer}`
    this.interrupted = this.#reason === null && (killer === 'SIGKILL' || killer === 'SIGTERM')
    const said = this.#lastLine === '' ? '' : `: ${this.#lastLine}`
    const reason = this.#reason ?? `${exit}${said}`
    this.conversation.abandon(reason)
    await rm(workDirectory, { recursive: true, force: true })
    await this.#forget()
    return reason
  }

  /** H6: a limit on the heap alone would not bound buffers, so what the system says it uses is looked at. */
  #watchMemory(maxBytes: number): void {
    if (this.pid === 0) return
    const timer = setInterval(async () => {
      const bytes = await residentBytesOf(this.pid)
      if (bytes > maxBytes) {
        this.#end(`it used ${Math.round(bytes / MIB)} MiB of memory; ${Math.round(maxBytes / MIB)} are allowed`)
      }
    }, WATCH_MS)
    timer.unref()
    void this.ended.then(() => clearInterval(timer))
  }
}

/** H10: what its callers hear of a process that ended with their calls. */
function lost(kind: string, sent: boolean, reason: string, { interrupted, lackedSpace }: HostedProcess): Error {
  if (kind !== 'call' && kind !== 'visit') {
    const text = `the hosted process ended: ${reason}`
    if (lackedSpace) return new Refusal('NoSpace', text)
    return interrupted ? new Interrupted(text) : new Error(text)
  }
  if (sent) return new CallError('OutcomeUnknown', `the object's process ended during the call: ${reason}`)
  return new CallError('Unavailable', `the object's process ended: ${reason}`, { retryAfterMs: 500 })
}
