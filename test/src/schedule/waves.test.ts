import assert from 'node:assert/strict'
import { PATIENCE_MS } from '../../../src/schedule/cohorts.ts'
import { canary, domains, waves } from '../../../src/schedule/combinators.ts'
import { MAX_JUDGED, SETTLE_MS, type Shown } from '../../../src/schedule/panel.ts'
import { conditionSchema } from '../../../src/schedule/schedule.ts'
import { encode } from '../../../src/upgrade/canonical.ts'
import { Onlooker } from './onlooker.ts'

const HOUR_MS = 3_600_000

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
    assert.equal(soaking.reason.sentence, 'canaries: 2 of 2 run version 2; soak: another 60m of 60m')
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
    peer.fellows = { known: 10, run: 5 }
    assert.ok(!peer.goes(0))
    peer.fellows = { known: 10, run: 6 }
    assert.ok(peer.goes(0))
    assert.ok(!peer.see('failed').goes(0))
  })

  it('S8: at most 64 are judged, and with a count no more than that', () => {
    const states = Array.from({ length: MAX_JUDGED + 1 }, (_, at): Shown => (at === MAX_JUDGED ? 'failed' : 'runs'))
    assert.ok(
      tenth('0s')
        .see(...states)
        .goes(0)
    )
    assert.ok(new Onlooker(canary({ count: 2, soak: 0 })).see('runs', 'runs', 'failed').goes(0))
    assert.ok(!new Onlooker(canary({ count: 3, soak: 0 })).see('runs', 'runs', 'failed').goes(0))
  })

  it('S7: so many canaries may fail as `success` leaves; canaries that a label names are a domain', () => {
    const most = new Onlooker(canary({ count: 4, soak: 0, success: 0.75 }))
    assert.ok(most.see('runs', 'failed', 'runs', 'runs').goes(0))
    assert.ok(!most.see('runs', 'failed', 'failed', 'runs').goes(0))
    const early = canary({ where: { ring: ['early', 'first'] }, soak: '1h' })
    assert.deepEqual(early, domains({ by: 'ring', order: [['early', 'first']], every: '1h' }))
    for (const where of [{}, { a: '1', b: '2' }, { ring: [] }])
      assert.throws(() => canary({ where, soak: 0 } as Parameters<typeof canary>[0]), { name: 'Malformed' })
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

describe('waves (SPEC S40)', () => {
  const SHARES = [0.01, 0.1, 0.5, 1]
  const inWave = (place: number, every: '1h' | '0s' = '1h', success = 1): Onlooker => {
    const peer = new Onlooker(waves(SHARES, { every, success }))
    peer.place = place
    return peer
  }
  const at = (place: number, state: Shown = 'runs') => ({ place, state })

  it('S40: the first goes at once; each later one when the one before has run the version for the time', () => {
    assert.ok(
      inWave(0.009)
        .seeAll([at(0.001, 'behind')])
        .goes(0)
    )
    const second = inWave(0.05).seeAll([at(0.001), at(0.06, 'behind'), at(0.2, 'behind')])
    assert.equal(second.says(0), 'wave 1 of 4: 1 of 1 run version 2; soak: another 60m of 60m')
    assert.ok(!second.goes(HOUR_MS - 1) && second.goes(1))
    const third = inWave(0.3).seeAll([at(0.001), at(0.06, 'waits')])
    assert.match(third.says(0), /^waits for wave 2 of 4: 0 of 1 run version 2; …other1 does not yet$/)
    third.seeAll([at(0.001), at(0.06), at(0.31, 'waits')])
    assert.ok(!third.goes(2 * HOUR_MS), 'time before they ran is no soak')
    assert.ok(third.goes(HOUR_MS))
  })

  it('S40: a failure in any wave before holds all later ones up; one in a later wave does not', () => {
    const last = inWave(0.9, '0s')
    for (const place of [0.001, 0.05, 0.4]) {
      last.seeAll([0.001, 0.05, 0.4].map((one) => at(one, one === place ? 'failed' : 'runs')))
      assert.match(last.says(0), /1? of 1 run version 2; …other\d went back$/)
    }
    assert.ok(
      inWave(0.05, '0s')
        .seeAll([at(0.001), at(0.06, 'failed'), at(0.3, 'sick')])
        .goes(0)
    )
  })

  it('S40: so many may fail as `success` leaves, and no more', () => {
    const states = (bad: number) =>
      Array.from({ length: 10 }, (_, index) => at(0.02 + index / 200, index < bad ? 'failed' : 'runs'))
    const peer = inWave(0.3, '0s', 0.8)
    assert.ok(!peer.seeAll([at(0.001), ...states(3)]).goes(0))
    assert.ok(peer.seeAll([at(0.001), ...states(2)]).goes(0))
    assert.ok(
      !inWave(0.3, '0s')
        .seeAll([at(0.001), ...states(1)])
        .goes(0)
    )
  })

  it('S40: where nobody lies in the first wave the lowest known is it; a wave of nobody is passed over', () => {
    const lowest = inWave(0.7)
    lowest.lowest = [{ peer: 'peer-self', place: 0.7, state: 'behind', reason: '' }]
    assert.ok(lowest.goes(0))
    const peer = inWave(0.8)
    assert.match(peer.says(0), /^waits for wave 1 of 4: no peer that could be one is known$/)
    peer.seeAll([at(0.7, 'waits')])
    assert.match(peer.says(0), /^waits for wave 1 of 4: 0 of 1/)
    assert.match(peer.seeAll([at(0.7)]).says(0), /soak: another 60m/)
    assert.ok(peer.goes(HOUR_MS))
  })

  it('S40: the time goes on after a restart, and is not spent twice', () => {
    const peer = inWave(0.05).seeAll([at(0.001)])
    peer.after(0)
    peer.after(HOUR_MS / 2)
    assert.ok(!peer.goes(0))
    assert.ok(!peer.goes(HOUR_MS / 2 - 1))
    assert.ok(peer.goes(1))
  })

  it('S40: half of a wave that never shows anything holds the next one up for an hour, more than half for ever', () => {
    const peer = inWave(0.3, '0s').seeAll([at(0.001), at(0.05), at(0.06, 'behind')])
    assert.ok(!peer.goes(0) && !peer.goes(PATIENCE_MS - 1) && peer.goes(1))
    peer.seeAll([at(0.001), at(0.05), at(0.06, 'behind'), at(0.07, 'behind')])
    for (let hour = 0; hour < 10; hour++) assert.ok(!peer.goes(HOUR_MS))
  })

  it('S1: shares that do not ascend, do not end with all, are none, or no shares, are refused', () => {
    for (const shares of [[], [0.5], [0.5, 0.5, 1], [0.5, 0.1, 1], [0, 1], [-0.1, 1], [0.5, 1.5], [0.5, Number.NaN, 1]])
      assert.throws(() => waves(shares, { every: '1h' }), { name: 'Malformed' }, JSON.stringify(shares))
    for (const success of [0, 1.1, -1]) assert.throws(() => waves([1], { every: 0, success }), { name: 'Malformed' })
    assert.doesNotThrow(() => encode(conditionSchema.parse(waves(SHARES, { every: '1h', success: 0.98 }))))
  })
})
