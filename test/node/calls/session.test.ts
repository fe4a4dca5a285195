import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  errorFrame,
  MAX_PAYLOAD_BYTES,
  readFromCallee,
  readFromCaller,
  WINDOW_BYTES,
  writeFrame
} from '../../../node/calls/frames.ts'
import {
  type CallMessage,
  type Calls,
  type CallsInit,
  createCalls,
  type IncomingCall
} from '../../../node/calls/session.ts'
import { encode } from '../../../node/network/cbor.ts'
import { frame } from '../../../node/network/frames.ts'
import { createPeerKey } from '../../../node/network/key.ts'
import { createMemoryNetwork, MemoryHub } from '../../../node/network/memory.ts'
import { createNetwork, type Network } from '../../../node/network/network.ts'
import type { Wire } from '../../../node/network/wire.ts'
import { CallError } from '../../../src/errors.ts'
import type { Value } from '../../../src/versions/types.ts'
import { FLEET, record, until } from '../network/contract.ts'

const message = (method: string, ...args: Value[]): CallMessage => ({
  class: 'Echo',
  version: 1,
  method,
  args,
  callId: 'one',
  held: false,
  timeoutMs: 0,
  observersOnly: false
})

interface Node {
  network: Network
  calls: Calls
  /** Calls that `serve` has begun and not ended. */
  running: IncomingCall[]
  began: string[]
  release(): void
}

async function serve(node: Node, gate: Promise<void>, call: IncomingCall): Promise<Value> {
  node.began.push(`${call.method} ${call.args[0]}`)
  node.running.push(call)
  try {
    switch (call.method) {
      case 'echo':
        return call.args
      case 'late':
        await gate
        return call.args
      case 'hang':
        return await new Promise((_resolve, reject) => {
          call.signal.addEventListener('abort', () => reject(call.signal.reason), { once: true })
        })
      case 'busy':
        throw new CallError('Unavailable', 'it is draining', { retryAfterMs: 123 })
      case 'large':
        return new Uint8Array(MAX_PAYLOAD_BYTES + 10_000)
      case 'odd':
        return new Map() as unknown as Value
      default:
        throw new TypeError(`no ${call.method}`)
    }
  } finally {
    node.running.splice(node.running.indexOf(call), 1)
  }
}

const hub = new MemoryHub()
let names = 0
const forms: [string, () => Promise<Network>][] = [
  ['memory', () => createMemoryNetwork({ hub, fleet: FLEET, peer: `caller${++names}x` })],
  ['libp2p', async () => createNetwork({ fleet: FLEET, key: await createPeerKey(), listen: ['/ip4/127.0.0.1/tcp/0'] })]
]

for (const [name, create] of forms) {
  describe(`calls: sessions over ${name}`, () => {
    let nodes: Node[] = []

    const make = async (options: Partial<CallsInit> = {}): Promise<Node> => {
      const network = await create()
      let release = (): void => undefined
      const gate = new Promise<void>((resolve) => {
        release = resolve
      })
      const node: Node = { network, calls: undefined as unknown as Calls, running: [], began: [], release }
      node.calls = await createCalls({ wires: network, serve: (call) => serve(node, gate, call), ...options })
      record(network)
      nodes.push(node)
      return node
    }
    const call = (from: Node, to: Node, one: CallMessage, timeoutMs = 10_000, signal?: AbortSignal) =>
      from.calls.call(to.network.peer, to.network.addresses(), one, { timeoutMs, signal })

    afterEach(async () => {
      for (const node of nodes) node.release()
      await Promise.all(nodes.map((node) => node.calls.close()))
      await Promise.all(nodes.map((node) => node.network.close()))
      nodes = []
    })

    it('N8: values come back as they went, many at once, both ways', async () => {
      const [a, b] = [await make(), await make()]
      const values: Value[] = [null, true, 1, 2.5, 10n ** 30n, 'é', new Date(0), [1, [2]], { a: { b: undefined } }]
      assert.deepEqual(await call(a, b, message('echo', ...values)), values)
      assert.deepEqual([...((await call(a, b, message('echo', Uint8Array.from([1, 2])))) as [Uint8Array])[0]], [1, 2])
      const many = Array.from({ length: 3000 }, (_, index) => index)
      const both = await Promise.all(
        many.flatMap((index) => [call(a, b, message('echo', index)), call(b, a, message('echo', index))])
      )
      assert.deepEqual(
        both.map((one) => (one as number[])[0]),
        many.flatMap((index) => [index, index])
      )
      assert.equal(a.calls.inFlight(b.network.peer), 0)
    })

    it('N9: errors keep their name and their hint; what the object throws is the application’s', async () => {
      const [a, b] = [await make(), await make()]
      await assert.rejects(call(a, b, message('busy')), { name: 'Unavailable', retryAfterMs: 123 })
      await assert.rejects(call(a, b, message('nothing')), { name: 'ApplicationError', message: 'no nothing' })
      await assert.rejects(call(a, b, message('odd')), { name: 'ApplicationError' })
      await assert.rejects(call(a, b, message('large')), { name: 'PayloadTooLarge' })
      await assert.rejects(call(a, b, message('echo', new Uint8Array(MAX_PAYLOAD_BYTES + 10_000))), {
        name: 'PayloadTooLarge'
      })
      await assert.rejects(call(a, b, message('echo', new Map() as unknown as Value)), { name: 'ApplicationError' })
      assert.equal(b.began.length, 4, 'what cannot be sent is not sent')
    })

    it('N8: large payloads pass, and the window bounds what a callee holds', async () => {
      const [a, b] = [await make(), await make()]
      const payload = new Uint8Array(4 * 1024 * 1024).fill(7)
      const large = Array.from({ length: 10 }, () => call(a, b, message('late', payload)))
      await until('the window is full', () => b.running.length === 3)
      const late = call(a, b, message('late', 'small'))
      b.release()
      for (const one of await Promise.all(large)) assert.equal((one as [Uint8Array])[0].byteLength, payload.byteLength)
      assert.deepEqual(await late, ['small'])
    })

    it('N11: one caller runs only so many at once; the others are not held up', async () => {
      const [a, b, c] = [await make(), await make({ concurrency: 2 }), await make()]
      const queued = Array.from({ length: 5 }, (_, index) => call(a, b, message('late', index)))
      await until('two are running', () => b.running.length === 2)
      assert.deepEqual(await call(c, b, message('echo', 'past the queue')), ['past the queue'])
      assert.equal(b.running.length, 2)
      b.release()
      await Promise.all(queued)
      assert.deepEqual(
        b.began.filter((one) => one.startsWith('late')),
        [0, 1, 2, 3, 4].map((index) => `late ${index}`)
      )
    })

    it('N9: a deadline ends the call here and there', async () => {
      const [a, b] = [await make(), await make()]
      await call(a, b, message('echo'))
      await assert.rejects(call(a, b, message('hang'), 50), { name: 'DeadlineExceeded' })
      await until('the callee has given up', () => b.running.length === 0)
      assert.equal(a.calls.inFlight(b.network.peer), 0)
    })

    it('N9: a cancellation reaches the running call, and takes back a waiting one', async () => {
      const [a, b] = [await make(), await make({ concurrency: 1 })]
      const [first, second] = [new AbortController(), new AbortController()]
      const running = call(a, b, message('hang', 1), 10_000, first.signal)
      await until('it runs', () => b.running.length === 1)
      const waiting = call(a, b, message('echo', 2), 10_000, second.signal)
      second.abort()
      await assert.rejects(waiting, { name: 'Cancelled' })
      first.abort()
      await assert.rejects(running, { name: 'Cancelled' })
      await until('it ended there', () => b.running.length === 0)
      assert.deepEqual(await call(a, b, message('echo', 3)), [3])
      assert.deepEqual(b.began, ['hang 1', 'echo 3'], 'the waiting one never began')
      await assert.rejects(call(a, b, message('echo', 4), 10_000, AbortSignal.abort()), { name: 'Cancelled' })
    })

    it('N9: when the connection breaks, what was sent is OutcomeUnknown, what was not is Unavailable', async () => {
      const [a, b] = [await make(), await make()]
      const payload = new Uint8Array(7 * 1024 * 1024)
      const sent = [call(a, b, message('late', payload)), call(a, b, message('late', payload))]
      await until('both arrived', () => b.running.length === 2)
      const unsent = call(a, b, message('late', payload))
      const outcomes = Promise.allSettled([...sent, unsent])
      a.network.disconnect(b.network.peer, 'cut', true)
      const names = (await outcomes).map((one) => (one.status === 'rejected' ? (one.reason as Error).name : 'done'))
      assert.deepEqual(names, ['OutcomeUnknown', 'OutcomeUnknown', 'Unavailable'])
      await until('the callee is told', () => b.running.every(({ signal }) => signal.aborted))
      assert.deepEqual(await call(a, b, message('echo', 'again')), ['again'])
    })

    it('N9: a peer that cannot be reached, or serves nothing, is Unavailable', async () => {
      const [a, b] = [await make(), await make({ serve: undefined })]
      await assert.rejects(call(a, b, message('echo')), { name: 'Unavailable' })
      const addresses = b.network.addresses()
      await b.network.close()
      const gone = a.calls.call(b.network.peer, addresses, message('echo'), { timeoutMs: 5_000 })
      await assert.rejects(gone, { name: 'Unavailable' })
    })

    it('N10: the log head goes with calls and replies, once per change', async () => {
      const seen: string[] = []
      const heads = { a: 1, b: 1 }
      const head = (of: 'a' | 'b') => () => {
        return { head: { version: heads[of], hash: String(heads[of]).repeat(64) }, statements: `${of}${heads[of]}` }
      }
      const headSeen: CallsInit['headSeen'] = (_from, { version }, statements) =>
        void seen.push(`${version} ${statements}`)
      const a = await make({ head: head('a'), headSeen })
      const b = await make({ head: head('b'), headSeen })
      for (let count = 0; count < 3; count++) await call(a, b, message('echo'))
      assert.deepEqual(seen.sort(), ['1 a1', '1 b1'])
      heads.b = 2
      await call(a, b, message('echo'))
      assert.equal(seen.at(-1), '2 b2')
      heads.a = 3
      await call(a, b, message('echo'))
      assert.equal(seen.at(-1), '3 a3')
    })

    it('N7: a wire on which nothing is called is closed, and opened again on demand', async () => {
      const [a, b] = [await make({ idleMs: 20 }), await make()]
      await call(a, b, message('echo'))
      a.network.disconnect(b.network.peer, 'not while it is used')
      await until('nothing holds the connection any more', () => {
        a.network.disconnect(b.network.peer, 'unused')
        return !a.network.reachable(b.network.peer)
      })
      assert.deepEqual(await call(a, b, message('echo', 1)), [1])
    })

    it('N8: malformed frames, and calls beyond the window, end that wire only', async () => {
      const [a, b] = [await make(), await make()]
      const held = call(a, b, message('late', 'honest'))
      await until('it runs', () => b.running.length === 1)
      const good = { kind: 'call', id: 1, ...message('late', new Uint8Array(8 * 1024 * 1024)) } as const
      const large = writeFrame({ ...good, timeoutMs: 60_000 }, 'test')
      const wrong: [string, Uint8Array][] = [
        ['no CBOR', frame(Uint8Array.from([0xff]), 10)],
        ['no frame', frame(encode({ kind: 'gift' }), 100)],
        ['a class of no name', frame(encode({ ...good, class: '__proto__', args: [] }), 1000)],
        ['a frame beyond the limit', Uint8Array.from([0xff, 0xff, 0xff, 0xff])],
        [
          'the same call twice',
          Buffer.concat([0, 1].map(() => writeFrame({ ...good, args: [], timeoutMs: 60_000 }, 'test')))
        ],
        [
          'more than the window',
          Buffer.concat([large, ...[2, 3].map((id) => writeFrame({ ...good, id, timeoutMs: 60_000 }, 'test'))])
        ]
      ]
      const evil = await create()
      record(evil)
      try {
        for (const [what, bytes] of wrong) {
          const wire: Wire = await evil.wire(b.network.peer, b.network.addresses(), 'call')
          const closed: string[] = []
          wire.listen({ data: () => undefined, closed: () => closed.push(what) })
          wire.send(bytes)
          await until(what, () => closed.length === 1)
        }
        assert.ok(evil.reachable(b.network.peer))
      } finally {
        await evil.close()
      }
      b.release()
      assert.deepEqual(await held, ['honest'])
    })
  })
}

describe('calls: frames', () => {
  it('N9: a hint that hosted code made up is within what the other end takes', () => {
    for (const [retryAfterMs, told] of [
      [Number.POSITIVE_INFINITY, 86_400_000],
      [1e12, 86_400_000],
      [Number.NaN, undefined],
      [-5, undefined],
      [12.6, 13]
    ] as const) {
      const error = errorFrame(1, new CallError('Unavailable', 'busy', { retryAfterMs }))
      const read = readFromCallee(writeFrame(error, 'error').subarray(4)) as { retryAfterMs?: number }
      assert.equal(read.retryAfterMs, told)
    }
  })

  it('N8: every call comes out as it went in, and no bytes do anything but be refused', () => {
    const name = fc
      .stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,20}$/)
      .filter((one) => one !== 'constructor' && one !== 'then')
    const fields = {
      kind: fc.constant('call' as const),
      id: fc.integer({ min: 1 }),
      class: name,
      version: fc.integer({ min: 1, max: 1_000_000 }),
      method: fc.constant('get'),
      args: fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(undefined), fc.bigInt()), { maxLength: 5 }),
      callId: fc.string({ minLength: 1, maxLength: 200 }),
      held: fc.boolean(),
      timeoutMs: fc.integer({ min: 0, max: 86_400_000 }),
      observersOnly: fc.boolean()
    }
    const calls = fc.record(fields, { noNullPrototype: true })
    fc.assert(
      fc.property(calls, (one) => {
        const bytes = writeFrame(one as Parameters<typeof writeFrame>[0], 'test')
        assert.deepEqual(readFromCaller(bytes.subarray(4)), one)
      })
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        for (const read of [readFromCaller, readFromCallee]) assert.throws(() => read(bytes), { name: 'Malformed' })
      })
    )
    assert.ok(WINDOW_BYTES >= MAX_PAYLOAD_BYTES + 4096, 'any call fits the window')
  })
})
