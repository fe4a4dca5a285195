import assert from 'node:assert/strict'
import { after, guard, manual, not, notWhile, rolling, window } from '../../../src/schedule/combinators.ts'
import { type ConstraintFacts, type Evidence, evaluateConstraints } from '../../../src/schedule/constraints.ts'
import type { Verdict } from '../../../src/schedule/evaluate.ts'
import { type Constraint, constraintSchema } from '../../../src/schedule/schedule.ts'
import { CONSTRAINT_FACTS } from './facts.ts'

const judge = (constraints: Constraint[], facts: Partial<ConstraintFacts> = {}, serves = true): Verdict =>
  evaluateConstraints(constraints, {}, 0, { ...CONSTRAINT_FACTS, ...facts }, serves)
const sentence = (verdict: Verdict): string => (verdict.go ? 'goes' : verdict.reason.sentence)

const known = (counts: Partial<Evidence>): Partial<ConstraintFacts> => {
  const calls = { calls: 0, failed: 0, expected: 0, before: 0 }
  const none = { of: 'the peers known', tried: 0, failed: 0, run: 0, unhealthy: 0, calls, culprits: [] }
  return { evidence: () => [{ ...none, ...counts }] }
}
const fellows = (serving: number, down: number): Partial<ConstraintFacts> => ({
  fellows: () => ({ group: 'g', serving, down })
})

describe('constraints (SPEC S5, S20 to S22)', () => {
  it('S5: none hold nobody up, and rolling alone is the permit that it needs', () => {
    assert.ok(judge([]).go)
    assert.ok(judge([rolling({ by: 'group', unavailable: 1 })], fellows(0, 2)).go)
  })

  it('S20: minimumAlive counts others known to serve, less those that may stop beside this one', () => {
    const least = (unavailable: number, minimumAlive: number) => [rolling({ by: 'group', unavailable, minimumAlive })]
    assert.ok(judge(least(1, 2), fellows(2, 0)).go)
    const verdict = judge(least(1, 2), fellows(1, 1))
    assert.ok(!verdict.go && verdict.reason.kind === 'rolling' && verdict.inMs === undefined)
    assert.equal(sentence(verdict), '1 others of group g are known to serve; at least 2 must go on')
    // With k = 3 two more may stop at the same moment, unless others are down already.
    assert.ok(!judge(least(3, 2), fellows(3, 0)).go)
    assert.ok(judge(least(3, 2), fellows(4, 0)).go)
    assert.ok(judge(least(3, 2), fellows(3, 1)).go)
    assert.ok(judge(least(3, 2), fellows(2, 2)).go)
    assert.ok(judge(least(1, 9), fellows(0, 2), false).go, 'who serves nobody costs no service')
    assert.ok(judge(least(1, 9)).go, 'without a group it is the permit that says so')
  })

  it('S21: notWhile holds while the condition does not, and says until when', () => {
    const busy = window({ cron: '50 11 * * *', duration: '30m' })
    const during = judge([notWhile(busy)])
    assert.ok(!during.go && during.reason.kind === 'notWhile' && during.inMs === 20 * 60_000)
    assert.equal(sentence(during), 'must not begin while this holds: window, which ends in 20m')
    const free = judge([notWhile(window({ cron: '0 13 * * *', duration: '30m' }))])
    assert.ok(free.go && free.forMs === 60 * 60_000)
    assert.ok(judge([notWhile(busy)], {}, false).go === false, 'it is about more than service')
  })

  it('S21: time that notWhile counts goes on, apart from that of the conditions', () => {
    const constraints = [notWhile(not(after({ delay: '10s' })))]
    const first = evaluateConstraints(constraints, { '': 5 }, 0, CONSTRAINT_FACTS, true)
    assert.ok(!first.go)
    const second = evaluateConstraints(constraints, first.progress, 10_000, CONSTRAINT_FACTS, true)
    assert.ok(second.go)
    assert.equal(second.progress[''], 5)
  })

  it('S21: a constraint says for how long all of them let it go', () => {
    const [early, late] = ['0 13 * * *', '0 14 * * *'].map((cron) => notWhile(window({ cron, duration: '1h' })))
    const verdict = judge([late!, early!])
    assert.ok(verdict.go && verdict.forMs === 3_600_000)
    assert.ok(!judge([late!, notWhile(not(manual())), early!]).go)
  })

  it('S22: guard halts above a share of failures, and says who tripped it', () => {
    const careful = [guard({ failedAbove: 0.1 })]
    const culprits = [
      { peer: 'peer-000017', what: 'failed', reason: 'A: no health' },
      { peer: 'peer-000018', what: 'unhealthy', reason: 'A: dead' }
    ] as const
    assert.ok(judge(careful, known({ tried: 20, failed: 2 })).go)
    const verdict = judge(careful, known({ tried: 19, failed: 2, culprits }))
    assert.ok(!verdict.go && verdict.reason.kind === 'guard' && verdict.inMs === undefined)
    assert.deepEqual(verdict.reason.peers, ['peer-000017'])
    const halted = 'halted: 2 of the peers known went back from it, of 19 that tried it (at most 10 %)'
    assert.equal(sentence(verdict), `${halted}; …000017: A: no health`)
    assert.ok(judge(careful, known({ tried: 19, failed: 0, run: 9, unhealthy: 9 })).go)
  })

  it('S22: one peer in trouble halts only where none is allowed', () => {
    assert.ok(judge([guard({ failedAbove: 0.1 })], known({ tried: 1, failed: 1 })).go)
    assert.ok(!judge([guard({ failedAbove: 0 })], known({ tried: 100, failed: 1 })).go)
    assert.ok(judge([guard({ failedAbove: 0 })], known({ tried: 100 })).go)
    assert.ok(!judge([guard({ unhealthyAbove: 0.5 })], known({ tried: 3, run: 3, unhealthy: 2 })).go)
  })

  it('S23: guard halts when more calls fail than before, by factor, by difference, and not by chance', () => {
    const worse = (calls: number, failed: number, expected: number, before = calls) =>
      judge([guard({ worseThanBaseline: true })], known({ calls: { calls, failed, expected, before } }))
    const verdict = worse(1000, 50, 10)
    assert.match(sentence(verdict), /^halted: of 1000 calls at the peers known 5.0 % fail with it; before it 1.0 % did/)
    assert.ok(worse(1000, 19, 10).go, 'not twice as many')
    assert.ok(worse(1000, 9, 0).go, 'not one per cent more')
    assert.ok(worse(99, 99, 0).go, 'too few calls since')
    assert.ok(worse(1000, 500, 10, 99).go, 'too few calls before')
    assert.ok(worse(100, 4, 1).go, 'two in a hundred more may be chance')
    assert.ok(!worse(100, 20, 1).go)
    assert.ok(worse(1000, 0, 500).go)
    const strict = guard({ worseThanBaseline: { factor: 1, difference: 0, calls: 32 } })
    assert.ok(!judge([strict], known({ calls: { calls: 10_000, failed: 90, expected: 40, before: 10_000 } })).go)
    assert.ok(
      judge([guard({ failedAbove: 0 })], known({ calls: { calls: 99, failed: 99, expected: 0, before: 99 } })).go
    )
    assert.throws(() => guard({ worseThanBaseline: { factor: 0.5 } }), { name: 'Malformed' })
    assert.throws(() => guard({ worseThanBaseline: { calls: 2 } }), { name: 'Malformed' })
    assert.deepEqual(constraintSchema.parse(JSON.parse(JSON.stringify(strict))), strict)
  })

  it('S22: any piece of evidence halts, none lifts what another says', () => {
    const [good, bad] = [known({ tried: 90 }), known({ tried: 10, failed: 5 })].map((one) => one.evidence!()[0]!)
    for (const evidence of [
      [good!, bad!],
      [bad!, good!]
    ])
      assert.ok(!judge([guard({ failedAbove: 0.1 })], { evidence: () => evidence }).go)
  })

  it('S1: what cannot be meant is refused where it is written, and where it is read', () => {
    assert.throws(() => guard({}), { name: 'Malformed' })
    assert.throws(() => guard({ failedAbove: 1.5 }), { name: 'Malformed' })
    assert.throws(() => guard({ unhealthyAbove: Number.NaN }), { name: 'Malformed' })
    const wrong: unknown[] = [
      { kind: 'guard' },
      { kind: 'guard', failedPerMillion: -1 },
      { kind: 'guard', failedPerMillion: 0.5 },
      { kind: 'notWhile' },
      { kind: 'notWhile', condition: { kind: 'tides' } },
      { kind: 'rolling', by: 'group', unavailable: 1, minimumAlive: 0 }
    ]
    for (const one of wrong) assert.equal(constraintSchema.safeParse(one).success, false, JSON.stringify(one))
    const right = [
      guard({ failedAbove: 0.05, unhealthyAbove: 0 }),
      notWhile(manual()),
      rolling({ by: 'group', unavailable: 2, minimumAlive: 3 })
    ]
    for (const one of right) assert.deepEqual(constraintSchema.parse(JSON.parse(JSON.stringify(one))), one)
  })
})
