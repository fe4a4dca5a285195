/** Every ready scenario runs, at a size that a test can pay for, and shows what it is there to show (SPEC M28). */
import assert from 'node:assert/strict'
import { compile } from '../../sim/document/compile.ts'
import { loadScenario, readyScenarios } from '../../sim/document/files.ts'
import { type Outcome, perform } from '../../sim/outcome.ts'

async function play(name: string, fields: Record<string, unknown>): Promise<Outcome> {
  const overrides = Object.entries(fields).map(([path, value]) => ({ said: path, path, value }))
  const { document, enclosed } = await loadScenario(name, overrides)
  const { outcome } = perform({ variant: {}, seed: 1, commit: '', scenario: name, document, enclosed })
  assert.deepEqual(
    outcome.violations.map((one) => `${one.rule} ${one.peer} ${one.text}`),
    []
  )
  assert.ok(outcome.converged)
  return outcome
}

describe('sim/scenarios', () => {
  it('M28: each of them fits together at its own size', async () => {
    const ready = await readyScenarios()
    assert.deepEqual(
      ready.map((one) => one.name),
      ['bad-version', 'datacentre-10000', 'global-1000000', 'lan-30', 'late-joiners', 'partition', 'schedules']
    )
    for (const { name } of ready) {
      const { document, enclosed } = await loadScenario(name, [])
      assert.ok(document.description.length > 20, name)
      // A plan for a million peers takes seconds by its churn alone.
      if (document.peers <= 10_000) assert.equal(compile(document, enclosed, 1).peers, document.peers)
    }
  })

  it('lan-30: one member of a group at a time', async () => {
    const { availability, peers } = await play('lan-30', { peers: 12 })
    assert.deepEqual([peers, availability.groupDownMax], [12, 1])
  })

  it('datacentre-10000: canaries, a gradual roll-out, a second upgrade, calls at every version answered throughout', async () => {
    const { availability, peers } = await play('datacentre-10000', { peers: 12, 'calls.perSecond': 10 })
    assert.equal(peers, 12)
    assert.ok(
      availability.simulated > 0 && availability.failed < availability.calls / 100,
      JSON.stringify(availability)
    )
  })

  it('global-1000000: peers come and go, and all that are there reach the version within the hour', async () => {
    const { upgraded, availability } = await play('global-1000000', { peers: 12, 'calls.perSecond': 5 })
    assert.ok(upgraded.max < 70 * 60_000, `${upgraded.max}`)
    assert.ok(availability.simulated > 0)
  })

  it('bad-version: the canaries find out, nobody else tries it, and the third version comes to all', async () => {
    const { alarms, upgraded } = await play('bad-version', { peers: 40 })
    assert.ok(alarms['UpgradeFailed']! >= 1 && alarms['UpgradeFailed']! <= 6, JSON.stringify(alarms))
    assert.ok(upgraded.max > 0)
  })

  it('partition: the roll-out waits where a group is cut, and goes on when it heals', async () => {
    const { endedAtMs, availability, census } = await play('partition', { peers: 12, 'calls.perSecond': 5, idle: '5m' })
    assert.ok(endedAtMs > 15 * 60_000, 'not before the partition has healed')
    assert.equal(availability.groupDownMax, 1)
    assert.ok(census !== undefined && census.readings === 12 && census.rmsError < 0.2, JSON.stringify(census))
  })

  it('late-joiners: who comes late installs the newest version directly', async () => {
    const { informed, peers } = await play('late-joiners', { peers: 20 })
    assert.equal(peers, 20)
    assert.ok(informed.max > 2 * 60_000, 'somebody heard only when it came')
  })

  it('schedules: of each the peers upgrade when it says', async () => {
    const names = ['rolling', 'gradual', 'waves', 'canary']
    const last: number[] = []
    for (const name of names) {
      const { upgraded } = await play('schedules', { peers: 24, 'upgrades.last.schedule': name, 'calls.perSecond': 2 })
      last.push(upgraded.max)
    }
    const [rolling, gradual, waves, canary] = last as [number, number, number, number]
    assert.ok(rolling < waves && waves < canary && rolling < gradual, last.join())
    assert.ok(gradual > 20 * 60_000 && waves > 15 * 60_000 && canary > 20 * 60_000, last.join())
  })
})
