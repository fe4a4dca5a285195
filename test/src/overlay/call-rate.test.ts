import assert from 'node:assert/strict'
import { CallRate, type Calls, CHUNK_CALLS } from '../../../src/overlay/call-rate.ts'
import { Generator } from '../../../src/prng.ts'

/** Calls at so many a second, for so long, of which a share fails; gives the figures told. */
function calls(rate: CallRate, from: number, perSecond: number, seconds: number, share: number, seed = 1): Calls[] {
  const random = new Generator(seed)
  const told: Calls[] = []
  for (let call = 0; call < perSecond * seconds; call++) {
    const figure = rate.count(random.chance(share), from + (call * 1000) / perSecond)
    if (figure !== undefined) told.push(figure)
  }
  return told
}
const shares = (told: Calls[]) => told.map((one) => one.failed / one.calls)

describe('what became of an object’s calls (SPEC S24)', () => {
  it('S24: a steady object tells its figure a few times, each after eight times as many calls, and then never again', () => {
    const told = calls(new CallRate(), 0, 100, 3 * 3600, 0.03)
    assert.ok(told.length >= 2 && told.length <= 3, `told ${told.length} times`)
    for (const [index, one] of told.entries()) if (index > 0) assert.ok(one.calls >= 8 * told[index - 1]!.calls)
    assert.ok(Math.abs(shares(told).at(-1)! - 0.03) < 0.01)
  })

  it('S24: few calls say nothing, however long they take', () => {
    assert.deepEqual(calls(new CallRate(), 0, 0.1, 1200, 0.5), [])
  })

  it('S24: a share that changed is told from the next chunk on, and when it is over, too', () => {
    const rate = new CallRate()
    calls(rate, 0, 50, 3600, 0.01)
    const worse = calls(rate, 3_600_000, 50, 60, 0.3)
    assert.ok(worse.length >= 1 && worse.length <= 3)
    assert.ok(shares(worse)[0]! > 0.2, 'calls of the good time are not counted any more')
    const better = calls(rate, 3_660_000, 50, 60, 0.01)
    assert.ok(better.length >= 1 && shares(better).at(-1)! < 0.05)
  })

  it('S24: what was counted last is known when the object stops, if it is enough', () => {
    const rate = new CallRate()
    calls(rate, 0, 1, 20, 0)
    assert.equal(rate.last(), undefined)
    calls(rate, 20_000, 1, 20, 1)
    assert.deepEqual(rate.last(), { calls: 40, failed: 20 })
    const busy = new CallRate()
    const [told] = calls(busy, 0, 100, 15, 0)
    assert.ok(told!.calls >= CHUNK_CALLS)
    assert.equal(busy.last()!.calls, 1500)
  })
})
