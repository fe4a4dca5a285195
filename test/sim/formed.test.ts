import assert from 'node:assert/strict'
import { formedGraph } from '../../sim/graph.ts'
import { scenario } from '../../sim/scenario.ts'
import { Simulator } from '../../sim/simulator.ts'
import { Generator } from '../../src/prng.ts'

const upgrade = { what: 'upgrade', pieces: 2, future: true, past: true } as const
const immediately = { when: { kind: 'immediately' }, constraints: [] } as const

/** Without groups: version 1 from former times, version 2 after a minute. */
const formed = (peers: number) =>
  scenario({
    seed: 5,
    peers,
    groupSize: 0,
    start: 'formed',
    limits: { view: 24, strangers: 12, passive: 8 },
    actions: [
      { atMs: 0, ...upgrade, schedule: { ...immediately, constraints: [] } },
      { atMs: 60_000, ...upgrade, schedule: { ...immediately, constraints: [] } }
    ]
  })

describe('sim/formed', () => {
  it('M32: the graph of a formed fleet is connected, and everybody has as many neighbours', () => {
    for (const [count, degree] of [
      [1000, 8],
      [30, 8],
      [101, 5],
      [12, 8]
    ] as const) {
      const nodes = Array.from({ length: count }, (_, node) => node)
      const graph = formedGraph(nodes, count, degree, [[0, 1, 2]], new Generator(3))
      const reached = new Set([0])
      for (const node of reached) for (const other of graph.of(node)) reached.add(other)
      assert.equal(reached.size, count)
      assert.deepEqual([...graph.of(0)].slice(0, 2), [1, 2])
      const missing = nodes.reduce(
        (sum, node) => sum + Math.max(0, Math.min(degree, count - 3) - graph.of(node).length),
        0
      )
      assert.ok(missing <= 4, `${missing} edges are missing of ${count} × ${degree}`)
      for (const node of nodes) assert.equal(new Set([...graph.of(node), node]).size, graph.of(node).length + 1)
    }
  })

  it('M32: everybody serves version 1, has its neighbours, and knows that the fleet is large, after a few events', () => {
    const simulator = new Simulator(formed(200), {})
    simulator.advance(1000)
    assert.ok(simulator.kernel.events < 200 * 40, `${simulator.kernel.events / 200} events a peer`)
    assert.ok(simulator.network.sent < 200 * 32, `${simulator.network.sent / 200} messages a peer`)
    for (const { host, peer, id } of simulator.machines) {
      assert.equal(host.servedVersion('Thingv1'), 1)
      assert.equal([...(peer?.neighbours?.all() ?? [])].length, 8, id)
    }
    assert.deepEqual(simulator.machines[0]!.record?.objects['Thingv1']?.version, 1)
  })

  it('M32: from then on it is a fleet as any other: it upgrades, stays whole, comes to rest', () => {
    const { violations, converged, overlay, upgraded } = new Simulator({ ...formed(60), idleMs: 180_000 }, {}).run()
    assert.deepEqual(violations, [])
    assert.equal(converged, true)
    assert.ok(upgraded.max < 60_000)
    assert.deepEqual([overlay.components, overlay.oneSided], [1, 0])
  })

  it('M32, M18: groups hold their rosters from former times, and who comes late joins', () => {
    const calm = scenario({ seed: 2, peers: 21, start: 'formed', lateShare: 0.3, lateMs: 30_000 })
    const { violations, converged, groupDownMax } = new Simulator(calm, {}).run()
    assert.deepEqual([violations, converged, groupDownMax], [[], true, 1])
  })

  it('M1, M32: equal scenarios give equal traces', () => {
    const traces = [1, 2].map(() => new Simulator(formed(40), {}).run().trace)
    assert.equal(traces[0], traces[1])
  })
})
