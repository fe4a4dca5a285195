/**
 * The simulated network (SPEC M5; broadcasts: gossip.ts). It behaves as the driver's libp2p does: a connection carries messages in order
 * and without loss while it lives; loss, a crash or a partition breaks it, and each side hears of that after a
 * detection delay of its own. `raw` is a harsher mode in which single messages are lost, doubled and overtake each other.
 */

import type { Message } from '../src/overlay/messages.ts'
import type { Generator } from '../src/prng.ts'
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

const NEVER = 0
const CONNECTED = 1
const GONE = 2

/**
 * Connections in flat columns, by id; ids are never used again. What there is once for each end lies at
 * `2·id + side`: side 0 dialled side 1.
 */
class Connections {
  count = 0
  /** Carries what is sent now. An end may not have heard yet that it does not. */
  open = new Uint8Array(256)
  latenciesMs = new Float64Array(256)
  nodes = new Int32Array(512)
  /** What the end's process was told last: nothing, that it is connected, that the connection is gone. */
  told = new Uint8Array(512)
  /** What is still on the way to this end is lost. */
  cut = new Uint8Array(512)
  /** Arrival of the last message to this end: the next one comes after it. */
  last = new Float64Array(512)

  add(dialler: number, target: number, latencyMs: number): number {
    if (this.count === this.open.length) this.#grow()
    const id = this.count++
    this.open[id] = 1
    this.latenciesMs[id] = latencyMs
    this.nodes[2 * id] = dialler
    this.nodes[2 * id + 1] = target
    return id
  }

  /** Where what belongs to a node's end of a connection lies. */
  end(id: number, node: number): number {
    return this.nodes[2 * id] === node ? 2 * id : 2 * id + 1
  }
  /** Whether it is open, and this end knows it. */
  carries(id: number, node: number): boolean {
    return this.open[id] === 1 && this.told[this.end(id, node)] === CONNECTED
  }
  other(end: number): number {
    return this.nodes[end ^ 1]!
  }

  #grow(): void {
    const doubled = <T extends Uint8Array | Int32Array | Float64Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    const length = this.open.length * 2
    this.open = doubled(this.open, new Uint8Array(length))
    this.latenciesMs = doubled(this.latenciesMs, new Float64Array(length))
    this.nodes = doubled(this.nodes, new Int32Array(2 * length))
    this.told = doubled(this.told, new Uint8Array(2 * length))
    this.cut = doubled(this.cut, new Uint8Array(2 * length))
    this.last = doubled(this.last, new Float64Array(2 * length))
  }
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
  /** Of each node: neighbour → connection. */
  readonly #sides: Map<number, number>[]
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
    this.#sides = Array.from({ length: count }, () => new Map())
    this.#slownessMs = new Float64Array(count)
    this.gossip = new Gossip(kernel, this, random.fork(), count, options.gossip, options.passMs)
  }

  /** Extra delay of everything that reaches a slow node. */
  slow(node: number, delayMs: number): void {
    this.#slownessMs[node] = delayMs
  }

  neighbours(node: number): number[] {
    return [...this.#sides[node]!.keys()]
  }

  /** Sends on the connection if there is one; what is sent into none is gone, as on a socket whose end is not noticed. */
  send(from: number, to: number, message: Message, extraMs = 0): void {
    this.#count(message.kind)
    const id = this.#sides[from]!.get(to)
    if (id === undefined || this.#connections.open[id] === 0) return
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
    const delayMs = this.#connections.latenciesMs[id]! + this.#random.fraction() * late + this.#slownessMs[to]!
    const at = this.#kernel.now + extraMs + delayMs
    this.#kernel.at(options.raw ? at : this.#inOrder(id, to, at), EventKind.arrive, to, id, message)
  }

  #inOrder(id: number, to: number, at: number): number {
    const end = this.#connections.end(id, to)
    const ordered = Math.max(this.#connections.last[end]!, at)
    this.#connections.last[end] = ordered
    return ordered
  }

  /** The sender of a message that arrives, or −1 if its connection does not live to deliver it. */
  arrival(node: number, id: number): number {
    const end = this.#connections.end(id, node)
    const alive = this.#connections.cut[end] === 0 && this.#connections.told[end] === CONNECTED
    return alive ? this.#connections.other(end) : -1
  }

  /** A connection that both ends know of (SPEC M32). */
  join(a: number, b: number): void {
    const latencyMs = this.#links.delayMs(a, b) * (0.5 + this.#random.fraction())
    const id = this.#connections.add(a, b, latencyMs)
    this.#connections.told.fill(CONNECTED, 2 * id, 2 * id + 2)
    this.#sides[a]!.set(b, id)
    this.#sides[b]!.set(a, id)
    this.gossip.mesh.meet(a, b, this.#kernel.now)
  }

  dial(from: number, to: number, reachable: boolean): void {
    const existing = this.#sides[from]!.get(to)
    if (existing !== undefined && this.#connections.carries(existing, from)) return
    const life = this.#machines.lifeOf(from)
    if (!reachable) {
      this.#kernel.after(this.options.delayMs, EventKind.connectFailed, from, to, { life, reason: 'no such address' })
      return
    }
    const latencyMs = this.#links.delayMs(from, to) * (0.5 + this.#random.fraction()) + this.#slownessMs[to]!
    this.#kernel.after(latencyMs, EventKind.dial, to, from, life)
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
    const existing = this.#sides[to]!.get(from)
    // Both dialled at once: there is one connection, and each side is told of it once.
    if (existing !== undefined && this.#connections.open[existing] === 1) {
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
    const stale = this.#sides[from]!.get(to)
    if (stale !== undefined) this.#kernel.after(0, EventKind.disconnected, from, stale)
    const gone = existing !== undefined && this.ended(to, existing) >= 0
    const id = this.#connections.add(from, to, latencyMs)
    this.#connections.last[2 * id] = at
    this.#sides[from]!.set(to, id)
    this.#sides[to]!.set(from, id)
    this.#kernel.at(at, EventKind.connected, from, id)
    return { gone, connected: this.#tell(id, to) }
  }

  /** Whether this end hears of the connection for the first time. */
  #tell(id: number, node: number): boolean {
    const end = this.#connections.end(id, node)
    if (this.#connections.told[end] !== NEVER) return false
    this.#connections.told[end] = CONNECTED
    this.#ready(end)
    return true
  }

  /** Once both ends know of a connection, gossip flows. */
  #ready(end: number): void {
    const { told, nodes } = this.#connections
    if (told[end ^ 1] === CONNECTED) this.gossip.opened(nodes[end]!, nodes[end ^ 1]!)
  }

  /** The dialling side learns of its connection: the other node; −1 if it knows already. */
  established(node: number, id: number): number {
    const end = this.#connections.end(id, node)
    if (this.#connections.told[end] !== NEVER) return -1
    const other = this.#connections.other(end)
    if (this.#connections.open[id] === 1) {
      this.#connections.told[end] = CONNECTED
      this.#ready(end)
      return other
    }
    this.#connections.told[end] = GONE
    if (this.#sides[node]!.get(other) === id) this.#sides[node]!.delete(other)
    const failure = { life: this.#machines.lifeOf(node), reason: 'broke at once' }
    this.#kernel.after(0, EventKind.connectFailed, node, other, failure)
    return -1
  }

  /** A side learns that its connection is gone: the other node; −1 if it knows already or never knew of it. */
  ended(node: number, id: number): number {
    const end = this.#connections.end(id, node)
    const other = this.#connections.other(end)
    if (this.#connections.told[end] !== CONNECTED) return -1
    this.#connections.told[end] = GONE
    if (this.#sides[node]!.get(other) === id) this.#sides[node]!.delete(other)
    this.gossip.closed(node, other)
    return other
  }

  /** Closes in good order: what was sent before still arrives. */
  close(node: number, other: number): void {
    const id = this.#sides[node]!.get(other)
    if (id === undefined) return
    this.#kernel.after(0, EventKind.disconnected, node, id)
    if (this.#connections.open[id] === 0) return
    this.#connections.open[id] = 0
    const at = this.#kernel.now + this.#connections.latenciesMs[id]!
    this.#kernel.at(this.#inOrder(id, other, at), EventKind.disconnected, other, id)
  }

  #break(id: number): void {
    this.#connections.open[id] = 0
    for (const end of [2 * id, 2 * id + 1]) {
      this.#connections.cut[end] = 1
      this.#kernel.after(this.#detectionMs(), EventKind.disconnected, this.#connections.nodes[end]!, id)
    }
  }

  #detectionMs(): number {
    const { detectionMs, detectionMaxMs } = this.options
    return detectionMs + this.#random.fraction() * (detectionMaxMs - detectionMs)
  }

  /** The node's process is gone: what it sent is still on its way, what was on the way to it is lost. */
  crash(node: number): void {
    for (const [other, id] of this.#sides[node]!) {
      const end = this.#connections.end(id, node)
      this.#connections.cut[end] = 1
      this.#connections.told[end] = GONE
      if (this.#connections.open[id] === 1) this.#kernel.after(this.#detectionMs(), EventKind.disconnected, other, id)
      this.#connections.open[id] = 0
    }
    this.#sides[node]!.clear()
    this.gossip.crashed(node)
  }

  /** Breaks some of a node's connections (a flapping link). */
  flap(node: number, share: number): void {
    for (const id of this.#sides[node]!.values()) {
      if (this.#connections.open[id] === 1 && this.#random.chance(share)) this.#break(id)
    }
  }

  /** Nodes of different cells cannot reach each other until the partition heals (undefined). */
  partition(cells: Int32Array | undefined): void {
    this.#cells = cells
    if (cells === undefined) return
    for (const side of this.#sides) {
      for (const id of side.values()) {
        const [a, b] = [this.#connections.nodes[2 * id]!, this.#connections.nodes[2 * id + 1]!]
        if (this.#connections.open[id] === 1 && this.#parted(a, b)) this.#break(id)
      }
    }
  }

  #parted(a: number, b: number): boolean {
    return this.#cells !== undefined && this.#cells[a] !== this.#cells[b]
  }

  // ---- what gossip asks

  partners(node: number): number[] {
    const { told } = this.#connections
    const partners: number[] = []
    for (const [other, id] of this.#sides[node]!) {
      const end = this.#connections.end(id, node)
      if (told[end] === CONNECTED && told[end ^ 1] !== NEVER) partners.push(other)
    }
    return partners
  }

  isDialler(node: number, other: number): boolean {
    const id = this.#sides[node]!.get(other)
    return id !== undefined && this.#connections.nodes[2 * id] === node
  }

  carry(from: number, to: number, kind: GossipKind, bytes: number): number | undefined {
    this.#count(kind)
    const id = this.#sides[from]!.get(to)
    if (id === undefined || this.#connections.open[id] === 0 || this.#random.chance(this.options.loss)) return undefined
    const heldMs = this.#links.carryBytes(from, to, bytes)
    const wayMs = this.#connections.latenciesMs[id]! + this.#random.fraction() * this.options.jitterMs
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
    const id = this.#sides[from]!.get(to)
    return id === undefined ? Number.POSITIVE_INFINITY : this.#connections.latenciesMs[id]!
  }

  reaches(from: number, to: number): boolean {
    return !this.#parted(from, to) && this.#machines.isUp(to)
  }
}
