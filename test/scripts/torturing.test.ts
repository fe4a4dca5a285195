import assert from 'node:assert/strict'
import { Elements } from '../../scripts/torturing/elements.ts'
import { torture } from '../../scripts/torturing/torture.ts'

const done = async () => true
const unknown = async () => false

describe('scripts/torture', function () {
  this.timeout(180_000)

  it('X8: a lost write, a wrong default and an element that is back are found; what is in doubt may be either', async () => {
    const elements = new Elements()
    const found = (version: number, value: string | null) => {
      elements.wrong.clear()
      elements.expect('a', version, value)
      return elements.wrong.size === 0
    }
    await elements.put('a', 2, 'x', done)
    assert.deepEqual([found(2, 'x'), found(2, null), found(3, 'd3'), found(3, 'x')], [true, false, true, false])
    await elements.put('a', 3, 'y', done)
    assert.deepEqual([found(2, 'x'), found(3, 'y'), found(3, 'd3')], [true, true, false])
    await elements.delete('a', done)
    assert.deepEqual([found(2, null), found(2, 'x')], [true, false])
    await elements.put('a', 2, 'z', unknown)
    assert.deepEqual([found(2, null), found(2, 'z'), found(3, 'd3'), found(3, 'y')], [true, true, true, false])
    assert.equal(await elements.put('a', 2, 'again', done), false)
    assert.deepEqual([elements.acknowledged, elements.inDoubt], [3, 1])
  })

  it('X8: peers that are killed, stopped, out of disk and out of time reach each version with all that was written', async () => {
    const said: string[] = []
    const report = await torture({ rounds: 12, versions: 3, seed: 7, peers: 3 }, (line) => said.push(line))
    assert.deepEqual(report.lost, [], said.join('\n'))
    assert.ok(report.rounds === 12 && report.acknowledged > 100 && report.reads > 300, JSON.stringify(report))
    assert.ok(Object.keys(report.faults).length >= 3, JSON.stringify(report.faults))
  })
})
