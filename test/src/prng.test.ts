import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Generator } from '../../src/prng.ts'

describe('prng', () => {
  it('M2: gives the sequence of sfc32', () => {
    // Written down once from an independent transcription of sfc32 (state 1, 0, 0, counter 1, 15 rounds discarded).
    let [a, b, c, counter] = [1, 0, 0, 1].map(BigInt) as [bigint, bigint, bigint, bigint]
    const mask = 0xffff_ffffn
    const next = () => {
      const sum = (a + b + counter++) & mask
      a = b ^ (b >> 9n)
      b = (c + (c << 3n)) & mask
      c = ((((c << 21n) | (c >> 11n)) & mask) + sum) & mask
      return Number(sum)
    }
    for (let round = 0; round < 15; round++) next()
    const generator = new Generator(1)
    for (let index = 0; index < 1000; index++) assert.equal(generator.bits(), next())
  })

  it('M2: depends on every bit of the seed and on the stream', () => {
    const first = (seed: number, stream = 0) => new Generator(seed, stream).bits()
    const seen = new Set<number>([first(0), first(0, 1)])
    for (let bit = 0; bit < 53; bit++) seen.add(first(2 ** bit))
    assert.equal(seen.size, 55)
    assert.equal(first(2 ** 40 + 7, 3), first(2 ** 40 + 7, 3))
  })

  it('M2: below() is uniform (chi-squared) and stays in range', () => {
    const generator = new Generator(7)
    const counts = new Array<number>(10).fill(0)
    for (let index = 0; index < 100_000; index++) counts[generator.below(10)]!++
    const chiSquared = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)
    assert.ok(chiSquared < 27.9, `chi-squared ${chiSquared} is beyond the 0.1 % quantile of 9 degrees of freedom`)
    assert.throws(() => generator.below(0), RangeError)
  })

  it('M2: shuffle() makes every order equally likely (chi-squared over the 24 orders of 4)', () => {
    const generator = new Generator(11)
    const counts = new Map<string, number>()
    for (let index = 0; index < 48_000; index++) {
      const order = generator.shuffle([0, 1, 2, 3]).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    assert.equal(counts.size, 24)
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0)
    assert.ok(chiSquared < 49.7, `chi-squared ${chiSquared} is beyond the 0.1 % quantile of 23 degrees of freedom`)
  })

  it('M2: shuffle() permutes, sample() chooses without repetition and leaves its list alone', () => {
    fc.assert(
      fc.property(fc.integer(), fc.uniqueArray(fc.integer()), fc.nat(20), (seed, list, count) => {
        const generator = new Generator(seed)
        const before = list.slice()
        const sample = generator.sample(list, count)
        assert.deepEqual(list, before)
        assert.equal(sample.length, Math.min(count, list.length))
        assert.equal(new Set(sample).size, sample.length)
        assert.ok(sample.every((one) => list.includes(one)))
        assert.deepEqual(generator.shuffle(list.slice()).sort(), before.sort())
      })
    )
  })
})
