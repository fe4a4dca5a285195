/**
 * Broadcast as libp2p's gossipsub does it (SPEC M6, M33): a publisher sends to its neighbours, whoever hears something
 * new and authentic passes it on to its mesh (mesh.ts) and tells the neighbours outside of it, heartbeat by heartbeat,
 * what there is; who lacks it asks. No heartbeat is an event unless somebody would learn something by it.
 */
import type { Topic } from '../src/overlay/events.ts'
import type { Generator } from '../src/prng.ts'
import { EventKind, type Kernel } from './kernel.ts'
import { type GossipParameters, Mesh } from './mesh.ts'

/** What gossip needs of the connections beneath it. */
export interface Ways {
  /** Those with whom a node has a connection that both ends know of. */
  partners(node: number): number[]
  /** Whether a node dialled the connection that it has with another. */
  isDialler(node: number, other: number): boolean
  /** Hands a message over. Returns after how long it is there, ms; undefined if it is lost. */
  carry(from: number, to: number, kind: GossipKind, bytes: number): number | undefined
  /** A copy arrives of what its receiver has heard: nothing follows, but it is received all the same. */
  again(to: number): void
  /** Counts messages whose arrival changes nothing. */
  spend(from: number, to: number, messages: number, bytes: number): void
  /** Of their connection, ms. */
  latencyMs(from: number, to: number): number
  /** Whether what was sent arrives: its receiver runs, and nothing has parted the two. */
  reaches(from: number, to: number): boolean
}
/** Kinds in counts of messages: a copy of a broadcast, and what is said about copies, mesh and caches. */
export type GossipKind = 'gossip' | 'gossip-control'

/** Of an IHAVE, IWANT, IDONTWANT, GRAFT or PRUNE: topic or id of one message. */
const CONTROL_BYTES = 60
/** Of a copy beside what is published: topic, frame, noise. */
const COPY_BYTES = 100
/** When a peer first heard of something is kept in steps of this many ms: finer than a way, and short enough for 16 bits. */
const STEP_MS = 2
const LAST_STEP = 0xffff

/** A broadcast in progress. Known by its bytes, as gossip knows a message by its hash. */
export class Publication {
  readonly topic: Topic
  readonly bytes: Uint8Array
  readonly atMs: number
  /** When a peer last heard it for the first time, ms. */
  newestMs: number
  /** Of each peer: steps from `atMs` to when it first heard of it, and one; 0: it has not. */
  readonly #heard: Uint16Array

  constructor(topic: Topic, bytes: Uint8Array, atMs: number, peers: number) {
    this.topic = topic
    this.bytes = bytes
    this.atMs = atMs
    this.newestMs = atMs
    this.#heard = new Uint16Array(peers)
  }

  has(node: number): boolean {
    return this.#heard[node] !== 0
  }
  heardMs(node: number): number {
    return this.atMs + (this.#heard[node]! - 1) * STEP_MS
  }
  note(node: number, now: number): void {
    this.newestMs = now
    this.#heard[node] = Math.min(LAST_STEP, 1 + Math.round((now - this.atMs) / STEP_MS))
  }
  forget(node: number): void {
    this.#heard[node] = 0
  }
}

/** An IHAVE with something that its receiver lacked when it was sent. */
class Offer {
  readonly publications: readonly Publication[]
  constructor(publications: readonly Publication[]) {
    this.publications = publications
  }
}

export class Gossip {
  /** Copies that reached a peer which had heard already. */
  duplicates = 0
  readonly mesh: Mesh
  readonly #kernel: Kernel
  readonly #ways: Ways
  readonly #random: Generator
  readonly #peers: number
  readonly #passMs: number
  /** By their bytes, oldest first, for `seenTTL`. */
  readonly #known = new Map<Uint8Array, Publication>()
  /** What is published while nobody listens waits here (N5). */
  readonly #waiting = new Map<number, Publication[]>()
  /** Heartbeats that are events: one of a node at a time. */
  readonly #armed: Uint8Array
  /** Number of the last heartbeat at which a node tells of anything, and has been counted as telling. */
  readonly #tellsUntil: Int32Array

  /** @param passMs From when a copy is there until it is opened and passed on. */
  constructor(
    kernel: Kernel,
    ways: Ways,
    random: Generator,
    peers: number,
    parameters: GossipParameters,
    passMs: number
  ) {
    this.#kernel = kernel
    this.#ways = ways
    this.#random = random
    this.#peers = peers
    this.#passMs = passMs
    this.mesh = new Mesh(peers, parameters, (node, other) => ways.isDialler(node, other), random)
    this.#armed = new Uint8Array(peers)
    this.#tellsUntil = new Int32Array(peers)
  }

  // ---- what happens to connections

  /** Both ends of a connection know of it. */
  opened(node: number, other: number): void {
    this.#spend(node, other, 2 + this.mesh.meet(node, other, this.#kernel.now))
    for (const one of [node, other]) this.#publishWaiting(one)
    this.#armIfAiling(node)
    this.#armIfAiling(other)
    if (this.mesh.has(node, other)) return
    for (const publication of this.#known.values()) {
      for (const [one, lacking] of [
        [node, other],
        [other, node]
      ] as const)
        if (!publication.has(lacking) && this.#tells(one, publication, this.#nextBeat(one, this.#kernel.now)))
          this.#arm(one)
    }
  }

  /** One end has lost it. */
  closed(node: number, other: number): void {
    this.mesh.leave(node, other)
    this.#armIfAiling(node)
  }

  /** The process is gone, with all that it remembered. */
  crashed(node: number): void {
    this.mesh.clear(node)
    this.#waiting.delete(node)
    this.#tellsUntil[node] = 0
    for (const publication of this.#known.values()) publication.forget(node)
  }

  // ---- broadcast

  publish(node: number, topic: Topic, bytes: Uint8Array): void {
    this.#forgetOld()
    let publication = this.#known.get(bytes)
    if (publication === undefined) {
      publication = new Publication(topic, bytes, this.#kernel.now, this.#peers)
      this.#known.set(bytes, publication)
    }
    this.#publish(node, publication)
  }

  /**
   * An event of gossip (`EventKind.gossip`). Returns a copy that is new to the node, for its driver to open; one that is
   * authentic it then passes on.
   */
  act(node: number, from: number, payload: unknown): Publication | undefined {
    if (payload instanceof Publication) return this.#onCopy(node, from, payload) ? payload : undefined
    if (payload instanceof Offer) this.#onOffer(node, from, payload)
    else this.#beat(node)
    return undefined
  }

  passOn(node: number, from: number, publication: Publication): void {
    for (const other of this.mesh.of(node)) {
      if (other !== from && !this.#isDeclined(node, other, publication)) this.#copy(node, other, publication)
    }
    this.#keep(node, publication)
  }

  #publish(node: number, publication: Publication): void {
    if (publication.has(node)) return
    const partners = this.#ways.partners(node)
    if (partners.length === 0) {
      this.#waiting.set(node, [...(this.#waiting.get(node) ?? []), publication])
      return
    }
    publication.note(node, this.#kernel.now)
    for (const other of this.#targets(node, partners)) this.#copy(node, other, publication)
    this.#keep(node, publication)
  }

  #targets(node: number, partners: readonly number[]): readonly number[] {
    const { D, floodPublish } = this.mesh.parameters
    if (floodPublish) return partners
    const mesh = this.mesh.of(node)
    const others = partners.filter((one) => !mesh.includes(one))
    return [...mesh, ...this.#random.sample(others, Math.max(0, D - mesh.length))]
  }

  #publishWaiting(node: number): void {
    const waiting = this.#waiting.get(node)
    if (waiting === undefined) return
    this.#waiting.delete(node)
    for (const publication of waiting) this.#publish(node, publication)
  }

  /** Copies to whoever has heard already come to nothing: they are counted, and are no event. */
  #copy(from: number, to: number, publication: Publication): void {
    const ms = this.#ways.carry(from, to, 'gossip', COPY_BYTES + publication.bytes.byteLength)
    if (ms === undefined) return
    if (publication.has(to)) {
      this.duplicates += 1
      this.#ways.again(to)
    } else this.#kernel.after(ms + this.#passMs, EventKind.gossip, to, from, publication)
  }

  /** Whether a copy is new to its receiver. */
  #onCopy(node: number, from: number, publication: Publication): boolean {
    if (!this.#ways.reaches(from, node)) return false
    if (publication.has(node)) {
      this.duplicates += 1
      return false
    }
    publication.note(node, this.#kernel.now)
    if (this.#isLong(publication)) {
      for (const other of this.mesh.of(node)) if (other !== from) this.#spend(node, other, 1)
    }
    return true
  }

  /** Whether a neighbour's word that it has this already (IDONTWANT) is here. */
  #isDeclined(node: number, other: number, publication: Publication): boolean {
    if (!this.#isLong(publication) || !publication.has(other)) return false
    return publication.heardMs(other) + this.#ways.latencyMs(other, node) <= this.#kernel.now
  }

  #isLong({ bytes }: Publication): boolean {
    return bytes.byteLength >= this.mesh.parameters.idontwantMinDataSize
  }

  #spend(from: number, to: number, messages: number): void {
    if (messages > 0) this.#ways.spend(from, to, messages, messages * CONTROL_BYTES)
  }

  #forgetOld(): void {
    for (const [bytes, { atMs }] of this.#known) {
      if (atMs + this.mesh.parameters.seenTTL > this.#kernel.now) break
      this.#known.delete(bytes)
    }
  }

  // ---- lazy gossip

  /** A node has something now that it tells of at its next heartbeats: those messages are counted here, all at once. */
  #keep(node: number, publication: Publication): void {
    const { mcacheGossip } = this.mesh.parameters
    const next = this.#nextBeat(node, this.#kernel.now)
    const last = next + mcacheGossip - 1
    const fresh = Math.min(mcacheGossip, last - this.#tellsUntil[node]!)
    this.#tellsUntil[node] = last
    const told = this.#told(node)
    for (const other of told) this.#spend(node, other, fresh)
    if (told.some((other) => !publication.has(other))) this.#arm(node)
  }

  /** Whom a heartbeat tells: neighbours outside of the mesh. */
  #told(node: number): number[] {
    const { Dlazy, gossipFactor } = this.mesh.parameters
    const others = this.#ways.partners(node).filter((one) => !this.mesh.has(node, one))
    const most = Math.floor(Math.max(Dlazy, gossipFactor * others.length))
    return others.length > most ? this.#random.sample(others, most) : others
  }

  /** Whether a node tells of it at a heartbeat of its own, by number. */
  #tells(node: number, publication: Publication, beat: number): boolean {
    const { mcacheGossip, heartbeatInterval } = this.mesh.parameters
    if (publication.newestMs + (mcacheGossip + 1) * heartbeatInterval < this.#kernel.now) return false
    return publication.has(node) && beat < this.#nextBeat(node, publication.heardMs(node)) + mcacheGossip
  }

  /** A heartbeat at which there is something to do. */
  #beat(node: number): void {
    this.#armed[node] = 0
    const partners = this.#ways.partners(node)
    if (this.mesh.ails(node, partners)) this.#mend(node, partners)
    const told = this.#told(node)
    const beat = this.#nextBeat(node, this.#kernel.now) - 1
    const offers = new Map<number, Publication[]>()
    for (const publication of this.#known.values()) {
      if (!this.#tells(node, publication, beat)) continue
      const lacking = told.filter((other) => !publication.has(other))
      for (const other of lacking) offers.set(other, [...(offers.get(other) ?? []), publication])
      // Its answer may be lost: who lacks it still is told again.
      if (lacking.length > 0 && this.#tells(node, publication, beat + 1)) this.#arm(node)
    }
    for (const [other, publications] of offers) {
      const ms = this.#ways.carry(node, other, 'gossip-control', publications.length * CONTROL_BYTES)
      if (ms !== undefined) this.#kernel.after(ms, EventKind.gossip, other, node, new Offer(publications))
    }
  }

  /** Who lacks something asks for it (IWANT), and is sent it. */
  #onOffer(node: number, from: number, { publications }: Offer): void {
    if (!this.#ways.reaches(from, node)) return
    const lacking = publications.filter((one) => !one.has(node))
    if (lacking.length === 0) return
    const thereMs = this.#ways.carry(node, from, 'gossip-control', lacking.length * CONTROL_BYTES)
    if (thereMs === undefined || !this.#ways.reaches(node, from)) return
    for (const publication of lacking) {
      const backMs = this.#ways.carry(from, node, 'gossip', COPY_BYTES + publication.bytes.byteLength)
      if (backMs === undefined) continue
      this.#kernel.after(thereMs + backMs + this.#passMs, EventKind.gossip, node, from, publication)
    }
  }

  #mend(node: number, partners: readonly number[]): void {
    const before = this.mesh.of(node)
    const sent = this.mesh.mend(node, partners, this.#kernel.now)
    const changed = partners.find((one) => before.includes(one) !== this.mesh.has(node, one))
    if (changed !== undefined) this.#spend(node, changed, sent)
  }

  // ---- heartbeats

  /** Number of a node's first heartbeat after a moment. Nodes began at different times: each has a phase of its own. */
  #nextBeat(node: number, now: number): number {
    return Math.floor((now - this.#phase(node)) / this.mesh.parameters.heartbeatInterval) + 1
  }

  #phase(node: number): number {
    return (Math.imul(node + 1, 0x9e3779b1) >>> 0) % this.mesh.parameters.heartbeatInterval
  }

  #armIfAiling(node: number): void {
    if (this.#armed[node] === 0 && this.mesh.ails(node, this.#ways.partners(node))) this.#arm(node)
  }

  #arm(node: number): void {
    if (this.#armed[node] === 1) return
    this.#armed[node] = 1
    const { now } = this.#kernel
    const at = this.#phase(node) + this.#nextBeat(node, now) * this.mesh.parameters.heartbeatInterval
    this.#kernel.at(at, EventKind.gossip, node, -1)
  }
}
