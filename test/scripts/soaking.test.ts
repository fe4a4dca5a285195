import assert from 'node:assert/strict'
import { type Sample, slope } from '../../scripts/soaking/slope.ts'
import { soak } from '../../scripts/soaking/soak.ts'

describe('scripts/soak', function () {
  this.timeout(120_000)

  it('X9: the slope is that of the least squares line, a minute', () => {
    const samples = [0, 1, 2, 3].map((minute): Sample => {
      const noise = minute % 3 === 0 ? 1 : -1
      return {
        atMs: minute * 60_000 + 5,
        heapKb: 100 + 7 * minute,
        rssKb: 50 + noise,
        handles: 9 - minute,
        descriptors: 4
      }
    })
    const slopes = (['heapKb', 'rssKb', 'handles', 'descriptors'] as const).map((one) => slope(samples, one))
    for (const [index, expected] of [7, 0, -1, 0].entries()) assert.ok(Math.abs(slopes[index]! - expected) < 1e-9)
    assert.throws(() => slope(samples.slice(0, 1), 'heapKb'), /1 samples have no slope/)
  })

  it('X9: what daemons hold is seen while they upgrade under load', async () => {
    const report = await soak({ minutes: 0.1, peers: 3, sampleMs: 500 }, () => undefined)
    assert.ok(report.upgrades >= 1 && report.acknowledged > 0, JSON.stringify(report))
    assert.deepEqual([report.lost, report.failures], [[], []])
    assert.equal(report.samples.size, 3)
    for (const samples of report.samples.values()) {
      assert.ok(samples.length > 3)
      assert.ok(samples.every(({ heapKb, handles, descriptors }) => heapKb > 5_000 && handles > 3 && descriptors > 10))
    }
  })
})
