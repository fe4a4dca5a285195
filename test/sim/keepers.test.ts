/** Bundles that only late peers need, in fleets that removed them long ago (SPEC B1 to B6). */
import assert from 'node:assert/strict'
import { type Action, immediateSchedule, type Scenario, scenario } from '../../sim/scenario.ts'
import { type Result, run, type Simulator } from '../../sim/simulator.ts'

const VERSIONS = 4
const LATE = 5

/** Four versions without past SOs; one peer is off from version 1 on, and comes back long after. */
function fleet(peers: number, fields: Partial<Scenario> = {}): Scenario {
  const calm = scenario({ seed: 21, peers, groupSize: 0, strict: false, history: 6, writesPerSecond: 2 })
  const upgrade = { what: 'upgrade', pieces: 2, future: false, past: false, schedule: immediateSchedule } as const
  const actions = [1500, 40_000, 80_000, 120_000].map((atMs): Action => ({ atMs, ...upgrade }))
  const faults = [
    { atMs: 35_000, what: 'crash' as const, node: LATE, downMs: 1_200_000 },
    { atMs: 1_300_000, what: 'stop' as const }
  ]
  const limits = { keepMs: 300_000, ...fields.limits }
  return { ...calm, ...fields, limits, actions, faults, durationMs: 3_000_000 }
}

function watch(
  one: Scenario,
  prepare: (simulator: Simulator) => void = () => {}
): { result: Result; simulator: Simulator } {
  let simulator: Simulator | undefined
  const result = run(one, {
    prepare: (made) => {
      simulator = made
      prepare(made)
    }
  })
  assert.ok(simulator !== undefined)
  assert.deepEqual(
    result.violations.map((violation) => `${violation.rule} ${violation.peer} ${violation.text}`),
    []
  )
  return { result, simulator }
}

/** How many machines hold each bundle, oldest version first. */
const holders = ({ machines, world }: Simulator): number[] =>
  world.entries.map(({ manifest }) => machines.filter((one) => one.disk.has(manifest.bundle.sha256)).length)

describe('keepers in simulated fleets', () => {
  it('B2, B5: of twelve, three keep each bundle that nobody needs, and everybody what it runs', () => {
    const { simulator, result } = watch({ ...fleet(12), idleMs: 1_000_000 })
    assert.ok(result.converged)
    assert.deepEqual(holders(simulator), [3, 3, 3, 12])
  })

  it('B4: a peer three versions behind finds, step by step, what all others removed long ago', () => {
    const seen: number[][] = []
    const { simulator, result } = watch(fleet(12), ({ kernel, machines, world }) => {
      const late = machines[LATE]!
      const boot = late.boot.bind(late)
      late.boot = () => {
        if (kernel.now > 600_000)
          seen.push(
            world.entries.map((one) => machines.filter((other) => other.disk.has(one.manifest.bundle.sha256)).length)
          )
        boot()
      }
    })
    assert.ok(result.converged)
    // Besides the late one, which still holds version 1.
    assert.equal(seen.length, 1)
    for (const [index, count] of seen[0]!.entries()) {
      if (index === VERSIONS - 1) assert.equal(count, 11)
      else assert.ok(count >= 2 && count <= 4, `${seen[0]}`)
    }
    assert.equal(simulator.machines[LATE]!.host.servedVersion('Thingv1'), VERSIONS)
  })

  it('B4: also in a fleet of which its view holds an eighth, where its neighbours keep nothing', () => {
    const { simulator, result } = watch(fleet(150, { limits: { view: 20, degree: 6, degreeMax: 8 } }))
    assert.ok(result.converged)
    assert.equal(simulator.machines[LATE]!.host.servedVersion('Thingv1'), VERSIONS)
    const [, second] = holders(simulator)
    assert.ok(second! >= 3 && second! < 60, `${second} keep version 2`)
  })

  it('B1: one that joins empty later fetches only the newest', () => {
    const late = { faults: [{ atMs: 1_300_000, what: 'stop' as const }], lateShare: 0.2, lateMs: 1_200_000 }
    const { simulator } = watch({ ...fleet(12), ...late })
    assert.ok(simulator.machines.every((one) => one.host.servedVersion('Thingv1') === VERSIONS))
    const [first] = holders(simulator)
    assert.ok(first! <= 5, `${first} hold version 1`)
  })
})
