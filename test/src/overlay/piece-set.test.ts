import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PieceSet } from '../../../src/overlay/piece-set.ts'

describe('overlay/piece-set', () => {
  it('property: it holds what a Set holds, whatever was added and taken out; its bits say so', () => {
    const list = fc.array(fc.record({ add: fc.boolean(), index: fc.integer({ min: 0, max: 11 }) }), { maxLength: 60 })
    fc.assert(
      fc.property(list, fc.integer({ min: 1, max: 12 }), (actions, count) => {
        let pieces = PieceSet.none(count)
        const set = new Set<number>()
        for (const { add, index } of actions) {
          if (!add) pieces = pieces.without(index)
          else pieces.add(index)
          if (!add) set.delete(index)
          else if (index < count) set.add(index)
          assert.deepEqual([pieces.size, pieces.isWhole], [set.size, set.size === count])
        }
        const sorted = (all: Iterable<number>) => [...all].sort((a, b) => a - b)
        assert.deepEqual(sorted(pieces), sorted(set))
        assert.deepEqual(sorted(PieceSet.of(pieces.bits, count)), sorted(set))
      })
    )
  })

  it('bits beyond the last piece count for nothing', () => {
    assert.equal(PieceSet.of(Uint8Array.of(255, 255), 3).size, 3)
  })
})
