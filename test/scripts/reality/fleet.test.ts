import assert from 'node:assert/strict'
import { measureCosts } from '../../../scripts/reality/costs.ts'
import { RealFleet } from '../../../scripts/reality/fleet.ts'
import { STEPS } from '../../../scripts/reality/observer.ts'
import { immediateSchedule } from '../../../sim/scenario.ts'

describe('scripts/reality, with real peers', () => {
  it('D30, M61: every peer of a real fleet is informed, fetches and upgrades, and what its work takes is observed', async function () {
    this.timeout(120_000)
    const fleet = await RealFleet.start({ peers: 4, processes: 2, bundleBytes: 300_000 })
    try {
      for (let version = 1; version <= 2; version++) {
        const run = await fleet.upgrade(immediateSchedule)
        for (const step of STEPS) {
          assert.equal(run[step].length, 4, `version ${version}: ${step}`)
          assert.ok(run[step].every((ms, at) => ms >= 0 && ms >= (run[step][at - 1] ?? 0)))
        }
        assert.ok(run.informed.at(-1)! <= run.fetched.at(-1)! && run.fetched.at(-1)! <= run.upgraded.at(-1)!)
      }
      const { steps, commits, answers } = await fleet.work()
      assert.ok((steps['message have']?.count ?? 0) > 0 && (steps['published entry']?.count ?? 0) > 0)
      assert.ok(commits.count > 0)
      for (const command of ['warm', 'transform', 'prove', 'serve', 'store', 'unpack'])
        assert.ok((answers[command]?.length ?? 0) > 0, command)
    } finally {
      await fleet.close()
    }
  })

  it('M61: single costs are measured between processes of their own', async function () {
    this.timeout(60_000)
    const costs = await measureCosts(0.02)
    for (const [name, ms] of Object.entries(costs)) assert.ok(Number.isFinite(ms) && ms >= 0, `${name}: ${ms}`)
    assert.ok(costs.sendMs > 0 && costs.storeKibMs > 0 && costs.openMs > 0)
  })
})
