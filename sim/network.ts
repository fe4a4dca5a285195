/**
 * The simulated network (SPEC M5; broadcasts: gossip.ts). It behaves as the driver's libp2p does: a connection carries messages in order
 * and without loss while it lives; loss, a crash or a partition breaks it, and each side hears of that after a
 * detection delay of its own. `raw` is a harsher mode in which single messages are lost, doubled and overtake each other.
 */

import type { Message } from '../src/overlay/messages.ts'
import type { Generator } from '../src/prng.ts'
import { CONNECTED, Connections, GONE, NEVER, Sides } from './connections.ts'
import { Gossip, type GossipKind, type Ways } from './gossip.ts'
import { EventKind, type Kernel } from './kernel.ts'
import type { Links } from './links.ts'
import { type GossipParameters, productionGossip } from './mesh.ts'

export interface NetworkOptions {
  /** One way, ms; each connection draws its own in delayMs·[0.5, 1.5]. @default 5 */
  delayMs: number
  /** Added to each message, uniform in [0, jitterMs). @default 3 */
  jitterMs: number
  /** Probability that a message breaks its connection (`raw`: that it is lost alone); of gossip, that one copy is lost. @default 0 */
  loss: number
  /** Lose, double and reorder single messages instead of breaking connections. @default false */
  raw: boolean
  /** Of `raw` messages and of gossip. @default 0 */
  duplication: number
  /** After which a side hears that its connection broke, uniform, ms. @default 100, 5000 */
  detectionMs: number
  detectionMaxMs: number
  /** After which a dial into a partition fails, ms. @default 3000 */
  dialTimeoutMs: number
  /** For so long a peer opens a copy of a broadcast before it passes it on, ms. @default 1 */
  passMs: number
  /** How broadcasts spread. @default what peers run with */
  gossip: GossipParameters
}

export const calmNetwork: NetworkOptions = {
  delayMs: 5,
  jitterMs: 3,
  loss: 0,
  raw: false,
  duplication: 0,
  detectionMs: 100,
  detectionMaxMs: 5000,
  dialTimeoutMs: 3000,
  passMs: 1,
  gossip: productionGossip
}

/** What the network asks of the fleet: whether a machine's process runs, and which of its lives it is. */
export interface Machines {
  lifeOf(node: number): number
  isUp(node: number): boolean
}

export class Network implements Ways {
  readonly options: NetworkOptions
  readonly gossip: Gossip
  /** Cell of each node while the network is partitioned. */
  #cells: Int32Array | undefined
  readonly #sides: Sides
  readonly #connections = new Connections()
  readonly #kernel: Kernel
  readonly #random: Generator
  readonly #machines: Machines
  readonly #links: Links
  readonly #slownessMs: Float64Array
  sent = 0
  /** Of those sent, by kind; a copy of a broadcast is `gossip`, what is said about copies `gossip-control`. */
  readonly sentByKind: Record<string, number> = {}

  constructor(kernel: Kernel, links: Links, options: NetworkOptions, random: Generator, machines: Machines) {
    const count = links.sentBytes.length
    this.#kernel = kernel
    this.#links = links
    this.options = options
    this.#random = random
    this.#machines = machines
    this.#sides = new Sides(count)
    this.#slownessMs = new Float64Array(count)
    this.gossip = new Gossip(kernel, this, random.fork(), count, options.gossip, options.passMs)
  }

  /** Extra delay of everything that reaches a slow node. */
  slow(node: number, delayMs: number): void {
    this.#slownessMs[node] = delayMs
  }

  neighbours(node: number): number[] {
    return this.#sides.neighbours(node)
  }

  /** Sends on the connection if there is one; what is sent into none is gone, as on a socket whose end is not noticed. */
  send(from: number, to: number, message: Message, extraMs = 0): void {
    this.#count(message.kind)
    const id = this.#sides.get(from, to)
    if (id === undefined || !this.#connections.isOpen(id)) return
    if (this.#random.chance(this.options.loss)) {
      if (!this.options.raw) this.#break(id)
      return
    }
    const heldMs = extraMs + this.#links.carry(from, to, message)
    this.#deliver(id, to, message, heldMs)
    if (this.options.raw && this.#random.chance(this.options.duplication)) this.#deliver(id, to, message, heldMs)
  }

  #count(kind: string, messages = 1): void {
    this.sent += messages
    this.sentByKind[kind] = (this.sentByKind[kind] ?? 0) + messages
  }

  #deliver(id: number, to: number, message: Message, extraMs: number): void {
    const { options } = this
    const late = options.raw ? options.jitterMs * 20 : options.jitterMs
    const delayMs = this.#connections.latencyMs(id) + this.#random.fraction() * late + this.#slownessMs[to]!
    const at = this.#kernel.now + extraMs + delayMs
    this.#kernel.at(options.raw ? at : this.#inOrder(id, to, at), EventKind.arrive, to, id, message)
  }

  #inOrder(id: number, to: number, at: number): number {
    return this.#connections.inOrder(this.#connections.end(id, to), at)
  }

  /** The sender of a message that arrives, or −1 if its connection does not live to deliver it. */
  arrival(node: number, id: number): number {
    const end = this.#connections.end(id, node)
    const alive = !this.#connections.isCut(end) && this.#connections.told(end) === CONNECTED
    return alive ? this.#connections.otherAt(end) : -1
  }

  /** A connection that both ends know of (SPEC M32). */
  join(a: number, b: number): void {
    const latencyMs = this.#links.delayMs(a, b) * (0.5 + this.#random.fraction())
    const id = this.#connections.add(a, b, latencyMs)
    for (const end of [2 * id, 2 * id + 1]) this.#connections.tell(end, CONNECTED)
    this.#sides.set(a, b, id)
    this.#sides.set(b, a, id)
    this.gossip.mesh.meet(a, b, this.#kernel.now)
  }

  dial(from: number, to: number, reachable: boolean): void {
    const existing = this.#sides.get(from, to)
    if (existing !== undefined && this.#carries(existing, from)) return
    const life = this.#machines.lifeOf(from)
    if (!reachable) {
      this.#kernel.after(this.options.delayMs, EventKind.connectFailed, from, to, { life, reason: 'no such address' })
      return
    }
    const latencyMs = this.#links.delayMs(from, to) * (0.5 + this.#random.fraction()) + this.#slownessMs[to]!
    this.#kernel.after(latencyMs, EventKind.dial, to, from, life)
  }

  /** Whether it is open, and this end knows it. */
  #carries(id: number, node: number): boolean {
    return this.#connections.isOpen(id) && this.#connections.told(this.#connections.end(id, node)) === CONNECTED
  }

  /** A dial reaches its target. What the target is told now: that an older connection is gone, that one is there. */
  dialled(to: number, from: number, life: number): { gone: boolean; connected: boolean } {
    const nothing = { gone: false, connected: false }
    if (!this.#machines.isUp(from) || this.#machines.lifeOf(from) !== life) return nothing
    const backMs = this.#links.delayMs(to, from) * (0.5 + this.#random.fraction())
    if (this.#parted(from, to)) {
      const failure = { life, reason: 'timed out' }
      this.#kernel.after(this.options.dialTimeoutMs, EventKind.connectFailed, from, to, failure)
      return nothing
    }
    if (!this.#machines.isUp(to)) {
      this.#kernel.after(backMs, EventKind.connectFailed, from, to, { life, reason: 'refused' })
      return nothing
    }
    const existing = this.#sides.get(to, from)
    // Both dialled at once: there is one connection, and each side is told of it once.
    if (existing !== undefined && this.#connections.isOpen(existing)) {
      this.#kernel.after(backMs, EventKind.connected, from, existing)
      return { gone: false, connected: this.#tell(existing, to) }
    }
    return this.#open(to, from, backMs, existing)
  }

  #open(
    to: number,
    from: number,
    latencyMs: number,
    existing: number | undefined
  ): { gone: boolean; connected: boolean } {
    const at = this.#kernel.now + latencyMs + this.#slownessMs[from]!
    // An end that has not noticed that its older connection broke learns it before it can hear of the new one.
    const stale = this.#sides.get(from, to)
    if (stale !== undefined) this.#kernel.after(0, EventKind.disconnected, from, stale)
    const gone = existing !== undefined && this.ended(to, existing) >= 0
    const id = this.#connections.add(from, to, latencyMs)
    this.#connections.inOrder(2 * id, at)
    this.#sides.set(from, to, id)
    this.#sides.set(to, from, id)
    this.#kernel.at(at, EventKind.connected, from, id)
    return { gone, connected: this.#tell(id, to) }
  }

  /** Whether this end hears of the connection for the first time. */
  #tell(id: number, node: number): boolean {
    const end = this.#connections.end(id, node)
    if (this.#connections.told(end) !== NEVER) return false
    this.#connections.tell(end, CONNECTED)
    this.#ready(end)
    return true
  }

  /** Once both ends know of a connection, gossip flows. */
  #ready(end: number): void {
    const connections = this.#connections
    if (connections.told(end ^ 1) === CONNECTED) this.gossip.opened(connections.nodeAt(end), connections.otherAt(end))
  }

  /** The dialling side learns of its connection: the other node; −1 if it knows already. */
  established(node: number, id: number): number {
    const end = this.#connections.end(id, node)
    if (this.#connections.told(end) !== NEVER) return -1
    const other = this.#connections.otherAt(end)
    if (this.#connections.isOpen(id)) {
      this.#connections.tell(end, CONNECTED)
      this.#ready(end)
      return other
    }
    this.#connections.tell(end, GONE)
    if (this.#sides.get(node, other) === id) this.#sides.delete(node, other)
    const failure = { life: this.#machines.lifeOf(node), reason: 'broke at once' }
    this.#kernel.after(0, EventKind.connectFailed, node, other, failure)
    return -1
  }

  /** A side learns that its connection is gone: the other node; −1 if it knows already or never knew of it. */
  ended(node: number, id: number): number {
    const end = this.#connections.end(id, node)
    const other = this.#connections.otherAt(end)
    if (this.#connections.told(end) !== CONNECTED) return -1
    this.#connections.tell(end, GONE)
    if (this.#sides.get(node, other) === id) this.#sides.delete(node, other)
    this.gossip.closed(node, other)
    return other
  }

  /** Closes in good order: what was sent before still arrives. */
  close(node: number, other: number): void {
    const id = this.#sides.get(node, other)
    if (id === undefined) return
    this.#kernel.after(0, EventKind.disconnected, node, id)
    if (!this.#connections.isOpen(id)) return
    this.#connections.shut(id)
    const at = this.#kernel.now + this.#connections.latencyMs(id)
    this.#kernel.at(this.#inOrder(id, other, at), EventKind.disconnected, other, id)
  }

  #break(id: number): void {
    this.#connections.shut(id)
    for (const end of [2 * id, 2 * id + 1]) {
      this.#connections.cut(end)
      this.#kernel.after(this.#detectionMs(), EventKind.disconnected, this.#connections.nodeAt(end), id)
    }
  }

  #detectionMs(): number {
    const { detectionMs, detectionMaxMs } = this.options
    return detectionMs + this.#random.fraction() * (detectionMaxMs - detectionMs)
  }

  /** The node's process is gone: what it sent is still on its way, what was on the way to it is lost. */
  crash(node: number): void {
    for (const id of this.#sides.connections(node)) {
      const end = this.#connections.end(id, node)
      const other = this.#connections.otherAt(end)
      this.#connections.cut(end)
      this.#connections.tell(end, GONE)
      if (this.#connections.isOpen(id)) this.#kernel.after(this.#detectionMs(), EventKind.disconnected, other, id)
      this.#connections.shut(id)
    }
    this.#sides.clear(node)
    this.gossip.crashed(node)
  }

  /** Breaks some of a node's connections (a flapping link). */
  flap(node: number, share: number): void {
    for (const id of this.#sides.connections(node)) {
      if (this.#connections.isOpen(id) && this.#random.chance(share)) this.#break(id)
    }
  }

  /** Nodes of different cells cannot reach each other until the partition heals (undefined). */
  partition(cells: Int32Array | undefined): void {
    this.#cells = cells
    if (cells === undefined) return
    for (let node = 0; node < this.#sides.nodes; node++) {
      for (const id of this.#sides.connections(node)) {
        const [a, b] = [this.#connections.nodeAt(2 * id), this.#connections.nodeAt(2 * id + 1)]
        if (this.#connections.isOpen(id) && this.#parted(a, b)) this.#break(id)
      }
    }
  }

  #parted(a: number, b: number): boolean {
    return this.#cells !== undefined && this.#cells[a] !== this.#cells[b]
  }

  // ---- what gossip asks

  partners(node: number): number[] {
    const connections = this.#connections
    const partners: number[] = []
    for (const id of this.#sides.connections(node)) {
      const end = connections.end(id, node)
      if (connections.told(end) === CONNECTED && connections.told(end ^ 1) !== NEVER)
        partners.push(connections.otherAt(end))
    }
    return partners
  }

  isDialler(node: number, other: number): boolean {
    const id = this.#sides.get(node, other)
    return id !== undefined && this.#connections.nodeAt(2 * id) === node
  }

  carry(from: number, to: number, kind: GossipKind, bytes: number): number | undefined {
    this.#count(kind)
    const id = this.#sides.get(from, to)
    if (id === undefined || !this.#connections.isOpen(id) || this.#random.chance(this.options.loss)) return undefined
    const heldMs = this.#links.carryBytes(from, to, bytes)
    const wayMs = this.#connections.latencyMs(id) + this.#random.fraction() * this.options.jitterMs
    return heldMs + wayMs + this.#slownessMs[to]!
  }

  again(to: number): void {
    this.#links.processors?.receivesCopy(to)
  }

  spend(from: number, to: number, messages: number, bytes: number): void {
    this.#count('gossip-control', messages)
    this.#links.carryBytes(from, to, bytes)
  }

  latencyMs(from: number, to: number): number {
    const id = this.#sides.get(from, to)
    return id === undefined ? Number.POSITIVE_INFINITY : this.#connections.latencyMs(id)
  }

  reaches(from: number, to: number): boolean {
    return !this.#parted(from, to) && this.#machines.isUp(to)
  }
}
