import assert from 'node:assert/strict'
import { fetched } from '../../../scripts/validation/bundle.ts'
import { fleetError, rmsError } from '../../../scripts/validation/counting.ts'
import { exchanged } from '../../../scripts/validation/exchange.ts'
import { quantile } from '../../../scripts/validation/fleet.ts'
import { deviationOf, holds, type Law, type Row } from '../../../scripts/validation/law.ts'
import { broadcast, FANOUT, meshOfFour, ofFour } from '../../../scripts/validation/push.ts'
import { filesOf, tableOf } from '../../../scripts/validation/report.ts'
import {
  linearCountingError,
  mundingerTime,
  pushRounds,
  serfRounds,
  serfShare,
  sketchError
} from '../../../scripts/validation/theory.ts'
import { REGISTERS } from '../../../src/overlay/sketch.ts'

describe('validation: theory', () => {
  it('M34: Serf’s formula and its inverse: 99.99 % of 10⁴ after 12.3 rounds of fan-out 3, of 10⁶ after 15.4', () => {
    assert.equal(serfRounds(0.9999, 1e4, 3).toFixed(1), '12.3')
    assert.equal(serfRounds(0.9999, 1e6, 3).toFixed(1), '15.4')
    for (const share of [0.01, 0.5, 0.999])
      assert.ok(Math.abs(serfShare(serfRounds(share, 300, 3), 300, 3) - share) < 1e-9)
  })

  it('M34: bounds of other laws', () => {
    assert.equal(pushRounds(1024).toFixed(2), '16.93')
    // One part to seven peers doubles its holders in each step, one more than three steps would be too late.
    assert.deepEqual(
      [mundingerTime(1, 1), mundingerTime(7, 1), mundingerTime(8, 1), mundingerTime(8, 4)],
      [1, 3, 4, 1.75]
    )
    assert.equal(sketchError(REGISTERS).toFixed(4), '0.0411')
    assert.ok(linearCountingError(100, 640) < sketchError(640))
  })
})

describe('validation: the simulated protocol', function () {
  this.timeout(60_000)
  const PEERS = 200

  it('M34: a broadcast to 200 peers with fan-out 3 follows the formula within the deviation that is told', () => {
    const { rounds, degree } = broadcast(1, PEERS, meshOfFour, ofFour)
    assert.equal(degree, FANOUT + 1)
    assert.ok(
      rounds.every((one) => Number.isInteger(one)),
      'copies come at whole rounds'
    )
    // Nobody can hear sooner than a tree of this fan-out lets it.
    assert.deepEqual(
      [rounds.filter((one) => one === 1).length, rounds.filter((one) => one <= 2).length <= 17],
      [4, true]
    )
    const ratio = (share: number) => quantile(rounds, share) / serfRounds(share, PEERS, FANOUT)
    assert.ok(ratio(0.5) >= 1 && ratio(0.5) <= 1.45, String(ratio(0.5)))
    assert.ok(ratio(0.99) >= 0.7 && ratio(0.99) <= 1.3, String(ratio(0.99)))
  })

  it('M34: rounds of anti-entropy alone stay below log₂ N + ln N, and take some', () => {
    const rounds = exchanged(1, PEERS).at(-1)! / 1000
    assert.ok(rounds < pushRounds(PEERS) && rounds > pushRounds(PEERS) / 4, `${rounds} rounds`)
  })

  it('M34: no bundle spreads faster than the Mundinger bound', () => {
    const [bound, last] = [mundingerTime(50, 8), fetched(1, 50, 8).at(-1)!]
    assert.ok(last >= bound && last <= 5 * bound, `${last} uploads, ${bound} at least`)
  })

  it('M34: sketches err as their size says, and a fleet counts what one sketch of it counts', () => {
    const ratio = rmsError(10_000, 60) / sketchError(REGISTERS)
    assert.ok(ratio > 0.75 && ratio < 1.3, String(ratio))
    const { measured, ideal } = fleetError(1, 60)
    assert.ok(Math.abs(measured - ideal) < 1e-4, `${measured} instead of ${ideal}`)
  })
})

describe('validation: what it tells', () => {
  const row: Row = { what: 'all', peers: 100, theory: 10, measured: 12, expected: [0, 0.1] }
  const law: Law = {
    ...{ name: 'some', title: 'A law', unit: 'rounds', said: 'Same: <all>.', rows: [row] },
    plot: {
      ...{ name: 'some', title: 'Some', caption: 'Of a law.', x: { label: 'peers' }, y: { label: 'rounds' } },
      lines: [
        {
          name: 'one',
          points: [
            [1, 1],
            [2, 3]
          ]
        }
      ]
    }
  }

  it('M34: a deviation beyond what was expected is marked; a row that is judged by nobody is not', () => {
    assert.ok(Math.abs(deviationOf(row) - 0.2) < 1e-9)
    assert.ok(!holds(row) && holds({ ...row, measured: 10.5 }))
    const { expected: _, ...told } = row
    assert.ok(holds(told))
    assert.match(tableOf([law]), /\| all \| 100 \| 10\.0 \| 12\.0 \| \+20 % \| \+0 % to \+10 %: NOT SO \|/)
  })

  it('M34: the page needs nothing but itself, and each plot stands alone', () => {
    const files = filesOf([law], 'scripts/validate')
    assert.deepEqual(Object.keys(files).sort(), ['some.svg', 'validation.html'])
    assert.match(files['validation.html']!, /default-src 'none'/)
    assert.match(files['validation.html']!, /Same: &#60;all&#62;\./)
    assert.doesNotMatch(files['validation.html']!, /<script|src="http/)
  })
})
