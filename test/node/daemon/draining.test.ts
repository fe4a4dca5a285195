import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CallError, CallRequest, Client, RunningPeer, Value } from '../../../node/index.ts'
import { Generator } from '../../../src/prng.ts'
import { LiveFleet, until } from './live-fleet.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MIB = 1024 * 1024

describe('calls while their object stops, transforms and starts (SPEC D23, D29, H7, V12; real peers)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  let client: Client
  let peer: RunningPeer

  /** A peer that serves v1; its TF and the start of v2 wait for files of these names. */
  const begin = async (drainMs: number) => {
    fleet = await LiveFleet.create()
    peer = await fleet.embed('p0', null, { drainMs })
    client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'slow1')))
    await until('v1 serves', () => object()?.serving === true)
    await call('gates', file('transform'), file('start'))
  }
  const upgrade = async () => await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'slow2')))
  afterEach(async () => {
    // Nothing that a failed test holds may outlive it.
    for (const name of ['transform', 'start', 'long', 'short']) await open(name)
    await fleet.close()
  })

  const file = (name: string) => join(fleet.directory, name)
  const open = (name: string) => writeFile(file(name), '')
  const object = () => peer.status().objects['Slow']!
  const inPhase = (phase: string) => until(`it is ${phase}`, () => object().phase === phase)
  const reached = (name: string) => until(`${name} is reached`, () => existsSync(file(`${name}.reached`)))
  const call = (method: string, ...args: Value[]) => client.call(request(method, args))
  const request = (method: string, args: Value[], more: Partial<CallRequest> = {}): CallRequest => ({
    class: 'Slow',
    version: 1,
    method,
    args,
    timeoutMs: 30_000,
    ...more
  })
  /** How a call ended: its result, or the name of its error. */
  const outcome = (made: Promise<Value>) => made.catch((error: CallError) => error.name)

  /** Version 2 whose TF waits as the good one does, and then throws. */
  const failing = async () => {
    const folder = file('failing')
    await mkdir(folder)
    const source = join(FIXTURES, 'slow2')
    for (const name of ['object', 'past', 'future'])
      await writeFile(join(folder, `${name}.ts`), `export { default } from '${source}/${name}.ts'\n`)
    await writeFile(
      join(folder, 'transform.ts'),
      `import transform from '${source}/transform.ts'\nexport default async (context: any) => { await transform(context); throw new Error('no such luck') }\n`
    )
    await writeFile(
      join(folder, 'upgrade.ts'),
      await readFile(join(source, 'upgrade.ts'), 'utf8').then((text) =>
        text.replaceAll('../../../../src/', `${ROOT}src/`)
      )
    )
    return folder
  }

  it('D29: a call longer than the bound is cut, without effect, and said so; what waited behind it is executed once, later', async () => {
    await begin(300)
    await open('transform')
    await open('start')
    const long = outcome(call('hold', 'long', file('long')))
    await reached('long')
    const waiting = [1, 2, 3].map((value) => call('put', 'waited', value))
    await upgrade()
    assert.equal(await long, 'OutcomeUnknown')
    assert.deepEqual(await Promise.all(waiting), [1, 2, 3])
    await until('v2 serves', () => object().version === 2 && object().serving)
    assert.equal(object().cutCalls, 1)
    assert.equal(await call('get', 'long'), undefined)
    assert.equal(((await call('calls')) as string[]).length, 3)
  })

  it('D29: what ends within the bound is answered, and its effect is there after the upgrade', async () => {
    await begin(20_000)
    await open('transform')
    await open('start')
    const held = call('hold', 'short', file('short'))
    await reached('short')
    await upgrade()
    await inPhase('draining')
    await open('short')
    await held
    await until('v2 serves', () => object().version === 2 && object().serving)
    assert.equal(await call('get', 'short'), 1)
    assert.equal(object().cutCalls, 0)
  })

  it('D23: calls that come while it transforms or is proved wait, and the new version answers them at the version they name', async () => {
    await begin(1_000)
    await upgrade()
    await inPhase('transforming')
    const during = [call('echo', 'which'), client.call({ ...request('which', []), class: 'Slower', version: 2 })]
    await open('transform')
    await inPhase('proving')
    during.push(call('echo', 'which'))
    const put = call('put', 'x', 7)
    await open('start')
    assert.deepEqual(await Promise.all(during), ['past SO', 'v2', 'past SO'])
    assert.equal(await put, 7)
    assert.equal(await call('get', 'x'), 7)
  })

  it('D23: who gives up while it waits hears so at once and leaves nothing behind; deadlines end typed, in time', async () => {
    await begin(1_000)
    await upgrade()
    await inPhase('transforming')
    // More than the gate and a caller's lane hold: a place that was not given back would be missing at the end.
    for (let round = 0; round < 8; round++) {
      const controller = new AbortController()
      const given = Array.from({ length: 200 }, (_, at) =>
        outcome(peer.call(request(at % 2 === 0 ? 'get' : 'put', ['x', at], { signal: controller.signal })))
      )
      const remote = Array.from({ length: 200 }, () =>
        outcome(client.call(request('get', ['x'], { signal: controller.signal })))
      )
      await new Promise(setImmediate)
      controller.abort()
      assert.deepEqual(new Set(await Promise.all([...given, ...remote])), new Set(['Cancelled']))
    }
    const late = await Promise.all(
      [200, 400].map((timeoutMs) => outcome(client.call(request('get', ['x'], { timeoutMs }))))
    )
    for (const name of late) assert.match(String(name), /^(Unavailable|DeadlineExceeded)$/)
    const kept = Array.from({ length: 300 }, () => call('get', 'x'))
    await open('transform')
    await open('start')
    assert.deepEqual(new Set(await Promise.all(kept)), new Set([undefined]))
    assert.deepEqual(await call('calls'), [], 'what was given up was not executed')
  })

  it('D29: who gives up a call from a future that nobody knows keeps no place', async () => {
    await begin(1_000)
    const controller = new AbortController()
    const unknown = { ...request('get', ['x'], { signal: controller.signal }), class: 'Slowest', version: 9 }
    // As many as run at once for one caller, each of which would wait for five seconds.
    const given = Array.from({ length: 256 }, () => outcome(client.call(unknown)))
    await new Promise(setImmediate)
    controller.abort()
    assert.deepEqual(new Set(await Promise.all(given)), new Set(['Cancelled']))
    assert.equal(await client.call(request('get', ['x'], { timeoutMs: 3_000 })), undefined)
  })

  it('D29: under load, with deadlines and cancellations, every call ends once and as it says', async () => {
    await begin(200)
    await open('start')
    const ended = new Map<string, unknown>()
    const random = new Generator(7)
    let going = true
    const load = async (by: { call(request: CallRequest): Promise<Value> }, name: string) => {
      for (let at = 0; going; at++) {
        const id = `${name}-${at}`
        const timeoutMs = random.below(4) === 0 ? 5 + random.below(200) : 20_000
        const signal = random.below(4) === 0 ? AbortSignal.timeout(random.below(100)) : undefined
        const more = { id, timeoutMs, ...(signal === undefined ? {} : { signal }) }
        ended.set(
          id,
          await outcome(by.call(request('put', [name, at], more))).then((value) => (value === at ? 'ok' : value))
        )
      }
    }
    const loads = ['a', 'b', 'c', 'd'].flatMap((name) => [load(client, `client-${name}`), load(peer, `peer-${name}`)])
    const long = outcome(call('hold', 'long', file('long')))
    await reached('long')
    await upgrade()
    await inPhase('transforming')
    await open('transform')
    await until('v2 serves', () => object().version === 2 && object().serving)
    going = false
    await Promise.all(loads)
    assert.equal(await long, 'OutcomeUnknown')
    const executed = (await call('calls')) as string[]
    const times = Map.groupBy(executed, (id) => id)
    assert.equal(times.size, executed.length, 'none was executed twice')
    const allowed = new Set(['ok', 'Cancelled', 'DeadlineExceeded', 'Unavailable', 'OutcomeUnknown'])
    for (const [id, how] of ended) {
      assert.ok(allowed.has(how as string), `${id}: ${how}`)
      if (how === 'ok') assert.ok(times.has(id), `${id} was answered and is lost`)
      if (how === 'Unavailable') assert.ok(!times.has(id), `${id} was executed and Unavailable`)
    }
    assert.ok(new Set(ended.values()).size >= 3, 'nothing was given up')
  })

  it('G5: a delegate call of a guest that waits while its callee upgrades is not executed; the call goes directly', async () => {
    await begin(1_000)
    const other = await fleet.embed('p1')
    await until('the other serves v1', () => other.status().objects['Slow']?.serving === true)
    await upgrade()
    await inPhase('transforming')
    await until('the other serves v2', () => other.status().objects['Slow']!.version === 2)
    const which = other.call({
      ...request('which', [file('guest')], { to: { peer: peer.id } }),
      class: 'Slower',
      version: 2
    })
    await reached('guest')
    await open('transform')
    await open('start')
    assert.equal(await which, 'v2')
    assert.deepEqual(other.status().guests, [])
  })

  it('L4: when the upgrade goes back, what waited is answered by the old version', async () => {
    await begin(1_000)
    await client.injectUpgrade(await fleet.pack('', await failing()))
    await inPhase('transforming')
    const waiting = [call('put', 'x', 5), call('echo', 'which')]
    await open('transform')
    assert.deepEqual(await Promise.all(waiting), [5, 'which'])
    assert.equal(object().version, 1)
    assert.equal(await call('get', 'x'), 5)
  })

  it('N8: large arguments and results pass through an upgrade whole, under the window, each call once', async () => {
    await begin(20_000)
    const body = (at: number) => new Uint8Array(3 * MIB).fill(at)
    const echoes = Array.from({ length: 6 }, (_, at) => call('echo', body(at)))
    await upgrade()
    await inPhase('transforming')
    const later = Array.from({ length: 6 }, (_, at) => call('echo', body(at + 6)))
    await open('transform')
    await open('start')
    const answers = (await Promise.all([...echoes, ...later])) as Uint8Array[]
    for (const [at, answer] of answers.entries()) assert.deepEqual(Buffer.compare(answer, body(at)), 0, `body ${at}`)
  })
})
