/** Code as a schedule, on a simulated fleet of sixty (SPEC S60 to S63): the core asks, a function of the scenario answers. */
import assert from 'node:assert/strict'
import type { ScheduleCode } from '../../sim/authority.ts'
import { type Action, scenario } from '../../sim/scenario.ts'
import { run } from '../../sim/simulator.ts'

const PEERS = 60
const INJECTED_MS = 30_000
const MINUTE = 60_000

function upgraded(code: ScheduleCode[string], peers = PEERS) {
  const calm = scenario({ seed: 9, peers, strict: false, history: 0 })
  const [install, ...others] = calm.actions
  const when = { kind: 'custom' as const, module: 'schedule.js' }
  const upgrade = { ...others.pop()!, atMs: INJECTED_MS, code: { 'schedule.js': code } } as Action & { what: 'upgrade' }
  const actions = [install!, ...others, { ...upgrade, schedule: { ...upgrade.schedule, when } }]
  const served = new Map<number, number>()
  let asked = 0
  const result = run(
    { ...calm, writesPerSecond: 0, actions, durationMs: 20 * MINUTE },
    {
      prepare: ({ machines, kernel, world }) => {
        const { answerOf } = world
        world.answerOf = (effect) => {
          asked += 1
          return answerOf.call(world, effect)
        }
        for (const machine of machines) {
          const { serving } = machine
          machine.serving = (object, version) => {
            if (version === 2 && !served.has(machine.index)) served.set(machine.index, kernel.now)
            serving.call(machine, object, version)
          }
        }
      }
    }
  )
  assert.deepEqual(
    result.violations.filter(({ rule }) => rule !== 'M18'),
    []
  )
  return { result, served, asked: () => asked }
}

describe('code as a schedule, on a simulated fleet of sixty (SPEC S60 to S63)', function () {
  this.timeout(60_000)

  it('S60: a cascade: a node goes when a third of its neighbours have gone; the first ones go by their place', () => {
    const { result, served } = upgraded(({ place, neighbours, version }) => {
      const gone = neighbours.filter((one) => one.version >= version).length
      return place < 0.2 || 3 * gone >= neighbours.length ? { go: true } : { wait: `${gone} of ${neighbours.length}` }
    })
    assert.ok(result.converged)
    const times = [...served.values()].sort((a, b) => a - b)
    assert.equal(times.length, PEERS)
    // Rolling by group stays over it: nobody overrides a constraint.
    assert.equal(result.groupDownMax, 1)
    assert.ok(times.at(-1)! - times[0]! > 5_000, 'it took rounds')
  })

  it('S61: nobody is asked again while nothing changes, over a quarter of an hour', () => {
    const { served, asked } = upgraded(() => ({ wait: 'for something that never comes' }))
    assert.equal(served.size, 0)
    assert.ok(asked() <= 8 * PEERS, `${asked()} questions`)
  })

  it('S62: code that throws one time of three delays the roll-out, and nothing else', () => {
    const { result, served } = upgraded(({ random }) => {
      if (random() < 1 / 3) throw new Error('an outage of what it asks')
      return { go: true }
    })
    assert.ok(result.converged)
    assert.equal(served.size, PEERS)
  })

  it('S63: the same scenario gives the same run', () => {
    const code: ScheduleCode[string] = ({ random }) => (random() < 0.5 ? { go: true } : { wait: 'a coin', inMs: 7_000 })
    assert.equal(upgraded(code, 9).result.trace, upgraded(code, 9).result.trace)
  })
})
