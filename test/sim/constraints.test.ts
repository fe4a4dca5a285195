/** Constraints, and what a node measures of itself, on a simulated fleet of sixty (SPEC S20 to S27). */
import assert from 'node:assert/strict'
import { EPOCH_MS, type Machine } from '../../sim/machine.ts'
import { type Action, type Scenario, scenario } from '../../sim/scenario.ts'
import { run } from '../../sim/simulator.ts'
import {
  after,
  any,
  gradual,
  guard,
  immediately,
  lock,
  manual,
  notWhile,
  quiet,
  rolling,
  window
} from '../../src/schedule/combinators.ts'
import type { Schedule } from '../../src/schedule/schedule.ts'

const PEERS = 60
const INJECTED_MS = 30_000
const MINUTE = 60_000

interface Outcome {
  /** When each node served version 2, ms of virtual time, by node. */
  served: Map<number, number>
  machines: readonly Machine[]
  reasons: string[]
  stuck: number
}

/** Version 2 with this schedule on a calm fleet that runs version 1. */
function rollOut(
  schedule: Schedule,
  fields: Partial<Scenario> & { broken?: number; errors?: { before: number; after: number }; injectedMs?: number } = {}
): Outcome {
  const { broken, errors, injectedMs = INJECTED_MS, ...rest } = fields
  const calm = scenario({ seed: 4, peers: PEERS, groupSize: 0, strict: false, history: 0, ...rest })
  const install = { ...calm.actions[0]!, errors: errors?.before } as Action
  const upgrade = { ...install, atMs: injectedMs, schedule, broken, errors: errors?.after } as Action
  const rosters = calm.actions.slice(1, -1)
  const actions = [install, ...rosters, upgrade]
  const served = new Map<number, number>()
  let machines: readonly Machine[] = []
  const one = { ...calm, durationMs: 20 * MINUTE, writesPerSecond: 0, ...rest, actions }
  const result = run(one, {
    prepare: (simulator) => {
      machines = simulator.machines
      for (const machine of machines) {
        const { serving } = machine
        machine.serving = (object, version) => {
          if (version === 2 && !served.has(machine.index)) served.set(machine.index, simulator.kernel.now)
          serving.call(machine, object, version)
        }
      }
    }
  })
  assert.deepEqual(
    result.violations.filter((found) => found.rule !== 'M18'),
    []
  )
  const reasons = machines.map((machine) => Object.values(machine.record?.objects ?? {})[0]?.reason ?? '')
  return { served, machines, reasons, stuck: result.stuck.length }
}
const within = (times: Iterable<number>, from: number, to: number): number =>
  [...times].filter((time) => time >= from && time < to).length
const failedOn = ({ machines }: Outcome): number => machines.filter((machine) => machine.failures.has(2)).length

describe('constraints on a simulated fleet (SPEC S20 to S27)', function () {
  this.timeout(60_000)

  it('S22: a guard halts a version that fails on a third of the nodes while few have tried it', () => {
    const schedule = { when: gradual({ over: '10m' }), constraints: [guard({ failedAbove: 0.1 })] }
    const outcome = rollOut(schedule, { broken: 0.33 })
    const tried = outcome.served.size + failedOn(outcome)
    assert.ok(failedOn(outcome) >= 2 && tried <= 15, `${tried} tried it, ${failedOn(outcome)} of them in vain`)
    const waiting = outcome.reasons.filter((reason) => /^halted: \d+ of the peers known went back/.test(reason))
    assert.equal(waiting.length, PEERS - tried)
    assert.equal(outcome.stuck, 0, 'who is halted is at rest, and M18 names nobody')
  })

  it('S22: a guard lets a version go on that fails on fewer nodes than it allows', () => {
    const schedule = { when: gradual({ over: '10m' }), constraints: [guard({ failedAbove: 0.6 })] }
    const outcome = rollOut(schedule, { broken: 0.15 })
    assert.ok(failedOn(outcome) >= 2, `it failed on ${failedOn(outcome)}`)
    assert.equal(outcome.served.size, PEERS - failedOn(outcome))
  })

  it('S21: notWhile keeps everybody waiting though any, hasten and approval say go', () => {
    const start = new Date(EPOCH_MS)
    const busy = window({ cron: `${start.getUTCMinutes()} ${start.getUTCHours()} * * *`, duration: '12m' })
    const ends = 12 * MINUTE - start.getUTCSeconds() * 1000
    const { served } = rollOut({ when: any(immediately(), manual()), constraints: [notWhile(busy)] })
    assert.equal(served.size, PEERS)
    assert.ok(Math.min(...served.values()) >= ends && Math.max(...served.values()) < ends + 5_000)
  })

  it('S20: minimumAlive: no group begins while one of its members is away, all others go on', () => {
    const schedule = {
      when: immediately(),
      constraints: [rolling({ by: 'group', unavailable: 2, minimumAlive: 3 })]
    }
    // Groups of five: two may be down in all. Of group 0 one is away for good, and two more might stop.
    const faults = [{ atMs: 25_000, what: 'depart' as const, node: 1 }]
    const outcome = rollOut(schedule, { groupSize: 5, unavailable: 2, faults, durationMs: 5 * MINUTE })
    const groupOf = (node: number) => Math.floor(node / 5)
    const groups = new Set([...outcome.served.keys()].map(groupOf))
    assert.equal(groups.has(0), true, 'one away and one down leave three')
    const strict = {
      when: immediately(),
      constraints: [rolling({ by: 'group', unavailable: 2, minimumAlive: 4 })]
    }
    const none = rollOut(strict, { groupSize: 5, unavailable: 2, durationMs: 5 * MINUTE })
    assert.equal(none.served.size, 0)
    assert.match(none.reasons[7]!, /^4 others of group .* and 1 more may stop beside this one; at least 4 must go on$/)
    const away = { ...strict, constraints: [rolling({ by: 'group', unavailable: 1, minimumAlive: 4 })] }
    const most = rollOut(away, { groupSize: 5, unavailable: 1, faults, durationMs: 5 * MINUTE })
    assert.deepEqual(
      [...most.served.keys()].filter((node) => groupOf(node) === 0),
      []
    )
    assert.equal(most.served.size, PEERS - 5)
  })

  it('S23: a guard halts a version at which more calls fail than before, while few run it', () => {
    const schedule = { when: gradual({ over: '60m' }), constraints: [guard({ worseThanBaseline: true })] }
    const fields = { writesPerSecond: 60, injectedMs: 10 * MINUTE, durationMs: 80 * MINUTE }
    const worse = rollOut(schedule, { ...fields, errors: { before: 0.02, after: 0.3 } })
    assert.ok(worse.served.size >= 1 && worse.served.size <= 25, `${worse.served.size} run it`)
    const halted = worse.reasons.filter((reason) => /^halted: of \d+ calls at the peers known .* fail/.test(reason))
    assert.equal(halted.length, PEERS - worse.served.size)
    const same = rollOut(schedule, { ...fields, errors: { before: 0.02, after: 0.02 } })
    assert.equal(same.served.size, PEERS)
  })

  it('S25: quiet: a busy node goes only when its load has been low for the time, all others at once', () => {
    const schedule = { when: quiet({ loadBelow: 10, for: '2m' }), constraints: [] }
    const load = (atMs: number, node: number, perSecond: number) => ({ atMs, what: 'load' as const, node, perSecond })
    const faults = [
      load(10_000, 7, 50),
      load(4 * MINUTE, 7, 9),
      load(5 * MINUTE, 7, 2),
      load(8 * MINUTE, 8, 50),
      load(10_000, 9, 50)
    ]
    const { served, reasons } = rollOut(schedule, { faults, durationMs: 10 * MINUTE })
    assert.equal(within(served.values(), INJECTED_MS + 2 * MINUTE, INJECTED_MS + 2 * MINUTE + 10_000), PEERS - 2)
    // Nine calls a second are below the threshold, and still too near to it after fifty.
    assert.ok(served.get(7)! >= 7 * MINUTE && served.get(7)! < 7 * MINUTE + 10_000)
    assert.equal(reasons[9], 'waits until it answers fewer than 10 calls a second, for 2m')
  })

  it('S26: lock: a node whose programs hold one waits until they release it, or for the timeout', () => {
    const schedule = { when: lock({ timeout: '6m' }), constraints: [] }
    const hold = (node: number, forMs: number) => ({ atMs: 20_000, what: 'lock' as const, node, forMs })
    const faults = [
      hold(3, 60 * MINUTE),
      hold(4, 60 * MINUTE),
      hold(5, 4 * MINUTE),
      { atMs: 2 * MINUTE, what: 'unlock' as const, node: 3 },
      // The lock is durable: a crash does not let the node go.
      { atMs: MINUTE, what: 'crash' as const, node: 4, downMs: 5_000 }
    ]
    const { served } = rollOut(schedule, { faults, durationMs: 10 * MINUTE })
    assert.equal(within(served.values(), INJECTED_MS, INJECTED_MS + 10_000), PEERS - 3)
    const near = (node: number, ms: number) =>
      assert.ok(Math.abs(served.get(node)! - ms) < 40_000, `${served.get(node)}`)
    near(3, 2 * MINUTE)
    // What was counted lately is lost with the crash, a minute at most.
    near(4, INJECTED_MS + 6.5 * MINUTE)
    near(5, 20_000 + 4 * MINUTE)
  })

  it('S27: a node whose clock is far off waits with its window, and goes when the clock is right again', () => {
    const start = new Date(EPOCH_MS)
    const night = window({ cron: `${start.getUTCMinutes()} ${start.getUTCHours()} * * *`, duration: '15m' })
    const skew = (atMs: number, node: number, skewMs: number) => ({ atMs, what: 'skew' as const, node, skewMs })
    const faults = [skew(0, 11, 10 * MINUTE), skew(0, 12, -8 * MINUTE), skew(0, 13, 4 * MINUTE)]
    const { served, reasons } = rollOut({ when: night, constraints: [] }, { faults, durationMs: 10 * MINUTE })
    assert.equal(served.size, PEERS - 2)
    assert.match(
      reasons[11]!,
      /^the clock of this peer is 1[01]m ahead of those of \d+ neighbours; set it right and restart this peer$/
    )
    assert.match(reasons[12]!, /^the clock of this peer is 8m behind those of \d+ neighbours/)
    const mended = rollOut(
      { when: night, constraints: [] },
      { faults: [...faults, skew(5 * MINUTE, 12, 0)], durationMs: 12 * MINUTE }
    )
    assert.ok(mended.served.get(12)! > 5 * MINUTE && !mended.served.has(11))
    const free = rollOut({ when: after({ delay: '1m' }), constraints: [] }, { faults })
    assert.equal(free.served.size, PEERS, 'durations are not concerned')
  })
})
