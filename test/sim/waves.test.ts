/** Canaries and waves in fleets that no peer knows the whole of (SPEC S7 to S9, S40, O9). */
import assert from 'node:assert/strict'
import { hash53 } from '../../sim/authority.ts'
import type { Machine } from '../../sim/machine.ts'
import { type Action, type Scenario, scenario } from '../../sim/scenario.ts'
import { type Result, run, type Simulator } from '../../sim/simulator.ts'
import { canary, waves } from '../../src/schedule/combinators.ts'
import type { Condition } from '../../src/schedule/schedule.ts'

const PEERS = 200
const SOAK_MS = 60_000

/** A fleet far larger than its peers' views; version 2 with this condition. */
function fleet(when: Condition, broken: boolean, fields: Partial<Scenario> = {}): Scenario {
  const calm = scenario({ seed: 12, peers: PEERS, groupSize: 0, strict: false, history: 8, ...fields })
  const [install] = calm.actions
  const limits = { view: 32 }
  const upgrade = { ...install!, atMs: 30_000, schedule: { when, constraints: [] }, broken: broken ? 1 : 0 } as Action
  return { ...calm, limits, writesPerSecond: 0, actions: [install!, upgrade], durationMs: 3_600_000 }
}

interface Watched {
  result: Result
  simulator: Simulator
  /** By node: when it first served version 2, and when it first set out for it, ms. */
  served: Map<number, number>
  begun: Map<number, number>
  /** Machines by place, ascending. */
  order: Machine[]
}

function watch(one: Scenario, prepare: (simulator: Simulator) => void = () => undefined): Watched {
  const served = new Map<number, number>()
  const begun = new Map<number, number>()
  let simulator: Simulator | undefined
  const result = run(one, {
    prepare: (made) => {
      simulator = made
      prepare(made)
      for (const machine of made.machines) {
        const { serving, runs } = machine
        machine.serving = (object, version) => {
          if (version === 2 && !served.has(machine.index)) served.set(machine.index, made.kernel.now)
          serving.call(machine, object, version)
        }
        machine.runs = (version) => {
          if (version === 2 && !begun.has(machine.index)) begun.set(machine.index, made.kernel.now)
          runs.call(machine, version)
        }
      }
    }
  })
  assert.ok(simulator !== undefined)
  assert.deepEqual(
    result.violations.map((one) => `${one.rule} ${one.peer} ${one.text}`),
    []
  )
  const { hash } = simulator.world.entries[1]!
  const order = [...simulator.machines].sort((a, b) => placeOf(hash, a.id) - placeOf(hash, b.id))
  return { result, simulator, served, begun, order }
}

const placeOf = (entry: string, peer: string) => hash53(`${entry}/${peer}`) / 2 ** 53

describe('canaries in a simulated fleet of 200 with views of 32', () => {
  it('S7, S8: those below the fraction go first; everybody else when they all have run for the soak', () => {
    const { result, simulator, served, begun, order } = watch(fleet(canary({ fraction: 0.04, soak: SOAK_MS }), false))
    assert.ok(result.converged)
    const { hash } = simulator.world.entries[1]!
    const canaries = order.filter((one) => placeOf(hash, one.id) < 0.04)
    assert.ok(canaries.length >= 3, `${canaries.length} canaries`)
    const lastCanary = Math.max(...canaries.map((one) => served.get(one.index)!))
    const firstOther = Math.min(...order.slice(canaries.length).map((one) => begun.get(one.index)!))
    assert.ok(firstOther >= lastCanary + SOAK_MS, `${firstOther} is sooner than ${lastCanary} and the soak`)
    assert.equal(served.size, PEERS)
  })

  for (const [title, condition, most] of [
    ['a fraction', canary({ fraction: 0.04, soak: 0 }), 0.04],
    ['a count', canary({ count: 3, soak: 0 }), 3]
  ] as const) {
    it(`O9, S8: a version that fails stops at the canaries, by ${title}; nobody else ever sets out`, () => {
      const { result, simulator, begun, order } = watch(fleet(condition, true, { seed: 13, idleMs: 100_000 }))
      const { hash } = simulator.world.entries[1]!
      const canaries = most < 1 ? order.filter((one) => placeOf(hash, one.id) < most) : order.slice(0, most)
      assert.deepEqual([...begun.keys()].sort(), canaries.map((one) => one.index).sort())
      assert.ok(result.converged, JSON.stringify(result.stuck.slice(0, 3)))
      // Everybody knows why, through views that hold a sixth of the fleet.
      const waiting = order.slice(canaries.length).map((one) => Object.values(one.record!.objects)[0]!.reason)
      for (const reason of waiting) assert.match(reason, /^waits for canaries: 0 of \d+ run version 2; …\d+ went back/)
    })
  }
})

describe('waves in a simulated fleet of 200 with views of 32', function () {
  this.timeout(120_000)
  const SHARES = [0.03, 0.2, 1]
  const waveOf = (hash: string, { id }: Machine) => SHARES.findIndex((end) => placeOf(hash, id) < end)

  it('S40: each wave sets out when the one before has run for the time, and not before', () => {
    const { result, simulator, served, begun, order } = watch(fleet(waves(SHARES, { every: SOAK_MS }), false))
    assert.ok(result.converged)
    assert.equal(served.size, PEERS)
    const { hash } = simulator.world.entries[1]!
    for (const wave of [1, 2]) {
      const [before, own] = [wave - 1, wave].map((one) => order.filter((machine) => waveOf(hash, machine) === one))
      assert.ok(before!.length >= 2 && own!.length >= 10, `${before!.length} before ${own!.length}`)
      // Who is judged are the lowest of the wave: those have run for the time when anybody of the next one sets out.
      const judged = before!.slice(0, 5).map((one) => served.get(one.index)!)
      const first = Math.min(...own!.map((one) => begun.get(one.index)!))
      assert.ok(first >= Math.max(...judged) + SOAK_MS, `wave ${wave + 1} at ${first}, the judged at ${judged.join()}`)
    }
  })

  it('O9, S40: a version that fails in the second wave stops there: the third never sets out, and says who failed', () => {
    let failing: Machine | undefined
    const one = fleet(waves(SHARES, { every: 0 }), false, { idleMs: 100_000 })
    const { simulator, begun, order } = watch(one, (made) => {
      for (const machine of made.machines)
        machine.broken = (version) => {
          if (version !== 2) return false
          // The lowest of the second wave: one of those that everybody knows.
          failing ??= [...made.machines]
            .sort((a, b) => placeOf(made.world.entries[1]!.hash, a.id) - placeOf(made.world.entries[1]!.hash, b.id))
            .find((other) => waveOf(made.world.entries[1]!.hash, other) === 1)
          return machine === failing
        }
    })
    const { hash } = simulator.world.entries[1]!
    const third = order.filter((machine) => waveOf(hash, machine) === 2)
    assert.ok(order.filter((machine) => waveOf(hash, machine) < 2).some((machine) => begun.has(machine.index)))
    assert.deepEqual(
      third.filter((machine) => begun.has(machine.index)),
      []
    )
    const told = new RegExp(`^waits for wave 2 of 3: \\d of \\d run version 2; …${failing!.id.slice(-6)} went back`)
    for (const { record } of third) assert.match(Object.values(record!.objects)[0]!.reason, told)
  })
})
