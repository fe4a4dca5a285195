import assert from 'node:assert/strict'
import { compare, plotOf, quantileOf, tableOf } from '../../../scripts/reality/comparison.ts'
import type { Run } from '../../../scripts/reality/fleet.ts'
import { scenarioOf, simulate, type Work } from '../../../scripts/reality/simulated.ts'
import { svgOf } from '../../../sim/report/plot.ts'
import { immediateSchedule } from '../../../sim/scenario.ts'

const times = (count: number, stepMs: number) => Array.from({ length: count }, (_, index) => (index + 1) * stepMs)
const runOf = (stepMs: number): Run => ({
  informed: times(10, stepMs),
  fetched: times(10, stepMs * 10),
  upgraded: times(10, stepMs * 20)
})
const costs = {
  delayMs: 0.05,
  sendMs: 0.08,
  receiveMs: 0.08,
  sendKibMs: 0.012,
  receiveKibMs: 0.01,
  copyMs: 0.2,
  openMs: 1,
  storeKibMs: 0.004,
  unpackKibMs: 0.005
}
const work: Work = {
  steps: { 'message have': { count: 100, totalMs: 10 }, wake: { count: 10, totalMs: 1 } },
  commits: { count: 10, totalMs: 1 },
  restMs: 1,
  answers: { warm: [2, 2, 2, 400], transform: [4, 4], store: [100], unpack: [100] }
}
const fleet = { peers: 12, processes: 2, bundleBytes: 2 ** 20 }

describe('scripts/reality', () => {
  it('M61: runs are pooled, and a deviation is the share of the real percentile that the simulated one is above it', () => {
    assert.equal(quantileOf(times(20, 1), 0.5), 10)
    assert.equal(quantileOf(times(20, 1), 0.95), 19)
    const compared = compare([runOf(100), runOf(100)], [runOf(112)])
    assert.deepEqual(
      compared.map(({ step, percentile }) => `${step} ${percentile}`),
      ['informed p50', 'informed p95', 'fetched p50', 'fetched p95', 'upgraded p50', 'upgraded p95']
    )
    const [p50] = compared
    assert.deepEqual([p50!.realMs, p50!.simulatedMs, Math.round(p50!.deviation * 1000)], [500, 560, 120])
    assert.ok(compared.every(({ isWithin }) => isWithin))
  })

  it('M61: the bounds are 15 % of the p50 and 30 % of the p95', () => {
    const verdicts = (stepMs: number) =>
      compare([runOf(100)], [runOf(stepMs)])
        .slice(0, 2)
        .map(({ isWithin }) => isWithin)
    assert.deepEqual(
      [verdicts(114), verdicts(120), verdicts(131), verdicts(69)],
      [
        [true, true],
        [false, true],
        [false, false],
        [false, false]
      ]
    )
    assert.match(tableOf(compare([runOf(100)], [runOf(120)])), /informed p50 +500 +600 +\+20\.0 % +± 15 % +OUTSIDE/)
  })

  it('M61: both are drawn into one plot', () => {
    const svg = svgOf(plotOf('reality', 'real and simulated', [runOf(100)], [runOf(120)]))
    for (const name of ['informed, real', 'upgraded, simulated']) assert.ok(svg.includes(name), name)
  })

  it('M60, M61: what was measured is what the simulated peers pay: dearer pieces arrive later', () => {
    const cheap = simulate(scenarioOf(fleet, immediateSchedule, costs, work, 1))
    const dear = simulate(scenarioOf(fleet, immediateSchedule, { ...costs, receiveKibMs: 0.1 }, work, 1))
    assert.deepEqual(
      [cheap.informed.length, cheap.fetched.length, cheap.upgraded.length],
      [fleet.peers, fleet.peers, fleet.peers]
    )
    assert.ok(cheap.informed.at(-1)! < cheap.fetched.at(-1)! && cheap.fetched.at(-1)! < cheap.upgraded.at(-1)!)
    assert.ok(dear.fetched[6]! > cheap.fetched[6]! * 2, `${dear.fetched[6]} ms, ${cheap.fetched[6]} ms`)
  })

  it('M61: a command of the host costs the middle half of its times; pieces and bundles cost by their length', () => {
    const { processors } = scenarioOf(fleet, immediateSchedule, costs, work, 1)
    assert.deepEqual(processors?.host, { warm: 2, transform: 4 })
    assert.equal(processors?.steps['message have'], 0.1)
    assert.equal(processors?.storeKibMs, costs.storeKibMs)
  })
})
