/** What every form of a host must do (SPEC H). Run on the child process and on the inline form. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host, LinkPlan, ObjectProcess } from '../../../node/host/host.ts'
import type { HostOptions } from '../../../node/host/options.ts'
import { caller, links, moduleOf, Place, scheduleFacts, until, World } from './fixture.ts'
import { guests } from './guests.ts'

export type MakeHost = (options: HostOptions) => Host

export function hostContract(name: string, make: MakeHost): void {
  describe(`host, ${name}`, () => {
    let place: Place
    let world: World
    let host: Host
    let scarce: Host

    beforeEach(() => {
      place = new Place()
      world = new World()
      host = make({ directory: join(place.directory, 'host'), healthTimeoutMs: 200 })
      scarce = make({ directory: join(place.directory, 'scarce'), reserveBytes: 2 ** 60 })
    })
    afterEach(async () => {
      world.open()
      await Promise.all([host.close(), scarce.close()])
      place.remove()
    })

    const serve = async (attempt: number, ...plans: LinkPlan[]): Promise<ObjectProcess> => {
      const object = await host.warm(place.plan(attempt, ...plans), world)
      await object.start()
      await object.health()
      object.serve()
      return object
    }
    const transform = async (module: string | null, options: Parameters<Place['transform']>[3] = {}) => {
      const progress: number[] = []
      const process = await host.warmTransform(place.transform(module, 1, 2, options))
      await process.run((fraction) => progress.push(fraction))
      return progress
    }

    lifecycle(() => ({ place, world, host, scarce, serve }))
    calls(() => ({ place, world, host, scarce, serve }))
    transforms(() => ({ place, world, host, scarce, serve, transform }))
    guests(() => ({ place, world, host, scarce, serve }))
  })
}

export interface Surroundings {
  place: Place
  world: World
  host: Host
  /** A host that wants more space in reserve than there is. */
  scarce: Host
  serve(attempt: number, ...plans: LinkPlan[]): Promise<ObjectProcess>
}

function lifecycle(now: () => Surroundings): void {
  it('H2 warm opens no state; before serve calls are Unavailable; outward calls are for observers only', async () => {
    const { host, place, world } = now()
    const object = await host.warm(place.plan(1, links.register), world)
    assert.equal(existsSync(join(place.attempt(1), 'state.sqlite')), false)
    await object.start()
    assert.deepEqual(
      world.asked.map(({ method, version, observersOnly }) => [method, version, observersOnly]),
      [['started', 3, true]]
    )
    await assert.rejects(caller(object)(1, 'get'), { name: 'Unavailable' })
    object.serve()
    await caller(object)(1, 'set', 5)
    assert.equal(await caller(object)(1, 'get'), 5)
    assert.deepEqual(await object.stop(1000), { cut: 0 })
    assert.match(await object.ended, /told to stop/)
  })

  it('H2 code that does not import, or exports no class, is refused by warm and by probe', async () => {
    const { host, place, world } = now()
    for (const [module, message] of [
      ['host/throws', /this module throws/],
      ['host/no-class', /no default export/]
    ] as const) {
      const broken = { ...links.register, module: moduleOf(module) }
      await assert.rejects(host.warm(place.plan(1, broken), world), { message })
      await assert.rejects(host.probe(moduleOf(module)), { message })
    }
    await host.probe(moduleOf('host/register'))
  })

  it('S62 the code of a schedule is given what is known, and what it returns or throws comes back', async () => {
    const { host } = now()
    const ask = (mood: string) => host.ask(moduleOf('host/schedule'), scheduleFacts(mood))
    assert.deepEqual(await ask('go'), { go: true })
    const { wait, inMs } = (await ask('wait')) as { wait: string; inMs: number }
    assert.match(wait, /^peer-a drew 0\.\d+$/)
    assert.equal(inMs, 60_000)
    assert.deepEqual(await ask('wait'), { wait, inMs }, 'chance follows from the seed')
    await assert.rejects(ask('throw'), { message: 'no idea' })
    await assert.rejects(host.ask(moduleOf('host/throws'), scheduleFacts('go')), { message: /this module throws/ })
    await assert.rejects(host.ask(moduleOf('host/no-class'), scheduleFacts('go')), { message: /no default export/ })
  })

  it('H3 state and files outlive a stop', async () => {
    const { serve } = now()
    const first = await serve(1, links.register)
    await caller(first)(1, 'set', 5)
    await caller(first)(1, 'writeFile', 'text')
    await first.stop(1000)
    const second = await serve(1, links.register)
    assert.equal(await caller(second)(1, 'get'), 5)
    assert.equal(await caller(second)(1, 'readFile'), 'text')
  })

  it('H3 a stopped object leaves one file of state, without a log', async () => {
    const { serve, place } = now()
    const object = await serve(1, links.register)
    await caller(object)(1, 'set', 5)
    await object.stop(1000)
    assert.deepEqual(readdirSync(place.attempt(1)).sort(), ['files', 'state.sqlite'])
  })

  it('H3 a kill loses no acknowledged write, and nothing of what was not acknowledged is kept', async () => {
    const { serve, world } = now()
    const first = await serve(1, links.register)
    for (let x = 0; x <= 20; x++) await caller(first)(1, 'set', x)
    const hanging = caller(first)(1, 'setAtGate', 99)
    const lost = assert.rejects(hanging, { name: 'OutcomeUnknown' })
    await world.reached()
    await first.kill()
    await lost
    await assert.rejects(caller(first)(1, 'get'), { name: 'Unavailable' })
    const second = await serve(1, links.register)
    assert.equal(await caller(second)(1, 'get'), 20)
  })

  it('D29 calls that code makes end with its process', async () => {
    const { serve, world } = now()
    const object = await serve(1, links.register)
    const held = caller(object)(1, 'getAtGate')
    await world.reached()
    const { signal } = world.asked.at(-1)!
    assert.equal(signal?.aborted, false)
    const [, outcome] = await Promise.allSettled([object.kill(), held])
    assert.equal(outcome.status === 'rejected' && outcome.reason.name, 'OutcomeUnknown')
    await until('the call is given up', () => signal!.aborted)
  })

  it('H7 results of calls that end while it stops are answered, however large', async () => {
    const { serve } = now()
    const object = await serve(1, links.register)
    const results = Array.from({ length: 12 }, () => caller(object)(1, 'zeros', 4 * 1024 * 1024))
    const [{ cut }, ...zeros] = await Promise.all([object.stop(10_000), ...results])
    assert.equal(cut, 0)
    assert.deepEqual(
      zeros.map((one) => one.length),
      results.map(() => 4 * 1024 * 1024)
    )
  })

  it('H7 stop lets running calls end', async () => {
    const { serve, world } = now()
    const object = await serve(1, links.register)
    const running = caller(object)(1, 'setAtGate', 7)
    await world.reached()
    const stopped = object.stop(10_000)
    await assert.rejects(caller(object)(1, 'get'), { name: 'Unavailable' })
    world.open()
    assert.equal(await running, 7)
    assert.deepEqual(await stopped, { cut: 0 })
  })

  it('H7 stop cuts what does not end: OutcomeUnknown for what ran, Unavailable for what waited, no effect of either', async () => {
    const { serve, world } = now()
    const first = await serve(1, links.register)
    await caller(first)(1, 'set', 1)
    const running = assert.rejects(caller(first)(1, 'setAtGate', 7), { name: 'OutcomeUnknown' })
    await world.reached()
    const waiting = assert.rejects(caller(first)(1, 'set', 8), { name: 'Unavailable' })
    assert.deepEqual(await first.stop(20), { cut: 1 })
    await running
    await waiting
    const second = await serve(1, links.register)
    assert.equal(await caller(second)(1, 'get'), 1)
  })

  it('H10 health: an answer, an error, or an error in bounded time', async () => {
    const { serve } = now()
    const object = await serve(1, links.register)
    await caller(object)(1, 'sicken', 'ill')
    await assert.rejects(object.health(), /I am ill/)
    await caller(object)(1, 'sicken', 'hanging')
    await assert.rejects(object.health(), /no answer to health within 200 ms/)
    assert.equal(await caller(object)(1, 'free'), 'free')
  })
}

function calls(now: () => Surroundings): void {
  it('H4 values travel as they are', async () => {
    const { serve } = now()
    const call = caller(await serve(1, links.register))
    for (const value of [null, undefined, true, 1.5, -7, 2n ** 70n, 'ä', new Date(5), [1, ['x']], { a: { b: null } }]) {
      assert.deepEqual(await call(1, 'echo', value as any), value)
    }
    assert.deepEqual([...(await call(1, 'zeros', 3))], [0, 0, 0])
  })

  it('H4 many calls under way: mutators one at a time, all answered, state right', async () => {
    const { serve } = now()
    const call = caller(await serve(1, links.intSet))
    await Promise.all(Array.from({ length: 300 }, (_, x) => call(1, 'insert', x)))
    assert.equal((await call(1, 'all')).length, 300)
  })

  it('H4 too large: PayloadTooLarge, both ways; no plain value: ApplicationError; the object goes on', async () => {
    const { serve } = now()
    const call = caller(await serve(1, links.register))
    const large = 9 * 1024 * 1024
    await assert.rejects(call(1, 'echo', new Uint8Array(large)), { name: 'PayloadTooLarge' })
    await assert.rejects(call(1, 'zeros', large), { name: 'PayloadTooLarge' })
    await assert.rejects(call(1, 'odd'), { name: 'ApplicationError' })
    await assert.rejects(call(1, 'echo', (() => 1) as any), { name: 'ApplicationError' })
    assert.equal(await call(1, 'free'), 'free')
  })

  it('V2 V6 V13 errors of the chain arrive as they are', async () => {
    const { serve } = now()
    const object = await serve(1, links.register)
    const call = caller(object)
    await assert.rejects(call(2, 'get'), (error: any) => error.name === 'Unavailable' && error.retryAfterMs > 0)
    await assert.rejects(call(0, 'get'), { name: 'Retired' })
    await assert.rejects(call(1, 'absent'), { name: 'NoSuchMethod' })
    await assert.rejects(call(1, 'fail', 'because'), { name: 'ApplicationError', message: /because/ })
    await assert.rejects(call(1, 'again'), { name: 'WouldBlock' })
    const held = { version: 1, args: [], callId: 'c', held: true, timeoutMs: 5000 }
    await assert.rejects(object.call({ ...held, method: 'get' }), { name: 'WouldBlock' })
    assert.equal(await object.call({ ...held, method: 'free' }), 'free')
    assert.equal(await call(1, 'put', 4), 4)
  })

  it('V6 outward calls say where to, at which version, whether the object is held, with an id of the call', async () => {
    const { serve, world } = now()
    const object = await serve(1, links.register)
    const running = object.call({
      version: 1,
      method: 'setAtGate',
      args: [1],
      callId: 'abc',
      held: false,
      timeoutMs: 5000
    })
    await world.reached()
    world.open()
    await running
    const { to, callId, held, version, observersOnly } = world.asked.at(-1)!
    assert.deepEqual(
      { to, callId, held, version, observersOnly },
      {
        to: { group: 'g', key: 'k' },
        callId: 'abc.1',
        held: true,
        version: 3,
        observersOnly: false
      }
    )
  })

  it('H10 a call ends at its deadline, or when its caller gives up; waiting ones are not executed then', async () => {
    const { serve, world } = now()
    const object = await serve(1, links.register)
    const call = { version: 1, callId: 'c', held: false }
    const slow = object.call({ ...call, method: 'setAtGate', args: [1], timeoutMs: 10_000 })
    await world.reached()
    await assert.rejects(object.call({ ...call, method: 'set', args: [2], timeoutMs: 30 }), {
      name: 'DeadlineExceeded'
    })
    const abort = new AbortController()
    const given = object.call({ ...call, method: 'set', args: [3], timeoutMs: 10_000, signal: abort.signal })
    abort.abort()
    await assert.rejects(given, { name: 'Cancelled' })
    await assert.rejects(object.call({ ...call, method: 'get', args: [], timeoutMs: 0 }), { name: 'DeadlineExceeded' })
    world.open()
    await slow
    assert.equal(await caller(object)(1, 'get'), 1)
  })

  it('H6 what the object says reaches the daemon; its group is known to it', async () => {
    const { serve, world } = now()
    const call = caller(await serve(1, links.register))
    assert.deepEqual(await call(1, 'members'), world.group)
    await call(1, 'say', 'hello')
    assert.ok(world.said.some(([message, fields]) => message === 'said' && fields['text'] === 'hello'))
  })

  it('V7 future SO with interceptor and table: started on the running object, right, and kept over a kill', async () => {
    const { serve, world } = now()
    const object = await serve(1, links.intSet)
    const call = caller(object)
    await call(1, 'insert', 1)
    await assert.rejects(call(2, 'getColor', 1), { name: 'Unavailable' })
    await object.simulate(links.futureColorSet)
    assert.equal(await call(2, 'getColor', 1), 'blue')
    await call(2, 'insertColor', 1, 'red')
    await call(2, 'insertColor', 2, 'green')
    await call(1, 'delete', 2)
    await call(1, 'insert', 2)
    await object.kill()
    const again = caller(await serve(1, links.intSet, links.futureColorSet))
    assert.equal(await again(2, 'getColor', 1), 'red')
    assert.equal(await again(2, 'getColor', 2), 'blue')
    assert.deepEqual(world.faults, [])
  })

  it('V10 a future SO with state that the object was served without is not trusted any more', async () => {
    const { serve } = now()
    const first = await serve(1, links.intSet, links.futureColorSet)
    await caller(first)(2, 'insertColor', 1, 'red')
    await first.stop(1000)
    await (await serve(1, links.intSet)).stop(1000)
    const third = await serve(1, links.intSet, links.futureColorSet)
    await assert.rejects(caller(third)(2, 'getColor', 1), { name: 'Unavailable' })
    assert.equal(await caller(third)(1, 'contains', 1), true)
  })
}

function transforms(
  now: () => Surroundings & { transform(module: string | null, options?: object): Promise<number[]> }
): void {
  it('H8 the TF takes the future SO state; the new object and its past SO go on from it', async () => {
    const { serve, transform } = now()
    const old = await serve(1, links.intSet, links.futureColorSet)
    for (const x of [1, 2, 3]) await caller(old)(1, 'insert', x)
    await caller(old)(2, 'insertColor', 1, 'red')
    await old.stop(1000)
    const progress = await transform('sets/transform', { futures: [2] })
    assert.equal(progress.at(-1), 1)
    const call = caller(await serve(2, links.pastIntSet, links.colorSet))
    assert.equal(await call(2, 'getColor', 1), 'red')
    assert.equal(await call(2, 'getColor', 2), 'blue')
    assert.deepEqual(await call(1, 'all'), [1, 2, 3])
    await call(2, 'insertColor', 4, 'green')
    await call(1, 'insert', 4)
    assert.equal(await call(2, 'getColor', 4), 'green')
  })

  it('H8 a TF that fails leaves its input untouched, and can be run again elsewhere', async () => {
    const { serve, transform, place } = now()
    const old = await serve(1, links.register)
    await caller(old)(1, 'set', 5)
    await caller(old)(1, 'writeFile', 'text')
    await old.stop(1000)
    const before = readFileSync(join(place.attempt(1), 'state.sqlite'))
    await assert.rejects(transform('host/failing-transform'), /half way/)
    assert.deepEqual(readFileSync(join(place.attempt(1), 'state.sqlite')), before)
    assert.equal(readFileSync(join(place.attempt(1), 'files/object/file'), 'utf8'), 'text')
    await assert.rejects(transform(null), { name: 'Usage', message: /fresh directory/ })
    await transform(null, { newDirectory: place.attempt(3) })
    const again = await serve(3, { ...links.register, version: 2 })
    assert.equal(await caller(again)(2, 'get'), 5)
    assert.equal(await caller(again)(2, 'readFile'), 'text')
  })

  it('H8 a TF that is killed leaves the old object as it was', async () => {
    const { serve, host, place } = now()
    const old = await serve(1, links.register)
    await caller(old)(1, 'set', 5)
    await old.stop(1000)
    const process = await host.warmTransform(place.transform('host/hanging-transform', 1, 2))
    const { promise: half, resolve } = Promise.withResolvers<void>()
    const ran = assert.rejects(process.run(() => resolve()))
    await half
    await process.kill()
    await ran
    const again = await serve(1, links.register)
    assert.equal(await caller(again)(1, 'get'), 5)
  })

  it('H8 too little space: refused with figures before anything is written', async () => {
    const { serve, place, scarce } = now()
    const old = await serve(1, links.register)
    await old.stop(1000)
    const process = await scarce.warmTransform(place.transform(null, 1, 2))
    await assert.rejects(
      process.run(() => undefined),
      { name: 'NoSpace', message: /\d+ bytes.*\d+ are free/ }
    )
    assert.deepEqual(readdirSync(place.attempt(2)), [])
  })

  it('V10 the state of a quarantined future SO is never used by a TF', async () => {
    const { serve, transform, place } = now()
    const first = await serve(1, links.intSet, links.futureColorSet)
    await caller(first)(2, 'insertColor', 1, 'red')
    await first.stop(1000)
    await (await serve(1, links.intSet)).stop(1000)
    await assert.rejects(transform('sets/transform', { futures: [2] }), { name: 'Quarantined' })
    await transform('sets/transform', { newDirectory: place.attempt(3) })
    assert.equal(await caller(await serve(3, links.colorSet))(2, 'getColor', 1), 'blue')
  })

  it('H8 state of SOs that stay is carried over: past SOs below the new past one', async () => {
    const { serve, transform, place } = now()
    const old = await serve(1, links.pastIntSet, links.colorSet)
    await caller(old)(1, 'insert', 1)
    await old.stop(1000)
    await transform(null, { from: 2, to: 3 })
    const call = caller(
      await serve(
        2,
        links.pastIntSet,
        { ...links.colorSet, role: 'past', module: null },
        { ...links.colorSet, version: 3 }
      )
    )
    assert.deepEqual(await call(1, 'all'), [1])
    assert.equal(await call(2, 'getColor', 1), 'blue')
    assert.equal(await call(3, 'getColor', 1), 'blue')
    assert.ok(existsSync(place.attempt(2)))
  })
}
