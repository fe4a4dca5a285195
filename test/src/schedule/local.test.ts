import assert from 'node:assert/strict'
import {
  all,
  any,
  at,
  immediately,
  lock,
  never,
  not,
  quiet,
  sequence,
  window
} from '../../../src/schedule/combinators.ts'
import { evaluateConstraints } from '../../../src/schedule/constraints.ts'
import { evaluate, type Progress, type Verdict } from '../../../src/schedule/evaluate.ts'
import { type Condition, conditionSchema } from '../../../src/schedule/schedule.ts'
import { CONSTRAINT_FACTS } from './facts.ts'

/** Evaluates one condition again and again, as a peer does. */
class Watch {
  progress: Progress = {}
  readonly facts = { ...CONSTRAINT_FACTS }
  readonly #condition: Condition
  constructor(condition: Condition) {
    this.#condition = condition
  }
  after(passedMs: number, isQuiet?: boolean): Verdict {
    const verdict = evaluate(this.#condition, this.progress, passedMs, { ...this.facts, isQuiet: () => isQuiet })
    this.progress = verdict.progress
    return verdict
  }
}
const sentence = (verdict: Verdict): string => (verdict.go ? 'goes' : verdict.reason.sentence)

describe('conditions on the node itself (SPEC S25 to S27)', () => {
  it('S25: quiet counts the time from look to look, and begins anew when the load rises', () => {
    const watch = new Watch(quiet({ loadBelow: 5, for: '10m' }))
    assert.equal(sentence(watch.after(0)), 'measures its load')
    assert.equal(sentence(watch.after(99_000, false)), 'waits until it answers fewer than 5 calls a second, for 10m')
    const begun = watch.after(60_000, true)
    assert.ok(!begun.go && begun.inMs === 600_000, 'what passed before was not quiet')
    assert.ok(!watch.after(599_999, true).go)
    assert.equal(sentence(watch.after(0, false)), 'waits until it answers fewer than 5 calls a second, for 10m')
    watch.after(0, true)
    assert.ok(watch.after(600_000, true).go)
    assert.ok(watch.after(1, true).go, 'and stays so while it is quiet')
    assert.ok(!watch.after(1, false).go)
  })

  it('S25: a start of the peer neither loses nor adds time, while the load is measured anew', () => {
    const watch = new Watch(quiet({ loadBelow: 5, for: '10s' }))
    watch.after(0, true)
    watch.after(6_000, true)
    assert.ok(!watch.after(0).go)
    assert.ok(!watch.after(10_000, true).go)
    const verdict = watch.after(3_999, true)
    assert.ok(!verdict.go && verdict.inMs === 1)
    assert.ok(watch.after(1, true).go)
  })

  it('S25: a load that is not known is neither quiet nor the opposite', () => {
    assert.ok(!new Watch(not(quiet({ loadBelow: 5, for: 0 }))).after(0).go)
    assert.ok(new Watch(not(quiet({ loadBelow: 5, for: 0 }))).after(0, false).go)
  })

  it('S26: lock waits while one is held, for the timeout in all', () => {
    const watch = new Watch(lock({ timeout: '10m' }))
    assert.ok(watch.after(0).go)
    watch.facts.locks = [{ name: 'backup', reason: 'nightly backup' }]
    assert.equal(sentence(watch.after(5_000)), 'is held by lock "backup" (nightly backup), for another 10m at most')
    assert.ok(!watch.after(400_000).go)
    watch.facts.locks = []
    assert.ok(watch.after(1).go)
    watch.facts.locks = [
      { name: 'backup', reason: 'again' },
      { name: 'other', reason: '' }
    ]
    const again = watch.after(50_000)
    assert.ok(!again.go && again.inMs === 200_000, 'a lock that is taken anew does not begin anew')
    assert.match(sentence(again), / and 1 more, for another 4m at most$/)
    assert.ok(watch.after(200_000).go)
    assert.ok(watch.after(200_000).go)
  })

  it('S27: who doubts its clock acts on no moment of it, nor on its absence', () => {
    const wrong = { ...CONSTRAINT_FACTS, clockDoubt: () => 'the clock of this peer is 8m behind' }
    const [past, open] = [at('2026-01-01T00:00:00Z'), window({ cron: '0 * * * *', duration: '1h' })]
    for (const condition of [past, not(past), open, not(open), not(not(open)), sequence(immediately(), open)]) {
      const verdict = evaluate(condition, {}, 0, wrong)
      assert.ok(!verdict.go && verdict.unsure === true && verdict.reason.kind === 'clock' && verdict.inMs === undefined)
      assert.match(verdict.reason.sentence, /8m behind$/)
    }
    const busy = [{ kind: 'notWhile' as const, condition: open }]
    const held = evaluateConstraints(busy, {}, 0, wrong, true)
    assert.ok(!held.go && /cannot be told .* 8m behind/.test(held.reason.sentence))
  })

  it('S21, S27: what cannot be told yields to what can, and its opposite as well', () => {
    const wrong = { ...CONSTRAINT_FACTS, clockDoubt: () => 'wrong' }
    const doubt = window({ cron: '0 * * * *', duration: '1h' })
    const goes = (condition: Condition) => evaluate(condition, {}, 0, wrong).go
    assert.ok(goes(any(doubt, immediately())))
    assert.ok(!goes(any(doubt, never())) && !goes(not(any(doubt, never()))))
    assert.ok(!goes(all(doubt, immediately())) && !goes(not(all(doubt, immediately()))))
    assert.ok(!goes(not(all(immediately(), doubt))))
    assert.ok(goes(not(all(doubt, never()))) && goes(not(all(never(), doubt))))
    assert.ok(!goes(not(any(doubt, immediately()))))
  })

  it('S1: what cannot be meant is refused where it is written, and where it is read', () => {
    for (const wrong of [
      () => quiet({ loadBelow: 0, for: '1m' }),
      () => quiet({ loadBelow: 0.5, for: '1m' }),
      () => quiet({ loadBelow: 5, for: '1w' as '1d' }),
      () => lock({ timeout: 0 })
    ])
      assert.throws(wrong, { name: 'Malformed' })
    const kinds = [
      { kind: 'quiet', loadBelow: 0, forMs: 1 },
      { kind: 'quiet', loadBelow: 1 },
      { kind: 'lock', timeoutMs: 1 }
    ]
    for (const one of kinds) assert.equal(conditionSchema.safeParse(one).success, false)
    for (const one of [quiet({ loadBelow: 5, for: '10m' }), lock({ timeout: '1h' })])
      assert.deepEqual(conditionSchema.parse(JSON.parse(JSON.stringify(one))), one)
  })
})
