import assert from 'node:assert/strict'
import fc from 'fast-check'
import ColorSet from '../../fixtures/sets/color-set.ts'
import FutureColorSet from '../../fixtures/sets/future-color-set.ts'
import IntSet from '../../fixtures/sets/int-set.ts'
import PastIntSet from '../../fixtures/sets/past-int-set.ts'
import { link, settle, subtype, world } from './chain-fixture.ts'
import { MemoryStore } from './memory-store.ts'

const future = () => [link(IntSet, 1, 'current'), link(FutureColorSet, 2, 'future')]
const past = () => [link(PastIntSet, 1, 'past'), link(ColorSet, 2, 'current')]

describe('chain: dispatch', () => {
  it('V1 a call at version x goes to link x', async () => {
    const { call } = await world(past())
    await call(1, 'insert', 7)
    assert.equal(await call(2, 'getColor', 7), 'blue')
    assert.deepEqual(await call(1, 'all'), [7])
  })

  it('V2 above the highest link: Unavailable with a hint; below the lowest: Retired; no such method: NoSuchMethod', async () => {
    const { call } = await world([link(PastIntSet, 3, 'past'), link(ColorSet, 4, 'current')])
    await assert.rejects(call(5, 'all'), (error: any) => error.name === 'Unavailable' && error.retryAfterMs > 0)
    await assert.rejects(call(2, 'all'), (error: any) => error.name === 'Retired' && /PastIntSet@3/.test(error.message))
    await assert.rejects(call(4, 'insert', 1), { name: 'NoSuchMethod' })
    await assert.rejects(call(4, 'toString'), { name: 'NoSuchMethod' })
    await assert.rejects(call(4, 'context'), { name: 'NoSuchMethod' })
  })

  it('V2 a version between two links is that of the link below it', async () => {
    const { call } = await world([link(PastIntSet, 3, 'past'), link(ColorSet, 9, 'current')])
    await call(8, 'insert', 1)
    assert.equal(await call(9, 'contains', 1), true)
  })

  it('V1 a subtype link passes calls on; a method that the next link lacks is refused', async () => {
    const { call } = await world([subtype(IntSet, 1), link(ColorSet, 2, 'current')])
    await call(2, 'insertColor', 1, 'red')
    assert.equal(await call(1, 'contains', 1), true)
    await call(1, 'delete', 1)
    assert.equal(await call(2, 'contains', 1), false)
    await assert.rejects(call(1, 'insert', 2), { name: 'ApplicationError', message: /NoSuchMethod/ })
  })

  it('V11 no call is taken before serve', async () => {
    const { chain, call } = await world(future(), { serve: false })
    await assert.rejects(call(1, 'all'), { name: 'Unavailable' })
    await chain.health()
    chain.serve()
    assert.deepEqual(await call(1, 'all'), [])
  })

  it('V1 refuses chains without one current link, or out of order, and code that lacks a declared method', async () => {
    await assert.rejects(world([link(FutureColorSet, 2, 'future')]))
    await assert.rejects(world([link(PastIntSet, 3, 'past'), link(ColorSet, 2, 'current')]))
    class Lacking {
      static methods = { absent: 'observer' } as const
      present = 1
    }
    await assert.rejects(world([link(Lacking, 1, 'current')]), /declares absent/)
  })
})

describe('chain: interceptors', () => {
  it('V7 the history that a direct SO with a table gets wrong', async () => {
    const { call } = await world(future())
    await call(2, 'insertColor', 1, 'red')
    assert.equal(await call(2, 'getColor', 1), 'red')
    await call(1, 'insert', 1)
    assert.equal(await call(2, 'getColor', 1), 'red')
    await call(1, 'delete', 1)
    await call(1, 'insert', 1)
    assert.equal(await call(2, 'getColor', 1), 'blue')
  })

  type Step = { version: 1 | 2; method: string; x: number; color: string }
  const step: fc.Arbitrary<Step> = fc
    .record({
      at: fc.constantFrom('1:insert', '1:delete', '2:insertColor', '2:delete'),
      x: fc.integer({ min: 0, max: 2 }),
      color: fc.constantFrom('red', 'blue', 'green')
    })
    .map(({ at, x, color }) => ({ version: at[0] === '1' ? 1 : 2, method: at.slice(2), x, color }))

  const model = (steps: Step[]) => {
    const colors = new Map<number, string>()
    for (const { method, x, color } of steps) {
      if (method === 'delete') colors.delete(x)
      else if (method === 'insertColor') colors.set(x, color)
      else if (!colors.has(x)) colors.set(x, 'blue')
    }
    return colors
  }

  for (const [name, links] of [
    ['future', future],
    ['past', past]
  ] as const) {
    it(`V3 V7 ${name}: calls issued together at both versions end as if one at a time, in order`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const { call } = await world(links())
          const args = ({ method, x, color }: Step) => (method === 'insertColor' ? [x, color] : [x])
          await Promise.all(steps.map((one) => call(one.version, one.method, ...args(one))))
          for (const x of [0, 1, 2]) {
            assert.equal(await call(2, 'getColor', x), model(steps).get(x) ?? null)
            assert.equal(await call(1, 'contains', x), model(steps).has(x))
          }
        }),
        { numRuns: 60 }
      )
    })
  }

  it('V7 writes of an interceptor are applied only if the call succeeds', async () => {
    class Refusing extends IntSet {
      override insert(x: number) {
        super.insert(x)
        if (x < 0) throw new Error('negative')
      }
    }
    const { call, store } = await world([link(Refusing, 1, 'current'), link(FutureColorSet, 2, 'future')])
    store.begin()
    store.space('so-2').put('color/-1', 'red')
    store.commit()
    await assert.rejects(call(1, 'insert', -1), { name: 'ApplicationError', message: /negative/ })
    assert.equal(store.space('so-2').get('color/-1'), 'red')
    assert.equal(await call(1, 'contains', -1), false)
  })

  it('V7 an interceptor cannot change the arguments', async () => {
    class Meddling extends FutureColorSet {
      override async intercept(_: string, args: any[]) {
        args[0].x = 2
        return []
      }
    }
    class Boxes {
      static methods = { insert: 'mutator', delete: 'mutator', last: 'observer', contains: 'observer' } as const
      box: any
      insert(box: any) {
        this.box = box
      }
      delete() {
        return null
      }
      contains() {
        return null
      }
      last() {
        return this.box
      }
    }
    const { call } = await world([link(Boxes, 1, 'current'), link(Meddling, 2, 'future')])
    await call(1, 'insert', { x: 1 })
    assert.deepEqual(await call(1, 'last'), { x: 1 })
  })

  it('V10 an interceptor that throws does not fail the call: it is quarantined, durably before the reply', async () => {
    class Broken extends FutureColorSet {
      override async intercept(): Promise<[]> {
        throw new Error('broken')
      }
    }
    const { call, store, faults } = await world([link(IntSet, 1, 'current'), link(Broken, 2, 'future')])
    await call(2, 'insertColor', 1, 'red')
    await call(1, 'delete', 1)
    assert.equal(await call(1, 'contains', 1), false)
    await assert.rejects(call(2, 'getColor', 1), { name: 'Unavailable', message: /broken/ })
    assert.equal(faults.length, 1)
    const again = await world(future(), { store: store.crash() })
    await assert.rejects(again.call(2, 'getColor', 1), { name: 'Unavailable', message: /broken/ })
    await assert.rejects(again.chain.add(link(FutureColorSet, 2, 'future')), { name: 'Unavailable' })
  })

  it('V10 an interception that never ends does not hold the object: its SO is quarantined, the call goes on', async () => {
    let late: (() => Promise<unknown>) | undefined
    class Hanging extends FutureColorSet {
      override intercept(): Promise<[]> {
        late = async () => this.context.delegate.contains(1)
        return new Promise(() => undefined)
      }
    }
    const { call, pass, timers, store } = await world([link(IntSet, 1, 'current'), link(Hanging, 2, 'future')])
    const inserted = call(1, 'insert', 1)
    let waitedMs = 0
    while (timers.size > 0) {
      waitedMs += pass()
      await settle()
    }
    await inserted
    assert.equal(waitedMs, 10_000)
    assert.equal(await call(1, 'contains', 1), true)
    await assert.rejects(call(2, 'getColor', 1), { name: 'Unavailable', message: /did not end within/ })
    assert.match(String(store.crash().space('chain').get('quarantined/2')), /did not end within/)
    await assert.rejects(late!(), /only while/)
  })

  it('V10 what an SO missed is not committed where its mark cannot be written', async () => {
    class Broken extends FutureColorSet {
      override async intercept(): Promise<[]> {
        throw new Error('broken')
      }
    }
    const store = new MemoryStore()
    const space = store.space.bind(store)
    store.space = (name) => {
      const { put, ...rest } = space(name)
      return {
        ...rest,
        put: (key, value) => (key.startsWith('quarantined') ? assert.fail('disk full') : put(key, value))
      }
    }
    const { call, fatal } = await world([link(IntSet, 1, 'current'), link(Broken, 2, 'future')], { store })
    await assert.rejects(call(1, 'insert', 1), { name: 'OutcomeUnknown' })
    assert.equal(fatal.length, 1)
    assert.deepEqual([...store.crash().space('object').entries()], [])
  })

  it('V10 the mark stays when the intercepted call itself fails', async () => {
    class Broken extends FutureColorSet {
      override async intercept(): Promise<[]> {
        throw new Error('broken')
      }
    }
    class Refusing extends IntSet {
      override insert() {
        throw new Error('no')
      }
    }
    const { call, store } = await world([link(Refusing, 1, 'current'), link(Broken, 2, 'future')])
    await assert.rejects(call(1, 'insert', 1), { name: 'ApplicationError' })
    assert.match(String(store.crash().space('chain').get('quarantined/2')), /broken/)
  })
})

describe('chain: delegates', () => {
  it('V7 a refusal inside an operation leaves no partial effect, caught or not', async () => {
    class Base {
      static methods = { put: 'mutator', get: 'observer' } as const
      context: any
      constructor(context: any) {
        this.context = context
      }
      put(x: number) {
        this.context.state.put('x', x)
        if (x > 9) throw new Error('too large')
      }
      get() {
        return this.context.state.get('x')
      }
    }
    class Two extends Base {
      static override methods = { put: 'mutator', get: 'observer', careful: 'mutator' } as any
      override async put(x: number) {
        this.context.state.put('mine', x)
        await this.context.delegate.put(1)
        await this.context.delegate.put(x)
      }
      override get() {
        return Promise.all([this.context.state.get('mine'), this.context.delegate.get()])
      }
      async careful(x: number) {
        await this.context.delegate.put(2)
        await this.context.delegate.put(x).catch(() => undefined)
      }
    }
    const { call } = await world([link(Base, 1, 'current'), link(Two, 2, 'future')])
    await call(2, 'put', 5)
    await assert.rejects(call(2, 'put', 10), { name: 'ApplicationError' })
    assert.deepEqual(await call(2, 'get'), [5, 5])
    await call(2, 'careful', 10)
    assert.deepEqual(await call(2, 'get'), [5, 2])
  })

  it('V5 observers may call only observers of the delegate, existing ones, and only while they run', async () => {
    let background: Promise<unknown> | undefined
    class Odd {
      static methods = { sneak: 'observer', absent: 'observer', leave: 'observer' } as const
      context: any
      constructor(context: any) {
        this.context = context
      }
      sneak() {
        return this.context.delegate.insert(1)
      }
      absent() {
        return this.context.delegate.absent()
      }
      leave() {
        background = new Promise((next) => setImmediate(next)).then(() => this.context.delegate.contains(1))
        background.catch(() => undefined)
      }
    }
    const { call } = await world([link(IntSet, 1, 'current'), link(Odd, 2, 'future')])
    await assert.rejects(call(2, 'sneak'), { name: 'ApplicationError', message: /mutator/ })
    await assert.rejects(call(2, 'absent'), { name: 'ApplicationError', message: /NoSuchMethod/ })
    await call(2, 'leave')
    await assert.rejects(background!, /only while/)
    assert.equal(await call(1, 'contains', 1), false)
  })

  it('V1 stacks: each link knows only its neighbour toward the current object', async () => {
    class Outer {
      static methods = { insertColor: 'mutator', getColor: 'observer' } as const
      context: any
      constructor(context: any) {
        this.context = context
      }
      insertColor(x: number, color: string) {
        return this.context.delegate.insertColor(x, color.toLowerCase())
      }
      async getColor(x: number) {
        return (await this.context.delegate.getColor(x))?.toUpperCase() ?? null
      }
    }
    const { call } = await world([...future(), link(Outer, 3, 'future')])
    await call(3, 'insertColor', 1, 'RED')
    assert.equal(await call(3, 'getColor', 1), 'RED')
    await call(1, 'delete', 1)
    await call(1, 'insert', 1)
    assert.equal(await call(3, 'getColor', 1), 'BLUE')
  })

  it('V7 Disallowed of an SO reaches the caller; of a current object it is an ApplicationError', async () => {
    class Refuses {
      static methods = { refuse: 'mutator' } as const
      refuse() {
        throw Object.assign(new Error('there is no such colour'), { name: 'Disallowed' })
      }
    }
    const one = await world([link(IntSet, 1, 'current'), link(Refuses, 2, 'future')])
    await assert.rejects(one.call(2, 'refuse'), { name: 'Disallowed' })
    const two = await world([link(Refuses, 1, 'current')])
    await assert.rejects(two.call(1, 'refuse'), { name: 'ApplicationError' })
  })
})

describe('chain: life of future SOs', () => {
  it('V9 add runs initial once, in one transaction with its mark; restarts do not run it again', async () => {
    let initials = 0
    class Counting extends FutureColorSet {
      async initial() {
        initials += 1
        if (await this.context.delegate.contains(1)) this.context.state.put('color/1', 'green')
      }
    }
    const first = await world([link(IntSet, 1, 'current')])
    await first.call(1, 'insert', 1)
    await first.chain.add(link(Counting, 2, 'future'))
    await first.chain.add(link(Counting, 2, 'future'))
    assert.equal(await first.call(2, 'getColor', 1), 'green')
    const second = await world([link(IntSet, 1, 'current'), link(Counting, 2, 'future')], {
      store: first.store.crash()
    })
    assert.equal(await second.call(2, 'getColor', 1), 'green')
    assert.equal(initials, 1)
  })

  it('V9 an SO whose initial throws is not added, leaves nothing, and may be tried again', async () => {
    let fails = true
    class Failing extends FutureColorSet {
      async initial() {
        this.context.state.put('color/1', 'green')
        if (fails) throw new Error('not yet')
      }
    }
    const { chain, call, store } = await world([link(IntSet, 1, 'current')])
    await assert.rejects(chain.add(link(Failing, 2, 'future')), /not yet/)
    assert.equal(store.space('so-2').get('color/1'), undefined)
    await assert.rejects(call(2, 'getColor', 1), { name: 'Unavailable' })
    await call(1, 'insert', 1)
    fails = false
    await chain.add(link(Failing, 2, 'future'))
    assert.equal(await call(2, 'getColor', 1), 'green')
  })

  it('V10 a started future SO that fails at a restart is quarantined, the object serves', async () => {
    class Failing extends FutureColorSet {
      start() {
        throw new Error('cannot')
      }
    }
    const first = await world(future())
    await first.call(2, 'insertColor', 1, 'red')
    const second = await world([link(IntSet, 1, 'current'), link(Failing, 2, 'future')], { store: first.store.crash() })
    assert.equal(await second.call(1, 'contains', 1), true)
    await assert.rejects(second.call(2, 'getColor', 1), { name: 'Unavailable' })
    assert.match(String(second.store.crash().space('chain').get('quarantined/2')), /cannot/)
  })

  it('V1 a current object that does not start fails the start', async () => {
    class Failing extends IntSet {
      start() {
        throw new Error('cannot')
      }
    }
    await assert.rejects(world([link(Failing, 1, 'current')]), /cannot/)
  })
})
