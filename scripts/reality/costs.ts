/** Single costs, measured between two processes of their own (SPEC M61): nothing of them comes from what is compared. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ProcessorOptions } from '../../sim/processors.ts'
import { immediateSchedule } from '../../sim/scenario.ts'
import { testFleet } from '../../test/src/upgrade/fleet.ts'
import type { ProbeAnswer, ProbeOrder } from './probe.ts'
import { type MadeUpgrade, makeUpgrade } from './upgrades.ts'

const PROBE = fileURLToPath(new URL('./probe.ts', import.meta.url))
const PIECE_BYTES = 256 * 1024
const ENTRY_BYTES = 2_500

/** Milliseconds of a processor; `delayMs` of the way alone. */
export type Costs = { delayMs: number } & Pick<
  ProcessorOptions,
  'sendMs' | 'receiveMs' | 'sendKibMs' | 'receiveKibMs' | 'copyMs' | 'openMs' | 'storeKibMs' | 'unpackKibMs'
>

class Probe {
  readonly #process: ChildProcess = fork(PROBE)
  async tell(order: ProbeOrder): Promise<ProbeAnswer> {
    const answer = once(this.#process, 'message') as Promise<[ProbeAnswer]>
    this.#process.send(order)
    const gone = new AbortController()
    const exit = once(this.#process, 'exit', { signal: gone.signal }).then(() => {
      throw new Error('a probe ended; it said why above')
    })
    try {
      return (await Promise.race([answer, exit]))[0]
    } finally {
      gone.abort()
      // An end after the answer is reported by the next order.
      exit.catch(() => undefined)
    }
  }
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    await this.tell({ do: 'end' })
    await exit
  }
}

/** @param scale of how often each thing is done: 1 for figures, less for tests */
export async function measureCosts(scale = 1): Promise<Costs> {
  const probes = [new Probe(), new Probe(), new Probe()] as const
  const [here, there, third] = probes
  const times = (count: number) => Math.max(4, Math.round(count * scale))
  try {
    const fleet = testFleet()
    await here.tell({ do: 'open', fleet: fleet.trust.fleet })
    const { peer, addresses } = await there.tell({ do: 'open', fleet: fleet.trust.fleet })
    await here.tell({ do: 'dial', peer, addresses })
    /** What `count` doings take of the processor, at either end, and of time. */
    const each = async (count: number, order: ProbeOrder) => {
      const before = await Promise.all([here, there].map((probe) => probe.tell({ do: 'usage' })))
      const { wallMs } = await here.tell(order)
      const after = await Promise.all([here, there].map((probe) => probe.tell({ do: 'usage' })))
      const cpuMs = (at: number) => (after[at]!.cpuMs - before[at]!.cpuMs) / count
      return { here: cpuMs(0), there: cpuMs(1), wallMs: wallMs / count }
    }
    const exchange = (count: number, bytes: number) => each(count, { do: 'exchange', peer, count, bytes })
    // Compiled code is what is measured, as in a fleet that has run for a while.
    await exchange(times(2000), 0)
    const short = await exchange(times(3000), 0)
    await exchange(times(40), PIECE_BYTES)
    const long = await exchange(times(200), PIECE_BYTES)
    const publish = (count: number) => each(count, { do: 'publish', count, bytes: ENTRY_BYTES, everyMs: 3 })
    await publish(times(200))
    const copy = await publish(times(600))
    // A third one passes on to both what it hears, so that each hears everything twice.
    const { peer: other, addresses: others } = await third.tell({ do: 'open', fleet: fleet.trust.fleet })
    for (const probe of [here, there]) await probe.tell({ do: 'dial', peer: other, addresses: others })
    await publish(times(400))
    const copies = await publish(times(600))
    const { parts } = await here.tell({ do: 'disk', bytes: times(64) * PIECE_BYTES })
    const open = await verification(here, times(200))
    const endMs = (short.here + short.there) / 4
    const againMs = Math.min(copy.there, Math.max(0, copies.there - copy.there - endMs))
    const kib = PIECE_BYTES / 1024
    return {
      delayMs: Math.max(0.02, short.wallMs / 2 - 2 * endMs),
      sendMs: endMs,
      receiveMs: endMs,
      // Reading and verifying a piece comes before it is sent.
      sendKibMs: Math.max(0, long.here - short.here) / kib + parts.read!,
      receiveKibMs: Math.max(0, long.there - short.there) / kib,
      copyMs: againMs,
      openMs: copy.there - againMs + open,
      storeKibMs: parts.store!,
      unpackKibMs: parts.unpack!
    }
  } finally {
    await Promise.all(probes.map((probe) => probe.end()))
  }
}

async function verification(probe: Probe, count: number): Promise<number> {
  const keys = testFleet()
  const made: MadeUpgrade[] = []
  for (let index = 0; index < count * 2; index++) made.push(await makeUpgrade(keys, made, 100, immediateSchedule))
  const entries = made.map(({ envelope }) => Buffer.from(envelope.bytes).toString('base64'))
  const order = (some: string[]): ProbeOrder => ({
    do: 'verify',
    root: Buffer.from(keys.rootBytes).toString('base64'),
    entries: some
  })
  const { cpuMs: before } = await probe.tell(order(entries.slice(0, count)))
  const { cpuMs: after } = await probe.tell(order(entries.slice(count)))
  return (after - before) / count
}
