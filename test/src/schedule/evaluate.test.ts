import assert from 'node:assert/strict'
import fc from 'fast-check'
import { after, all, immediately, manual, sequence } from '../../../src/schedule/combinators.ts'
import { evaluate, type Facts, type Progress } from '../../../src/schedule/evaluate.ts'
import type { Condition } from '../../../src/schedule/schedule.ts'

const canaries = (): never => assert.fail('no condition here names canaries')
const FACTS: Facts = { approved: false, canaries }

/** Evaluates at each of the given distances, restarting (time that passed is unknown: 0) where the distance is null. */
function run(condition: Condition, distances: (number | null)[]): boolean[] {
  let progress: Progress = {}
  return distances.map((distance) => {
    const verdict = evaluate(condition, progress, distance ?? 0, FACTS)
    progress = verdict.progress
    return verdict.go
  })
}

describe('schedules (SPEC S)', () => {
  it('S2: immediately goes', () => assert.deepEqual(run(immediately(), [0]), [true]))

  it('S3: after counts from its first evaluation, whatever passed before', () => {
    assert.deepEqual(run(after({ delay: '10s' }), [99_999, 9_999, 1]), [false, false, true])
  })

  it('S3: a restart neither loses nor adds time', () => {
    assert.deepEqual(run(after({ delay: '10s' }), [0, 6_000, null, null, 3_999, 1]), [
      false,
      false,
      false,
      false,
      false,
      true
    ])
  })

  it('S4: a step of a sequence begins when the one before has come true', () => {
    const condition = sequence(after({ delay: '10s' }), after({ delay: '5s' }))
    assert.deepEqual(run(condition, [0, 10_000, 4_999, 1]), [false, false, false, true])
  })

  it('S4: all runs its times side by side', () => {
    assert.deepEqual(run(all(after({ delay: '10s' }), after({ delay: '5s' })), [0, 5_000, 5_000]), [false, false, true])
  })

  it('S6: manual waits for an approval, without a time, and a step after it begins with it', () => {
    const condition = sequence(manual(), after({ delay: '5s' }))
    const first = evaluate(condition, {}, 0, FACTS)
    assert.ok(!first.go && first.inMs === undefined && /approval/.test(first.reason.sentence))
    const second = evaluate(condition, first.progress, 60_000, { ...FACTS, approved: true })
    assert.ok(!second.go && second.inMs === 5_000)
    assert.ok(evaluate(condition, second.progress, 5_000, { ...FACTS, approved: true }).go)
  })

  it('S2: waiting names what it waits for, and for how long', () => {
    const verdict = evaluate(sequence(immediately(), after({ delay: '10m' })), {}, 0, FACTS)
    assert.ok(!verdict.go)
    assert.equal(verdict.inMs, 600_000)
    assert.equal(verdict.reason.kind, 'after')
    assert.match(verdict.reason.sentence, /step 2 of 2/)
  })

  const leaf = fc.oneof(
    fc.constant<Condition>({ kind: 'immediately' }),
    fc.integer({ min: 0, max: 1000 }).map((delayMs): Condition => ({ kind: 'after', delayMs }))
  )
  const condition = fc.letrec<{ one: Condition }>((tie) => ({
    one: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.record({ kind: fc.constant('all' as const), of: fc.array(tie('one'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ kind: fc.constant('sequence' as const), of: fc.array(tie('one'), { minLength: 1, maxLength: 3 }) })
    )
  })).one

  /** The least time after which a condition made of these kinds comes true. */
  const dueMs = (one: Condition): number => {
    switch (one.kind) {
      case 'immediately':
        return 0
      case 'manual':
      case 'canary':
        return Number.POSITIVE_INFINITY
      case 'after':
        return one.delayMs
      case 'all':
        return Math.max(...one.of.map(dueMs))
      case 'sequence':
        return one.of.reduce((sum, step) => sum + dueMs(step), 0)
    }
  }

  it('S2: evaluated again at the times it names, any condition goes exactly when it is due, and stays so', () => {
    fc.assert(
      fc.property(condition, (one) => {
        let progress: Progress = {}
        let at = 0
        let passed = 0
        for (let turn = 0; turn < 200; turn++) {
          const verdict = evaluate(one, progress, passed, FACTS)
          progress = verdict.progress
          assert.equal(verdict.go, at >= dueMs(one))
          if (verdict.go) return assert.ok(evaluate(one, progress, 5, FACTS).go)
          assert.ok(verdict.inMs !== undefined && verdict.inMs > 0)
          passed = verdict.inMs
          at += passed
        }
        assert.fail('it never came true')
      })
    )
  })
})
