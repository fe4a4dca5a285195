/**
 * Who passes broadcasts on to whom (SPEC M33): gossipsub's mesh, by the rules of the library that peers use. Links are
 * grafted when a connection opens and mended at the heartbeat after one is lost; nothing here happens by itself.
 */
import type { Generator } from '../src/prng.ts'

/** Named as the library names them; times in ms, caches in heartbeats. */
export interface GossipParameters {
  /** Links that a mesh is filled up to, or cut down to; the bounds at which that happens. */
  D: number
  Dlo: number
  Dhi: number
  /** When a mesh is cut, so many of its oldest links stay (all scores are equal), and so many that this peer dialled. */
  Dscore: number
  Dout: number
  /** Neighbours outside of the mesh that are told what there is: so many, or this share of them if that is more. */
  Dlazy: number
  gossipFactor: number
  heartbeatInterval: number
  /** For so long others can ask for a message … */
  mcacheLength: number
  /** … and are told of it. */
  mcacheGossip: number
  /** For so long a message is known again. */
  seenTTL: number
  /** For so long a link that was cut is not grafted again. */
  pruneBackoff: number
  /** A publisher sends to all its neighbours, not to its mesh alone. */
  floodPublish: boolean
  /** From this length on, whoever has a message says that it wants no copies. */
  idontwantMinDataSize: number
}

/** What peers run with: node/network/gossip.ts, and the library's defaults for the rest. A test holds them together. */
export const productionGossip: GossipParameters = {
  D: 8,
  Dlo: 6,
  Dhi: 16,
  Dscore: 4,
  Dout: 2,
  Dlazy: 12,
  gossipFactor: 0.5,
  heartbeatInterval: 1000,
  mcacheLength: 12,
  mcacheGossip: 10,
  seenTTL: 120_000,
  pruneBackoff: 60_000,
  floodPublish: true,
  idontwantMinDataSize: 512
}

/** Whether a node dialled the connection that it has with another. */
export type Dialled = (node: number, other: number) => boolean

export class Mesh {
  readonly parameters: GossipParameters
  /** Links of each node in the order in which they came, `#width` places for each. */
  readonly #links: Int32Array
  readonly #sizes: Uint8Array
  readonly #width: number
  readonly #peers: number
  readonly #dialled: Dialled
  readonly #random: Generator
  /** Pairs whose link was cut, in both orders → until when it is not grafted again, ms. */
  readonly #backoffs = new Map<number, number>()

  constructor(peers: number, parameters: GossipParameters, dialled: Dialled, random: Generator) {
    this.parameters = parameters
    // Links that a peer dialled itself may come on top of Dhi until the next heartbeat.
    this.#width = parameters.Dhi + 8
    this.#peers = peers
    this.#links = new Int32Array(peers * this.#width)
    this.#sizes = new Uint8Array(peers)
    this.#dialled = dialled
    this.#random = random
  }

  size(node: number): number {
    return this.#sizes[node]!
  }

  of(node: number): number[] {
    const first = node * this.#width
    return [...this.#links.subarray(first, first + this.#sizes[node]!)]
  }

  has(node: number, other: number): boolean {
    return this.#place(node, other) >= 0
  }

  /** A connection is ready: each end takes the other in while its own mesh is below Dlo. Returns GRAFTs and PRUNEs sent. */
  meet(node: number, other: number, now: number): number {
    const sent = this.#sizes[node]! < this.parameters.Dlo ? this.graft(node, other, now) : 0
    if (sent > 0 || this.#sizes[other]! >= this.parameters.Dlo) return sent
    return this.graft(other, node, now)
  }

  /** A node takes another in, which refuses if it is full. Returns messages sent. */
  graft(node: number, other: number, now: number): number {
    if (this.has(node, other) || this.#isBackedOff(node, other, now)) return 0
    const full = this.#sizes[other]! >= this.parameters.Dhi && !this.#dialled(other, node)
    if (full || this.#sizes[other] === this.#width || this.#sizes[node] === this.#width) {
      this.#backOff(node, other, now)
      return 2
    }
    this.#add(node, other)
    if (!this.has(other, node)) this.#add(other, node)
    return 1
  }

  /** One end has lost the connection. */
  leave(node: number, other: number): void {
    const place = this.#place(node, other)
    if (place < 0) return
    this.#links.copyWithin(place, place + 1, node * this.#width + this.#sizes[node]!)
    this.#sizes[node]! -= 1
  }

  clear(node: number): void {
    this.#sizes[node] = 0
  }

  /** Whether a heartbeat would change the mesh of a node, given who is connected with it. */
  ails(node: number, partners: readonly number[]): boolean {
    const { Dlo, Dhi, Dout } = this.parameters
    const size = this.#sizes[node]!
    if (size > Dhi) return true
    const others = partners.filter((one) => !this.has(node, one))
    if (size < Dlo) return others.length > 0
    return this.#outbound(node) < Dout && others.some((one) => this.#dialled(node, one))
  }

  /** What a heartbeat does for a mesh. Returns messages sent. */
  mend(node: number, partners: readonly number[], now: number): number {
    const { D, Dlo, Dhi, Dout } = this.parameters
    const candidates = this.#random.shuffle(
      partners.filter((one) => !this.has(node, one) && !this.#isBackedOff(node, one, now))
    )
    let sent = 0
    const graft = (wanted: number, fits: (one: number) => boolean) => {
      for (const one of candidates.filter(fits).slice(0, wanted)) sent += this.graft(node, one, now)
    }
    if (this.#sizes[node]! < Dlo) graft(D - this.#sizes[node]!, () => true)
    if (this.#sizes[node]! > Dhi) sent += this.#cut(node, now)
    if (this.#sizes[node]! >= Dlo)
      graft(Dout - this.#outbound(node), (one) => !this.has(node, one) && this.#dialled(node, one))
    return sent
  }

  /** Down to D: the oldest Dscore links stay, the rest by lot, but Dout that this node dialled if there are as many. */
  #cut(node: number, now: number): number {
    const { D, Dscore, Dout } = this.parameters
    const all = this.of(node)
    const order = [...all.slice(0, Dscore), ...this.#random.shuffle(all.slice(Dscore))]
    const isOut = (one: number) => this.#dialled(node, one)
    const lacking = Dout - order.slice(0, D).filter(isOut).length
    const raised = lacking > 0 ? order.slice(D).filter(isOut).slice(0, lacking) : []
    const ranked = [...raised, ...order.filter((one) => !raised.includes(one))]
    for (const one of ranked.slice(D)) {
      this.leave(node, one)
      this.leave(one, node)
      this.#backOff(node, one, now)
    }
    return Math.max(0, ranked.length - D)
  }

  #outbound(node: number): number {
    return this.of(node).filter((one) => this.#dialled(node, one)).length
  }

  #add(node: number, other: number): void {
    this.#links[node * this.#width + this.#sizes[node]!] = other
    this.#sizes[node]! += 1
  }

  #place(node: number, other: number): number {
    const first = node * this.#width
    const end = first + this.#sizes[node]!
    for (let place = first; place < end; place++) if (this.#links[place] === other) return place
    return -1
  }

  #isBackedOff(node: number, other: number, now: number): boolean {
    return this.#backoffs.size > 0 && (this.#backoffs.get(node * this.#peers + other) ?? 0) > now
  }

  #backOff(node: number, other: number, now: number): void {
    for (const [pair, until] of this.#backoffs) {
      if (until > now) break
      this.#backoffs.delete(pair)
    }
    const until = now + this.parameters.pruneBackoff
    for (const pair of [node * this.#peers + other, other * this.#peers + node]) {
      // Set anew, so that the map stays in the order of time.
      this.#backoffs.delete(pair)
      this.#backoffs.set(pair, until)
    }
  }
}
