import assert from 'node:assert/strict'
import { families } from '../../../examples/sets/variants/index.ts'
import { judgeDesign } from '../../../scripts/checking/oracles.ts'

/** The designs of the model's worked examples: the check must say of each what is known of it (SPEC Q17). */
describe('designs of the sets', function () {
  this.timeout(60_000)
  for (const family of families) {
    describe(family.upgrade, () => {
      for (const variant of family.variants) {
        const verdict = variant.expected.is === 'correct' ? 'correct' : `violates ${variant.expected.rule}`
        it(`Q17: ${variant.design}: ${verdict}`, async () => {
          const { disagreements, found } = await judgeDesign(
            family,
            variant,
            variant.expected.is === 'correct' ? 'quick' : 'short'
          )
          assert.deepEqual(disagreements, [])
          if (found === null || variant.expected.is === 'correct') return
          const { answers, must } = variant.expected
          assert.deepEqual([found.answers, found.must], [answers, must])
        })
      }
    })
  }
})
