import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hosting } from '../../../node/daemon/hosting.ts'
import type { Host, ObjectProcess } from '../../../node/host/host.ts'
import { STATE_FILE } from '../../../node/host/state.ts'
import { World } from '../../../sim/authority.ts'
import type { Event, HostCommand } from '../../../src/overlay/events.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'

const OBJECT = 'Av1'
type Told = Extract<Event, { type: 'done' | 'died' }>

/** A process that does what it is told at once, and dies when a test says so. */
class Process implements ObjectProcess {
  readonly #end = Promise.withResolvers<string>()
  readonly ended = this.#end.promise
  healthy = true
  async start() {
    return { stale: [] }
  }
  async remove() {}
  async health() {
    if (!this.healthy) throw new Error('sick')
  }
  serve() {}
  async call() {
    return null
  }
  async simulate() {}
  async stop() {
    this.#end.resolve('told to')
    return { cut: 0 }
  }
  async kill() {
    this.#end.resolve('killed')
  }
}

/** Two versions of one class, and a host that starts processes without code. */
class Stage {
  readonly processes: Process[] = []
  readonly told: Told[] = []
  readonly hosting: Hosting
  readonly directory: string

  constructor(directory: string, limits: { healthMs?: number; reserveBytes?: number } = {}) {
    this.directory = directory
    const world = new World(1, true)
    const log = new UpgradeLog(world.fleet)
    const schedule = { when: { kind: 'immediately' as const }, constraints: [] }
    for (let version = 1; version <= 2; version++)
      log.add(world.makeEntry({ lineages: ['A'], schedule, pieces: 1, future: true, past: true }))
    const host: Host = {
      warm: async () => {
        const process = new Process()
        this.processes.push(process)
        return process
      },
      warmTransform: async () => ({ run: async () => undefined, kill: async () => undefined }),
      warmGuest: () => Promise.reject(new Error('no guests here')),
      ask: () => Promise.reject(new Error('no schedules here')),
      probe: async () => undefined,
      endSurvivors: async () => 0,
      close: async () => undefined
    }
    this.hosting = new Hosting({
      host,
      directory,
      ...limits,
      peer: 'peer-a',
      group: null,
      schema: () => log.schema,
      futureSchema: () => log.schema,
      bundlePath: async () => '/bundle',
      outward: () => ({ call: async () => null, members: () => [], log: () => undefined }),
      tell: (event) => this.told.push(event)
    })
  }

  async run(...commands: HostCommand[]): Promise<Told[]> {
    const before = this.told.length
    for (const command of commands) this.hosting.run(command)
    const done = () => this.told.slice(before).filter((event) => event.type === 'done').length
    while (done() < commands.length) await new Promise(setImmediate)
    return this.told.slice(before)
  }
}

const start: HostCommand = { command: 'start', object: OBJECT, attempt: 1, version: 1, past: [], future: [] }
const warm: HostCommand = { command: 'warm', object: OBJECT, attempt: 2, version: 2, past: [1], future: [] }
const drain: HostCommand = { command: 'drain', object: OBJECT, boundMs: 100 }
const transform: HostCommand = {
  command: 'transform',
  object: OBJECT,
  attempt: 2,
  version: 2,
  from: { attempt: 1, version: 1, future: [] }
}
const prove: HostCommand = { command: 'prove', object: OBJECT, attempt: 2, version: 2, past: [1], future: [] }
const serve: HostCommand = { command: 'serve', object: OBJECT, attempt: 2, version: 2 }
const call = { version: 1, method: 'm', args: [], callId: 'c', held: false, timeoutMs: 1000 }

describe('hosting of objects (SPEC D22, D23)', () => {
  let directory: string
  let stage: Stage
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hosting-'))
    await mkdir(join(directory, OBJECT, '1'), { recursive: true })
    await writeFile(join(directory, OBJECT, '1', STATE_FILE), '')
    stage = new Stage(directory)
  })
  afterEach(async () => {
    await stage.hosting.close(100)
    await rm(directory, { recursive: true, force: true })
  })

  it('an object that dies just before it is drained counts as drained', async () => {
    await stage.run(start, warm)
    await stage.processes[0]!.kill()
    const told = await stage.run(drain, transform, prove, serve)
    assert.deepEqual(
      told.map((event) => (event.type === 'done' ? event.command + event.ok : event.type)),
      ['draintrue', 'transformtrue', 'provetrue', 'servetrue']
    )
    assert.equal(await stage.hosting.call(OBJECT, call), null)
  })

  it('the end of a process is told whenever it comes: proven, or in service', async () => {
    await stage.run(start, warm, drain, transform, prove)
    await stage.processes[1]!.kill()
    const told = await stage.run(serve)
    assert.ok(told.some((event) => event.type === 'died' && event.attempt === 2))
    await assert.rejects(stage.hosting.call(OBJECT, { ...call, timeoutMs: 20 }), { name: 'Unavailable' })
  })

  it('calls that wait at the gate are answered when the node stops', async () => {
    await stage.run(start, drain)
    const waiting = stage.hosting.call(OBJECT, { ...call, timeoutMs: 60_000 })
    await Promise.all([stage.hosting.close(100), assert.rejects(waiting, { name: 'Unavailable' })])
  })

  it('D23: the code of an object that drains does not wait for itself', async () => {
    await stage.run(start, drain)
    const waiting = stage.hosting.call(OBJECT, { ...call, timeoutMs: 60_000 }, 'another')
    await assert.rejects(stage.hosting.call(OBJECT, { ...call, timeoutMs: 60_000 }, OBJECT), { name: 'Unavailable' })
    await stage.run(transform, prove, serve)
    assert.equal(await waiting, null)
    assert.equal(await stage.hosting.call(OBJECT, call, OBJECT), null)
  })

  it('D23: a call that was cancelled before it came to the gate does not wait there', async () => {
    await stage.run(start, drain)
    const waiting = stage.hosting.call(OBJECT, { ...call, timeoutMs: 60_000, signal: AbortSignal.abort() })
    await assert.rejects(waiting, { name: 'Cancelled' })
  })

  it('clean spares what is current and what is under way', async () => {
    await stage.run({ ...transform, from: null }, { ...transform, attempt: 7, from: null }, warm)
    await stage.run({ command: 'clean', object: OBJECT, keep: 7 })
    assert.deepEqual((await readdir(join(directory, OBJECT))).sort(), ['2', '7'])
  })

  it('L12: want of space is found before the old object stops, and is no fault of the version', async () => {
    const scarce = new Stage(directory, { reserveBytes: Number.MAX_SAFE_INTEGER })
    await mkdir(join(directory, OBJECT, '1'), { recursive: true })
    const [, told] = await scarce.run(start, warm)
    assert.ok(told?.type === 'done' && !told.ok && told.again === true, JSON.stringify(told))
    assert.match(told.reason, /free some space/)
    assert.equal(await scarce.hosting.call(OBJECT, call), null)
    await scarce.hosting.close(100)
  })

  it('L13: an object that fails its probe three times in a row is ended, and the core hears of it', async () => {
    const watched = new Stage(directory, { healthMs: 1 })
    await watched.run(start)
    watched.processes[0]!.healthy = false
    while (!watched.told.some((event) => event.type === 'died')) await new Promise(setImmediate)
    await watched.hosting.close(100)
  })
})
