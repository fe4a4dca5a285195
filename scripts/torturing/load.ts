/** Clients that write and read at every peer, at every version that is alive, and hold each answer against what was acknowledged. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '../../node/client.ts'
import { CallError } from '../../src/errors.ts'
import type { Generator } from '../../src/prng.ts'
import type { Value } from '../../src/versions/types.ts'
import { Elements } from './elements.ts'
import { CLASS } from './versions.ts'

export const KEYS = 60
const CALL_TIMEOUT_MS = 5_000
/** A call that nobody can answer for is made again with the same id for so long. */
const PATIENCE_MS = 90_000
const TRY_AGAIN: ReadonlySet<string> = new Set(['Unavailable', 'OutcomeUnknown', 'DeadlineExceeded'])
const TRY_AGAIN_MS = 100
const READS_AT_ONCE = 16

export interface Pace {
  /** For each peer. */
  workers: number
  /** Of a worker, between two calls. */
  pauseMs: number
}

export class Load {
  /** By peer: each has a set of its own. */
  readonly #elements: ReadonlyMap<string, Elements>
  readonly #client: Client
  readonly #random: Generator
  readonly #pace: Pace
  readonly failures = new Map<string, number>()
  repeated = 0
  #versions: readonly number[] = [1]
  #running: Promise<unknown> | undefined
  #calls = 0

  constructor(client: Client, peers: readonly string[], random: Generator, pace: Pace) {
    this.#client = client
    this.#pace = pace
    this.#random = random
    this.#elements = new Map(peers.map((peer) => [peer, new Elements()]))
  }

  get acknowledged(): number {
    return this.#sum(({ acknowledged }) => acknowledged)
  }

  get inDoubt(): number {
    return this.#sum(({ inDoubt }) => inDoubt)
  }

  get lost(): string[] {
    return [...this.#elements].flatMap(([peer, { wrong }]) =>
      [...wrong.values()].map((text) => `…${peer.slice(-6)}: ${text}`)
    )
  }

  /** Ends what is under way, and goes on at these versions. */
  async start(versions: readonly number[]): Promise<void> {
    await this.stop()
    this.#versions = versions
    let isOn = true
    const workers = [...this.#elements].flatMap(([peer, elements]) =>
      Array.from({ length: this.#pace.workers }, async () => {
        while (isOn) {
          await this.#operate(peer, elements)
          await pause(this.#pace.pauseMs)
        }
      })
    )
    const all = Promise.all(workers)
    this.#stop = async () => {
      isOn = false
      await all
    }
    this.#running = all
  }

  #stop: () => Promise<void> = async () => undefined

  /** @throws what a worker threw that is no outcome of a call */
  async stop(): Promise<void> {
    await this.#stop()
    this.#stop = async () => undefined
    await this.#running
  }

  /** Reads every key at every peer and version. @returns how many answers there were */
  async check(versions: readonly number[]): Promise<number> {
    const reads = [...this.#elements].flatMap(([peer, elements]) =>
      elements.keys.flatMap((key) => versions.map((version) => ({ peer, elements, key, version })))
    )
    const left = reads.values()
    let answered = 0
    const reader = async () => {
      for (const { peer, elements, key, version } of left) {
        const found = await this.#call(peer, version, 'get', [key])
        if (found === undefined) elements.wrong.set(key, `version ${version} did not answer for ${key}`)
        else {
          elements.expect(key, version, found.value as string | null)
          answered += 1
        }
      }
    }
    await Promise.all(Array.from({ length: READS_AT_ONCE }, reader))
    return answered
  }

  /** Resolves when the peer answers. */
  async answers(peer: string, version: number): Promise<void> {
    if ((await this.#call(peer, version, 'has', ['nothing'])) === undefined)
      throw new Error(`…${peer.slice(-6)} did not answer within ${PATIENCE_MS / 1000} s`)
  }

  async #operate(peer: string, elements: Elements): Promise<void> {
    const random = this.#random
    const [key, version] = [`key-${random.below(KEYS)}`, random.pick(this.#versions)]
    const chance = random.fraction()
    if (chance < 0.4) {
      await elements.get(key, version, async () => {
        const answer = await this.#call(peer, version, 'get', [key])
        return answer === undefined ? undefined : (answer.value as string | null)
      })
    } else if (chance < 0.9) {
      const value = `${version}.${this.#calls}`
      const done = async () => (await this.#call(peer, version, 'put', [key, value])) !== undefined
      await elements.put(key, version, value, done)
    } else await elements.delete(key, async () => (await this.#call(peer, version, 'delete', [key])) !== undefined)
  }

  /** Undefined where it failed, or nobody knows. */
  async #call(peer: string, version: number, method: string, args: Value[]): Promise<{ value: Value } | undefined> {
    this.#calls += 1
    const request = { class: CLASS, version, method, args, to: { peer }, timeoutMs: CALL_TIMEOUT_MS }
    const id = `torture-${this.#calls}`
    const endMs = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        return { value: await this.#client.call({ ...request, id }) }
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        if (TRY_AGAIN.has(error.name) && performance.now() < endMs) {
          this.repeated += 1
          await pause(TRY_AGAIN_MS)
          continue
        }
        const text = `${error.name}: ${error.message}`
        this.failures.set(text, (this.failures.get(text) ?? 0) + 1)
        return undefined
      }
    }
  }

  #sum(of: (elements: Elements) => number): number {
    return [...this.#elements.values()].reduce((sum, one) => sum + of(one), 0)
  }
}
