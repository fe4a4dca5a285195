/**
 * The clients' process: two light clients, one pinned to version 1 of the store and one to version 2, that write and
 * read the same keys, and hold every answer against what was acknowledged before. A call is made once: what the client
 * API repeats by itself (not executed, or the same id) is all the repetition there is. Patient ones make it again (X6).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, createClient } from '../../node/client.ts'
import { CallError } from '../../src/errors.ts'
import type { CallRequest, Value } from '../../src/versions/types.ts'
import { GROUP_SIZE } from './fleet.ts'
import { Ledger } from './ledger.ts'
import type { LoadReport, News, Order, Version } from './load.ts'

/** Calls under way for each peer while the store is filled and read again: the more, the fewer writes and fsyncs each costs. */
const CALLS_FOR_EACH_PEER = 40
/** Of each version. */
const WORKERS = 8
/** Between two operations of a worker: the load leaves most of two cores to the fleet, which starts three processes a peer. */
const PAUSE_MS = 120
/** Clients would rather wait than fail; how long they waited is in the report. */
const CALL_TIMEOUT_MS = 30_000
/** How often patient clients make one call, at most, and which outcomes they do not take for an answer. */
const MOST_TRIES = 4
const TRY_AGAIN: ReadonlySet<string> = new Set(['Unavailable', 'OutcomeUnknown', 'DeadlineExceeded'])
const NAMESPACE = 'carts'
/** Keys that only version 2 knows: the future SO keeps them, the TF hands them on. */
const NAMED_KEYS = 200
const PROGRESS_MS = 200

interface Found {
  value: string
  version: string
}
type SetOutcome = { ok: true; version: string } | { ok: false; current: Found | null }

class Clients {
  readonly #clients: Record<Version, Client>
  readonly #groups: readonly string[]
  readonly #keys: number
  readonly #tries: number
  readonly #flat = new Ledger()
  readonly #named = new Ledger()
  readonly #waitsMs: Record<Version, number[]> = { 1: [], 2: [] }
  readonly #failures = new Set<string>()
  readonly #workers: Promise<void>[] = []
  #stopped = false
  #operations = 0
  #read = 0
  #repeated = 0

  constructor(clients: Record<Version, Client>, groups: readonly string[], keys: number, patient: boolean) {
    this.#clients = clients
    this.#groups = groups
    this.#keys = keys
    this.#tries = patient ? MOST_TRIES : 1
  }

  async fill(): Promise<void> {
    await this.#forAll(
      Array.from({ length: this.#keys }, (_, index) => index),
      async (index) => {
        const key = keyOf(index)
        await this.#flat.alone(key, () => this.#put(key, `first ${index}`))
      }
    )
  }

  /** Starts the clients of one version; they go on until `stop`. */
  load(version: Version): void {
    this.#waitsMs[version].length = 0
    for (let worker = 0; worker < WORKERS; worker++) this.#workers.push(this.#work(version))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#workers)
  }

  /** Every key at every version that knows it. */
  async check(): Promise<void> {
    const flat = this.#flat.keys
    await this.#forAll(flat, (key) => this.#flat.alone(key, () => this.#readAt(1, key)))
    await this.#forAll(flat, (key) => this.#flat.alone(key, () => this.#readAt(2, key)))
    await this.#forAll(this.#named.keys, (key) => this.#named.alone(key, () => this.#readNamed(key)))
  }

  progress(): News {
    return {
      news: 'progress',
      written: this.#flat.size,
      read: this.#read,
      calls: { 1: total(this.#clients[1]), 2: total(this.#clients[2]) },
      failed: failed(this.#clients[1]) + failed(this.#clients[2]) - this.#repeated,
      longestMs: Math.max(longest(this.#waitsMs[1]), longest(this.#waitsMs[2]))
    }
  }

  report(): LoadReport {
    return {
      calls: [...this.#clients[1].counts(), ...this.#clients[2].counts()],
      repeated: this.#repeated,
      waits: { 1: waitsOf(this.#waitsMs[1]), 2: waitsOf(this.#waitsMs[2]) },
      acknowledged: this.#flat.size + this.#named.size,
      lost: [...this.#flat.wrong.values(), ...this.#named.wrong.values()],
      failures: [...this.#failures]
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#clients[1].close(), this.#clients[2].close()])
  }

  async #work(version: Version): Promise<void> {
    while (!this.#stopped) {
      if (version === 2 && Math.random() < 0.2) {
        const key = `cart-${pick(NAMED_KEYS)}`
        await this.#named.alone(key, () => (Math.random() < 0.5 ? this.#setNamed(key) : this.#readNamed(key)))
      } else {
        const key = keyOf(pick(this.#keys))
        await this.#flat.alone(key, () => this.#operate(version, key))
      }
      await delay(PAUSE_MS)
    }
  }

  async #operate(version: Version, key: string): Promise<void> {
    const chance = Math.random()
    if (chance < 0.5) return await this.#readAt(version, key)
    const value = `${version} ${this.#operations}`
    if (version === 2) return await this.#set('default', this.#flat, key, value)
    return await (chance < 0.55 ? this.#delete(key) : this.#put(key, value))
  }

  #put(key: string, value: string): Promise<void> {
    return this.#write(this.#flat, key, value, () => this.#call(1, 'put', [key, value], key))
  }

  #delete(key: string): Promise<void> {
    return this.#write(this.#flat, key, null, () => this.#call(1, 'delete', [key], key))
  }

  #setNamed(key: string): Promise<void> {
    return this.#set(NAMESPACE, this.#named, key, `cart ${this.#operations}`)
  }

  /** Nobody else writes the key, so a compare-and-set that finds another version than the one just read is wrong. */
  async #set(namespace: string, ledger: Ledger, key: string, value: string): Promise<void> {
    const found = (await this.#call(2, 'get', [namespace, key], key)) as Answer<Found | null>
    if (found === undefined) return
    if (!ledger.check(key, found.value?.value ?? null, 'v2')) return
    const expected = found.value?.version ?? null
    await this.#write(ledger, key, value, async () => {
      const answer = (await this.#call(
        2,
        'compareAndSet',
        [namespace, key, expected, value],
        key
      )) as Answer<SetOutcome>
      if (answer?.value.ok === false) ledger.check(key, `a version other than ${expected}`, 'v2 compareAndSet')
      return answer
    })
  }

  async #write(ledger: Ledger, key: string, value: string | null, call: () => Promise<Answer<unknown>>): Promise<void> {
    ledger.intend(key, value)
    // Where there is no answer the write stays in doubt, and the failed call is in the counts.
    if ((await call()) !== undefined) ledger.acknowledge(key, value)
  }

  async #readAt(version: Version, key: string): Promise<void> {
    if (version === 1) {
      const found = (await this.#call(1, 'get', [key], key)) as Answer<string | null>
      if (found !== undefined) this.#flat.check(key, found.value, 'v1')
    } else {
      const found = (await this.#call(2, 'get', ['default', key], key)) as Answer<Found | null>
      if (found !== undefined) this.#flat.check(key, found.value?.value ?? null, 'v2')
    }
    this.#read += 1
  }

  async #readNamed(key: string): Promise<void> {
    const found = (await this.#call(2, 'get', [NAMESPACE, key], key)) as Answer<Found | null>
    if (found !== undefined) this.#named.check(key, found.value?.value ?? null, 'v2')
    this.#read += 1
  }

  /** Undefined where the call failed; the client counts it, and the text is kept. */
  async #call(version: Version, method: string, args: Value[], key: string): Promise<Answer<Value>> {
    this.#operations += 1
    const begun = performance.now()
    const group = this.#groups[numberOf(key) % this.#groups.length]!
    const request = {
      class: version === 1 ? 'KV' : 'KV2',
      version,
      method,
      args,
      to: { group, key },
      timeoutMs: CALL_TIMEOUT_MS,
      id: `demo-${version}.${this.#operations}`
    }
    try {
      return { value: await this.#pursue(version, request) }
    } catch (error) {
      if (!(error instanceof CallError)) throw error
      if (this.#failures.size < 20) this.#failures.add(`${error.name}: ${error.message}`)
      return undefined
    } finally {
      this.#waitsMs[version].push(performance.now() - begun)
    }
  }

  async #pursue(version: Version, request: CallRequest): Promise<Value> {
    for (let left = this.#tries - 1; ; left--) {
      try {
        return await this.#clients[version].call(request)
      } catch (error) {
        if (left === 0 || !TRY_AGAIN.has((error as Error).name)) throw error
        this.#repeated += 1
      }
    }
  }

  async #forAll<Item>(items: readonly Item[], use: (item: Item) => Promise<unknown>): Promise<void> {
    const left = items.values()
    const next = async (): Promise<void> => {
      for (const item of left) await use(item)
    }
    const atOnce = this.#groups.length * GROUP_SIZE * CALLS_FOR_EACH_PEER
    await Promise.all(Array.from({ length: atOnce }, next))
  }
}

type Answer<Result> = { value: Result } | undefined

const keyOf = (index: number): string => `key-${String(index).padStart(5, '0')}`
const numberOf = (key: string): number => Number(key.slice(key.indexOf('-') + 1))
const pick = (below: number): number => Math.floor(Math.random() * below)
const total = (client: Client): number => client.counts().reduce((sum, { count }) => sum + count, 0)
const failed = (client: Client): number =>
  client.counts().reduce((sum, { outcome, count }) => sum + (outcome === 'ok' ? 0 : count), 0)
const longest = (waits: readonly number[]): number => waits.reduce((most, one) => Math.max(most, one), 0)

function waitsOf(waits: readonly number[]): LoadReport['waits'][Version] {
  const sorted = waits.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
  return { calls: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) }
}

const tell = (news: News): void => void process.send!(news)

let clients: Clients | undefined
let waits: LoadReport['waits'] | undefined

async function obey(order: Order): Promise<void> {
  switch (order.order) {
    case 'open': {
      const { root, peers, groups, keys, patient } = order
      const [one, two] = await Promise.all([createClient({ root, peers }), createClient({ root, peers })])
      clients = new Clients({ 1: one, 2: two }, groups, keys, patient)
      setInterval(() => tell(clients!.progress()), PROGRESS_MS)
      return
    }
    case 'fill':
      return await clients!.fill()
    case 'load':
      return clients!.load(order.version)
    case 'stop':
      await clients!.stop()
      waits = clients!.report().waits
      return
    case 'check':
      await clients!.check()
      return tell({ news: 'report', report: { ...clients!.report(), waits: waits! } })
    case 'close':
      await clients!.close()
      process.exit(0)
  }
}

// Interrupts are for the program that started this one; it says when to end, or is gone.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit(1))
process.on('message', (order: Order) => {
  obey(order).then(
    () => tell({ news: 'done', order: order.order }),
    (error: Error) => tell({ news: 'broken', reason: error.stack ?? error.message })
  )
})
