import assert from 'node:assert/strict'
import { fuzz } from '../../scripts/fuzzing/fuzz.ts'

describe('scripts/fuzz', () => {
  it('N3, N4, T10: what almost is valid is taken or refused by name, at every door', async function () {
    this.timeout(60_000)
    const tallies = await fuzz(25_000, 11)
    for (const [name, { inputs, accepted, refused, defects }] of tallies) {
      assert.deepEqual(defects, [], name)
      assert.ok(
        inputs > 0 && accepted > 0 && accepted + refused === inputs,
        `${name}: ${inputs} inputs, ${refused} refused`
      )
    }
  })
})
