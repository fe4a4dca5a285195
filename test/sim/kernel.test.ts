import assert from 'node:assert/strict'
import fc from 'fast-check'
import { EventKind, Kernel } from '../../sim/kernel.ts'

describe('sim/kernel', () => {
  it('M3: events come in order of time, and of scheduling where times are equal', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 3000 }), (times) => {
        const kernel = new Kernel()
        times.forEach((time, index) => {
          kernel.at(time, EventKind.wake, index)
        })
        const taken: number[] = []
        while (kernel.next(1000)) taken.push(kernel.node)
        const expected = times.map((_, index) => index).sort((a, b) => times[a]! - times[b]! || a - b)
        assert.deepEqual(taken, expected)
        assert.equal(kernel.now, 1000)
      })
    )
  })

  it('M3: a mixture of scheduling and taking keeps order, and slots are used again', () => {
    const kernel = new Kernel()
    let last = 0
    for (let index = 0; index < 5000; index++) {
      kernel.after((index * 7919) % 101, EventKind.arrive, index, index, { index })
      if (index % 3 !== 0) continue
      assert.ok(kernel.next(Number.POSITIVE_INFINITY))
      assert.ok(kernel.now >= last)
      assert.deepEqual(kernel.payload, { index: kernel.node })
      assert.equal(kernel.about, kernel.node)
      last = kernel.now
    }
    assert.equal(kernel.pending, 5000 - 1667)
  })

  it('M3: what is cancelled does not come, wherever it waits; all else comes in order, days later too', () => {
    const near = fc.double({ min: 0, max: 20, noNaN: true })
    const far = fc.double({ min: 0, max: 40 * 3_600_000, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof(near, far), fc.boolean(), fc.boolean()), { maxLength: 300 }), (plan) => {
        const kernel = new Kernel()
        const expected: [number, number][] = []
        const taken: [number, number][] = []
        const waiting: [number, number, number][] = []
        const take = () => {
          if (!kernel.next(kernel.now + 200 * 3_600_000)) return false
          taken.push([kernel.now, kernel.node])
          return true
        }
        plan.forEach(([delayMs, isTaken, isCancelled], index) => {
          waiting.push([kernel.after(delayMs, EventKind.wake, index), kernel.now + delayMs, index])
          if (isCancelled) kernel.cancel(waiting.pop()![0])
          if (isTaken) take()
        })
        for (const [, time, index] of waiting) expected.push([time, index])
        while (take());
        assert.deepEqual(
          taken,
          expected.sort((a, b) => a[0] - b[0] || a[1] - b[1])
        )
        assert.equal(kernel.pending, 0)
      }),
      { numRuns: 25 }
    )
  })

  it('M3: an event scheduled in the past happens now, and time stops at the bound', () => {
    const kernel = new Kernel()
    assert.equal(kernel.next(10), false)
    kernel.at(3, EventKind.wake, 1)
    assert.equal(kernel.next(20), true)
    assert.equal(kernel.now, 10)
  })

  it('M1: the trace tells apart what happened from what else could have', () => {
    const traceOf = (time: number, node: number, kind: EventKind) => {
      const kernel = new Kernel()
      kernel.at(time, kind, node)
      kernel.next(100)
      return kernel.trace
    }
    assert.equal(traceOf(1, 2, EventKind.wake), traceOf(1, 2, EventKind.wake))
    const traces = new Set([
      traceOf(1, 2, EventKind.wake),
      traceOf(2, 2, EventKind.wake),
      traceOf(1, 3, EventKind.wake),
      traceOf(1, 2, EventKind.arrive)
    ])
    assert.equal(traces.size, 4)
  })
})
