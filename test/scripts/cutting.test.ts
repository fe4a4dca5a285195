import assert from 'node:assert/strict'
import { addCuts, cutRun } from '../../scripts/cutting/cut.ts'
import { DiskModel, type Loss } from '../../scripts/cutting/image.ts'
import { cannotRecord, cutStore } from '../../scripts/cutting/store.ts'
import type { Step } from '../../scripts/cutting/trace.ts'
import type { Cuts } from '../../sim/power.ts'
import { Generator } from '../../src/prng.ts'

describe('scripts/crash-points', () => {
  it('M62: the power goes before and after each step on the way to a version, and nothing is lost', function () {
    this.timeout(60_000)
    const cuts: Cuts = {}
    let points = 0
    for (const seed of [6, 24, 36, 67, 122]) {
      const run = cutRun(seed, 'a test')
      assert.equal(run.violation, undefined, `seed ${seed}`)
      points += addCuts(cuts, run)
    }
    assert.ok(points > 300, `${points} cuts`)
    const phases = ['waiting', 'warming', 'transforming', 'proving', 'activating', 'idle'].map(
      (one) => `object, ${one}`
    )
    const kept = [...phases, 'entry', 'statement', 'permit', 'peer'].map((one) => `persist ${one}`)
    const host = ['warm', 'transform', 'prove', 'serve', 'start', 'clean'].map((one) => `host: ${one}`)
    for (const step of [...kept, ...host, 'store a piece', 'unpack a bundle']) assert.ok(cuts[step] !== undefined, step)
  })
  it('M63: the store opens on every disk that a cut may leave, and holds what was acknowledged', function () {
    this.timeout(60_000)
    if (cannotRecord() !== undefined) this.skip() // lacks: strace, or the right to trace
    const { disks, acknowledged, broken } = cutStore(5, 2)
    assert.deepEqual(broken, [])
    assert.equal(acknowledged, 2)
    assert.ok(disks > 500, `${disks} disks`)
  })

  it('M63: a disk keeps what was synced, contents and names, and may lose or tear the rest', () => {
    const left = (steps: Step[], loss: Loss) => {
      const model = new DiskModel('/d')
      for (const step of steps) model.apply(step)
      const found = [...model.after(loss, new Generator(1))].filter(([path]) => path !== '/d')
      return Object.fromEntries(found.map(([path, bytes]) => [path, bytes?.toString() ?? null]))
    }
    const file: Step[] = [
      { what: 'open', path: '/d/a', fresh: true, append: false },
      { what: 'write', path: '/d/a', at: undefined, bytes: Buffer.from('one') }
    ]
    assert.deepEqual(left(file, 'all'), {})
    assert.deepEqual(left(file, 'none'), { '/d/a': 'one' })
    assert.deepEqual(left(file, 'data'), { '/d/a': '' })
    const named: Step[] = [...file, { what: 'sync', path: '/d' }]
    assert.deepEqual(left(named, 'all'), { '/d/a': '' })
    const whole: Step[] = [...named, { what: 'sync', path: '/d/a' }]
    assert.deepEqual(left(whole, 'all'), { '/d/a': 'one' })
    const more: Step[] = [...whole, { what: 'write', path: '/d/a', at: 3, bytes: Buffer.from(' two') }]
    assert.deepEqual(left(more, 'all'), { '/d/a': 'one' })
    const renamed: Step[] = [...whole, { what: 'rename', from: '/d/a', path: '/d/b' }]
    assert.deepEqual(left(renamed, 'all'), { '/d/a': 'one' })
    assert.deepEqual(left([...renamed, { what: 'sync', path: '/d' }], 'all'), { '/d/b': 'one' })
    const nested: Step[] = [
      { what: 'mkdir', path: '/d/o' },
      { what: 'mkdir', path: '/d/o/1' },
      { what: 'sync', path: '/d/o' }
    ]
    assert.deepEqual(left(nested, 'all'), {}, 'a name is lost with the directory above it')
    assert.deepEqual(left([...nested, { what: 'sync', path: '/d' }], 'all'), { '/d/o': null, '/d/o/1': null })
  })
})
