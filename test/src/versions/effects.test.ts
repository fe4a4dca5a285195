import assert from 'node:assert/strict'
import type { Effect, SimulationContext, StateWrite, Value } from '../../../src/versions/types.ts'
import FutureColorSet from '../../fixtures/sets/future-color-set.ts'
import IntSet from '../../fixtures/sets/int-set.ts'
import { link, subtype, world } from './chain-fixture.ts'

/** Says nothing of what passes below it. */
class SilentColorSet extends FutureColorSet {
  override readonly effects = undefined as never
}

/** FlavorSet on a ColorSet: a table of flavours, forgotten when the element goes or comes anew. */
class FutureFlavorSet {
  static methods = { insertFlavor: 'mutator', delete: 'mutator', contains: 'observer', getFlavor: 'observer' } as const
  static intercepts = ['insertColor', 'delete'] as const
  readonly context: SimulationContext
  constructor(context: SimulationContext) {
    this.context = context
  }
  async insertFlavor(x: number, flavor: string) {
    this.context.state.put(`flavor/${x}`, flavor)
    if (!(await this.contains(x))) await this.context.delegate.insertColor(x, 'blue')
  }
  async delete(x: number) {
    this.context.state.delete(`flavor/${x}`)
    await this.context.delegate.delete(x)
  }
  contains(x: number): Promise<boolean> {
    return this.context.delegate.contains(x)
  }
  async getFlavor(x: number) {
    return (await this.contains(x)) ? (this.context.state.get(`flavor/${x}`) ?? 'plain') : null
  }
  async intercept(method: string, [x]: Value[]): Promise<StateWrite[]> {
    if (method === 'insertColor' && (await this.contains(x as number))) return []
    return [{ delete: `flavor/${x}` }]
  }
}

const three = (color: typeof FutureColorSet = FutureColorSet) => [
  link(IntSet, 1, 'current'),
  link(color, 2, 'future'),
  link(FutureFlavorSet, 3, 'future')
]

describe('effects: what an SO on an SO learns (SPEC V14)', () => {
  it('three versions: a deletion and an insertion below forget the flavour', async () => {
    const { call } = await world(three())
    await call(3, 'insertFlavor', 1, 'mint')
    await call(1, 'delete', 1)
    await call(1, 'insert', 1)
    assert.equal(await call(3, 'getFlavor', 1), 'plain')
  })

  it('an insertion of what is there changes no flavour; one through the middle is offered as it is', async () => {
    const { call } = await world(three())
    await call(3, 'insertFlavor', 1, 'mint')
    await call(1, 'insert', 1)
    await call(2, 'insertColor', 1, 'red')
    assert.equal(await call(3, 'getFlavor', 1), 'mint')
    await call(2, 'delete', 1)
    await call(2, 'insertColor', 1, 'red')
    assert.equal(await call(3, 'getFlavor', 1), 'plain')
  })

  it('what comes through the link is no effect for it: a flavour is not forgotten by its own insertion', async () => {
    const { call } = await world(three())
    await call(3, 'insertFlavor', 1, 'mint')
    assert.equal(await call(3, 'getFlavor', 1), 'mint')
  })

  it('effects pass through a link that intercepts nothing, and down a stack of past SOs', async () => {
    const told: string[] = []
    class Middle {
      static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' } as const
      readonly context: SimulationContext
      constructor(context: SimulationContext) {
        this.context = context
      }
      insert(x: number) {
        return this.context.delegate.insert(x)
      }
      delete(x: number) {
        return this.context.delegate.delete(x)
      }
      contains(x: number) {
        return this.context.delegate.contains(x)
      }
      effects(method: string, args: Value[]): Effect[] {
        return [[method, ...args]]
      }
    }
    class Outer extends Middle {
      static intercepts = ['insert', 'delete'] as const
      intercept(method: string, [x]: Value[]): StateWrite[] {
        told.push(`${method} ${x}`)
        return []
      }
    }
    const { call } = await world([link(Outer, 1, 'past'), link(Middle, 2, 'past'), link(IntSet, 3, 'current')])
    await call(3, 'insert', 1)
    await call(2, 'delete', 1)
    await call(1, 'insert', 2)
    assert.deepEqual(told, ['insert 1', 'delete 1'])
  })

  it('a link that intercepts on one that emits no effects does not start: it would miss calls', async () => {
    const { call } = await world(three(SilentColorSet))
    await call(1, 'insert', 1)
    await assert.rejects(call(3, 'getFlavor', 1), {
      name: 'Unavailable',
      message: /SilentColorSet@2 emits no effects, so FutureFlavorSet@3 would miss calls/
    })
    assert.equal(await call(2, 'getColor', 1), 'blue')
  })

  it('an SO that says what is no mutator of its version is quarantined, with what rests on it; the call goes on', async () => {
    class Lying extends FutureColorSet {
      override async effects(): Promise<Effect[]> {
        return [['getColor', 1]]
      }
    }
    const { call, faults } = await world(three(Lying))
    await call(1, 'insert', 1)
    assert.equal(await call(1, 'contains', 1), true)
    assert.deepEqual(faults.map(([version]) => version).sort(), [2, 3])
    assert.match(faults.find(([version]) => version === 2)![1], /getColor is no mutator of Lying@2/)
    await assert.rejects(call(3, 'getFlavor', 1), { name: 'Unavailable' })
  })

  it('a subtype link tells what its type has; where the newer type can do more, nothing may intercept on it', async () => {
    const told: string[] = []
    class Outer {
      static methods = { contains: 'observer' } as const
      static intercepts = ['insert'] as const
      readonly context: SimulationContext
      constructor(context: SimulationContext) {
        this.context = context
      }
      contains(x: number) {
        return this.context.delegate.contains(x)
      }
      intercept(method: string): StateWrite[] {
        told.push(method)
        return []
      }
    }
    const { call } = await world([link(Outer, 1, 'past'), subtype(IntSet, 2), link(IntSet, 3, 'current')])
    await call(3, 'insert', 1)
    await call(3, 'delete', 1)
    assert.deepEqual(told, ['insert'])
    class Clearing extends IntSet {
      static override methods = { ...IntSet.methods, clear: 'mutator' } as never
      clear() {}
    }
    await assert.rejects(world([link(Outer, 1, 'past'), subtype(IntSet, 2), link(Clearing, 3, 'current')]), {
      message: /would miss calls/
    })
  })
})
