import assert from 'node:assert/strict'
import { type Candidate, createRouter, type RouterInit } from '../../../node/calls/router.ts'
import type { CallMessage, Calls } from '../../../node/calls/session.ts'
import { CallError, type CallErrorName } from '../../../src/errors.ts'
import type { CallRequest, Value } from '../../../src/versions/types.ts'

const REQUEST: CallRequest = { class: 'Kv', version: 2, method: 'get', args: ['x'], timeoutMs: 2_000 }

type Answer = (message: CallMessage, attempt: number) => Promise<Value> | Value

/** A router over scripted peers: what each answers, and in which order they were asked. */
function scripted(answers: Record<string, Answer>, options: Partial<RouterInit> = {}) {
  const asked: string[] = []
  const ids: string[] = []
  const busy = new Map<string, number>()
  const calls: Calls = {
    call: async (peer, _addresses, message) => {
      asked.push(peer)
      ids.push(message.callId)
      return answers[peer]!(message, asked.filter((one) => one === peer).length)
    },
    inFlight: (peer) => busy.get(peer) ?? 0,
    close: async () => undefined
  }
  const candidates = Object.keys(answers).map(
    (peer): Candidate => ({ peer, addresses: [], serving: true, serves: [1, 2] })
  )
  const router = createRouter({ self: null, calls, reachable: () => true, candidates: () => candidates, ...options })
  return { router, asked, ids, busy, candidates }
}

const fail =
  (name: CallErrorName, retryAfterMs?: number): Answer =>
  () => {
    throw new CallError(name, name, retryAfterMs === undefined ? {} : { retryAfterMs })
  }

describe('calls: router', () => {
  it('N13: what is Unavailable at one replica is asked of another, with the same id', async () => {
    const { router, asked, ids } = scripted({ a: fail('Unavailable'), b: fail('Unavailable'), c: () => 'value' })
    assert.equal(await router.call(REQUEST), 'value')
    assert.equal(asked.at(-1), 'c')
    assert.equal(new Set(ids).size, 1)
    await router.call(REQUEST)
    assert.equal(new Set(ids).size, 2, 'another call has another id')
    assert.deepEqual(router.counts(), [{ class: 'Kv', version: 2, method: 'get', outcome: 'ok', count: 2 }])
  })

  it('N13: when all are Unavailable it comes back later, until the deadline', async () => {
    const slow = scripted({ a: (_message, attempt) => (attempt < 4 ? fail('Unavailable', 10)(_message, 1) : 'value') })
    assert.equal(await slow.router.call(REQUEST), 'value')
    assert.equal(slow.asked.length, 4)
    const never = scripted({ a: fail('Unavailable', 10), b: fail('Unavailable', 10) })
    await assert.rejects(never.router.call({ ...REQUEST, timeoutMs: 200 }), { name: 'Unavailable', retryAfterMs: 10 })
    assert.ok(never.asked.length >= 4)
    const nobody = scripted({})
    await assert.rejects(nobody.router.call({ ...REQUEST, timeoutMs: 100 }), { name: 'Unavailable' })
    assert.deepEqual(nobody.router.counts()[0]!.outcome, 'Unavailable')
  })

  it('G6: what a callee answers without being asked never reaches a caller', async () => {
    const { router, asked } = scripted({ a: fail('Misplaced'), b: fail('Misplaced') })
    await assert.rejects(router.call({ ...REQUEST, timeoutMs: 100 }), { name: 'Unavailable' })
    assert.ok(asked.includes('a') && asked.includes('b'))
  })

  it('N13: an answer of the object is final, whatever it is', async () => {
    for (const name of [
      'Disallowed',
      'Retired',
      'NoSuchMethod',
      'WouldBlock',
      'NotCommitted',
      'ApplicationError',
      'DeadlineExceeded'
    ] as const) {
      const { router, asked } = scripted({ a: fail(name), b: fail(name) })
      await assert.rejects(router.call(REQUEST), { name })
      assert.equal(asked.length, 1)
    }
  })

  it('N14: an unknown outcome is repeated only if that is harmless, first where the id is known', async () => {
    const broken = { a: fail('OutcomeUnknown'), b: () => 'value' }
    const first = { serving: true, serves: [2, 2] } as const
    const only = (init: Partial<RouterInit>) => {
      const made = scripted(broken, init)
      made.candidates[0] = { ...made.candidates[0]!, ...first }
      made.candidates[1] = { ...made.candidates[1]!, serving: false }
      return made
    }
    const strict = only({})
    await assert.rejects(strict.router.call(REQUEST), { name: 'OutcomeUnknown' })
    assert.deepEqual(strict.asked, ['a'])
    const idempotent = only({
      idempotent: (name, version, method) => name === 'Kv' && version === 2 && method === 'get'
    })
    assert.equal(await idempotent.router.call(REQUEST), 'value')
    assert.deepEqual(idempotent.asked, ['a', 'a', 'b'])
    const withId = only({})
    assert.equal(await withId.router.call({ ...REQUEST, id: 'mine' }), 'value')
    assert.deepEqual(withId.ids, ['mine', 'mine', 'mine'])
  })

  it('N14: once an outcome is unknown, no later failure makes it known', async () => {
    const lost: Answer = (_message, attempt) =>
      fail(attempt === 1 ? 'OutcomeUnknown' : 'Unavailable')(_message, attempt)
    const { router } = scripted({ a: lost })
    await assert.rejects(router.call({ ...REQUEST, id: 'mine', timeoutMs: 200 }), { name: 'OutcomeUnknown' })
  })

  it('N14: … nor does an answer that says nothing of the earlier try', async () => {
    for (const later of ['Retired', 'NoSuchMethod', 'WouldBlock', 'ApplicationError'] as const) {
      const answer: Answer = (message, attempt) => fail(attempt === 1 ? 'OutcomeUnknown' : later)(message, attempt)
      const { router } = scripted({ a: answer })
      const call = router.call({ ...REQUEST, id: 'mine' })
      await assert.rejects(call, { name: 'OutcomeUnknown', message: new RegExp(later) })
    }
  })

  it('N8: what the other end would take for a broken wire is not sent', async () => {
    const { router, asked } = scripted({ a: () => 'value' })
    const odd: Partial<CallRequest>[] = [
      { args: Array.from({ length: 300 }, () => 1) },
      { method: 'no method' },
      { version: 0 },
      { id: 'i'.repeat(300) },
      { timeoutMs: Number.POSITIVE_INFINITY }
    ]
    for (const one of odd) await assert.rejects(router.call({ ...REQUEST, ...one }), { name: 'ApplicationError' })
    assert.deepEqual(asked, [])
  })

  it('N8: an id that grew with the depth of nested calls is shortened, to the same at every retry', async () => {
    const { router, ids } = scripted({ a: () => 'value' })
    const callId = `${'i'.repeat(200)}.1`
    for (const marks of [{ callId }, { callId }, { callId: `${callId}.1` }]) await router.call(REQUEST, marks)
    assert.equal(ids[0], ids[1])
    assert.notEqual(ids[0], ids[2])
    assert.ok(ids.every((id) => id.length <= 200))
  })

  it('N12: a serving, near and idle peer is asked first; a version out of range comes last', async () => {
    const all = { far: () => 1, busy: () => 2, idle: () => 3, old: () => 4, down: () => 5 }
    const { router, asked, busy, candidates } = scripted(all, { reachable: (peer) => peer !== 'far' })
    busy.set('busy', 3)
    candidates[3]!.serves = [3, 4]
    candidates[4]!.serving = false
    for (let count = 0; count < 5; count++) await router.call(REQUEST)
    assert.deepEqual(asked, ['idle', 'idle', 'idle', 'idle', 'idle'])
    const refusing = scripted(Object.fromEntries(Object.keys(all).map((peer) => [peer, fail('Unavailable')])), {
      reachable: (peer) => peer !== 'far'
    })
    refusing.busy.set('busy', 3)
    refusing.candidates[3]!.serves = [3, 4]
    refusing.candidates[4]!.serving = false
    await assert.rejects(refusing.router.call({ ...REQUEST, timeoutMs: 30 }), { name: 'Unavailable' })
    assert.deepEqual(refusing.asked.slice(0, 5), ['idle', 'busy', 'far', 'old', 'down'])
  })

  it('D23: a call at the own node says whose code makes it', async () => {
    const me: Candidate = { peer: 'me', addresses: [], serving: true, serves: [1, 2] }
    const here: RouterInit['local'] = async ({ from }, by) => [from, by]
    const { router } = scripted({}, { self: 'me', local: here, candidates: () => [me] })
    assert.deepEqual(await router.call(REQUEST, { by: 'Kv' }), ['me', 'Kv'])
    assert.deepEqual(await router.call(REQUEST), ['me', undefined])
  })

  it('N12: equals share the calls', async () => {
    const { router, asked } = scripted({ a: () => 1, b: () => 1, c: () => 1 })
    for (let count = 0; count < 30; count++) await router.call(REQUEST)
    for (const peer of ['a', 'b', 'c']) assert.equal(asked.filter((one) => one === peer).length, 10)
  })

  it('N12: a key chooses one member, the same from everywhere; few keys move when a member is gone', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const chosen = async (members: string[], key: string, reverse = false) => {
      const { router, asked } = scripted(
        Object.fromEntries((reverse ? members.toReversed() : members).map((one) => [one, () => 1]))
      )
      await router.call({ ...REQUEST, to: { group: 'g', key } })
      return asked[0]!
    }
    const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`)
    const spread = new Map<string, number>()
    for (const key of keys) {
      const member = await chosen(names, key)
      spread.set(member, (spread.get(member) ?? 0) + 1)
      assert.equal(await chosen(names, key, true), member)
      const rest = names.filter((name) => name !== 'c')
      if (member !== 'c') assert.equal(await chosen(rest, key), member)
    }
    for (const name of names) assert.ok(spread.get(name)! > 15, `${name} has ${spread.get(name)} of 200 keys`)
  })

  it('N12: the own object is called without a network, with the same deadline, cancellation and errors', async () => {
    const local: RouterInit['local'] = ({ method, signal, held, observersOnly, entry }) =>
      new Promise((resolve, reject) => {
        if (method === 'get') resolve([held, observersOnly, entry])
        if (method === 'throw') reject(new TypeError('of the object'))
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    const here = { self: 'me', local, entry: () => '0123456789abcdef' }
    const { router, asked, candidates } = scripted({ other: () => 'remote' }, here)
    candidates.push({ peer: 'me', addresses: [], serving: true, serves: [1, 2] })
    assert.deepEqual(await router.call(REQUEST, { held: true }), [true, false, '0123456789abcdef'])
    await assert.rejects(router.call({ ...REQUEST, method: 'throw' }), { name: 'ApplicationError' })
    await assert.rejects(router.call({ ...REQUEST, method: 'hang', timeoutMs: 30 }), { name: 'DeadlineExceeded' })
    const controller = new AbortController()
    const hanging = router.call({ ...REQUEST, method: 'hang', signal: controller.signal })
    controller.abort()
    await assert.rejects(hanging, { name: 'Cancelled' })
    assert.deepEqual(asked, [])
  })

  it('N13: a cancellation ends the waiting between rounds', async () => {
    const controller = new AbortController()
    const { router } = scripted({
      a: () => {
        setImmediate(() => controller.abort())
        throw new CallError('Unavailable', 'draining', { retryAfterMs: 1_500 })
      }
    })
    await assert.rejects(router.call({ ...REQUEST, signal: controller.signal }), { name: 'Cancelled' })
  })

  it('N12: names that callers invent do not fill the memory', async () => {
    const { router } = scripted({ a: () => 1 })
    for (let count = 0; count < 1_500; count++) await router.call({ ...REQUEST, method: `m${count}` })
    assert.ok(router.counts().length <= 1_001)
    assert.equal(
      router.counts().reduce((sum, { count }) => sum + count, 0),
      1_500
    )
  })
})
