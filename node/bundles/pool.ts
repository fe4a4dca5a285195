/** A few worker threads with one queue each; work goes to the least busy one (SPEC D12). */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Refusal, type RefusalName } from '../../src/errors.ts'
import type { Answer, Request, Work, WorkResult } from './work.ts'

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** One thread, started at its first work, and anew after it died. */
class Thread {
  #worker: Worker | null = null
  readonly #waiting = new Map<number, Waiting>()
  #next = 0

  get load(): number {
    return this.#waiting.size
  }

  run(work: Work, transfer: ArrayBuffer[]): Promise<unknown> {
    this.#worker ??= this.#start()
    const id = this.#next++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { resolve, reject })
    // Only a thread that works keeps the process alive.
    this.#worker.ref()
    this.#worker.postMessage({ id, work } satisfies Request, transfer)
    return promise
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    // `.ts` in a checkout, `.js` in the built package.
    const worker = new Worker(new URL(`./worker${extname(import.meta.filename)}`, import.meta.url), { name: 'bundles' })
    let cause: Error | undefined
    worker.on('message', (answer: Answer) => this.#settle(answer))
    worker.on('error', (error) => {
      cause = error as Error
    })
    worker.on('exit', () => {
      this.#worker = null
      const lost = [...this.#waiting.values()]
      this.#waiting.clear()
      for (const { reject } of lost) reject(new Error('the thread for bundles ended in mid-work', { cause }))
    })
    return worker
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) this.#worker?.unref()
    if (answer.ok) waiting?.resolve(answer.result)
    else if (answer.refusal === null) waiting?.reject(new Error(answer.message))
    else waiting?.reject(new Refusal(answer.refusal as RefusalName, answer.message))
  }
}

export class Pool {
  readonly #threads: Thread[]

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, () => new Thread())
  }

  run<W extends Work>(work: W, transfer: ArrayBuffer[] = []): Promise<WorkResult[W['kind']]> {
    const thread = this.#threads.reduce((least, one) => (one.load < least.load ? one : least))
    return thread.run(work, transfer) as Promise<WorkResult[W['kind']]>
  }

  /** Ends the threads; work that is still under way is rejected. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }
}
