import assert from 'node:assert/strict'
import {
  type CanaryFacts,
  type CanaryState,
  type Candidate,
  MAX_JUDGED,
  PATIENCE_MS,
  SETTLE_MS
} from '../../../src/schedule/canary.ts'
import { canary } from '../../../src/schedule/combinators.ts'
import { evaluate, type Progress, type Verdict } from '../../../src/schedule/evaluate.ts'
import { type Condition, conditionSchema } from '../../../src/schedule/schedule.ts'
import { encode } from '../../../src/upgrade/canonical.ts'

const HOUR_MS = 3_600_000

/** A peer at place 0.9 that looks at others. */
class Onlooker {
  lowest: Candidate[] = []
  settledMs: number | undefined = SETTLE_MS
  others = { known: 100, run: 0 }
  progress: Progress = {}
  readonly #condition: Condition

  constructor(condition: Condition) {
    this.#condition = condition
  }

  see(...states: CanaryState[]): this {
    this.lowest = states.map((state, index) => ({
      peer: `peer-canary${index}`,
      place: (index + 1) / 1000,
      state,
      reason: state === 'failed' ? 'no such luck' : ''
    }))
    return this
  }

  after(passedMs: number): Verdict {
    const facts: CanaryFacts = {
      self: 'peer-self',
      version: 2,
      place: this.lowest.find((one) => one.peer === 'peer-self')?.place ?? 0.9,
      lowest: this.lowest,
      settledMs: this.settledMs,
      above: () => this.others
    }
    const verdict = evaluate(this.#condition, this.progress, passedMs, {
      approved: false,
      canaries: () => facts,
      now: 0,
      labels: {},
      place: () => 0
    })
    this.progress = verdict.progress
    return verdict
  }

  goes(passedMs: number): boolean {
    return this.after(passedMs).go
  }

  says(passedMs: number): string {
    const verdict = this.after(passedMs)
    return verdict.go ? 'go' : verdict.reason.sentence
  }
}

const tenth = (soak: '1h' | '0s' = '1h') => new Onlooker(canary({ fraction: 0.1, soak }))

describe('canary schedules (SPEC S7 to S9)', () => {
  it('S7: who lies below the fraction goes at once, whatever others show', () => {
    const peer = tenth().see('failed', 'behind')
    peer.lowest.push({ peer: 'peer-self', place: 0.099, state: 'behind', reason: '' })
    assert.ok(peer.goes(0))
  })

  it('S7: one of the lowest known goes when for a while it has heard of no other, and not while it is cut off', () => {
    for (const condition of [canary({ count: 2, soak: 0 }), canary({ fraction: 0.000001, soak: 0 })]) {
      const peer = new Onlooker(condition)
      peer.lowest = [
        { peer: 'peer-self', place: 0.2, state: 'behind', reason: '' },
        { peer: 'peer-b', place: 0.3, state: 'behind', reason: '' }
      ]
      peer.settledMs = 0
      const early = peer.after(0)
      assert.ok(!early.go && early.inMs === SETTLE_MS && /lowest known/.test(early.reason.sentence))
      peer.settledMs = undefined
      assert.match(peer.says(HOUR_MS), /when it has a neighbour/)
      peer.settledMs = SETTLE_MS
      assert.ok(peer.goes(0))
      peer.lowest = [{ ...peer.lowest[1]!, place: 0.1 }, { ...peer.lowest[0]!, place: 0.15 }, peer.lowest[0]!].slice(
        0,
        2
      )
      assert.equal(peer.goes(0), 'count' in (condition as { share: object }).share)
    }
  })

  it('S8: the others wait until all judged run the version, and for the soak', () => {
    const peer = tenth()
    assert.equal(peer.says(0), 'waits for canaries: no peer that could be one is known')
    assert.match(
      peer.see('behind', 'behind').says(5),
      /^waits for canaries: 0 of 2 run version 2; …anary0 does not yet$/
    )
    assert.match(
      peer.see('runs', 'behind').says(5),
      /^waits for canaries: 1 of 2 run version 2; …anary1 does not yet; it is/
    )
    const soaking = peer.see('runs', 'runs').after(5)
    assert.ok(!soaking.go && soaking.inMs === HOUR_MS)
    assert.equal(soaking.reason.sentence, '2 canaries run version 2; soak: another 60m of 60m')
    assert.ok(!peer.goes(HOUR_MS - 1))
    assert.ok(peer.goes(1))
    assert.ok(peer.goes(0), 'it stays so')
  })

  it('S8: time before the canaries ran, and time while the peer was off, is no soak', () => {
    const peer = tenth().see('behind')
    peer.after(0)
    assert.ok(!peer.see('runs').goes(2 * HOUR_MS))
    assert.ok(!peer.goes(HOUR_MS - 1))
    // A restart: nothing is known to have passed.
    assert.ok(!peer.goes(0))
    assert.ok(peer.goes(1))
  })

  it('S8: knowledge that is new, or cut off, is not counted as a soak', () => {
    const peer = tenth().see('runs')
    peer.settledMs = SETTLE_MS - 1
    assert.match(peer.says(0), /makes sure/)
    peer.settledMs = undefined
    assert.match(peer.says(2 * HOUR_MS), /cut off/)
    peer.settledMs = SETTLE_MS
    assert.match(peer.says(2 * HOUR_MS), /another 60m/)
    assert.ok(peer.goes(HOUR_MS))
  })

  for (const bad of ['failed', 'sick'] as const) {
    it(`S8: a canary that is ${bad} holds the others up for as long as it is, and the soak begins anew`, () => {
      const peer = tenth().see('runs', 'runs')
      peer.after(0)
      peer.after(HOUR_MS - 1)
      const held = peer.see('runs', bad).after(1)
      const did = bad === 'failed' ? 'went back: no such luck' : 'fails'
      assert.ok(!held.go && held.inMs === undefined)
      assert.equal(held.reason.sentence, `waits for canaries: 1 of 2 run version 2; …anary1 ${did}`)
      assert.ok(!peer.goes(100 * HOUR_MS))
      peer.see('runs', 'runs')
      assert.ok(!peer.goes(100 * HOUR_MS))
      assert.ok(!peer.goes(HOUR_MS - 1))
      assert.ok(peer.goes(1))
    })
  }

  it('S8: a newcomer stops the clock and does not set it back; all of them together for an hour', () => {
    const peer = tenth().see('runs', 'runs')
    peer.after(0)
    peer.after(HOUR_MS - 10)
    peer.see('behind', 'runs', 'runs')
    assert.match(peer.says(5), /2 of 3 run version 2; …anary0 does not yet; it is waited for for another 60m/)
    assert.ok(!peer.goes(PATIENCE_MS / 2))
    assert.ok(!peer.see('runs', 'runs', 'runs').goes(5))
    assert.ok(!peer.see('behind', 'runs', 'runs', 'runs').goes(9))
    assert.ok(!peer.goes(PATIENCE_MS / 2 - 1))
    // Patience is spent; ten milliseconds of soak are left.
    assert.ok(!peer.goes(1))
    assert.ok(!peer.see('behind', 'behind', 'runs', 'runs').goes(9))
    assert.ok(peer.goes(1))
  })

  it('S8: where fewer than half of the judged run well there is no evidence, however long that lasts', () => {
    const peer = tenth('0s').see('behind', 'behind', 'runs')
    for (let hour = 0; hour < 100; hour++) assert.ok(!peer.goes(HOUR_MS))
    assert.ok(!peer.see('behind', 'runs').goes(0))
    assert.ok(peer.goes(PATIENCE_MS))
  })

  it('S8: who comes when most others run the version does not soak again; a failure counts still', () => {
    const peer = tenth().see('runs')
    peer.others = { known: 10, run: 5 }
    assert.ok(!peer.goes(0))
    peer.others = { known: 10, run: 6 }
    assert.ok(peer.goes(0))
    assert.ok(!peer.see('failed').goes(0))
  })

  it('S8: at most 64 are judged, and with a count no more than that', () => {
    const states = Array.from(
      { length: MAX_JUDGED + 1 },
      (_, at): CanaryState => (at === MAX_JUDGED ? 'failed' : 'runs')
    )
    assert.ok(
      tenth('0s')
        .see(...states)
        .goes(0)
    )
    assert.ok(new Onlooker(canary({ count: 2, soak: 0 })).see('runs', 'runs', 'failed').goes(0))
    assert.ok(!new Onlooker(canary({ count: 3, soak: 0 })).see('runs', 'runs', 'failed').goes(0))
  })

  it('S1: what is written is plain data without fractions; what makes no sense is refused', () => {
    const condition = canary({ fraction: 0.05, soak: '1h' })
    assert.deepEqual(condition, { kind: 'canary', share: { perMillion: 50_000 }, soakMs: HOUR_MS })
    assert.doesNotThrow(() => encode(conditionSchema.parse(condition)))
    for (const few of [
      { fraction: 0 },
      { fraction: 1 },
      { fraction: Number.NaN },
      { count: 0 },
      { count: 65 },
      { count: 1.5 }
    ])
      assert.throws(() => canary({ ...few, soak: '1h' } as Parameters<typeof canary>[0]), { name: 'Malformed' })
    for (const share of [{}, { perMillion: 0.5 }, { count: 1, perMillion: 5 }])
      assert.ok(!conditionSchema.safeParse({ kind: 'canary', share, soakMs: 1 }).success)
  })
})
