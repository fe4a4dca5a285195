import assert from 'node:assert/strict'
import { World } from '../../sim/authority.ts'
import { Publication } from '../../sim/gossip.ts'
import { EventKind, Kernel } from '../../sim/kernel.ts'
import { freeProcessors, type ProcessorOptions, Processors } from '../../sim/processors.ts'
import { scenario } from '../../sim/scenario.ts'
import { run } from '../../sim/simulator.ts'
import type { Message } from '../../src/overlay/messages.ts'

/** What happened, when, to whom: everything up to a moment. */
function played(options: Partial<ProcessorOptions>, plan: (kernel: Kernel, processors: Processors) => void) {
  const kernel = new Kernel()
  const processors = new Processors(kernel, { ...freeProcessors, count: 1, ...options }, 5, new World(1, false))
  plan(kernel, processors)
  const happened: [node: number, kind: number, at: number][] = []
  while (kernel.next(1000))
    if (processors.admit()) happened.push([kernel.node, kernel.kind, Math.round(kernel.now * 10) / 10])
  return happened
}
const want: Message = { kind: 'want', bundle: '0'.repeat(64), index: 0 }

describe('sim/processors', () => {
  it('M60: what comes while a processor is busy waits in the order of coming; another processor is not held up', () => {
    const happened = played({ count: 2, stepMs: 10 }, (kernel) => {
      for (const [node, at] of [
        [0, 0],
        [2, 1],
        [4, 2],
        [1, 3]
      ] as const)
        kernel.at(at, EventKind.wake, node)
    })
    assert.deepEqual(
      happened.map(([node, , at]) => [node, at]),
      [
        [0, 10],
        [1, 13],
        [2, 20],
        [4, 30]
      ]
    )
  })

  it('M60: what sockets hold is received, then the cores are given that; what comes meanwhile is received after it', () => {
    const happened = played({ receiveMs: 1, copyMs: 5, steps: { 'message want': 10 } }, (kernel, processors) => {
      processors.spend(0, 1)
      kernel.at(0.5, EventKind.arrive, 0, 0, want)
      kernel.at(0.6, EventKind.arrive, 1, 0, want)
      kernel.at(2.5, EventKind.gossip, 2, 0, new Publication('entry', new Uint8Array(1), 0, 3))
    })
    assert.deepEqual(happened, [
      [0, EventKind.arrive, 13],
      [1, EventKind.arrive, 23],
      [2, EventKind.gossip, 28]
    ])
  })

  it('M60: what a peer does beside holds up what comes next, and a commit nothing that follows from it', () => {
    const happened = played({ stepMs: 1, commitMs: 2 }, (kernel, processors) => {
      assert.equal(processors.spend(0, 20), 20)
      kernel.at(5, EventKind.wake, 0)
      kernel.at(6, EventKind.synced, 0)
    })
    assert.deepEqual(happened, [
      [0, EventKind.synced, 6],
      [0, EventKind.wake, 23]
    ])
  })

  it('M60: what peers at rest take is missing to all else', () => {
    const happened = played({ stepMs: 10, restMs: 100 }, (kernel) => kernel.at(0, EventKind.wake, 0))
    assert.deepEqual(happened, [[0, EventKind.wake, 20]])
  })

  it('M1, M60: a fleet on two processors is one run of its seed, slower than one with a processor for each peer', () => {
    const base = { seed: 3, peers: 8, groupSize: 0, durationMs: 120_000 }
    const costs = { ...freeProcessors, stepMs: 0.2, receiveMs: 0.2, receiveKibMs: 0.05, storeKibMs: 0.02 }
    const [shared, again] = [2, 2].map((count) => run(scenario({ ...base, processors: { ...costs, count } })))
    const own = run(scenario({ ...base, processors: { ...costs, count: 8 } }))
    assert.ok(shared!.converged && own.converged)
    assert.equal(shared!.trace, again!.trace)
    assert.ok(shared!.fetched.max > own.fetched.max, `${shared!.fetched.max} ms, ${own.fetched.max} ms`)
  })
})
