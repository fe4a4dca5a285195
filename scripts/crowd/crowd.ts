/** Many peers on one host, in few processes, on loopback: started, looked at, ended. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Look, Order, Report } from './worker.ts'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

export class Crowd {
  readonly #workers: ChildProcess[]
  readonly #directory: string
  readonly #root: string

  constructor(workers: number, directory: string, rootBytes: Uint8Array) {
    this.#workers = Array.from({ length: workers }, () => fork(WORKER))
    this.#directory = directory
    this.#root = Buffer.from(rootBytes).toString('base64')
  }

  /** The first one alone, then all others, which know only it. Returns the first one's addresses. */
  async start(peers: number): Promise<string[]> {
    const names = Array.from({ length: peers }, (_, index) => `p${index}`)
    const order = { do: 'start' as const, directory: this.#directory, root: this.#root }
    const [first] = (await this.#tell(this.#workers[0]!, { ...order, names: [names[0]!], bootstrap: [] })).looks
    await Promise.all(
      this.#workers.map((worker, at) => {
        const own = names.filter((_, index) => index > 0 && index % this.#workers.length === at)
        return this.#tell(worker, { ...order, names: own, bootstrap: [first!.addresses[0]!] })
      })
    )
    return first!.addresses
  }

  /** One more, which knows only this address. */
  async join(name: string, address: string): Promise<void> {
    const order = { do: 'start' as const, directory: this.#directory, root: this.#root }
    await this.#tell(this.#workers[0]!, { ...order, names: [name], bootstrap: [address] })
  }

  async look(): Promise<Report> {
    const reports = await Promise.all(this.#workers.map((worker) => this.#tell(worker, { do: 'look' })))
    const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
    return {
      looks: reports.flatMap(({ looks }) => looks),
      residentBytes: sum(({ residentBytes }) => residentBytes),
      cpuMs: sum(({ cpuMs }) => cpuMs)
    }
  }

  /** What the peers did since the last time, by process; the first time begins it. */
  async observe(): Promise<Report[]> {
    return await Promise.all(this.#workers.map((worker) => this.#tell(worker, { do: 'observe' })))
  }

  async end(): Promise<void> {
    await Promise.all(
      this.#workers.map(async (worker) => {
        if (worker.exitCode !== null || worker.signalCode !== null) return
        const exit = once(worker, 'exit')
        if (worker.connected) worker.send({ do: 'end' } satisfies Order)
        await exit
      })
    )
  }

  async #tell(worker: ChildProcess, order: Order): Promise<Report> {
    const gone = new AbortController()
    const exit = once(worker, 'exit', { signal: gone.signal }).then(() => {
      throw new Error('a worker of the crowd ended; it said why above')
    })
    worker.send(order)
    try {
      const [report] = (await Promise.race([once(worker, 'message'), exit])) as [Report]
      return report
    } finally {
      gone.abort()
      // An exit after the answer is reported by the next order.
      exit.catch(() => undefined)
    }
  }
}

/** Parts of the graph of neighbours, and pairs of which only one has the other for a neighbour. */
export function partsOf(looks: readonly Look[]): { parts: number; oneSided: number } {
  const neighbours = new Map(looks.map((look) => [look.peer, new Set(look.neighbours)]))
  const linked = (one: string) =>
    looks.filter(({ peer }) => neighbours.get(one)?.has(peer) === true || neighbours.get(peer)?.has(one) === true)
  const left = new Set(neighbours.keys())
  let parts = 0
  for (const first of left) {
    parts += 1
    left.delete(first)
    const reached = [first]
    for (const one of reached) for (const { peer } of linked(one)) if (left.delete(peer)) reached.push(peer)
  }
  const oneSided = looks.flatMap((look) =>
    look.neighbours.filter((one) => neighbours.get(one)?.has(look.peer) !== true)
  )
  return { parts, oneSided: oneSided.length }
}

export const sentBy = (looks: readonly Look[]): number =>
  looks.reduce((total, { sent }) => total + Object.values(sent).reduce((sum, one) => sum + one, 0), 0)
