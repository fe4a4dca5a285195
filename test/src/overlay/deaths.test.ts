import assert from 'node:assert/strict'
import { Deaths } from '../../../src/overlay/deaths.ts'

describe('deaths of an object (SPEC L4, L14, L20, D28)', () => {
  it('D28: the first restart is at once; the back-off doubles while it dies soon after its start, to half a minute', () => {
    const deaths = new Deaths()
    const waits = Array.from({ length: 12 }, (_, at) => {
      deaths.served(at * 1_000)
      return deaths.add(true, 'own', at * 1_000 + 500)
    })
    assert.deepEqual(waits.slice(0, 5), [0, 200, 400, 800, 1_600])
    assert.equal(waits.at(-1), 30_000)
    deaths.served(100_000)
    assert.equal(deaths.add(true, 'own', 111_000), 0)
  })

  it('D28: one that does not even start backs off too', () => {
    const deaths = new Deaths()
    assert.deepEqual(
      [deaths.add(true, 'own', 1), deaths.add(false, 'own', 99_999), deaths.add(false, 'own', 999_999)],
      [0, 200, 400]
    )
  })

  it('L14: three deaths of its own in a row are blamed on future SOs; a minute of service forgives', () => {
    const deaths = new Deaths()
    const dies = (servedMs: number): boolean => {
      deaths.served(0)
      deaths.add(true, 'own', servedMs)
      return deaths.blameFutures
    }
    assert.deepEqual([dies(5), dies(20_000), dies(20_000)], [false, false, true])
    assert.equal(dies(61_000), false)
  })

  it('L20: kills from outside are blamed on nobody before the tenth death', () => {
    const deaths = new Deaths()
    const blamed = Array.from({ length: 10 }, () => {
      deaths.add(true, 'kill', 0)
      return deaths.blameFutures
    })
    assert.deepEqual([blamed.indexOf(true), deaths.count], [9, 10])
  })

  it('L20: deaths for want of space are blamed on nobody, however many; they back off like others', () => {
    const deaths = new Deaths()
    const waits = Array.from({ length: 20 }, () => deaths.add(true, 'space', 0))
    assert.deepEqual([deaths.blameFutures, deaths.crashes, deaths.count], [false, 0, 0])
    assert.deepEqual([waits[0], waits[1], waits.at(-1)], [0, 200, 30_000])
  })
})
