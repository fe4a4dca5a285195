/**
 * How long it takes from kill -9 to the next answered call: of the daemon, which is started again at once, and of its
 * object's process, which the daemon starts again. Beside it, in this run: the start of a bare node process, and of one that
 * imports what the daemon imports of libp2p. scripts/bench recovery [KILLS] [--json]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Client } from '../node/index.ts'
import { hostedProcesses } from '../test/node/daemon/hosted-processes.ts'
import { allAt, type Daemon, LiveFleet, until } from '../test/node/daemon/live-fleet.ts'
import { nodeStartMs } from './demonstration/measure.ts'
import { median } from './demonstration/report.ts'

const FIXTURE = fileURLToPath(new URL('../test/fixtures/fleet/v1', import.meta.url))
const TRANSPORT = new URL('../node/network/transport.ts', import.meta.url).href
const kills = Number(process.argv.slice(2).find((one) => /^\d+$/.test(one)) ?? 20)
/** An object that died a moment ago is restarted with back-off, which is not what is measured here (D28). */
const BETWEEN_MS = { daemon: 100, object: 5_200 }

class Bench {
  readonly #fleet: LiveFleet
  #daemon!: Daemon
  #client!: Client

  constructor(fleet: LiveFleet) {
    this.#fleet = fleet
  }

  async begin(): Promise<void> {
    this.#daemon = await this.#fleet.spawn('p0', 'g0', [])
    this.#client = await this.#fleet.client(this.#daemon.addresses)
    await this.#client.injectUpgrade(await this.#fleet.pack('', FIXTURE))
    await until('v1 serves', async () => allAt(await this.#client.status(), 'IntSet', 1, 1))
    await this.#call('insert')
  }

  /** The daemon is started again at the moment when it is gone, as a supervisor would; others call it at its address. */
  async daemon(): Promise<number> {
    const [address] = this.#daemon.addresses
    const listen = address!.slice(0, address!.indexOf('/p2p/'))
    const exit = once(this.#daemon.process, 'exit')
    const begun = performance.now()
    this.#daemon.process.kill('SIGKILL')
    await exit
    const started = this.#fleet.spawn('p0', 'g0', [], { flags: ['--listen', listen] })
    const answered = await this.#answered()
    this.#daemon = await started
    return answered - begun
  }

  async object(): Promise<number> {
    const [one] = hostedProcesses(join(this.#fleet.directory, 'p0')).filter(({ role }) => role === 'object')
    const begun = performance.now()
    process.kill(one!.pid, 'SIGKILL')
    return (await this.#answered()) - begun
  }

  /** When the next call is answered. Each try is short: a client that backs off would measure itself. */
  async #answered(): Promise<number> {
    for (;;) {
      try {
        await this.#call('contains', 50)
        return performance.now()
      } catch (error) {
        const { name } = error as Error
        if (name !== 'Unavailable' && name !== 'DeadlineExceeded' && name !== 'OutcomeUnknown') throw error
      }
    }
  }

  #call(method: string, timeoutMs = 5_000): Promise<unknown> {
    return this.#client.call({ class: 'IntSet', version: 1, method, args: [7], timeoutMs })
  }
}

async function libp2pStartMs(): Promise<number> {
  const times: number[] = []
  for (let time = 0; time < 5; time++) {
    const begun = performance.now()
    const args = ['--input-type=module', '--eval', `await import(${JSON.stringify(TRANSPORT)}); process.exit(0)`]
    await once(spawn(process.execPath, args, { stdio: 'ignore' }), 'exit')
    times.push(performance.now() - begun)
  }
  return median(times)
}

const fleet = await LiveFleet.create()
try {
  const bench = new Bench(fleet)
  await bench.begin()
  const times = { daemon: [] as number[], object: [] as number[] }
  for (const what of ['daemon', 'object'] as const) {
    for (let done = 0; done < kills; done++) {
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS[what]))
      times[what].push(await bench[what]())
    }
  }
  const [nodeMs, libp2pMs] = [await nodeStartMs(), await libp2pStartMs()]
  const of = (list: number[]) => ({ medianMs: Math.round(median(list)), maxMs: Math.round(Math.max(...list)) })
  const report = {
    kills,
    daemon: of(times.daemon),
    object: of(times.object),
    nodeStartMs: Math.round(nodeMs),
    libp2pStartMs: Math.round(libp2pMs)
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify(report))
  else {
    const ratio = (ms: number, base: number): string => `${(ms / base).toFixed(1)} ×`
    const line = (name: string, { medianMs, maxMs }: { medianMs: number; maxMs: number }, base: number): string =>
      `${name}: median ${medianMs} ms (${ratio(medianMs, base)}), longest ${maxMs} ms (${ratio(maxMs, base)})`
    console.log(`from kill -9 to the next answered call, ${kills} kills each`)
    console.log(
      `${line('daemon', report.daemon, libp2pMs)} of a node process that imports libp2p, ${Math.round(libp2pMs)} ms`
    )
    console.log(`${line('object', report.object, nodeMs)} of a bare node process, ${Math.round(nodeMs)} ms`)
  }
} finally {
  await fleet.close()
}
