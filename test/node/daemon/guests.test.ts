import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import type { CallOptions } from '../../../node/calls/caller.ts'
import type { CallMessage } from '../../../node/calls/frames.ts'
import { Guests, type GuestsInit } from '../../../node/daemon/guests.ts'
import type { GuestOutward, GuestPlan, GuestProcess } from '../../../node/host/host.ts'
import { InlineHost } from '../../../node/host/inline.ts'
import { CallError, type CallErrorName, type ServedRange } from '../../../src/errors.ts'
import type { ClassUpgrade, Entry, Simulation } from '../../../src/upgrade/manifest.ts'
import type { LineageVersion } from '../../../src/upgrade/schema.ts'
import type { ObjectStatics, Value } from '../../../src/versions/types.ts'
import DirectColorSet from '../../fixtures/sets/direct-color-set.ts'
import IntSet from '../../fixtures/sets/int-set.ts'
import { interfaceOf } from '../../fixtures/sets/links.ts'
import SizedColorSet from '../../fixtures/sets/sized-color-set.ts'
import StatelessIntSet from '../../fixtures/sets/stateless-int-set.ts'
import { until } from './live-fleet.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url))

const so = (statics: ObjectStatics, module: string): Simulation => ({
  module,
  interface: interfaceOf(statics),
  intercepts: []
})
const step = (
  version: number,
  className: string,
  type: ObjectStatics,
  sos: Pick<ClassUpgrade, 'future' | 'past'>
): LineageVersion => ({
  version,
  className,
  upgrade: { interface: interfaceOf(type), ...sos } as ClassUpgrade,
  entry: { hash: `${version}`.repeat(64), manifest: { bundle: { sha256: `bundle-${version}` } } } as Entry
})
/** IntSet 1, ColorSet 2, ColorSet 3 that differs in nothing. */
const VERSIONS = [
  step(1, 'IntSet', IntSet, { future: null, past: null }),
  step(2, 'ColorSet', SizedColorSet, {
    future: so(DirectColorSet, 'sets/direct-color-set.ts'),
    past: so(StatelessIntSet, 'sets/stateless-int-set.ts')
  }),
  step(3, 'ColorSet', SizedColorSet, { future: null, past: 'subtype' })
]

type Answer = (message: CallMessage, options: CallOptions) => Promise<Value> | Value

/** A callee that serves a range of versions, as nodes do, and answers what a test says. */
class Played {
  serves: ServedRange
  answer: Answer = () => true
  readonly asked: CallMessage[] = []
  constructor(...serves: ServedRange) {
    this.serves = serves
  }
  async call(_peer: string, _addresses: string[], message: CallMessage, options: CallOptions): Promise<Value> {
    this.asked.push(message)
    const [low, high] = this.serves
    const { version, simulates } = message
    const between = [1, 2, 3].filter((one) => low <= one && one <= high && one !== version)
    const better = between.some((one) => simulates !== undefined && (one - version) * (one - simulates) <= 0)
    if (better || version < low || version > high) {
      assert.equal(message.object, 'Sets')
      throw new CallError('Misplaced', 'elsewhere', { serves: this.serves })
    }
    return await this.answer(message, options)
  }
  /** How it was asked: at which version, simulating which. */
  get ways(): string[] {
    return this.asked.map(
      ({ method, version, simulates }) => `${method}@${version}${simulates === undefined ? '' : ` for ${simulates}`}`
    )
  }
}

describe('calls whose SOs run on the node of the caller (SPEC G)', () => {
  let guests: Guests
  let started: GuestPlan[]
  let ready: Set<string>
  let processes: GuestProcess[]

  const make = (callee: Played, options: Partial<GuestsInit> = {}): Guests => {
    const host = new InlineHost()
    guests = new Guests({
      peer: 'me',
      host: {
        warmGuest: async (plan, outward) => {
          started.push(plan)
          const process = await host.warmGuest(plan, outward)
          processes.push(process)
          return process
        }
      },
      calls: callee,
      versions: (className, version) =>
        VERSIONS.some((one) => one.className === className && one.version === version)
          ? { object: 'Sets', versions: VERSIONS }
          : undefined,
      isReady: (sha256) => ready.has(sha256),
      bundlePath: async () => FIXTURES,
      mayHost: () => true,
      log: pino({ level: 'silent' }),
      ...options
    })
    return guests
  }
  beforeEach(() => {
    started = []
    processes = []
    ready = new Set(['bundle-2', 'bundle-3'])
  })
  afterEach(async () => await guests.close())

  const message = (version: number, method: string, ...args: Value[]): CallMessage => ({
    class: version === 1 ? 'IntSet' : 'ColorSet',
    version,
    entry: `${version}`.repeat(16),
    method,
    args,
    callId: 'call-1',
    held: false,
    timeoutMs: 5_000,
    observersOnly: false
  })
  const peer = { peer: 'other', addresses: [], serving: true, serves: [0, 0] as const }
  const call = (version: number, method: string, ...args: Value[]) =>
    guests.call(peer, message(version, method, ...args), { timeoutMs: 5_000 })

  it('G1, G5, G10: a future SO runs here; the delegate call says what it simulates, with the id of the call', async () => {
    const callee = new Played(1, 1)
    make(callee)
    assert.equal(await call(2, 'getColor', 7), 'blue')
    assert.deepEqual(callee.ways, ['getColor@2', 'contains@1 for 2'])
    const { callId, entry, class: className, object } = callee.asked[1]!
    assert.deepEqual([callId, entry, className, object], ['call-1', '1'.repeat(16), 'IntSet', 'Sets'])
    assert.deepEqual(guests.counts(), [{ object: 'Sets', class: 'ColorSet', version: 2, delegate: 1, count: 1 }])
  })

  it('G6: what a callee serves is remembered: the next call goes through the guest at once', async () => {
    const callee = new Played(1, 1)
    make(callee)
    for (let count = 0; count < 3; count++) await call(2, 'contains', 7)
    assert.deepEqual(callee.ways.slice(2), ['contains@1 for 2', 'contains@1 for 2'])
    assert.equal(started.length, 1)
    assert.equal(guests.counts()[0]!.count, 3)
  })

  it('G5: a callee that serves the version by now is called directly, with the same id', async () => {
    const callee = new Played(1, 1)
    make(callee)
    await call(2, 'contains', 7)
    callee.serves = [1, 2]
    callee.answer = ({ version }) => version
    assert.equal(await call(2, 'contains', 8), 2)
    assert.equal(await call(2, 'contains', 9), 2)
    assert.deepEqual(callee.ways.slice(2), ['contains@1 for 2', 'contains@2', 'contains@2'])
    assert.equal(new Set(callee.asked.map(({ callId }) => callId)).size, 1)
    assert.equal(guests.counts()[0]!.count, 1)
  })

  it('G1: a past SO that the callee hosts no more runs here, over a subtype that has no code', async () => {
    const callee = new Played(3, 3)
    callee.answer = ({ method }) => (method === 'all' ? [[1, 'red']] : null)
    make(callee)
    ready.delete('bundle-3')
    assert.deepEqual(await call(1, 'all'), [1])
    assert.deepEqual(callee.ways, ['all@1', 'all@3 for 1'])
    assert.deepEqual(
      started[0]!.links.map(({ version, module }) => [version, module === null]),
      [
        [2, true],
        [1, false]
      ]
    )
    callee.serves = [2, 3]
    assert.deepEqual(await call(1, 'all'), [1])
    assert.deepEqual(callee.ways.slice(2), ['all@3 for 1', 'all@2 for 1'])
  })

  it('G2: what may not run here is answered as without guests: not stateless, not ready, retired for callers, no SO', async () => {
    const callee = new Played(1, 1)
    make(callee)
    await assert.rejects(call(2, 'size'), { name: 'Unavailable', message: /size of its future .* not stateless/ })
    callee.answer = () => 'direct'
    assert.equal(await call(1, 'insert', 1), 'direct')
    assert.equal(callee.asked.at(-1)!.object, undefined)
    ready.clear()
    await assert.rejects(call(2, 'contains', 1), { name: 'Unavailable', message: /not here yet/ })
    callee.serves = [2, 2]
    await assert.rejects(call(1, 'contains', 1), { name: 'Unavailable', message: /not here yet/ })
    await guests.close()
    make(callee, { mayHost: () => false })
    await assert.rejects(call(1, 'contains', 1), { name: 'Retired' })
    assert.deepEqual(started, [])
  })

  it('G4: a false claim is found before anything else is sent, said, and not trusted again', async () => {
    const callee = new Played(1, 1)
    callee.answer = () => false
    make(callee)
    await assert.rejects(call(2, 'keep', 1), { name: 'Unavailable', message: /state/ })
    assert.deepEqual(callee.ways, ['keep@2'])
    await assert.rejects(call(2, 'either', 1, 2), { name: 'NotStateless' })
    assert.deepEqual(callee.ways.slice(1), ['contains@1 for 2'])
    callee.serves = [1, 2]
    for (const method of ['keep', 'either']) assert.equal(await call(2, method, 1, 2), false)
    assert.deepEqual(
      callee.asked.slice(-2).map(({ object }) => object),
      [undefined, undefined]
    )
    assert.deepEqual(guests.counts(), [])
  })

  it('G7: how the delegate call ended is how the call ends; what the delegate’s code said is for the SO', async () => {
    const callee = new Played(1, 1)
    make(callee)
    const names: CallErrorName[] = [
      'Unavailable',
      'OutcomeUnknown',
      'DeadlineExceeded',
      'WouldBlock',
      'NotCommitted',
      'Disallowed',
      'ApplicationError'
    ]
    for (const name of names) {
      callee.answer = () => {
        throw new CallError(name, 'as played')
      }
      await assert.rejects(call(2, 'contains', 1), { name })
    }
    callee.answer = () => {
      throw new CallError('Retired', 'as played')
    }
    await assert.rejects(call(2, 'contains', 1), { name: 'Unavailable' })
    assert.equal(guests.counts()[0]!.count, 2, 'answers of code are answers')
  })

  it('G5: deadline, cancellation and marks travel with the delegate call', async () => {
    const callee = new Played(1, 1)
    make(callee)
    const reached = Promise.withResolvers<CallOptions>()
    callee.answer = (_, options) => {
      reached.resolve(options)
      return new Promise((_resolve, reject) =>
        options.signal!.addEventListener('abort', () => reject(new CallError('Cancelled', 'told')))
      )
    }
    const controller = new AbortController()
    const marked = { ...message(2, 'contains', 1), observersOnly: true }
    const cancelled = guests.call(peer, marked, { timeoutMs: 5_000, signal: controller.signal })
    const { timeoutMs, signal } = await reached.promise
    assert.ok(timeoutMs <= 5_000)
    assert.equal(callee.asked.at(-1)!.observersOnly, true)
    controller.abort()
    await assert.rejects(cancelled, { name: 'Cancelled' })
    assert.equal(signal!.aborted, true)
    await assert.rejects(guests.call(peer, message(2, 'contains', 1), { timeoutMs: 30 }), { name: 'DeadlineExceeded' })
    await assert.rejects(guests.call(peer, { ...message(2, 'contains', 1), held: true }, { timeoutMs: 30 }), {
      name: 'WouldBlock'
    })
  })

  it('G7: a guest that ends in mid-call: unknown once its delegate call was sent, else not executed', async () => {
    const callee = new Played(1, 1)
    make(callee)
    await call(2, 'contains', 1)
    callee.answer = async () => {
      await processes[0]!.kill()
      return true
    }
    await assert.rejects(call(2, 'contains', 1), { name: 'OutcomeUnknown' })
    callee.answer = () => true
    assert.equal(await call(2, 'contains', 1), true)
    assert.equal(started.length, 2)
  })

  it('G8: idle guests end; one that does not start is not started again and again', async () => {
    const callee = new Played(1, 1)
    make(callee, { idleMs: 20 })
    await call(2, 'contains', 1)
    await processes[0]!.ended
    assert.equal(await call(2, 'contains', 1), true)
    assert.equal(started.length, 2)
    await guests.close()
    let starts = 0
    const failing = async () => {
      starts += 1
      throw new Error('no such luck')
    }
    make(callee, { host: { warmGuest: failing } })
    for (let count = 0; count < 2; count++)
      await assert.rejects(call(2, 'contains', 1), { name: 'Unavailable', message: /no such luck/ })
    assert.equal(starts, 1)
  })

  it('G8: at most four; the longest idle one makes room, one at work does not', async () => {
    const callee = new Played(1, 1)
    let object = 0
    const busy = Promise.withResolvers<void>()
    make(callee, { versions: () => ({ object: `Sets${object}`, versions: VERSIONS }) })
    callee.call = async function (this: Played, _peer, _addresses, sent) {
      if (sent.simulates === undefined) throw new CallError('Misplaced', 'elsewhere', { serves: [1, 1] })
      if (sent.args[0] === 'slow') await busy.promise
      return true
    }
    const slow: Promise<Value>[] = []
    for (object = 1; object <= 3; object++) {
      slow.push(call(2, 'contains', 'slow'))
      await until('it started', () => processes.length === object)
    }
    for (object = 4; object <= 5; object++) await call(2, 'contains', 1)
    assert.match(await processes[3]!.ended, /told to end/)
    object = 5
    slow.push(call(2, 'contains', 'slow'))
    object = 6
    slow.push(call(2, 'contains', 'slow'))
    await assert.rejects(slow.at(-1)!, { name: 'Unavailable' })
    busy.resolve()
    assert.deepEqual(await Promise.all(slow.slice(0, 4)), [true, true, true, true])
  })

  it('G4: hosted code is not believed: one delegate call of a run, while it runs, of an observer for an observer', async () => {
    const callee = new Played(1, 1)
    const told: string[] = []
    const nameOf = (made: Promise<Value>) =>
      made.then(
        () => 'ok',
        (error: CallError) => error.name
      )
    const lying = async (_: GuestPlan, outward: GuestOutward): Promise<GuestProcess> => ({
      ended: new Promise(() => undefined),
      kill: async () => undefined,
      call: async ({ run }) => {
        const ask = (number: number, method: string) =>
          nameOf(outward.delegate({ run: number, method, args: [1], timeoutMs: 1e9 }))
        told.push(
          await ask(run + 1, 'contains'),
          await ask(run, 'insert'),
          await ask(run, 'contains'),
          await ask(run, 'contains')
        )
        setImmediate(async () => told.push(await ask(run, 'contains')))
        return true
      }
    })
    make(callee, { host: { warmGuest: lying } })
    assert.equal(await call(2, 'contains', 1), true)
    await until('the late one is answered', () => told.length === 5)
    assert.deepEqual(told, ['Cancelled', 'ApplicationError', 'ok', 'NotStateless', 'Cancelled'])
    assert.deepEqual(callee.ways, ['contains@2', 'contains@1 for 2'])
  })

  it('G5: a callee that contradicts itself again and again is Unavailable', async () => {
    const callee = new Played(1, 1)
    make(callee)
    callee.answer = () => {
      throw new CallError('Misplaced', 'not here', { serves: [1, 1] })
    }
    await assert.rejects(call(2, 'contains', 1), { name: 'Unavailable' })
    callee.answer = () => {
      throw new CallError('Misplaced', 'nor anywhere')
    }
    await assert.rejects(call(2, 'contains', 1), { name: 'Unavailable' })
    assert.ok(callee.asked.length < 10)
  })
})
