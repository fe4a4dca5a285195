/** Each condition of a schedule on a simulated fleet of sixty (SPEC S11 to S13). */
import assert from 'node:assert/strict'
import { EPOCH_MS } from '../../sim/machine.ts'
import { type Action, scenario } from '../../sim/scenario.ts'
import { run } from '../../sim/simulator.ts'
import {
  after,
  any,
  at,
  byLabel,
  deadline,
  gradual,
  manual,
  never,
  not,
  where,
  window
} from '../../src/schedule/combinators.ts'
import type { Condition } from '../../src/schedule/schedule.ts'

const PEERS = 60
const INJECTED_MS = 30_000
const MINUTE = 60_000
const timeAt = (ms: number): string => new Date(EPOCH_MS + ms).toISOString().replace(/\.\d+Z$/, 'Z')

/** When each node served version 2, ms of virtual time, by node; those that did not within the time are left out. */
function upgraded(when: Condition, durationMs = 60 * MINUTE): Map<number, number> {
  const calm = scenario({
    seed: 3,
    peers: PEERS,
    groupSize: 0,
    regions: ['eu', 'us', 'asia'],
    strict: false,
    history: 0
  })
  const [install] = calm.actions
  const upgrade = { ...install!, atMs: INJECTED_MS, schedule: { when, constraints: [] } } as Action
  const served = new Map<number, number>()
  const one = { ...calm, writesPerSecond: 0, actions: [install!, upgrade], durationMs }
  const result = run(one, {
    prepare: ({ machines, kernel }) => {
      for (const machine of machines) {
        const { serving } = machine
        machine.serving = (object, version) => {
          if (version === 2 && !served.has(machine.index)) served.set(machine.index, kernel.now)
          serving.call(machine, object, version)
        }
      }
    }
  })
  assert.deepEqual(
    result.violations.filter((found) => found.rule !== 'M18'),
    []
  )
  return served
}
const within = (times: Iterable<number>, from: number, to: number): number =>
  [...times].filter((time) => time >= from && time < to).length

describe('schedules on a simulated fleet (SPEC S11 to S13)', function () {
  this.timeout(60_000)

  it('at: nobody before the time, everybody within seconds of it', () => {
    const times = upgraded(at(timeAt(10 * MINUTE)))
    assert.equal(times.size, PEERS)
    assert.equal(within(times.values(), 10 * MINUTE, 10 * MINUTE + 5_000), PEERS)
  })

  it('gradual: evenly over the time, or few at first', () => {
    const even = upgraded(gradual({ over: '20m' }))
    assert.equal(even.size, PEERS)
    for (const quarter of [0, 1, 2, 3]) {
      const count = within(even.values(), INJECTED_MS + quarter * 5 * MINUTE, INJECTED_MS + (quarter + 1) * 5 * MINUTE)
      assert.ok(count >= 6 && count <= 24, `${count} of 60 in quarter ${quarter}`)
    }
    const growing = upgraded(gradual({ over: '20m', shape: 'growing' }))
    const early = within(growing.values(), 0, INJECTED_MS + 10 * MINUTE)
    const late = within(growing.values(), INJECTED_MS + 15 * MINUTE, 60 * MINUTE)
    assert.ok(early <= 12 && late >= 24, `${early} early, ${late} late`)
  })

  it('window: only while it is open, and not in the meantime', () => {
    // The epoch of the simulator is 08:00 UTC: the window opens five minutes later, for two, every quarter of an hour.
    const start = new Date(EPOCH_MS)
    const minutes = [5, 20, 35, 50].map((one) => (start.getUTCMinutes() + one) % 60).sort((a, b) => a - b)
    const times = upgraded(window({ cron: `${minutes.join()} * * * *`, duration: '2m' }))
    assert.equal(times.size, PEERS)
    const opened = 5 * MINUTE - start.getUTCSeconds() * 1000
    assert.equal(within(times.values(), opened, opened + 2 * MINUTE), PEERS)
  })

  it('where and byLabel: follow the sun; the others wait for theirs', () => {
    const eu = upgraded(where({ region: 'eu' }), 10 * MINUTE)
    assert.deepEqual(
      [...eu.keys()].sort((a, b) => a - b),
      Array.from({ length: PEERS / 3 }, (_, index) => index * 3)
    )
    const sun = byLabel('region', { eu: after({ delay: '2m' }), us: after({ delay: '10m' }) }, never())
    const times = upgraded(sun, 30 * MINUTE)
    const of = (region: number) => [...times].filter(([node]) => node % 3 === region).map(([, time]) => time)
    assert.equal(within(of(0), INJECTED_MS + 2 * MINUTE, INJECTED_MS + 4 * MINUTE), PEERS / 3)
    assert.equal(within(of(1), INJECTED_MS + 10 * MINUTE, INJECTED_MS + 12 * MINUTE), PEERS / 3)
    assert.deepEqual(of(2), [])
  })

  it('not, any and deadline: outside of a busy time; the first of two; at the latest then', () => {
    const start = new Date(EPOCH_MS)
    const busy = window({ cron: `${start.getUTCMinutes()} ${start.getUTCHours()} * * *`, duration: '15m' })
    const quiet = upgraded(not(busy))
    const ends = 15 * MINUTE - start.getUTCSeconds() * 1000
    assert.equal(within(quiet.values(), ends, ends + 5_000), PEERS)
    const first = upgraded(any(manual(), at(timeAt(8 * MINUTE)), after({ delay: '50m' })))
    assert.equal(within(first.values(), 8 * MINUTE, 8 * MINUTE + 5_000), PEERS)
    const latest = upgraded(deadline(manual(), { after: '5m' }))
    assert.equal(within(latest.values(), INJECTED_MS + 5 * MINUTE, INJECTED_MS + 6 * MINUTE), PEERS)
  })
})
