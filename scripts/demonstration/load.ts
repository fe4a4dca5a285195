/** The clients' process as the demo sees it: orders go down, news come up, over the channel that node gives a child. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { CallCount } from '../../node/calls/router.ts'

const PROGRAM = fileURLToPath(new URL('./clients.ts', import.meta.url))

export type Version = 1 | 2

export type Order =
  /** `patient`: calls that nobody can say were executed, or that were not, are made again with the same id. */
  | { order: 'open'; root: string; peers: string[]; groups: string[]; keys: number; patient: boolean }
  | { order: 'fill' }
  | { order: 'load'; version: Version }
  | { order: 'stop' }
  | { order: 'check' }
  | { order: 'close' }

export interface Progress {
  news: 'progress'
  written: number
  read: number
  calls: Record<Version, number>
  failed: number
  longestMs: number
}

export type News =
  | Progress
  | { news: 'done'; order: Order['order'] }
  | { news: 'report'; report: LoadReport }
  | { news: 'broken'; reason: string }

export interface LoadReport {
  /** Of the whole run: filling, load and check. */
  calls: CallCount[]
  /** Calls among those that were made again, with the same id, by patient clients: no failures of their own. */
  repeated: number
  /** While the load ran, by the version called: how long calls took. */
  waits: Record<Version, { calls: number; medianMs: number; p99Ms: number; longestMs: number }>
  /** Keys with an acknowledged write. */
  acknowledged: number
  /** One sentence for each key whose last acknowledged write was not what a read found. */
  lost: string[]
  /** Texts of failed calls. */
  failures: string[]
}

export const IDLE: Progress = { news: 'progress', written: 0, read: 0, calls: { 1: 0, 2: 0 }, failed: 0, longestMs: 0 }

export class Load {
  readonly #process: ChildProcess
  readonly #waiting = new Map<Order['order'], () => void>()
  progress = IDLE
  report: LoadReport | undefined
  #ending = false

  /** @param broken told when the process fails, or ends though nobody asked it to */
  constructor(broken: (reason: Error) => void) {
    this.#process = fork(PROGRAM, { serialization: 'advanced' })
    this.#process.on('message', (news: News) => {
      if (news.news === 'progress') this.progress = news
      else if (news.news === 'report') this.report = news.report
      else if (news.news === 'done') this.#waiting.get(news.order)?.()
      else broken(new Error(`the clients failed: ${news.reason}`))
    })
    this.#process.on('exit', (code, signal) => {
      if (!this.#ending) broken(new Error(`the clients' process ended (${signal ?? `exit code ${code}`})`))
    })
  }

  /** Resolves when it has been carried out. */
  async do(order: Order): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(order.order, resolve)
    this.#process.send(order)
    await promise
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#ending = true
    const ended = once(this.#process, 'exit')
    this.#process.send({ order: 'close' } satisfies Order)
    const timer = setTimeout(() => this.kill(), 3_000)
    await ended
    clearTimeout(timer)
  }

  kill(): void {
    this.#ending = true
    if (this.#process.exitCode === null) this.#process.kill('SIGKILL')
  }
}
