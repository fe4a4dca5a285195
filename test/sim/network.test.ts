import assert from 'node:assert/strict'
import { EventKind, Kernel } from '../../sim/kernel.ts'
import { Links } from '../../sim/links.ts'
import { calmNetwork, Network, type NetworkOptions } from '../../sim/network.ts'
import { scenario } from '../../sim/scenario.ts'
import type { Message } from '../../src/overlay/messages.ts'
import { Generator } from '../../src/prng.ts'

/** Nodes that only write down what they are told. */
class Fleet {
  readonly kernel = new Kernel()
  readonly up: boolean[]
  readonly lives: number[]
  readonly heard: string[] = []
  readonly network: Network

  constructor(count: number, options: Partial<NetworkOptions> = {}, seed = 1) {
    this.up = new Array<boolean>(count).fill(true)
    this.lives = new Array<number>(count).fill(1)
    const network = { ...calmNetwork, ...options }
    const links = new Links(this.kernel, scenario({ seed, peers: count, network }), () => 1)
    this.network = new Network(this.kernel, links, network, new Generator(seed), {
      lifeOf: (node) => this.lives[node]!,
      isUp: (node) => this.up[node]!
    })
  }

  say(number: number): Message {
    return { kind: 'want', bundle: '0'.repeat(64), index: number }
  }

  crash(node: number): void {
    this.up[node] = false
    this.network.crash(node)
  }

  restart(node: number): void {
    this.up[node] = true
    this.lives[node]!++
  }

  run(forMs: number): string[] {
    const { kernel, network, heard } = this
    const until = kernel.now + forMs
    while (kernel.next(until)) {
      const { node, about, payload } = kernel
      switch (kernel.kind) {
        case EventKind.dial: {
          const { gone, connected } = network.dialled(node, about, payload as number)
          if (gone) heard.push(`${node} lost ${about}`)
          if (connected) heard.push(`${node} has ${about}`)
          break
        }
        case EventKind.connected: {
          const other = network.established(node, about)
          if (other >= 0) heard.push(`${node} has ${other}`)
          break
        }
        case EventKind.disconnected: {
          const other = network.ended(node, about)
          if (other >= 0) heard.push(`${node} lost ${other}`)
          break
        }
        case EventKind.connectFailed:
          heard.push(`${node} failed ${about}`)
          break
        case EventKind.arrive: {
          const from = network.arrival(node, about)
          if (from >= 0) heard.push(`${node} from ${from}: ${(payload as { index: number }).index}`)
          break
        }
        case EventKind.gossip: {
          const publication = network.gossip.act(node, about, payload)
          if (publication === undefined) break
          network.gossip.passOn(node, about, publication)
          heard.push(`${node} heard`)
          break
        }
      }
    }
    return heard.splice(0)
  }

  connect(a: number, b: number): void {
    this.network.dial(a, b, true)
    assert.deepEqual(this.run(1000), [`${b} has ${a}`, `${a} has ${b}`])
  }
}

describe('sim/network', () => {
  it('M5: a connection carries messages in order, in both directions, without loss', () => {
    const fleet = new Fleet(2, { jitterMs: 50 })
    fleet.connect(0, 1)
    for (let index = 0; index < 50; index++) fleet.network.send(index % 2, 1 - (index % 2), fleet.say(index))
    const heard = fleet.run(1000)
    const to = (node: number) =>
      heard.filter((line) => line.startsWith(`${node} `)).map((line) => Number(line.split(' ')[3]))
    assert.deepEqual(
      to(1),
      Array.from({ length: 25 }, (_, index) => 2 * index)
    )
    assert.deepEqual(
      to(0),
      Array.from({ length: 25 }, (_, index) => 2 * index + 1)
    )
  })

  it('M5: loss breaks the connection, and each side hears of it once', () => {
    const fleet = new Fleet(2, { loss: 1 })
    fleet.connect(0, 1)
    fleet.network.send(0, 1, fleet.say(1))
    fleet.network.send(0, 1, fleet.say(2))
    assert.deepEqual(fleet.run(60_000).sort(), ['0 lost 1', '1 lost 0'])
  })

  it('M5: what a process sent before it died arrives; what was on the way to it does not', () => {
    const fleet = new Fleet(2)
    fleet.connect(0, 1)
    fleet.network.send(0, 1, fleet.say(1))
    fleet.network.send(1, 0, fleet.say(2))
    fleet.crash(0)
    assert.deepEqual(fleet.run(60_000), ['1 from 0: 1', '1 lost 0'])
  })

  it('M5: a peer that comes back before its death was noticed is lost first, then there', () => {
    const fleet = new Fleet(2, { detectionMs: 20_000, detectionMaxMs: 30_000 })
    fleet.connect(0, 1)
    fleet.crash(0)
    fleet.restart(0)
    fleet.network.dial(0, 1, true)
    assert.deepEqual(fleet.run(60_000), ['1 lost 0', '1 has 0', '0 has 1'])
    fleet.network.send(1, 0, fleet.say(7))
    assert.deepEqual(fleet.run(1000), ['0 from 1: 7'])
  })

  it('M5: two that dial each other at once have one connection, of which each hears once', () => {
    for (let seed = 1; seed < 30; seed++) {
      const fleet = new Fleet(2, {}, seed)
      fleet.network.dial(0, 1, true)
      fleet.network.dial(1, 0, true)
      assert.deepEqual(fleet.run(1000).sort(), ['0 has 1', '1 has 0'])
      fleet.network.send(0, 1, fleet.say(1))
      fleet.network.send(1, 0, fleet.say(2))
      assert.deepEqual(fleet.run(1000).sort(), ['0 from 1: 2', '1 from 0: 1'])
    }
  })

  it('M5: a dial of a dead, parted or unknown address fails', () => {
    const fleet = new Fleet(3)
    fleet.crash(1)
    fleet.network.dial(0, 1, true)
    fleet.network.dial(0, 2, false)
    fleet.network.partition(Int32Array.of(0, 0, 1))
    fleet.network.dial(2, 0, true)
    assert.deepEqual(fleet.run(10_000).sort(), ['0 failed 1', '0 failed 2', '2 failed 0'])
  })

  it('M5: a partition breaks what crosses it, and healing lets dials through', () => {
    const fleet = new Fleet(3)
    fleet.connect(0, 1)
    fleet.connect(1, 2)
    fleet.network.partition(Int32Array.of(0, 0, 1))
    assert.deepEqual(fleet.run(60_000).sort(), ['1 lost 2', '2 lost 1'])
    fleet.network.partition(undefined)
    fleet.connect(2, 1)
  })

  it('M5: a close in good order delivers what was sent before it', () => {
    const fleet = new Fleet(2)
    fleet.connect(0, 1)
    fleet.network.send(0, 1, fleet.say(1))
    fleet.network.close(0, 1)
    fleet.network.send(0, 1, fleet.say(2))
    assert.deepEqual(fleet.run(60_000), ['0 lost 1', '1 from 0: 1', '1 lost 0'])
  })

  it('M5: raw mode loses, doubles and reorders single messages and keeps the connection', () => {
    const fleet = new Fleet(2, { raw: true, loss: 0.2, duplication: 0.2, jitterMs: 20 })
    fleet.connect(0, 1)
    for (let index = 0; index < 500; index++) fleet.network.send(0, 1, fleet.say(index))
    const numbers = fleet.run(10_000).map((line) => Number(line.split(' ')[3]))
    const distinct = new Set(numbers)
    assert.ok(distinct.size > 350 && distinct.size < 450, `${distinct.size} of 500 arrived`)
    assert.ok(numbers.length > distinct.size, 'some came twice')
    assert.ok(
      numbers.some((number, index) => index > 0 && number < numbers[index - 1]!),
      'some overtook others'
    )
    assert.deepEqual(fleet.network.neighbours(0), [1])
  })

  it('M6: gossip reaches each node of a connected fleet once, a parted one not, and survives some loss', () => {
    const fleet = new Fleet(20, { loss: 0 })
    for (let node = 1; node < 20; node++) fleet.connect(node, Math.floor(node / 2))
    fleet.network.partition(Int32Array.from({ length: 20 }, (_, node) => (node === 19 ? 1 : 0)))
    fleet.run(60_000)
    const bytes = new Uint8Array(1)
    fleet.network.gossip.publish(0, 'entry', bytes)
    fleet.network.gossip.publish(0, 'entry', bytes)
    const heard = fleet.run(10_000)
    assert.deepEqual(
      heard.map((line) => Number(line.split(' ')[0])).sort((a, b) => a - b),
      Array.from({ length: 18 }, (_, index) => index + 1)
    )
  })
})
