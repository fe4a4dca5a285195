/** The network in memory (SPEC N2): for tests and for fleets embedded in one process. Same sessions, no sockets. */
import { createHash } from 'node:crypto'
import { MAX_OUTBOX } from './gossip.ts'
import { type Network, OverlayNetwork } from './network.ts'
import { unreachable } from './transport.ts'
import {
  type Gossip,
  type GossipEvents,
  type GossipTopic,
  type Transport,
  type TransportEvents,
  WIRE_WINDOW_BYTES,
  type Wire,
  type WireHandlers
} from './wire.ts'

export interface MemoryNetworkInit {
  hub: MemoryHub
  peer: string
  fleet: string
}

export async function createMemoryNetwork(init: MemoryNetworkInit): Promise<Network> {
  const transport = new MemoryTransport(init.hub, init.peer)
  const network = new OverlayNetwork(init, transport, new MemoryGossip(transport, init.fleet), () =>
    init.hub.join(transport)
  )
  await network.open()
  return network
}

/** Where the peers of one process find each other. */
export class MemoryHub {
  readonly #nodes = new Map<string, MemoryTransport>()

  join(node: MemoryTransport): void {
    this.#nodes.set(node.peer, node)
  }

  leave(node: MemoryTransport): void {
    if (this.#nodes.get(node.peer) === node) this.#nodes.delete(node.peer)
  }

  node(peer: string): MemoryTransport | undefined {
    return this.#nodes.get(peer)
  }

  /** Breaks the connection between two peers, as a network does. */
  cut(one: string, other: string): void {
    this.#nodes.get(one)?.disconnected(other)
  }
}

export class MemoryTransport implements Transport {
  readonly peer: string
  gossip: MemoryGossip | undefined
  readonly #hub: MemoryHub
  readonly #protocols = new Map<string, (wire: Wire) => void>()
  readonly #connections = new Map<string, Set<MemoryWire>>()
  #events: TransportEvents | undefined

  constructor(hub: MemoryHub, peer: string) {
    this.#hub = hub
    this.peer = peer
  }

  start(events: TransportEvents): void {
    this.#events = events
  }

  addresses(): string[] {
    return [`/memory/1/p2p/${this.peer}`]
  }

  connected(peer: string): boolean {
    return this.#connections.has(peer)
  }

  met(peer: string): void {
    this.#events?.opened(peer)
  }

  neighbours(): MemoryTransport[] {
    return [...this.#connections.keys()].flatMap((peer) => this.#hub.node(peer) ?? [])
  }

  inUse(peer: string, but: string): boolean {
    return [...(this.#connections.get(peer) ?? [])].some((wire) => wire.open && wire.protocol !== but)
  }

  async dial(peer: string, addresses: string[]): Promise<void> {
    if (this.connected(peer)) return
    await turn()
    const other = this.#hub.node(peer)
    if (addresses.length === 0 || other === undefined) throw unreachable(peer, 'nobody of that name is in the hub')
    if (this.connected(peer)) return
    this.#connections.set(peer, new Set())
    other.#connections.set(this.peer, new Set())
    for (const [node, met] of [
      [other, this.peer],
      [this, peer]
    ] as const) {
      node.met(met)
      node.gossip?.flush()
    }
  }

  async open(peer: string, protocol: string): Promise<Wire | undefined> {
    await turn()
    const other = this.#hub.node(peer)
    const mine = this.#connections.get(peer)
    if (other === undefined || mine === undefined) throw unreachable(peer, 'not connected')
    const accept = other.#protocols.get(protocol)
    if (accept === undefined) return undefined
    const [near, far] = MemoryWire.pair(this.peer, peer, protocol)
    mine.add(near)
    other.#connections.get(this.peer)?.add(far)
    setImmediate(() => accept(far))
    return near
  }

  async handle(protocol: string, accept: (wire: Wire) => void): Promise<void> {
    this.#protocols.set(protocol, accept)
  }

  async hangUp(peer: string, abrupt: boolean): Promise<void> {
    // What was sent before is delivered first, as a connection that closes in order does.
    if (!abrupt) await turn(2)
    this.disconnected(peer)
  }

  async close(): Promise<void> {
    await turn(2)
    for (const peer of [...this.#connections.keys()]) this.disconnected(peer)
    this.#hub.leave(this)
  }

  disconnected(peer: string): void {
    const wires = this.#connections.get(peer)
    if (wires === undefined) return
    this.#connections.delete(peer)
    for (const wire of wires) wire.abort('the connection ended')
    this.#hub.node(peer)?.disconnected(this.peer)
    this.#events?.closed(peer)
  }
}

function turn(count = 1): Promise<void> {
  return new Promise((resolve) => setImmediate(() => (count > 1 ? resolve(turn(count - 1)) : resolve())))
}

class MemoryWire implements Wire {
  readonly peer: string
  readonly protocol: string
  #open = true
  #other: MemoryWire | undefined
  #handlers: WireHandlers | undefined
  #inbox: Uint8Array[] = []
  #inboxBytes = 0
  #paused = false
  #choked = false
  #scheduled = false
  #finished: string | undefined
  #told = false

  static pair(near: string, far: string, protocol: string): [MemoryWire, MemoryWire] {
    const one = new MemoryWire(far, protocol)
    const other = new MemoryWire(near, protocol)
    one.#other = other
    other.#other = one
    return [one, other]
  }

  constructor(peer: string, protocol: string) {
    this.peer = peer
    this.protocol = protocol
  }

  get open(): boolean {
    return this.#open
  }

  send(bytes: Uint8Array): boolean {
    if (!this.#open) throw new Error('the wire is closed')
    const other = this.#other!
    other.#inbox.push(Uint8Array.from(bytes))
    other.#inboxBytes += bytes.byteLength
    other.#schedule()
    this.#choked = other.#inboxBytes >= WIRE_WINDOW_BYTES
    return !this.#choked
  }

  listen(handlers: WireHandlers): void {
    this.#handlers = handlers
    this.#schedule()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#other!.#finished ??= 'closed by the other end'
    this.#other!.#schedule()
  }

  abort(reason: string): void {
    this.#end(reason)
    this.#other!.#end('reset by the other end')
  }

  drained(): void {
    this.#handlers?.drained?.()
  }

  #end(reason: string): void {
    this.#open = false
    this.#inbox = []
    this.#paused = false
    this.#finished ??= reason
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const handlers = this.#handlers
    if (handlers === undefined) return
    while (!this.#paused && this.#inbox.length > 0) {
      const chunk = this.#inbox.shift()!
      this.#inboxBytes -= chunk.byteLength
      handlers.data(chunk)
    }
    const other = this.#other!
    if (other.#choked && this.#inboxBytes < WIRE_WINDOW_BYTES) {
      other.#choked = false
      other.drained()
    }
    if (this.#finished === undefined || this.#inbox.length > 0 || this.#told) return
    this.#told = true
    void this.close()
    handlers.closed(this.#finished)
  }
}

/** Flooding to everybody connected: at the scale of one process nothing better is needed. */
class MemoryGossip implements Gossip {
  readonly #transport: MemoryTransport
  readonly fleet: string
  readonly #seen = new Set<string>()
  readonly #outbox = new Map<string, { topic: GossipTopic; bytes: Uint8Array }>()
  #events: GossipEvents | undefined

  constructor(transport: MemoryTransport, fleet: string) {
    this.#transport = transport
    this.fleet = fleet
  }

  start(events: GossipEvents): void {
    this.#events = events
    this.#transport.gossip = this
  }

  publish(topic: GossipTopic, bytes: Uint8Array): void {
    const id = nameOf(topic, bytes)
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    this.#outbox.set(id, { topic, bytes })
    if (this.#outbox.size > MAX_OUTBOX) this.#outbox.delete(this.#outbox.keys().next().value!)
    this.flush()
  }

  partners(): string[] {
    return this.#others().map((other) => other.#transport.peer)
  }

  close(): void {
    this.#events = undefined
    this.#transport.gossip = undefined
  }

  flush(): void {
    if (this.#others().length === 0) return
    for (const { topic, bytes } of this.#outbox.values()) this.#flood(topic, bytes)
    this.#outbox.clear()
  }

  #others(): MemoryGossip[] {
    return this.#transport.neighbours().flatMap(({ gossip }) => (gossip?.fleet === this.fleet ? [gossip] : []))
  }

  #flood(topic: GossipTopic, bytes: Uint8Array, but?: string): void {
    const from = this.#transport.peer
    for (const other of this.#others()) {
      if (other.#transport.peer !== but) setImmediate(() => other.#receive(from, topic, bytes))
    }
  }

  #receive(from: string, topic: GossipTopic, bytes: Uint8Array): void {
    const id = nameOf(topic, bytes)
    if (this.#events === undefined || !this.#transport.connected(from) || this.#seen.has(id)) return
    this.#seen.add(id)
    const verdict = this.#events.validate(topic, bytes, from)
    if (verdict === 'reject') this.#events.rejected(from, topic)
    if (verdict !== 'accept') return
    this.#events.deliver(from, topic, bytes)
    this.#flood(topic, bytes, from)
  }
}

const nameOf = (topic: GossipTopic, bytes: Uint8Array): string =>
  createHash('sha256').update(topic).update(bytes).digest('hex')
