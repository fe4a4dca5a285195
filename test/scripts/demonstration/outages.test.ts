import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Looks, mostAtOnce, type Stretch, union } from '../../../scripts/demonstration/outages.ts'

const stretch = (fromMs: number, toMs: number): Stretch => ({ fromMs, toMs })

describe('demo, outages', () => {
  it('X4: members that are down one after the other are not down together, even without a gap', () => {
    assert.equal(mostAtOnce([]), 0)
    assert.equal(mostAtOnce([[stretch(0, 10)], [stretch(10, 20)], [stretch(20, 21)]]), 1)
    assert.equal(mostAtOnce([[stretch(0, 11)], [stretch(10, 20)], [stretch(5, 10.5)]]), 3)
  })

  it('X4: one member is down once, however many records say so', () => {
    assert.equal(mostAtOnce([[stretch(0, 10), stretch(2, 8), stretch(5, 15)], [stretch(20, 30)]]), 1)
    assert.deepEqual(union([stretch(5, 15), stretch(0, 5), stretch(20, 30)]), [stretch(0, 15), stretch(20, 30)])
  })

  it('X4: the most at once is what counting at every moment gives', () => {
    const stretches = fc.array(
      fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 8 })).map(([from, length]) => stretch(from, from + length)),
      { maxLength: 4 }
    )
    fc.assert(
      fc.property(fc.array(stretches, { maxLength: 5 }), (members) => {
        const downAt = (atMs: number): number =>
          members.filter((one) => one.some(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs)).length
        const counted = Math.max(...Array.from({ length: 40 }, (_, atMs) => downAt(atMs)))
        assert.equal(mostAtOnce(members), counted)
      })
    )
  })

  it('X4: a look proves nothing alone; looks in a row prove the time between an answer and the next question', () => {
    const looks = new Looks()
    looks.add(true, 0, 5)
    assert.deepEqual(looks.proven, [])
    looks.add(true, 100, 110)
    looks.add(true, 200, 210)
    looks.add(false, 300, 310)
    looks.add(true, 400, 410)
    looks.miss()
    looks.add(true, 500, 510)
    assert.deepEqual(looks.proven, [stretch(5, 200)])
  })

  it('X6: an upgrade that was under way before and after a death was under way between', () => {
    const looks = new Looks(true)
    looks.add(true, 0, 5)
    looks.miss()
    looks.miss()
    looks.add(true, 100, 110)
    looks.add(false, 200, 210)
    looks.miss()
    looks.add(true, 300, 310)
    assert.deepEqual(looks.proven, [stretch(5, 100)])
  })
})
