/**
 * The network of one peer (SPEC N1, N2, N5, N6): sessions with other peers of the fleet, ordered messages, gossip.
 * It is one code over two transports: libp2p (`createNetwork`) and memory (`memory.ts`).
 */
import { Refusal } from '../../src/errors.ts'
import type { Message } from '../../src/overlay/messages.ts'
import { type Discovery, MulticastDiscovery } from './discovery.ts'
import { GossipsubGossip, gossipTopics, MAX_BYTES } from './gossip.ts'
import { Inbound, Outbound } from './link.ts'
import { createNode, Libp2pTransport, type TransportInit, unreachable } from './transport.ts'
import { type Gossip, type GossipTopic, protocolOf, type Transport, type Verdict, type Wire } from './wire.ts'

export interface NetworkInit extends Omit<TransportInit, 'gossip' | 'discover'> {
  /** The fleet's hash, 64 hex digits: peers of other fleets are not met. */
  fleet: string
  /** Find peers on the local network, and be found (SPEC N17). @default false */
  mdns?: boolean
  /** How often connections are looked over, ms; one that is good for nothing three times in a row ends. @default 15000 */
  sweepMs?: number
}

/** What the network tells its one consumer. */
export interface NetworkHandlers {
  /** A peer of this fleet became reachable, or stopped being so; strictly alternating per peer. */
  connected(peer: string): void
  disconnected(peer: string, reason: string): void
  /** A valid message. A promise holds up that sender until it settles. */
  message(peer: string, message: Message): void | Promise<void>
  /** Judges an entry or statement before it is delivered or passed on; `reject` ends the session of whoever passed it on. */
  validate(topic: GossipTopic, bytes: Uint8Array, from: string): Verdict
  /** Whether broadcasts are passed on to a peer (SPEC A6). @default to everybody */
  admits?(peer: string): boolean
  published(from: string, topic: GossipTopic, bytes: Uint8Array): void
  addresses(addresses: string[]): void
  /** A peer of this fleet announced itself on the local network. */
  found?(peer: string, addresses: string[]): void
}

/** Wires for other protocols of the fleet (calls, control). */
export interface Wires {
  readonly peer: string
  readonly fleet: string
  /** Dials if need be; `signal` ends the wait for connection and wire. Throws Refusal: `Unreachable`, or `WrongFleet` where the peer does not speak the protocol. */
  wire(peer: string, addresses: string[], name: string, signal?: AbortSignal): Promise<Wire>
  serve(name: string, accept: (wire: Wire) => void): Promise<void>
  reachable(peer: string): boolean
}

export interface Network extends Wires {
  /** Where this peer can be dialled: at most 8, each ending in `/p2p/<peer>`. */
  addresses(): string[]
  /** Peers of the fleet with a session. */
  peers(): string[]
  /** Lets sessions begin. Nothing is told before. */
  start(handlers: NetworkHandlers): void
  /** Resolves when there is a session. Throws Refusal `Unreachable` or `WrongFleet`. */
  connect(peer: string, addresses: string[]): Promise<void>
  /** Ends the session. With `blame` at once, calls included; else the connection lives on while other protocols use it. */
  disconnect(peer: string, reason: string, blame?: boolean): void
  /** Queues for a connected peer, in order; to others it does nothing. What a lost connection held is lost. */
  send(peer: string, message: Message): void
  /** Resolves when little waits for this peer: ask before reading the next piece from disk. */
  writable(peer: string): Promise<void>
  publish(topic: GossipTopic, bytes: Uint8Array): void
  close(): Promise<void>
}

const MAX_ADDRESSES = 8
const SESSION_TIMEOUT_MS = 10_000
const DEFAULT_SWEEP_MS = 15_000
const MAX_SILENT_SWEEPS = 3
/** How often our side of one session may break before the connection is given up. */
const MAX_REOPENED = 3
const REOPEN_DELAY_MS = 250

export async function createNetwork(init: NetworkInit): Promise<Network> {
  let accepting = false
  const discover = init.mdns === true ? init.fleet : undefined
  const gossip = { topics: gossipTopics(init.fleet), admits: (peer: string): boolean => broadcast.admits(peer) }
  const node = await createNode({ ...init, gossip, discover }, () => accepting)
  const broadcast = new GossipsubGossip(node, init.fleet)
  const transport = new Libp2pTransport(node)
  const admit = (): void => {
    accepting = true
  }
  const { mdns } = node.services
  const discovery = mdns === undefined ? undefined : new MulticastDiscovery(mdns)
  const network = new OverlayNetwork(init, transport, broadcast, admit, discovery)
  await network.open()
  return network
}

/** How a session came out for those who wait for it in `connect`. */
type Outcome = 'member' | 'stranger' | 'gone'

interface Session {
  readonly peer: string
  readonly outbound: Outbound
  /** The peer speaks the overlay's protocol, and the consumer was told. */
  member: boolean
  greeting: boolean
  /** Set by whoever ends the session, told when it is over. */
  reason: string
  reopened: number
  silentSweeps: number
}

export class OverlayNetwork implements Network {
  readonly peer: string
  readonly fleet: string
  readonly #transport: Transport
  readonly #gossip: Gossip
  readonly #admit: () => void
  readonly #discovery: Discovery | undefined
  readonly #overlay: string
  readonly #sessions = new Map<string, Session>()
  readonly #awaiting = new Map<string, Set<(outcome: Outcome) => void>>()
  readonly #sweepMs: number
  #handlers: NetworkHandlers | undefined
  #sweep: NodeJS.Timeout | undefined
  #closed = false

  /** `admit` lets connections in. */
  constructor(
    init: Pick<NetworkInit, 'fleet' | 'sweepMs'>,
    transport: Transport,
    gossip: Gossip,
    admit: () => void,
    discovery?: Discovery
  ) {
    const { fleet } = init
    this.peer = transport.peer
    this.fleet = fleet
    this.#sweepMs = init.sweepMs ?? DEFAULT_SWEEP_MS
    this.#transport = transport
    this.#gossip = gossip
    this.#admit = admit
    this.#discovery = discovery
    this.#overlay = protocolOf(fleet, 'overlay')
  }

  async open(): Promise<void> {
    await this.#transport.handle(this.#overlay, (wire) => this.#accept(wire))
  }

  start(handlers: NetworkHandlers): void {
    this.#handlers = handlers
    this.#transport.start({
      opened: (peer) => this.#opened(peer),
      closed: (peer) => this.#ended(peer),
      addresses: () => handlers.addresses(this.addresses())
    })
    this.#gossip.start({
      admits: (peer) => handlers.admits?.(peer) ?? true,
      validate: (topic, bytes, from) => handlers.validate(topic, bytes, from),
      deliver: (from, topic, bytes) => handlers.published(from, topic, bytes),
      rejected: (from, topic) => this.disconnect(from, `it passed on a ${topic} that does not verify`, true)
    })
    this.#sweep = setInterval(() => this.#lookOver(), this.#sweepMs).unref()
    this.#admit()
    this.#discovery?.start({
      found: (peer, addresses) => handlers.found?.(peer, addresses),
      alone: () => this.#sessions.size === 0
    })
  }

  addresses(): string[] {
    const isLoopback = (address: string) => /^\/(ip4\/127\.|ip6\/::1\/)/.test(address)
    const all = this.#transport.addresses()
    return [...all.filter((address) => !isLoopback(address)), ...all.filter(isLoopback)].slice(0, MAX_ADDRESSES)
  }

  peers(): string[] {
    return [...this.#sessions.values()].filter((session) => session.member).map((session) => session.peer)
  }

  reachable(peer: string): boolean {
    return this.#transport.connected(peer)
  }

  async connect(peer: string, addresses: string[]): Promise<void> {
    if (peer === this.peer) throw unreachable(peer, 'it is this peer itself')
    if (this.#sessions.get(peer)?.member === true) return
    const outcome = this.#outcome(peer)
    try {
      await this.#transport.dial(peer, addresses)
    } catch (error) {
      this.#settle(peer, 'gone')
      throw error
    }
    // A connection that only calls used until now has no session yet.
    const session = this.#sessions.get(peer)
    if (session === undefined) this.#settle(peer, 'gone')
    else if (session.member) this.#settle(peer, 'member')
    else void this.#greet(session)
    switch (await outcome) {
      case 'member':
        return
      case 'stranger':
        throw new Refusal(
          'WrongFleet',
          `peer ${peer} does not belong to this fleet: another root.json, or no peer at all`
        )
      case 'gone':
        throw unreachable(peer, 'the connection ended before a session began')
    }
  }

  disconnect(peer: string, reason: string, blame = false): void {
    const session = this.#sessions.get(peer)
    if (session === undefined) return
    // Calls must not suffer from a change of neighbours.
    if (!blame && this.#transport.inUse(peer, this.#overlay)) return
    session.reason = reason
    session.outbound.end(reason, blame)
    this.#hangUp(session, blame)
  }

  send(peer: string, message: Message): void {
    this.#sessions.get(peer)?.outbound.send(message)
  }

  async writable(peer: string): Promise<void> {
    await this.#sessions.get(peer)?.outbound.writable()
  }

  publish(topic: GossipTopic, bytes: Uint8Array): void {
    if (bytes.byteLength > MAX_BYTES[topic]) {
      throw new Refusal('Oversize', `a ${topic} of ${bytes.byteLength} bytes; at most ${MAX_BYTES[topic]} are gossiped`)
    }
    this.#gossip.publish(topic, bytes)
  }

  async wire(peer: string, addresses: string[], name: string, signal?: AbortSignal): Promise<Wire> {
    await this.#transport.dial(peer, addresses, signal)
    const wire = await this.#transport.open(peer, protocolOf(this.fleet, name), signal)
    if (wire === undefined) throw new Refusal('WrongFleet', `peer ${peer} does not speak ${name} of this fleet`)
    return wire
  }

  async serve(name: string, accept: (wire: Wire) => void): Promise<void> {
    await this.#transport.handle(protocolOf(this.fleet, name), accept)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#sweep)
    this.#discovery?.close()
    this.#gossip.close()
    for (const session of this.#sessions.values()) session.outbound.end('this peer stops', false)
    await this.#transport.close()
  }

  #opened(peer: string): void {
    const outbound = new Outbound((reason) => this.disconnect(peer, reason, true))
    const session: Session = {
      peer,
      outbound,
      member: false,
      greeting: false,
      reason: '',
      reopened: 0,
      silentSweeps: 0
    }
    this.#sessions.set(peer, session)
    void this.#greet(session)
  }

  #ended(peer: string): void {
    const session = this.#sessions.get(peer)
    if (session === undefined) return
    this.#sessions.delete(peer)
    session.outbound.end('disconnected', true)
    this.#settle(peer, 'gone')
    if (session.member)
      this.#handlers?.disconnected(peer, session.reason === '' ? 'the connection ended' : session.reason)
  }

  /** Opens our side of the session; a peer that does not know the protocol is of another fleet, or only calls. */
  async #greet(session: Session): Promise<void> {
    if (session.greeting || session.outbound.attached) return
    session.greeting = true
    try {
      const wire = await this.#transport.open(session.peer, this.#overlay)
      if (wire === undefined) {
        this.#settle(session.peer, 'stranger')
      } else if (this.#sessions.get(session.peer) !== session || session.reason !== '') {
        wire.abort('the session ended')
      } else {
        session.outbound.attach(wire, (reason) => this.#lost(session, reason))
        this.#admitted(session)
      }
    } catch (error) {
      if (session.reason === '') session.reason = (error as Error).message
      this.#hangUp(session, true)
    } finally {
      session.greeting = false
    }
  }

  /** Our side of the session ended while the connection lives: another one may carry it, or it is over. */
  #lost(session: Session, reason: string): void {
    if (this.#sessions.get(session.peer) !== session || session.reason !== '' || this.#closed) return
    session.reopened += 1
    if (session.reopened <= MAX_REOPENED) {
      // Mostly the other end is hanging up, and the connection follows: only one that lives on is worth another wire.
      setTimeout(() => {
        if (this.#sessions.get(session.peer) === session && session.reason === '') void this.#greet(session)
      }, REOPEN_DELAY_MS).unref()
      return
    }
    session.reason = reason
    this.#hangUp(session, true)
  }

  #accept(wire: Wire): void {
    const session = this.#sessions.get(wire.peer)
    if (session === undefined || this.#closed) {
      wire.abort('no session')
      return
    }
    this.#admitted(session)
    new Inbound(wire, {
      receive: (message) =>
        this.#sessions.get(wire.peer) === session ? this.#handlers?.message(wire.peer, message) : undefined,
      broken: (reason) => this.disconnect(wire.peer, reason, true),
      // Their side may come again on another connection; where it was the last one, the session ends with it.
      closed: () => undefined
    })
  }

  #admitted(session: Session): void {
    this.#settle(session.peer, 'member')
    if (session.member) return
    session.member = true
    this.#handlers?.connected(session.peer)
  }

  #hangUp(session: Session, abrupt: boolean): void {
    this.#transport.hangUp(session.peer, abrupt).catch((error: Error) => {
      session.reason = `${session.reason} (${error.message})`
    })
  }

  #outcome(peer: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const waiting = this.#awaiting.get(peer) ?? new Set()
      this.#awaiting.set(peer, waiting)
      const timer = setTimeout(() => settled('gone'), SESSION_TIMEOUT_MS)
      const settled = (outcome: Outcome): void => {
        clearTimeout(timer)
        waiting.delete(settled)
        resolve(outcome)
      }
      waiting.add(settled)
    })
  }

  #settle(peer: string, outcome: Outcome): void {
    const waiting = this.#awaiting.get(peer)
    if (waiting === undefined) return
    this.#awaiting.delete(peer)
    for (const settled of waiting) settled(outcome)
  }

  /** Ends what is connected for nothing: strangers that use no protocol, and members that gossip has lost. */
  #lookOver(): void {
    const partners = new Set(this.#gossip.partners())
    for (const session of this.#sessions.values()) {
      const needed =
        this.#transport.inUse(session.peer, this.#overlay) || (session.member && partners.has(session.peer))
      session.silentSweeps = needed ? 0 : session.silentSweeps + 1
      if (session.silentSweeps < MAX_SILENT_SWEEPS) continue
      this.disconnect(
        session.peer,
        session.member ? 'connected, but without gossip: connect again' : 'it uses no protocol'
      )
    }
  }
}
