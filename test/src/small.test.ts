/** Small tables behave as `Map` and `Set` do, at any size. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { SmallMap, SmallSet } from '../../src/small.ts'

const key = fc.integer({ min: 0, max: 60 })
const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ what: fc.constant('put' as const), key, value: fc.integer() }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('delete' as const), key, value: fc.integer() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('clear' as const), key, value: fc.integer() }) }
)
// Enough of them to grow beyond one list, and to shrink again.
const actions = fc.array(action, { maxLength: 200, size: 'max' })

describe('small tables', () => {
  it('property: a SmallMap holds what a Map holds, in its order', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const [small, map] = [new SmallMap<number, number>(), new Map<number, number>()]
        for (const { what, key: at, value } of list) {
          if (what === 'put') assert.equal(small.set(at, value).get(at), map.set(at, value).get(at))
          else if (what === 'delete') assert.equal(small.delete(at), map.delete(at))
          else for (const table of [small, map]) table.clear()
          assert.deepEqual([small.size, small.has(at)], [map.size, map.has(at)])
        }
        assert.deepEqual([...small], [...map])
        assert.deepEqual([[...small.keys()], [...small.values()]], [[...map.keys()], [...map.values()]])
        const seen: [number, number][] = []
        small.forEach((value, at) => void seen.push([at, value]))
        assert.deepEqual(seen, [...map])
        assert.deepEqual([...new SmallMap(map)], [...map])
      })
    )
  })

  it('property: a SmallSet holds what a Set holds, in its order', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const [small, set] = [new SmallSet<number>(), new Set<number>()]
        for (const { what, key: at } of list) {
          if (what === 'put') for (const table of [small, set]) table.add(at)
          else if (what === 'delete') assert.equal(small.delete(at), set.delete(at))
          else for (const table of [small, set]) table.clear()
          assert.deepEqual([small.size, small.has(at)], [set.size, set.has(at)])
        }
        assert.deepEqual([...small], [...set])
        assert.deepEqual([...new SmallSet(set).values()], [...set])
      })
    )
  })

  it('members may be deleted while a table is iterated, at any size', () => {
    for (const size of [3, 24, 25, 60]) {
      const map = new SmallMap(Array.from({ length: size }, (_, at) => [at, at] as const))
      for (const [at] of map) if (at % 2 === 0) map.delete(at)
      assert.equal(map.size, Math.floor(size / 2))
    }
  })
})
