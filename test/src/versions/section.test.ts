import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Hold, Section } from '../../../src/versions/section.ts'
import { gate, link, settle, world } from './chain-fixture.ts'

describe('section', () => {
  it('V3 never a mutator beside anyone; everybody gets a turn, in order of arrival among those that exclude each other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ hold: fc.constantFrom<Hold>('shared', 'exclusive'), turns: fc.nat(3) }), {
          maxLength: 30
        }),
        async (visits) => {
          const section = new Section()
          let shared = 0
          let exclusive = 0
          const order: number[] = []
          await Promise.all(
            visits.map(async ({ hold, turns }, index) => {
              await section.take(hold)
              order.push(index)
              if (hold === 'shared') shared += 1
              else exclusive += 1
              assert.ok(exclusive === 0 || (exclusive === 1 && shared === 0))
              for (let turn = 0; turn < turns; turn++) await Promise.resolve()
              if (hold === 'shared') shared -= 1
              else exclusive -= 1
              section.release(hold)
            })
          )
          assert.deepEqual(
            order,
            visits.map((_, index) => index)
          )
        }
      )
    )
  })

  it('V3 a seal goes before waiting mutators, and beside running observers', async () => {
    const section = new Section()
    assert.equal(section.take('shared'), undefined)
    assert.equal(section.seal(), undefined)
    let late = false
    const waiting = section.take('shared')!.then(() => {
      late = true
    })
    await settle()
    assert.equal(late, false)
    section.unseal()
    await waiting
  })

  it('V3 a closed section refuses whoever waits', async () => {
    const section = new Section()
    section.take('exclusive')
    const waiting = section.take('shared')!
    section.close(new Error('closed'))
    await assert.rejects(waiting, /closed/)
    assert.throws(() => section.take('shared'), /closed/)
  })
})

class Register {
  static methods = {
    set: 'mutator',
    get: 'observer',
    slowSet: 'mutator',
    slowGet: 'observer',
    free: { kind: 'observer', concurrent: true },
    put: { kind: 'mutator', concurrent: true },
    again: 'observer',
    ask: 'observer',
    askFree: { kind: 'observer', concurrent: true },
    sneak: { kind: 'mutator', concurrent: true },
    id: 'observer'
  } as const
  static calls = { Other: 4 }
  context: any
  gate = gate()
  constructor(context: any) {
    this.context = context
    instance = this
  }
  set(x: number) {
    this.context.state.put('x', x)
  }
  get() {
    return this.context.state.get('x')
  }
  async slowSet(x: number) {
    await this.gate.opened
    this.context.state.put('x', x)
  }
  async slowGet() {
    await this.gate.opened
    return this.get()
  }
  free() {
    return 'free'
  }
  async put(x: number) {
    await this.context.self.set(x)
    return this.context.self.get()
  }
  again(method: string) {
    return this.context.self[method](1)
  }
  ask(method: string) {
    return this.context.call('Other', method, [])
  }
  async askFree(method: string) {
    await this.context.call('Other', method, [])
    return this.context.call('Other', method, [], { id: 'chosen' })
  }
  sneak() {
    this.context.state.put('x', 0)
  }
  id() {
    return this.context.callId
  }
}
let instance: Register

class PastRegister {
  static methods = { get: 'observer' } as const
  context: any
  constructor(context: any) {
    this.context = context
  }
  get() {
    return this.context.delegate.get()
  }
}

describe('chain: section', () => {
  const register = () => world([link(Register, 1, 'current')])

  it('R6 a call that waits while its SO is taken out is not executed there', async () => {
    const { call, chain } = await world([link(PastRegister, 1, 'past'), link(Register, 2, 'current')])
    const slow = call(2, 'slowSet', 5)
    const removal = chain.remove([1], () => undefined)
    const late = assert.rejects(call(1, 'get'), { name: 'Unavailable', message: /it was taken out/ })
    instance.gate.open()
    await Promise.all([slow, removal, late])
    await assert.rejects(call(1, 'get'), { name: 'Retired' })
  })

  it('V3 observers beside each other, mutators alone, concurrent methods beside everything', async () => {
    const { call, chain } = await register()
    const slow = call(1, 'slowSet', 5)
    const read = call(1, 'get')
    // V8: only a caller that holds an object hears at once, since the mutator may be waiting for it.
    assert.equal(await chain.call({ version: 1, method: 'free', args: [], callId: 'c', held: true }), 'free')
    instance.gate.open()
    await slow
    assert.equal(await read, 5)
    instance.gate = gate()
    const slowRead = call(1, 'slowGet')
    assert.equal(await call(1, 'get'), 5)
    instance.gate.open()
    await slowRead
  })

  it('V6 a held call of a method that is not concurrent is WouldBlock at once', async () => {
    const { chain } = await register()
    const held = (method: string) => chain.call({ version: 1, method, args: [], callId: 'c', held: true })
    await assert.rejects(held('get'), { name: 'WouldBlock' })
    assert.equal(await held('free'), 'free')
    await assert.rejects(held('put'), { name: 'WouldBlock' })
  })

  it('V6 self from inside the section is WouldBlock unless concurrent; from a concurrent method it enters as from outside', async () => {
    const { call } = await register()
    await assert.rejects(call(1, 'again', 'get'), { name: 'WouldBlock' })
    await assert.rejects(call(1, 'again', 'set'), { name: 'WouldBlock' })
    assert.equal(await call(1, 'again', 'free'), 'free')
    assert.equal(await call(1, 'put', 3), 3)
  })

  it('V6 outward calls carry the declared version, whether the code holds the object, and an id that a retry repeats', async () => {
    const { call, chain, outward } = await register()
    await call(1, 'ask', 'look')
    await chain.call({ version: 1, method: 'askFree', args: ['look'], callId: 'abc', held: false })
    await chain.call({ version: 1, method: 'askFree', args: ['look'], callId: 'abc', held: true })
    assert.deepEqual(
      outward.map(({ version, held }) => [version, held]),
      [
        [4, true],
        [4, false],
        [4, false],
        [4, true],
        [4, true]
      ]
    )
    assert.deepEqual(
      outward.slice(1, 3).map(({ callId }) => callId),
      ['abc.1', 'chosen']
    )
    assert.equal(outward[3]!.callId, 'abc.1')
    assert.equal(
      outward.every(({ observersOnly }) => !observersOnly),
      true
    )
  })

  it('V6 an outward call has no more time than the call that makes it', async () => {
    const { chain, outward } = await register()
    let left = 300
    const call = () =>
      chain.call({ version: 1, method: 'ask', args: ['look'], callId: 'abc', held: false, leftMs: () => left })
    await call()
    left = 60_000
    await call()
    assert.deepEqual(
      outward.map(({ timeoutMs }) => timeoutMs),
      [300, 10_000]
    )
    left = 0
    await assert.rejects(call(), { name: 'ApplicationError', message: /DeadlineExceeded/ })
    assert.equal(outward.length, 2)
  })

  it('V11 before the commit outward calls are for observers only', async () => {
    class Early extends Register {
      async start() {
        await this.context.call('Other', 'look', [])
        await assert.rejects(this.context.call('Other', 'change', []), { name: 'NotCommitted' })
      }
    }
    const { outward } = await world([link(Early, 1, 'current')], { serve: false })
    assert.deepEqual(
      outward.map(({ observersOnly }) => observersOnly),
      [true, true]
    )
  })

  it('V8 state is written only by code that holds the object', async () => {
    const { call } = await register()
    await assert.rejects(call(1, 'sneak'), { name: 'ApplicationError', message: /may not write/ })
    assert.equal(await call(1, 'get'), undefined)
  })

  it('V5 the id of the call is visible, and nothing is after it', async () => {
    const { chain } = await register()
    assert.equal(await chain.call({ version: 1, method: 'id', args: [], callId: 'mine', held: false }), 'mine')
    assert.equal(instance.context.callId, undefined)
  })
})

describe('chain: group commit', () => {
  it('V8 many mutators share one commit, and none is answered before it', async () => {
    const { call, store } = await world([link(Register, 1, 'current')])
    const before = store.commits
    let answered = 0
    const calls = Array.from({ length: 50 }, (_, x) =>
      call(1, 'set', x).then(() => {
        answered += 1
        assert.ok(store.commits > before)
      })
    )
    const read = call(1, 'get').then((x) => {
      assert.ok(store.commits > before, 'an observer that saw uncommitted writes waits for them')
      return x
    })
    await Promise.resolve()
    assert.equal(answered, 0)
    await Promise.all(calls)
    assert.equal(await read, 49)
    assert.equal(store.commits, before + 1)
  })

  it('V8 a slow mutator does not share its commit with what ended before it for longer than itself', async () => {
    const { call, store } = await world([link(Register, 1, 'current')])
    const quick = call(1, 'set', 1)
    await quick
    const slow = call(1, 'slowSet', 2)
    const next = call(1, 'set', 3)
    await settle()
    assert.equal(store.crash().space('object').get('x'), 1)
    instance.gate.open()
    await slow
    await next
    assert.equal(store.crash().space('object').get('x'), 3)
  })

  it('V8 a failed commit is OutcomeUnknown for its mutators and ends the object', async () => {
    const { call, store, fatal } = await world([link(Register, 1, 'current')])
    store.failing = true
    await assert.rejects(call(1, 'set', 1), { name: 'OutcomeUnknown' })
    assert.equal(fatal.length, 1)
    await assert.rejects(call(1, 'get'), { name: 'Unavailable' })
  })

  it('V8 flush is called once for a group, before its replies', async () => {
    let flushes = 0
    class Flushing extends Register {
      flush() {
        flushes += 1
      }
    }
    const { call } = await world([link(Flushing, 1, 'current')])
    const before = flushes
    await Promise.all([1, 2, 3].map((x) => call(1, 'set', x)))
    assert.equal(flushes, before + 1)
  })
})

describe('chain: stopping', () => {
  it('V12 drain lets running calls end and takes no new ones', async () => {
    const { call, chain } = await world([link(Register, 1, 'current')])
    const slow = call(1, 'slowSet', 1)
    const drained = chain.drain()
    await assert.rejects(call(1, 'get'), { name: 'Unavailable' })
    instance.gate.open()
    await drained
    await slow
    await chain.stop()
  })

  it('V12 cut undoes what runs, refuses what waits, commits what had ended', async () => {
    const { call, chain, store } = await world([link(Register, 1, 'current')])
    const ended = call(1, 'set', 1)
    const slow = call(1, 'slowSet', 2)
    const waiting = call(1, 'get')
    const outcomes = Promise.all([
      assert.doesNotReject(ended),
      assert.rejects(slow, { name: 'OutcomeUnknown' }),
      assert.rejects(waiting, { name: 'Unavailable' })
    ])
    await Promise.resolve()
    await Promise.resolve()
    await settle()
    assert.equal(chain.cut(), 1)
    await chain.stop()
    await outcomes
    instance.gate.open()
    await settle()
    assert.equal(store.crash().space('object').get('x'), 1)
  })

  it('V8 V12 what had ended when others were cut is flushed before it is answered', async () => {
    const flushing = gate()
    class Flushing extends Register {
      flush() {
        return flushing.opened
      }
    }
    flushing.open()
    const { call, chain, store } = await world([link(Flushing, 1, 'current')])
    flushing.opened = new Promise((open) => {
      flushing.open = open
    })
    let answered = false
    const ended = call(1, 'set', 1).then(() => {
      answered = true
    })
    const slow = assert.rejects(call(1, 'slowSet', 2), { name: 'OutcomeUnknown' })
    await settle()
    chain.cut()
    const stopped = chain.stop()
    await settle()
    assert.equal(answered, false)
    flushing.open()
    await Promise.all([ended, slow, stopped])
    assert.equal(store.crash().space('object').get('x'), 1)
  })

  it('V12 drain waits for a future SO that was just added, its commit included', async () => {
    const { chain, store } = await world([link(Register, 1, 'current')])
    class Later extends Register {
      async initial() {
        this.context.state.put('x', 7)
      }
    }
    const added = chain.add(link(Later, 2, 'future'))
    await chain.drain()
    await chain.stop()
    await added
    assert.equal(store.crash().space('so-2').get('x'), 7)
  })

  it('V9 V12 drain waits for an SO that is being started; cut leaves nothing of it', async () => {
    const { chain, store } = await world([link(Register, 1, 'current')])
    const initial = gate()
    class Slow extends Register {
      async initial() {
        this.context.state.put('x', 7)
        await initial.opened
        this.context.state.put('x', 8)
      }
    }
    const added = assert.rejects(chain.add(link(Slow, 2, 'future')), { name: 'OutcomeUnknown' })
    await settle()
    let drained = false
    void chain.drain().then(() => {
      drained = true
    })
    await settle()
    assert.equal(drained, false)
    assert.equal(chain.cut(), 1)
    await chain.stop()
    await added
    initial.open()
    await settle()
    assert.equal(store.crash().space('so-2').get('x'), undefined)
    assert.equal(store.crash().space('chain').get('started/2'), undefined)
  })

  it('V12 stop may write, in one transaction', async () => {
    class Leaving extends Register {
      stop() {
        this.context.state.put('left', true)
      }
    }
    const { chain, store } = await world([link(Leaving, 1, 'current')])
    await chain.drain()
    await chain.stop()
    assert.equal(store.crash().space('object').get('left'), true)
  })

  it('V12 a call given up while it waits is not executed', async () => {
    const { call, chain, store } = await world([link(Register, 1, 'current')])
    const slow = call(1, 'slowSet', 1)
    const ticket = { cancelled: false }
    const given = chain.call({ version: 1, method: 'set', args: [9], callId: 'c', held: false, ticket })
    ticket.cancelled = true
    instance.gate.open()
    await slow
    await assert.rejects(given, { name: 'Cancelled' })
    assert.equal(store.crash().space('object').get('x'), 1)
  })
})
