/** Sketches of how many peers there are (SPEC O21), by the production hash. */
import assert from 'node:assert/strict'
import {
  checksum,
  EMPTY,
  elementOf,
  estimate,
  SKETCH_BYTES,
  type Sketch,
  union,
  withElement
} from '../../../src/overlay/sketch.ts'
import { Generator } from '../../../src/prng.ts'
import { authority } from '../../../src/upgrade/seal.ts'
import { testFleet } from '../upgrade/fleet.ts'

/** A sketch of peers that no other one has. */
function sketchOf(peers: number, generator: Generator): Sketch {
  const registers = Uint8Array.from(EMPTY)
  let sketch: Sketch = registers
  for (let index = 0; index < peers; index++) {
    const hash = (generator.bits() % 2 ** 21) * 2 ** 32 + generator.bits()
    sketch = withElement(sketch, elementOf(hash))
  }
  return sketch
}

const rms = (errors: readonly number[]): number =>
  Math.sqrt(errors.reduce((total, error) => total + error ** 2, 0) / errors.length)

describe('overlay/sketch (SPEC O21)', () => {
  it('three of both epochs of a version take less than 2 KB', () => {
    assert.ok(SKETCH_BYTES * 3 * 2 <= 2048)
  })

  it('the error is at most 5 % (RMS of 150 fleets) at 10,000 peers, and less for few', () => {
    const generator = new Generator(4)
    const errorAt = (peers: number, fleets: number) =>
      rms(Array.from({ length: fleets }, () => estimate(sketchOf(peers, generator)) / peers - 1))
    const errors = [1, 10, 100, 1000, 10_000].map((peers) => errorAt(peers, 150))
    assert.ok(
      errors.every((error) => error <= 0.05),
      errors.map((one) => one.toFixed(4)).join(' ')
    )
    assert.ok(errors[1]! < 0.04, `${errors[1]} at 10 peers`)
  }).timeout(30_000)

  it('a million peers are still told within 5 %, registers being full or not', () => {
    const generator = new Generator(9)
    // Merging sketches of many parts is what a fleet does; the registers are the same as of one long list.
    const errors = Array.from({ length: 6 }, () => estimate(sketchOf(1_000_000, generator)) / 1_000_000 - 1)
    assert.ok(rms(errors) <= 0.06, `${errors}`)
  }).timeout(60_000)

  it('peer ids hashed as in production spread as evenly as chance', () => {
    const { trust } = testFleet()
    const { hash53 } = authority(trust, new Uint8Array(32).fill(7))
    const errors = Array.from({ length: 20 }, (_, fleet) => {
      let sketch = EMPTY
      for (let peer = 0; peer < 2000; peer++) sketch = withElement(sketch, elementOf(hash53(`census/${fleet}-${peer}`)))
      return estimate(sketch) / 2000 - 1
    })
    assert.ok(rms(errors) <= 0.07, `${errors}`)
  })

  it('merging is idempotent, in any order, and says by identity that nothing is new', () => {
    const generator = new Generator(1)
    const [a, b, c] = [sketchOf(50, generator), sketchOf(70, generator), sketchOf(20, generator)] as const
    const all = union(union(a, b), c)
    assert.equal(checksum(union(c, union(b, a))), checksum(all))
    assert.equal(union(all, b), all)
    assert.equal(union(b, all), all)
    assert.notEqual(checksum(a), checksum(b))
    const again = withElement(all, elementOf(12345))
    assert.equal(withElement(again, elementOf(12345)), again, 'a restart counts nobody twice')
  })
})
