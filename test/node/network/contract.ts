/** What every form of `Network` must do (SPEC N1, N2, N5, N6). Run on libp2p over loopback and on memory. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { encode } from '../../../node/network/cbor.ts'
import { frame } from '../../../node/network/frames.ts'
import type { Network, NetworkHandlers } from '../../../node/network/network.ts'
import type { GossipTopic, Verdict, Wire } from '../../../node/network/wire.ts'
import type { Message } from '../../../src/overlay/messages.ts'

export const FLEET = 'ab'.repeat(32)
export const OTHER_FLEET = 'cd'.repeat(32)

export interface Form {
  name: string
  create(fleet: string): Promise<Network>
  /** Ends the connection between two peers as a failing network does. */
  cut(one: Network, other: Network): void
}

export interface Recorded {
  network: Network
  connected: string[]
  disconnected: [peer: string, reason: string][]
  messages: [from: string, message: Message][]
  published: [from: string, topic: GossipTopic, text: string][]
}

/** Resolves when `condition` holds; fails, naming it, when it does not within the bound. */
export async function until(what: string, condition: () => boolean, boundMs = 15_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!condition()) {
    if (performance.now() > end) assert.fail(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function record(network: Network, handlers: Partial<NetworkHandlers> = {}): Recorded {
  const seen: Recorded = { network, connected: [], disconnected: [], messages: [], published: [] }
  network.start({
    connected: (peer) => seen.connected.push(peer),
    disconnected: (peer, reason) => seen.disconnected.push([peer, reason]),
    message: (from, message) => void seen.messages.push([from, message]),
    validate: (_topic, bytes): Verdict => {
      const text = Buffer.from(bytes).toString()
      return text.startsWith('bad') ? 'reject' : text.startsWith('unsure') ? 'ignore' : 'accept'
    },
    published: (from, topic, bytes) => void seen.published.push([from, topic, Buffer.from(bytes).toString()]),
    addresses: () => undefined,
    ...handlers
  })
  return seen
}

const want = (index: number): Message => ({ kind: 'want', bundle: '0'.repeat(64), index })
const piece = (index: number, bytes: Uint8Array): Message => ({ kind: 'piece', bundle: '0'.repeat(64), index, bytes })

export function networkContract(form: Form): void {
  describe(`network: contract, ${form.name}`, () => {
    let networks: Network[] = []

    const make = async (fleet = FLEET, handlers: Partial<NetworkHandlers> = {}): Promise<Recorded> => {
      const network = await form.create(fleet)
      networks.push(network)
      return record(network, handlers)
    }
    const join = (one: Recorded, other: Recorded) => one.network.connect(other.network.peer, other.network.addresses())
    const meet = async (one: Recorded, other: Recorded): Promise<void> => {
      await join(one, other)
      await until('both are told', () => {
        return one.connected.includes(other.network.peer) && other.connected.includes(one.network.peer)
      })
    }

    /** Publishes until one arrives: a mesh forms with the heartbeat, and what is older is for anti-entropy to carry. */
    const gossiping = async (from: Recorded, to: Recorded): Promise<void> => {
      for (let probe = 0; to.published.length === 0; probe++) {
        assert.ok(probe < 100, 'gossip never worked')
        from.network.publish('statement', Buffer.from(`probe ${probe} of ${from.network.peer}`))
        await Promise.race([
          until('a probe', () => to.published.length > 0),
          new Promise((resolve) => setTimeout(resolve, 150))
        ])
      }
    }

    afterEach(async () => {
      await Promise.all(networks.map((network) => network.close()))
      networks = []
    })

    it('N1: both are told once, however often and from however many sides they connect', async () => {
      const [a, b] = [await make(), await make()]
      assert.ok(a.network.addresses().every((address) => address.endsWith(`/p2p/${a.network.peer}`)))
      await Promise.all([join(a, b), join(b, a), join(a, b)])
      await meet(a, b)
      assert.deepEqual(a.connected, [b.network.peer])
      assert.deepEqual(b.connected, [a.network.peer])
      assert.deepEqual(a.network.peers(), [b.network.peer])
    })

    it('N1: who is not there, is oneself, or belongs to another fleet is refused by name', async () => {
      const [a, b, stranger] = [await make(), await make(), await make(OTHER_FLEET)]
      await assert.rejects(join(a, stranger), { name: 'WrongFleet' })
      assert.deepEqual(a.connected, [])
      await assert.rejects(a.network.connect(b.network.peer, []), { name: 'Unreachable' })
      await assert.rejects(a.network.connect(a.network.peer, a.network.addresses()), { name: 'Unreachable' })
      const gone = b.network.addresses()
      await b.network.close()
      await assert.rejects(a.network.connect(b.network.peer, gone), { name: 'Unreachable' })
    })

    it('N6: messages arrive whole and in order, both ways, large ones between small ones', async () => {
      const [a, b] = [await make(), await make()]
      await meet(a, b)
      const large = randomBytes(4 * 1024 * 1024)
      const sent: Message[] = [want(0), want(1), piece(2, large), want(3), piece(4, large), want(5)]
      for (const message of sent) {
        a.network.send(b.network.peer, message)
        b.network.send(a.network.peer, message)
      }
      await until('all arrived', () => a.messages.length === 6 && b.messages.length === 6)
      for (const { messages } of [a, b]) {
        assert.deepEqual(
          messages.map(([, message]) => (message as { index: number }).index),
          [0, 1, 2, 3, 4, 5]
        )
        assert.ok(large.equals((messages[2]![1] as { bytes: Uint8Array }).bytes))
      }
      assert.equal(b.messages[0]![0], a.network.peer)
    })

    it('N6: a slow receiver holds up its sender, and nothing is lost', async () => {
      let open = (): void => undefined
      const gate = new Promise<void>((resolve) => {
        open = resolve
      })
      const taken: number[] = []
      const b = await make(FLEET, {
        message: (_from, message) => {
          taken.push((message as { index: number }).index)
          return gate
        }
      })
      const a = await make()
      await meet(a, b)
      let offered = 0
      const pushing = (async () => {
        for (; offered < 10; offered++) {
          await a.network.writable(b.network.peer)
          a.network.send(b.network.peer, piece(offered, randomBytes(4 * 1024 * 1024)))
        }
      })()
      await until('the first is taken', () => taken.length === 1 && offered >= 1)
      assert.equal(taken.length, 1, 'the second waits for the first')
      open()
      await pushing
      await until('all are taken', () => taken.length === 10)
      assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    })

    it('N6: a cut is told to both, once, and they can meet again', async () => {
      const [a, b] = [await make(), await make()]
      await meet(a, b)
      form.cut(a.network, b.network)
      await until('both are told', () => a.disconnected.length === 1 && b.disconnected.length === 1)
      a.network.send(b.network.peer, want(0))
      await join(b, a)
      await until('both met again', () => a.connected.length === 2 && b.connected.length === 2)
      a.network.send(b.network.peer, want(1))
      await until('a message', () => b.messages.length === 1)
      assert.deepEqual(b.messages[0]![1], want(1))
    })

    it('N6: a disconnect gives its reason here and ends the session there', async () => {
      const [a, b] = [await make(), await make()]
      await meet(a, b)
      a.network.send(b.network.peer, want(6))
      await until('the session works', () => b.messages.length === 1)
      a.network.send(b.network.peer, want(7))
      a.network.disconnect(b.network.peer, 'enough neighbours')
      await until('both are told', () => a.disconnected.length === 1 && b.disconnected.length === 1)
      assert.deepEqual(a.disconnected, [[b.network.peer, 'enough neighbours']])
      assert.deepEqual(b.messages[1], [a.network.peer, want(7)], 'what was sent before arrives')
    })

    it('N6: a disconnect without blame leaves the connection to the calls that use it; with blame it does not', async () => {
      const [a, b] = [await make(), await make()]
      await b.network.serve('call', (wire) =>
        wire.listen({ data: (chunk) => void wire.send(chunk), closed: () => undefined })
      )
      await meet(a, b)
      const echoed: string[] = []
      const wire = await a.network.wire(b.network.peer, [], 'call')
      wire.listen({
        data: (chunk) => void echoed.push(Buffer.from(chunk).toString()),
        closed: () => void echoed.push('closed')
      })
      wire.send(Buffer.from('one'))
      await until('an echo', () => echoed.length === 1)
      a.network.disconnect(b.network.peer, 'enough neighbours')
      wire.send(Buffer.from('two'))
      await until('another echo', () => echoed.length === 2)
      assert.deepEqual(a.disconnected, [])
      a.network.disconnect(b.network.peer, 'it broke a rule', true)
      await until('the call is cut', () => echoed.at(-1) === 'closed')
    })

    it('N6: malformed and oversize messages end the session of their sender only', async () => {
      const wrong: [string, Uint8Array][] = [
        ['no CBOR', frame(Uint8Array.from([0xff]), 10)],
        ['no message', frame(encode({ kind: 'gift' }), 1000)],
        ['a field too many', frame(encode({ ...want(1), more: 1 }), 1000)],
        ['an index beyond the bound', frame(encode(want(1_000_000)), 1000)],
        ['oversize', Uint8Array.from([0x7f, 0, 0, 0])]
      ]
      const [a, honest] = [await make(), await make()]
      await meet(honest, a)
      for (const [what, bytes] of wrong) {
        const evil = await make()
        await meet(evil, a)
        const wire = await evil.network.wire(a.network.peer, a.network.addresses(), 'overlay')
        wire.listen({ data: () => undefined, closed: () => undefined })
        wire.send(bytes)
        await until(what, () => a.disconnected.some(([peer]) => peer === evil.network.peer))
        assert.notEqual(a.disconnected.find(([peer]) => peer === evil.network.peer)![1], '', what)
      }
      assert.deepEqual(a.network.peers(), [honest.network.peer])
      honest.network.send(a.network.peer, want(9))
      await until('the honest one is heard', () => a.messages.some(([from]) => from === honest.network.peer))
    })

    it('N5: what is published before anybody listens, or over a chain, reaches everybody once', async () => {
      const [alone, b, c, d] = [await make(), await make(), await make(), await make()]
      alone.network.publish('entry', Buffer.from('alone'))
      await meet(b, c)
      await meet(c, d)
      await gossiping(b, d)
      await gossiping(d, b)
      await meet(alone, b)
      const has = (peer: Recorded, text: string) => peer.published.filter((one) => one[2] === text).length
      await until('it is everywhere', () => [b, c, d].every((peer) => has(peer, 'alone') === 1))
      assert.ok(b.published.some(([from, topic]) => from === alone.network.peer && topic === 'entry'))
      await gossiping(d, alone)
      d.network.publish('statement', Buffer.from('later'))
      b.network.publish('statement', Buffer.from('later'))
      await until('that too', () => [alone, c].every((peer) => has(peer, 'later') === 1))
      assert.equal(has(c, 'alone') + has(d, 'alone'), 2)
    })

    it('N5: what does not verify goes no further, and whoever passed it on is left', async () => {
      const [evil, a, b] = [await make(), await make(), await make()]
      await meet(evil, a)
      await meet(a, b)
      await gossiping(evil, b)
      evil.network.publish('entry', Buffer.from('unsure: I do not know its parent'))
      evil.network.publish('entry', Buffer.from('bad'))
      await until('the sender is left', () => a.disconnected.length === 1)
      assert.match(a.disconnected[0]![1], /does not verify/)
      b.network.publish('statement', Buffer.from('still there'))
      await until('the others go on', () => a.published.some(([, , text]) => text === 'still there'))
      assert.ok(b.published.every(([, , text]) => !/bad|unsure/.test(text)))
      assert.throws(() => a.network.publish('entry', new Uint8Array(1024 * 1024)), { name: 'Oversize' })
    })

    it('N2: other protocols get wires of their own; what nobody serves is refused', async () => {
      const [a, b] = [await make(), await make()]
      const wires: Wire[] = []
      await b.network.serve('call', (wire) => void wires.push(wire))
      await assert.rejects(a.network.wire(b.network.peer, b.network.addresses(), 'nothing'), { name: 'WrongFleet' })
      const wire = await a.network.wire(b.network.peer, b.network.addresses(), 'call')
      wire.send(Buffer.from('early'))
      await until('accepted', () => wires.length === 1)
      assert.equal(wires[0]!.peer, a.network.peer)
      const seen: string[] = []
      wires[0]!.listen({
        data: (chunk) => void seen.push(Buffer.from(chunk).toString()),
        closed: () => void seen.push('closed')
      })
      await wire.close()
      await until('closed after its data', () => seen.length === 2)
      assert.deepEqual(seen, ['early', 'closed'])
    })
  })
}
