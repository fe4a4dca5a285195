import assert from 'node:assert/strict'
import { addCuts, cutRun } from '../../scripts/cutting/cut.ts'
import type { Cuts } from '../../sim/power.ts'

describe('scripts/crash-points', () => {
  it('M62: the power goes before and after each step on the way to a version, and nothing is lost', function () {
    this.timeout(60_000)
    const cuts: Cuts = {}
    let points = 0
    for (const seed of [6, 24, 36, 67, 122]) {
      const run = cutRun(seed, 'a test')
      assert.equal(run.violation, undefined, `seed ${seed}`)
      points += addCuts(cuts, run)
    }
    assert.ok(points > 300, `${points} cuts`)
    const phases = ['waiting', 'warming', 'transforming', 'proving', 'activating', 'idle'].map(
      (one) => `object, ${one}`
    )
    const kept = [...phases, 'entry', 'statement', 'permit', 'peer'].map((one) => `persist ${one}`)
    const host = ['warm', 'transform', 'prove', 'serve', 'start', 'clean'].map((one) => `host: ${one}`)
    for (const step of [...kept, ...host, 'store a piece', 'unpack a bundle']) assert.ok(cuts[step] !== undefined, step)
  })
})
