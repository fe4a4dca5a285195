/** When the future SOs of a fleet of sixty start by themselves (SPEC L21). */
import assert from 'node:assert/strict'
import { type Action, type Scenario, scenario } from '../../sim/scenario.ts'
import { run } from '../../sim/simulator.ts'
import { after, byLabel, gradual, manual, never } from '../../src/schedule/combinators.ts'
import type { Condition } from '../../src/schedule/schedule.ts'

const PEERS = 60
const INJECTED_MS = 30_000
const MINUTE = 60_000

/** When the future SO of version 2, whose upgrade waits for an approval, served at each node, ms of virtual time. */
function started(simulate: Condition | undefined, fields: Partial<Scenario> = {}): Map<number, number> {
  const calm = scenario({
    seed: 5,
    peers: PEERS,
    groupSize: 0,
    regions: ['eu', 'us', 'asia'],
    strict: false,
    history: 0
  })
  const [install] = calm.actions
  const waiting = { when: manual(), constraints: [] }
  const upgrade = { ...install!, atMs: INJECTED_MS, schedule: waiting, ...(simulate && { simulate }) } as Action
  const times = new Map<number, number>()
  const one = { ...calm, writesPerSecond: 0, actions: [install!, upgrade], durationMs: 12 * MINUTE, ...fields }
  const { violations } = run(one, {
    prepare: ({ machines, kernel }) => {
      for (const machine of machines) {
        const { deliver } = machine
        machine.deliver = (event) => {
          if (event.type === 'done' && event.command === 'simulate' && event.ok) times.set(machine.index, kernel.now)
          deliver.call(machine, event)
        }
      }
    }
  })
  assert.deepEqual(
    violations.filter((found) => found.rule !== 'M18'),
    []
  )
  return times
}

describe('future SOs that are started by themselves, on a simulated fleet of sixty (SPEC L21)', function () {
  this.timeout(60_000)

  it('none is, where the upgrade does not say so', () =>
    assert.equal(started(undefined, { durationMs: 3 * MINUTE }).size, 0))

  it('each node starts its own at its share of the time, long before anybody upgrades', () => {
    const times = [...started(gradual({ over: '10m' })).values()]
    assert.equal(times.length, PEERS)
    for (const half of [0, 1]) {
      const from = INJECTED_MS + half * 5 * MINUTE
      const count = times.filter((time) => time >= from && time < from + 5 * MINUTE).length
      assert.ok(count >= 20 && count <= 40, `${count} of ${PEERS} in half ${half}`)
    }
  })

  it('a part of the fleet only; a node that loses power goes on counting from what it had kept', () => {
    const condition = byLabel('region', { eu: after({ delay: '8m' }) }, never())
    const faults = Array.from({ length: 5 }, (_, index) => ({
      atMs: INJECTED_MS + 5.5 * MINUTE,
      what: 'crash' as const,
      node: index * 3,
      downMs: 30_000
    }))
    const times = started(condition, { faults })
    assert.deepEqual(
      [...times.keys()].sort((a, b) => a - b),
      Array.from({ length: PEERS / 3 }, (_, index) => index * 3)
    )
    // S3: the time off does not count, and a restart costs what was counted since it was kept last, at five minutes.
    const least = INJECTED_MS + 8 * MINUTE + 30_000
    const most = least + MINUTE + 10_000
    for (const { node } of faults) {
      const time = times.get(node)!
      assert.ok(time >= least && time <= most, `node ${node} after ${time} ms`)
    }
  })
})
