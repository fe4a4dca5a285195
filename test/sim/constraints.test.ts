/** Each constraint of a schedule on a simulated fleet of sixty (SPEC S20 to S22). */
import assert from 'node:assert/strict'
import { EPOCH_MS, type Machine } from '../../sim/machine.ts'
import { type Action, type Scenario, scenario } from '../../sim/scenario.ts'
import { run, type Simulator } from '../../sim/simulator.ts'
import { any, gradual, guard, immediately, manual, notWhile, rolling, window } from '../../src/schedule/combinators.ts'
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
  fields: Partial<Scenario> & { broken?: number; prepare?(simulator: Simulator): void } = {}
): Outcome {
  const { broken, prepare, ...rest } = fields
  const calm = scenario({ seed: 4, peers: PEERS, groupSize: 0, strict: false, history: 0, ...rest })
  const upgrade = { ...calm.actions[0]!, atMs: INJECTED_MS, schedule, broken } as Action
  const rosters = calm.actions.slice(1, -1)
  const actions = rest.actions ?? [calm.actions[0]!, ...rosters, upgrade]
  const served = new Map<number, number>()
  let machines: readonly Machine[] = []
  const one = { ...calm, durationMs: 20 * MINUTE, ...rest, actions, writesPerSecond: 0 }
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
      prepare?.(simulator)
    }
  })
  assert.deepEqual(
    result.violations.filter((found) => found.rule !== 'M18'),
    []
  )
  const reasons = machines.map((machine) => Object.values(machine.record?.objects ?? {})[0]?.reason ?? '')
  return { served, machines, reasons, stuck: result.stuck.length }
}
const failedOn = ({ machines }: Outcome): number => machines.filter((machine) => machine.failures.has(2)).length

describe('constraints on a simulated fleet (SPEC S20 to S22)', function () {
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
})
