/** What only processes can do wrong (SPEC H4 to H6, H10), beside the contract. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChildHost } from '../../../node/host/child.ts'
import type { ObjectProcess } from '../../../node/host/host.ts'
import { startTimeOf } from '../../../node/host/survivors.ts'
import { readAnswer } from '../../../src/schedule/custom.ts'
import { hostContract } from './contract.ts'
import { caller, links, moduleOf, Place, scheduleFacts, until, World } from './fixture.ts'

/** Shared by the tests of this file, so that only the first process compiles. */
const compiledDirectory = mkdtempSync(join(tmpdir(), 'upstart-compiled-'))
after(() => rmSync(compiledDirectory, { recursive: true }))

hostContract('child process', (options) => new ChildHost({ sandbox: 'none', compiledDirectory, ...options }))

describe('host, child process alone', () => {
  let place: Place
  let world: World
  let host: ChildHost
  const directory = () => join(place.directory, 'host')
  const make = (options = {}) =>
    new ChildHost({ directory: directory(), sandbox: 'none', compiledDirectory, healthTimeoutMs: 200, ...options })

  beforeEach(() => {
    place = new Place()
    world = new World()
    host = make()
  })
  afterEach(async () => {
    world.open()
    await host.close()
    place.remove()
  })

  const serve = async (by = host): Promise<ObjectProcess> => {
    const object = await by.warm(place.plan(1, links.register), world)
    await object.start()
    object.serve()
    return object
  }
  const recorded = () => readdirSync(join(directory(), 'processes')).map((name) => Number.parseInt(name, 10))

  it('H10 a process that ends by itself: its calls are OutcomeUnknown, the reason is known, nothing is left', async () => {
    const object = await serve()
    await caller(object)(1, 'set', 1)
    await assert.rejects(caller(object)(1, 'exit'), { name: 'OutcomeUnknown' })
    assert.match(await object.ended, /exited with code 7/)
    await assert.rejects(caller(object)(1, 'get'), { name: 'Unavailable' })
    assert.deepEqual(recorded(), [])
    assert.deepEqual(readdirSync(directory()), ['processes'])
  })

  it('H3 killed from outside under load: every acknowledged write is there, every other call says that it may not be', async () => {
    const sets = async () => {
      const object = await host.warm(place.plan(1, links.intSet), world)
      await object.start()
      object.serve()
      return object
    }
    const first = await sets()
    const acknowledged: number[] = []
    const outcomes: string[] = []
    const write = async (x: number) => {
      try {
        await caller(first)(1, 'insert', x)
        acknowledged.push(x)
        if (acknowledged.length === 500) process.kill(recorded()[0]!, 'SIGKILL')
      } catch (error) {
        outcomes.push((error as Error).name)
      }
    }
    let next = 0
    const writer = async () => {
      while (next < 5000) await write(next++)
    }
    await Promise.all(Array.from({ length: 32 }, writer))
    assert.match(await first.ended, /SIGKILL/)
    assert.ok(outcomes.length > 0 && outcomes.every((name) => name === 'OutcomeUnknown' || name === 'Unavailable'))
    const kept = new Set(await caller(await sets())(1, 'all'))
    assert.deepEqual(
      acknowledged.filter((x) => !kept.has(x)),
      []
    )
  })

  it('H10 calls that the process was never sent are Unavailable', async () => {
    const object = await serve()
    const spinning = caller(object)(1, 'spin')
    const outcomes = Promise.allSettled([
      spinning,
      ...Array.from({ length: 40 }, () => caller(object)(1, 'echo', new Uint8Array(100_000)))
    ])
    await until('the spinning call was sent', () =>
      object.health().then(
        () => false,
        () => true
      )
    )
    await object.kill()
    const names = (await outcomes).map((outcome) => (outcome as PromiseRejectedResult).reason.name)
    assert.equal(names[0], 'OutcomeUnknown')
    assert.ok(names.every((name) => name === 'OutcomeUnknown' || name === 'Unavailable'))
  })

  it('H4 what waits for a process that does not read is bounded', async () => {
    await host.close()
    host = make({ maxQueuedBytes: 1_000_000 })
    const object = await serve()
    const outcomes = Promise.allSettled(
      Array.from({ length: 30 }, () => caller(object)(1, 'echo', new Uint8Array(100_000)))
    )
    const names = (await outcomes).map((outcome) => (outcome.status === 'rejected' ? outcome.reason.name : 'answered'))
    assert.ok(names.includes('Unavailable') && names.includes('answered'))
  })

  it('H10 a busy loop: health ends in bounded time, stop ends it', async () => {
    await host.close()
    host = make({ stopGraceMs: 100 })
    const object = await serve()
    const spinning = assert.rejects(caller(object)(1, 'spin'), { name: 'OutcomeUnknown' })
    await assert.rejects(object.health(), /no answer to health/)
    assert.deepEqual(await object.stop(50), { cut: 1 })
    await spinning
  })

  it('H6 a process that uses too much memory is killed, with the reason', async () => {
    await host.close()
    host = make({ maxResidentBytes: 300 * 1024 * 1024 })
    const object = await serve()
    await assert.rejects(caller(object)(1, 'hog'), { name: 'OutcomeUnknown', message: /MiB of memory/ })
    assert.match(await object.ended, /MiB of memory; 300 are allowed/)
  })

  it('H6 no signal opens a debugger', async () => {
    assert.equal(await caller(await serve())(1, 'debug'), 'nowhere')
  })

  it('H6 a clean environment, a working directory of its own, output captured', async () => {
    const object = await serve()
    const { names, directory: cwd } = await caller(object)(1, 'environment')
    assert.deepEqual(names, [])
    assert.ok(cwd.startsWith(join(directory(), 'work-')))
    await caller(object)(1, 'say', 'hello')
    await until('the line was read', () =>
      world.said.some(([message, { stream }]) => message === 'hello' && stream === 'stdout')
    )
  })

  it('H6 what an object has started ends with it, however it ends', async () => {
    for (const end of ['kill', 'exit'] as const) {
      const object = await serve()
      const started = await caller(object)(1, 'spawn')
      assert.notEqual(await startTimeOf(started), null)
      if (end === 'kill') await object.kill()
      else await assert.rejects(caller(object)(1, 'exit'), { name: 'OutcomeUnknown' })
      await object.ended
      await until('the other process is gone', async () => (await startTimeOf(started)) === null)
    }
  })

  it('H5 a record that cannot be read is named', async () => {
    const object = await serve()
    await object.kill()
    writeFileSync(join(directory(), 'processes', '7.json'), '{"pid":')
    await assert.rejects(make().endSurvivors(), { name: 'DamagedStore', message: /7\.json/ })
  })

  it('H2 a probe that hangs ends in bounded time', async () => {
    const hasty = make({ warmTimeoutMs: 300 })
    await assert.rejects(hasty.probe(moduleOf('host/hangs')), /not imported within 300 ms/)
    assert.deepEqual(recorded(), [])
  })

  for (const [mood, message] of [
    ['never', /no answer within 1500 ms/],
    ['loop', /no answer within 1500 ms/],
    ['exit', /exited with code 3/],
    ['long', /bytes/],
    ['function', /./]
  ] as const) {
    it(`S62 the code of a schedule that does this ends in bounded time, and leaves no process: ${mood}`, async () => {
      const hasty = make({ askTimeoutMs: 1_500 })
      const asking = hasty.ask(moduleOf('host/schedule'), scheduleFacts(mood))
      await assert.rejects(asking.then(readAnswer), { message })
      assert.deepEqual(recorded(), [])
    })
  }

  it('S62 the code of a schedule that uses much memory is killed', async () => {
    await assert.rejects(host.ask(moduleOf('host/schedule'), scheduleFacts('hoard')), {
      message: /MiB of memory; 256 are allowed/
    })
    assert.deepEqual(recorded(), [])
  }).timeout(30_000)

  it('H5 a child that is in a busy loop when its daemon is killed is ended by the next, before it opens state', async () => {
    const daemon = spawn(process.execPath, [moduleOf('host/daemon'), place.directory], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    await once(daemon.stdout, 'data')
    const [pid] = recorded() as [number]
    daemon.kill('SIGKILL')
    await once(daemon, 'exit')
    assert.notEqual(await startTimeOf(pid), null)
    assert.equal(await host.endSurvivors(), 1)
    assert.equal(await startTimeOf(pid), null)
    assert.deepEqual(recorded(), [])
    assert.equal(await caller(await serve())(1, 'get'), 5)
  })

  it('H5 a record whose process is gone, or is another by now, ends nobody', async () => {
    const object = await serve()
    const [pid] = recorded() as [number]
    const file = join(directory(), 'processes', `${pid}.json`)
    const record = JSON.parse(readFileSync(file, 'utf8'))
    assert.equal(record.started, await startTimeOf(pid))
    writeFileSync(file, JSON.stringify({ pid, started: 'another time' }))
    assert.equal(await make().endSurvivors(), 0)
    assert.equal(await caller(object)(1, 'free'), 'free')
    assert.equal(existsSync(file), false)
  })

  it('H4 a child ends when its daemon does', async () => {
    const daemon = spawn(process.execPath, [moduleOf('host/daemon'), place.directory, 'idle'], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    await once(daemon.stdout, 'data')
    const [pid] = recorded() as [number]
    daemon.kill('SIGKILL')
    await until('the child is gone', async () => (await startTimeOf(pid)) === null)
  })
})
