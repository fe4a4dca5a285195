import assert from 'node:assert/strict'
import type { AnsweredCount } from '../../../node/daemon/callee.ts'
import { type Findings, median, reportOf, reportText, since } from '../../../scripts/demonstration/report.ts'
import { plain } from '../../../scripts/demonstration/view.ts'

const answered = (version: number, running: number, caller: number | null, count = 1): AnsweredCount => ({
  object: 'KV',
  version,
  running,
  caller,
  count
})
const all = [answered(1, 1, 1, 5), answered(1, 2, 1, 4), answered(2, 1, 2, 3), answered(2, 2, 2, 2)]
const waits = { calls: 1, medianMs: 1, p99Ms: 2, longestMs: 3 }

function findings(change: Partial<Findings> = {}, load: Partial<Findings['load']> = {}): Findings {
  return {
    peers: ['a1', 'a2', 'a3'].map((name, index) => ({
      name,
      version: 2,
      serving: true,
      unavailableMs: 100 * (index + 1),
      answered: all
    })),
    load: {
      calls: [
        { class: 'KV', version: 1, method: 'get', outcome: 'ok', count: 6 },
        { class: 'KV2', version: 2, method: 'get', outcome: 'ok', count: 4 }
      ],
      waits: { 1: waits, 2: { ...waits, longestMs: 9 } },
      acknowledged: 10,
      lost: [],
      failures: [],
      repeated: 0,
      ...load
    },
    groupDownMax: 1,
    chaos: null,
    rollOutMs: 1000,
    durationMs: 2000,
    nodeStartMs: 30,
    fsyncMs: 1,
    ...change
  }
}

describe('demo, report', () => {
  it('X5: holds when all are upgraded, nothing failed or was lost, and one of a group was down', () => {
    const report = reportOf(findings())
    assert.ok(report.held)
    assert.deepEqual(
      [report.peers, report.upgraded, report.version, report.calls, report.failed, report.lostWrites],
      [3, 3, 2, 10, 0, 0]
    )
    assert.deepEqual([report.unavailableMsMedian, report.unavailableMsMax, report.longestWaitMs], [200, 300, 9])
    assert.match(reportText(findings(), report, plain), /everything held/)
  })

  const [peer] = findings().peers
  const broken: [string, Findings][] = [
    ['a peer stayed behind', findings({ peers: [{ ...peer!, version: 1 }] })],
    ['a peer does not serve', findings({ peers: [{ ...peer!, serving: false }] })],
    ['two of a group were down', findings({ groupDownMax: 2 })],
    ['a write was lost', findings({}, { lost: ['v1 read null for k, written was "x"'] })],
    [
      'a peer was not called at v2',
      findings({ peers: [{ ...peer!, answered: [answered(1, 2, 1), answered(1, 1, 2)] }] })
    ],
    [
      'no peer at v1 called one at v2',
      findings({ peers: [{ ...peer!, answered: all.filter((one) => one.caller !== 1 || one.running !== 2) }] })
    ],
    ['only clients called', findings({ peers: [{ ...peer!, answered: all.map((one) => ({ ...one, caller: null })) }] })]
  ]
  for (const [what, found] of broken) {
    it(`X5: does not hold when ${what}`, () => {
      const report = reportOf(found)
      assert.ok(!report.held)
      assert.match(reportText(found, report, plain), /NOT everything held[\s\S]*✕/)
    })
  }

  it('X5: every call without a result is a failed one, and its outcome is shown', () => {
    const outcomes = ['ok', 'Disallowed', 'OutcomeUnknown', 'Unavailable']
    const calls = outcomes.map((outcome) => ({ class: 'KV', version: 1, method: 'get', outcome, count: 2 }))
    const found = findings({}, { calls, failures: ['Unavailable: why'] })
    const report = reportOf(found)
    assert.deepEqual([report.calls, report.failed, report.disallowed, report.outcomeUnknown], [8, 6, 2, 2])
    assert.ok(!report.held)
    assert.match(reportText(found, report, plain), /Disallowed +2 +0[\s\S]*Unavailable: why/)
  })

  it('X6: with kills, calls made again are no failures, and who called whom is not asked for', () => {
    const chaos = {
      seed: 7,
      kills: [{ member: 'a1', victim: 'daemon' as const, phase: 'warming', afterMs: 1, atMs: 2, downMs: 3 }]
    }
    const peers = findings().peers.map((one) => ({ ...one, answered: [] }))
    const calls = [
      ...findings().load.calls,
      { class: 'KV', version: 1, method: 'put', outcome: 'Unavailable', count: 2 }
    ]
    const report = (repeated: number, groupDownMax = 1) =>
      reportOf(findings({ chaos, peers, groupDownMax }, { calls, repeated }))
    assert.deepEqual([report(2).held, report(2).failed, report(2).chaos?.killed.daemon], [true, 0, 1])
    assert.deepEqual([report(1).held, report(1).failed], [false, 1])
    assert.equal(report(2, 2).held, false)
    assert.match(reportText(findings({ chaos }), report(2), plain), /seed 7: 1 kills \(daemon 1,/)
  })

  it('X5: pairs are by what both nodes ran; the clients of the fleet are in none', () => {
    const { pairs } = reportOf(
      findings({ peers: [{ ...peer!, answered: [...all, answered(1, 1, null, 99), answered(2, 1, 1, 7)] }] })
    )
    assert.deepEqual(
      pairs.map(({ caller, callee, at }) => [caller, callee, at[1], at[2]]),
      [
        [1, 1, 5, 7],
        [1, 2, 4, 0],
        [2, 1, 0, 3],
        [2, 2, 0, 2]
      ]
    )
  })

  it('X5: only what was answered during the roll-out counts', () => {
    const later = [answered(1, 1, 1, 5), answered(1, 2, 1, 4), answered(1, 1, null, 8)]
    assert.deepEqual(since([answered(1, 1, 1, 5), answered(1, 1, null, 3)], later), [
      answered(1, 2, 1, 4),
      answered(1, 1, null, 5)
    ])
  })

  it('a median is the middle, or the mean of the two in the middle', () => {
    assert.deepEqual([median([]), median([3]), median([9, 1]), median([5, 1, 9])], [0, 3, 5, 5])
  })
})
