import assert from 'node:assert/strict'
import { Gossip, type GossipKind, type Ways } from '../../sim/gossip.ts'
import { EventKind, Kernel } from '../../sim/kernel.ts'
import { type GossipParameters, productionGossip } from '../../sim/mesh.ts'
import { Generator } from '../../src/prng.ts'

const WAY_MS = 10

/** Connections that are told to open, and lose what a test says. */
class Connected implements Ways {
  readonly kernel = new Kernel()
  readonly gossip: Gossip
  readonly sent: Record<GossipKind, number> = { gossip: 0, 'gossip-control': 0 }
  readonly heardAtMs = new Map<number, number>()
  readonly random: Generator
  loses = (_from: number, _to: number, _kind: GossipKind): boolean => false
  readonly #partners: Set<number>[]
  readonly #dialled = new Set<string>()

  constructor(peers: number, parameters: Partial<GossipParameters> = {}, seed = 1) {
    this.random = new Generator(seed)
    this.#partners = Array.from({ length: peers }, () => new Set())
    this.gossip = new Gossip(this.kernel, this, this.random.fork(), peers, { ...productionGossip, ...parameters }, 0)
  }

  open(node: number, other: number): void {
    if (node === other || this.#partners[node]!.has(other)) return
    this.#partners[node]!.add(other)
    this.#partners[other]!.add(node)
    this.#dialled.add(`${node}/${other}`)
    this.gossip.opened(node, other)
  }

  close(node: number, other: number): void {
    this.#partners[node]!.delete(other)
    this.#partners[other]!.delete(node)
    this.gossip.closed(node, other)
    this.gossip.closed(other, node)
  }

  /** Opens all pairs there are, in the order of chance. */
  openAll(): void {
    const pairs = this.#partners.flatMap((_, a) => this.#partners.flatMap((_, b) => (a < b ? [[a, b] as const] : [])))
    for (const [a, b] of this.random.shuffle(pairs)) this.open(a, b)
  }

  /** Each peer dials so many others. */
  openSome(each: number): void {
    const all = [...this.#partners.keys()]
    for (const node of all) for (const other of this.random.sample(all, each)) this.open(node, other)
  }

  run(untilMs: number): void {
    const { kernel, gossip } = this
    while (kernel.next(untilMs)) {
      assert.equal(kernel.kind, EventKind.gossip)
      const { node, about, payload } = kernel
      const publication = gossip.act(node, about, payload)
      if (publication === undefined) continue
      assert.ok(!this.heardAtMs.has(node), `${node} hears twice`)
      this.heardAtMs.set(node, kernel.now)
      gossip.passOn(node, about, publication)
    }
  }

  partners(node: number): number[] {
    return [...this.#partners[node]!]
  }
  isDialler(node: number, other: number): boolean {
    return this.#dialled.has(`${node}/${other}`)
  }
  carry(from: number, to: number, kind: GossipKind): number | undefined {
    this.sent[kind] += 1
    return this.loses(from, to, kind) ? undefined : WAY_MS
  }
  again(): void {}
  spend(_from: number, _to: number, messages: number): void {
    this.sent['gossip-control'] += messages
  }
  latencyMs(): number {
    return WAY_MS
  }
  reaches(): boolean {
    return true
  }
}

const sizesOf = ({ gossip }: Connected, peers: number) =>
  Array.from({ length: peers }, (_, node) => gossip.mesh.size(node))

describe('sim/gossip', () => {
  it('M33: meshes are between Dlo and Dhi, of partners, and the same on both sides', () => {
    for (const peers of [5, 12, 60]) {
      const fleet = new Connected(peers)
      fleet.openAll()
      fleet.run(5_000)
      const { Dlo, Dhi } = productionGossip
      for (const size of sizesOf(fleet, peers)) assert.ok(size >= Math.min(Dlo, peers - 1) && size <= Dhi, String(size))
      for (let node = 0; node < peers; node++)
        for (const other of fleet.gossip.mesh.of(node)) assert.ok(fleet.gossip.mesh.has(other, node))
    }
  })

  it('M33: a mesh that lost links is mended at the next heartbeat, and a fleet at rest has no event', () => {
    const fleet = new Connected(40)
    fleet.openAll()
    fleet.run(5_000)
    assert.equal(fleet.kernel.pending, 0)
    for (const other of fleet.gossip.mesh.of(0)) fleet.close(0, other)
    assert.equal(fleet.gossip.mesh.size(0), 0)
    fleet.run(6_000)
    assert.ok(fleet.gossip.mesh.size(0) >= productionGossip.D)
    fleet.run(8_000)
    assert.equal(fleet.kernel.pending, 0)
  })

  it('M33: beyond Dhi a mesh is cut to D, and what was cut is not grafted again at once', () => {
    // The newcomers dial nobody else, so each takes the one in; it dialled them itself, which is why it may go above Dhi.
    const fleet = new Connected(30, { D: 4, Dlo: 2, Dhi: 6, Dscore: 2 })
    for (let other = 1; other <= 12; other++) fleet.open(0, other)
    assert.ok(fleet.gossip.mesh.size(0) > 6)
    fleet.run(1_000)
    assert.equal(fleet.gossip.mesh.size(0), 4)
    const kept = fleet.gossip.mesh.of(0)
    fleet.run(30_000)
    assert.deepEqual(fleet.gossip.mesh.of(0), kept)
  })

  it('M6, M33: everybody connected hears once, at a distance of few hops, by as many copies as meshes have links', () => {
    const peers = 300
    const fleet = new Connected(peers)
    fleet.openSome(6)
    fleet.run(5_000)
    fleet.gossip.publish(0, 'entry', new Uint8Array(100))
    fleet.run(6_000)
    assert.equal(fleet.heardAtMs.size, peers - 1)
    const lastMs = Math.max(...fleet.heardAtMs.values()) - 5_000
    assert.ok(lastMs <= 5 * WAY_MS, `${lastMs} ms`)
    const links = sizesOf(fleet, peers).reduce((sum, size) => sum + size, 0)
    // Nobody sends back to whom it has it from, and the publisher to all its neighbours.
    const most = links - (peers - 1) + fleet.partners(0).length
    assert.ok(fleet.sent.gossip <= most && fleet.sent.gossip > 0.9 * most, `${fleet.sent.gossip} of ${most}`)
    assert.equal(fleet.gossip.duplicates, fleet.sent.gossip - (peers - 1))
  })

  it('M33: of a long message fewer copies come, since whoever has it says so', () => {
    const copies = [100, 1000].map((length) => {
      const fleet = new Connected(300)
      fleet.openSome(6)
      fleet.run(5_000)
      fleet.gossip.publish(0, 'entry', new Uint8Array(length))
      fleet.run(6_000)
      assert.equal(fleet.heardAtMs.size, 299)
      return fleet.sent.gossip
    })
    assert.ok(copies[1]! < 0.9 * copies[0]!, copies.join(' '))
  })

  it('M33: who was missed by all copies asks the first neighbour that tells it at a heartbeat', () => {
    const peers = 40
    const fleet = new Connected(peers)
    fleet.openAll()
    fleet.run(5_000)
    let lost = 0
    // Copies that anybody sends by itself do not come to 7; those that it asks for do.
    fleet.loses = (_, to, kind) => {
      const isLost = to === 7 && kind === 'gossip' && fleet.kernel.now < 5_100
      if (isLost) lost += 1
      return isLost
    }
    fleet.gossip.publish(0, 'entry', new Uint8Array(100))
    fleet.run(5_100)
    assert.ok(lost > 0 && !fleet.heardAtMs.has(7))
    fleet.run(7_000)
    const atMs = fleet.heardAtMs.get(7)!
    // It has a dozen neighbours outside of its mesh, whose heartbeats are spread over the second.
    assert.ok(atMs > 5_000 + 3 * WAY_MS && atMs <= 6_000 + 3 * WAY_MS, `${atMs} ms`)
  })

  it('M33: neighbours tell for ten heartbeats, then no more', () => {
    for (const [afterMs, hears] of [
      [5_000, true],
      [20_000, false]
    ] as const) {
      const fleet = new Connected(41)
      const others = [...Array(40).keys()]
      for (const a of others) for (const b of others) if (a < b) fleet.open(a, b)
      fleet.run(5_000)
      fleet.gossip.publish(0, 'entry', new Uint8Array(100))
      fleet.run(5_000 + afterMs)
      for (const other of others) fleet.open(other, 40)
      fleet.run(60_000)
      assert.equal(fleet.heardAtMs.has(40), hears, `${afterMs} ms`)
      assert.equal(fleet.kernel.pending, 0)
    }
  })

  it('N5, M33: what is published while nobody listens waits until somebody does', () => {
    const fleet = new Connected(3)
    fleet.gossip.publish(0, 'entry', new Uint8Array(100))
    fleet.run(60_000)
    assert.equal(fleet.heardAtMs.size, 0)
    fleet.open(0, 1)
    fleet.run(61_000)
    assert.deepEqual([...fleet.heardAtMs.keys()], [1])
  })

  it('M33: a process that is started again remembers nothing, and hears it again', () => {
    const fleet = new Connected(30)
    fleet.openAll()
    fleet.run(5_000)
    fleet.gossip.publish(0, 'entry', new Uint8Array(100))
    fleet.run(5_500)
    assert.ok(fleet.heardAtMs.delete(9))
    for (const other of fleet.partners(9)) fleet.close(9, other)
    fleet.gossip.crashed(9)
    for (let other = 0; other < 30; other++) fleet.open(9, other)
    fleet.run(8_000)
    assert.ok(fleet.heardAtMs.has(9))
  })
})
