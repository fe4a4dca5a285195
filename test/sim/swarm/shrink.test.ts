import assert from 'node:assert/strict'
import { drawFaults } from '../../../sim/faults.ts'
import type { Scenario } from '../../../sim/scenario.ts'
import { run } from '../../../sim/simulator.ts'
import { withActions, withoutGroup } from '../../../sim/swarm/parts.ts'
import { shrink } from '../../../sim/swarm/shrink.ts'
import { textOf, writtenIn } from '../../../sim/swarm/written.ts'
import { Generator } from '../../../src/prng.ts'

const written = (scenario: Scenario) => textOf({ rule: 'M15', commit: 'none', scenario })

describe('sim/swarm/shrink', () => {
  it('M47: what matters stays, all else goes, in a bounded number of tries', () => {
    const { scenario } = drawFaults(8)
    const crashed = scenario.faults.find((one) => one.what === 'crash')!
    const last = scenario.actions.findLastIndex((one) => one.what === 'upgrade')
    const upgrade = scenario.actions[last]!
    let asked = 0
    const breaks = ({ faults, actions }: Scenario) => {
      asked += 1
      return faults.some((one) => one.atMs === crashed.atMs) && actions.some((one) => one.atMs === upgrade.atMs)
    }
    const small = shrink(scenario, breaks, 400)
    assert.equal(small.runs, asked)
    assert.deepEqual(
      small.scenario.faults.map(({ what }) => what),
      ['crash', 'stop']
    )
    assert.deepEqual(
      small.scenario.actions.map(({ what }) => what),
      ['upgrade', 'roster', 'upgrade']
    )
    assert.equal(small.scenario.peers, scenario.groupSize)
    const few = shrink(scenario, breaks, 3)
    assert.equal(few.runs, 3)
  })

  it('M47: a smaller plan asks for nothing that cannot be', () => {
    const random = new Generator(47)
    for (let seed = 1; seed <= 24; seed++) {
      const { scenario } = drawFaults(seed)
      const kept = scenario.actions.filter((_, index) => index === 0 || random.chance(0.6))
      const part = withActions(scenario, kept)
      const smaller = withoutGroup(part, random.below(scenario.peers / scenario.groupSize)) ?? part
      const { violations } = run({ ...smaller, strict: false, history: 0 })
      assert.deepEqual(violations, [], `seed ${seed}: ${written(smaller)}`)
    }
  }).timeout(60_000)

  it('M47: what is written runs again, code of schedules included', () => {
    const seeds = Array.from({ length: 40 }, (_, index) => drawFaults(index + 1).scenario)
    const coded = seeds.find(({ actions }) => actions.some((one) => 'code' in one && one.code !== undefined))!
    const { scenario } = writtenIn('it', written(coded))
    assert.equal(written(scenario), written(coded))
    assert.equal(run(scenario).trace, run(coded).trace)
    const broken = [
      '',
      '{}',
      written(coded).replace('"moody"', '"other"'),
      written(coded).replace('"peers"', '"pears"')
    ]
    for (const text of broken) assert.throws(() => writtenIn('it', text), { name: 'Malformed' })
  })
})
