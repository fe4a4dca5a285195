import assert from 'node:assert/strict'
import { drawFaults } from '../../../sim/faults.ts'
import { run } from '../../../sim/simulator.ts'
import { freshSeed } from '../../../sim/swarm/fresh.ts'

/** A few seconds' worth. */
const SEEDS = 6

describe('sim/swarm: seeds that nobody tried before', () => {
  const first = freshSeed(Date.now())

  for (let seed = first; seed < first + SEEDS; seed++)
    it(`M11, M18: seed ${seed}: safe at every event, and everything converges; again: scripts/swarm --seed ${seed} --seeds 1`, () => {
      const { violations, stuck } = run(drawFaults(seed).scenario)
      const said = violations.map(({ rule, peer, text, history }) => `${rule} ${peer}: ${text}\n${history.join('\n')}`)
      const waits = stuck.map(({ peer, why }) => `stuck: ${peer}: ${why}`)
      assert.equal([...said, ...waits].join('\n'), '', `scripts/swarm --seed ${seed} --seeds 1 makes it small`)
    }).timeout(60_000)

  it('M47: fresh seeds differ from second to second', () => {
    assert.notEqual(freshSeed(1_800_000_000_000), freshSeed(1_800_000_001_000))
    assert.equal(freshSeed(1_800_000_000_000), freshSeed(1_800_000_000_999))
  })
})
