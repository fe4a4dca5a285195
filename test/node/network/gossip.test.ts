/** The simulator's gossip beside the library's (SPEC M33). */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { gossipTopics } from '../../../node/network/gossip.ts'
import { createPeerKey } from '../../../node/network/key.ts'
import { createNode, type Node } from '../../../node/network/transport.ts'
import { type GossipParameters, Mesh, productionGossip } from '../../../sim/mesh.ts'
import { Generator } from '../../../src/prng.ts'

const PEERS = 16
const FLEET = 'f'.repeat(64)
const [TOPIC] = gossipTopics(FLEET)

/** Nodes as a daemon makes them, each connected with all others, dialled in this order. */
async function connected(pairs: readonly (readonly [number, number])[]): Promise<Node[]> {
  const nodes = await Promise.all(
    Array.from({ length: PEERS }, async () =>
      createNode(
        {
          key: await createPeerKey(),
          listen: ['/ip4/127.0.0.1/tcp/0'],
          gossip: { topics: gossipTopics(FLEET), admits: () => true }
        },
        () => true
      )
    )
  )
  for (const { services } of nodes) services.pubsub!.subscribe(TOPIC!)
  for (const [a, b] of pairs) await nodes[a]!.dial(nodes[b]!.getMultiaddrs())
  return nodes
}

/** Of the library's class, which its interface does not show. */
interface Inner {
  readonly opts: GossipParameters
  getMeshPeers(topic: string): string[]
}
const innerOf = ({ services }: Node) => services.pubsub! as unknown as Inner
const sizesOf = (nodes: readonly Node[]) => nodes.map((node) => innerOf(node).getMeshPeers(TOPIC!).length)

async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (let probe = 0; !holds(); probe++) {
    assert.ok(probe < 200, what())
    await pause(50)
  }
}

const mean = (all: readonly number[]) => all.reduce((sum, one) => sum + one, 0) / all.length

describe('gossip: the library and its model', () => {
  const all = [...Array(PEERS).keys()]
  const pairs = new Generator(3).shuffle(all.flatMap((a) => all.filter((b) => a < b).map((b) => [a, b] as const)))
  let nodes: Node[] = []

  before(async () => {
    nodes = await connected(pairs)
  })
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()))
  })

  it('M33: the parameters are those that the library runs with', () => {
    const { opts } = innerOf(nodes[0]!)
    const theirs = Object.fromEntries(
      Object.keys(productionGossip).map((name) => [name, opts[name as keyof GossipParameters]])
    )
    assert.deepEqual(theirs, productionGossip)
  })

  it('M33: meshes of the same connections are as large, and as even', async () => {
    const everybodyKnows = () =>
      nodes.every(({ services }) => services.pubsub!.getSubscribers(TOPIC!).length === PEERS - 1)
    await until(everybodyKnows, () => 'subscriptions are missing')
    const { Dlo, Dhi } = productionGossip
    const isMended = () => sizesOf(nodes).every((size) => size >= Dlo && size <= Dhi)
    await until(isMended, () => `meshes of ${sizesOf(nodes).join(' ')}`)
    const dialled = new Set(pairs.map(([a, b]) => `${a}/${b}`))
    const mesh = new Mesh(PEERS, productionGossip, (a, b) => dialled.has(`${a}/${b}`), new Generator(1))
    for (const [a, b] of pairs) mesh.meet(a, b, 0)
    const [theirs, ours] = [sizesOf(nodes), all.map((node) => mesh.size(node))]
    const text = `the library's meshes have ${theirs.join(' ')} links, the model's ${ours.join(' ')}`
    assert.ok(Math.abs(mean(theirs) - mean(ours)) <= 1.5, text)
    assert.ok(Math.abs(Math.max(...theirs) - Math.max(...ours)) <= 4, text)
  })

  it('M33: everybody hears once what one publishes', async () => {
    const heard = nodes.map(() => 0)
    for (const [index, { services }] of nodes.entries())
      services.pubsub!.addEventListener('gossipsub:message', () => {
        heard[index]! += 1
      })
    await nodes[0]!.services.pubsub!.publish(TOPIC!, new Uint8Array(2_000))
    await until(
      () => heard.filter((count) => count > 0).length === PEERS - 1,
      () => heard.join(' ')
    )
    assert.deepEqual(heard, [0, ...Array<number>(PEERS - 1).fill(1)])
  })
})
