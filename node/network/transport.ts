/** The transport over libp2p: TCP, noise, yamux (SPEC N1, N2). Its limits are those of fleets on one host. */
import { type GossipSub, gossipsub } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { Refusal } from '../../src/errors.ts'
import { obstacle } from '../obstacles.ts'
import { type MulticastService, multicastService } from './discovery.ts'
import { type GossipInit, gossipOptions } from './gossip.ts'
import type { PeerKey } from './key.ts'
import { type Transport, type TransportEvents, WIRE_WINDOW_BYTES, type Wire, type WireHandlers } from './wire.ts'

export interface TransportInit {
  key: PeerKey
  /** Multiaddrs to listen on; empty: dial only. */
  listen: string[]
  /** Multiaddrs to tell others instead of those listened on (behind a NAT or a port mapping). */
  announce?: string[]
  /** Topics to gossip on; none: no gossip at all. */
  gossip?: GossipInit
  /** Find peers of this fleet on the local network, and be found (SPEC N17). @default not */
  discover?: string
  /** Above it, connections that nobody uses are closed. @default 1000 */
  maxConnections?: number
}

/** Machines that start dozens of peers at once are slow to answer; a false alarm costs a connection and its calls. */
const DIAL_TIMEOUT_MS = 20_000
const ADDRESS_TIMEOUT_MS = 10_000
const NEGOTIATION_TIMEOUT_MS = 20_000
const CLOSE_TIMEOUT_MS = 2_000
const MAX_STREAMS_PER_PROTOCOL = 4

export type Node = Libp2p<{ pubsub?: GossipSub; mdns?: MulticastService }>

export async function createNode(init: TransportInit, accepting: () => boolean): Promise<Node> {
  const socket = { noDelay: true }
  const made = createLibp2p({
    privateKey: init.key.privateKey,
    addresses: { listen: init.listen, announce: init.announce ?? [] },
    transports: [tcp({ dialOpts: socket, listenOpts: socket })],
    connectionEncrypters: [noise()],
    streamMuxers: [muxer()],
    connectionGater: { denyInboundConnection: () => !accepting() },
    connectionManager: {
      maxConnections: init.maxConnections ?? 1000,
      // The defaults (5 a second from one address, 10 pending) refuse a fleet on one host when it starts.
      inboundConnectionThreshold: 10_000,
      maxIncomingPendingConnections: 500,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_TIMEOUT_MS,
      inboundUpgradeTimeout: NEGOTIATION_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
      outboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS,
      // The overlay decides whom to redial.
      reconnectRetries: 0
    },
    connectionMonitor: { pingInterval: 10_000, pingTimeout: { minTimeout: NEGOTIATION_TIMEOUT_MS } },
    services: {
      identify: identify({ timeout: NEGOTIATION_TIMEOUT_MS }),
      ping: ping({ timeout: NEGOTIATION_TIMEOUT_MS }),
      ...(init.discover === undefined ? {} : { mdns: multicastService(init.discover) }),
      ...(init.gossip === undefined ? {} : { pubsub: gossipsub(gossipOptions(init.gossip)) })
    }
  })
  return (await made.catch((error: Error) => deaf(init.listen, error))) as unknown as Node
}

/** A node that cannot listen where it should is not started: nobody would find it. */
function deaf(listen: readonly string[], cause: Error): never {
  const isTaken = cause.message.includes('EADDRINUSE')
  const mend = isTaken ? 'stop that program, or give another port (0: any that is free)' : 'correct the address'
  const text = `cannot listen on ${listen.join(', ')}: ${obstacle(new Error(cause.message))}; ${mend}`
  throw new Refusal(isTaken ? 'AddressInUse' : 'Usage', text, { cause })
}

/**
 * yamux announces a new stream in a microtask of its own; if the connection ended in between, the write throws where
 * nobody can catch it, and the process would die. A write on an ended connection is lost either way: its streams are told.
 */
function muxer(): ReturnType<typeof yamux> {
  const streamOptions = { maxStreamWindowSize: WIRE_WINDOW_BYTES, maxReadBufferLength: 2 * WIRE_WINDOW_BYTES }
  const create = yamux({ streamOptions })
  return () => {
    const factory = create()
    const createStreamMuxer = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      const made = createStreamMuxer(connection)
      const send = made.send.bind(made)
      made.send = (bytes) => {
        try {
          return send(bytes)
        } catch (error) {
          if ((error as Error).name === 'StreamStateError') return false
          throw error
        }
      }
      return made
    }
    return factory
  }
}

export class Libp2pTransport implements Transport {
  readonly peer: string
  readonly #node: Node
  readonly #ids = new Map<string, PeerId>()
  #events: TransportEvents | undefined

  constructor(node: Node) {
    this.#node = node
    this.peer = node.peerId.toString()
    // `peer:connect` and `peer:disconnect` already come once per peer, for the first and the last connection.
    node.addEventListener('peer:connect', (event) => {
      const peer = event.detail.toString()
      this.#ids.set(peer, event.detail)
      this.#events?.opened(peer)
    })
    node.addEventListener('peer:disconnect', (event) => {
      const peer = event.detail.toString()
      this.#ids.delete(peer)
      this.#events?.closed(peer)
    })
    node.addEventListener('self:peer:update', () => this.#events?.addresses())
  }

  start(events: TransportEvents): void {
    this.#events = events
  }

  addresses(): string[] {
    return this.#node.getMultiaddrs().map((address) => address.toString())
  }

  connected(peer: string): boolean {
    return this.#connection(peer) !== undefined
  }

  inUse(peer: string, but: string): boolean {
    const id = this.#ids.get(peer)
    if (id === undefined) return false
    const streams = this.#node.getConnections(id).flatMap((connection) => connection.streams)
    return streams.some((one) => one.protocol.startsWith('/upstart/') && one.protocol !== but)
  }

  async dial(peer: string, addresses: string[], signal?: AbortSignal): Promise<void> {
    if (this.connected(peer)) return
    const targets = addresses.map((address) => parseAddress(peer, address))
    if (targets.length === 0) throw unreachable(peer, 'no address is known')
    try {
      await this.#node.dial(targets, { signal: anyOf(signal, DIAL_TIMEOUT_MS) })
    } catch (error) {
      throw unreachable(peer, `${addresses.join(', ')}: ${dialFailure(error)}`, error)
    }
  }

  async open(peer: string, protocol: string, signal?: AbortSignal): Promise<Wire | undefined> {
    const connection = this.#connection(peer)
    if (connection === undefined) throw unreachable(peer, 'not connected')
    try {
      const stream = await connection.newStream(protocol, { signal: anyOf(signal, NEGOTIATION_TIMEOUT_MS) })
      return new StreamWire(peer, stream)
    } catch (error) {
      if ((error as Error).name === 'UnsupportedProtocolError') return undefined
      throw unreachable(peer, firstMessage(error), error)
    }
  }

  async handle(protocol: string, accept: (wire: Wire) => void): Promise<void> {
    await this.#node.handle(
      protocol,
      (stream, connection) => {
        accept(new StreamWire(connection.remotePeer.toString(), stream))
      },
      { maxInboundStreams: MAX_STREAMS_PER_PROTOCOL, maxOutboundStreams: MAX_STREAMS_PER_PROTOCOL }
    )
  }

  async hangUp(peer: string, abrupt: boolean): Promise<void> {
    const id = this.#ids.get(peer)
    if (id === undefined) return
    if (abrupt) for (const connection of this.#node.getConnections(id)) connection.abort(new Error('session closed'))
    else await this.#node.hangUp(id, { signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) })
  }

  async close(): Promise<void> {
    await this.#node.stop()
  }

  #connection(peer: string): Connection | undefined {
    const id = this.#ids.get(peer)
    return id === undefined ? undefined : this.#node.getConnections(id).find((one) => one.status === 'open')
  }
}

class StreamWire implements Wire {
  readonly peer: string
  readonly #stream: Stream
  #closed = false

  constructor(peer: string, stream: Stream) {
    this.peer = peer
    this.#stream = stream
  }

  get open(): boolean {
    return this.#stream.status === 'open' && this.#stream.writeStatus === 'writable'
  }

  send(bytes: Uint8Array): boolean {
    return this.#stream.send(bytes)
  }

  listen(handlers: WireHandlers): void {
    const stream = this.#stream
    const closed = (reason: string): void => {
      if (this.#closed) return
      this.#closed = true
      handlers.closed(reason)
    }
    stream.addEventListener('close', (event) => closed(event.error?.message ?? 'closed'))
    // `end`, not `remoteCloseWrite`: data that was sent before the close is delivered first.
    stream.addEventListener('end', () => {
      if (!this.#closed) void this.close()
      closed('closed by the other end')
    })
    stream.addEventListener('drain', () => handlers.drained?.())
    stream.addEventListener('message', (event) => {
      const { data } = event
      if (data instanceof Uint8Array) handlers.data(data)
      else for (const chunk of data) handlers.data(chunk)
    })
    // A stream that ended before anybody listened does not say so again.
    if (stream.readableEnded || stream.status !== 'open') queueMicrotask(() => closed('closed'))
  }

  pause(): void {
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  resume(): void {
    if (this.#stream.readStatus === 'paused') this.#stream.resume()
  }

  async close(): Promise<void> {
    try {
      await this.#stream.close({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) })
    } catch (error) {
      // It broke meanwhile, or the other end does not read: there is no orderly end to be had.
      this.#stream.abort(error instanceof Error ? error : new Error('it ended before all was sent'))
    }
  }

  abort(reason: string): void {
    this.#stream.abort(new Error(reason))
  }
}

/** A multiaddr with the peer's id at its end. Throws Refusal `Unreachable` for an address that is none, or another peer's. */
export function parseAddress(peer: string, address: string): Multiaddr {
  let parsed: Multiaddr
  try {
    parsed = multiaddr(address)
  } catch (error) {
    throw unreachable(peer, `"${address}" is not an address (/ip4/1.2.3.4/tcp/4001/p2p/…)`, error)
  }
  const named = parsed.getComponents().findLast((component) => component.name === 'p2p')?.value
  if (named === undefined) return parsed.encapsulate(`/p2p/${peerIdFromString(peer).toString()}`)
  if (named !== peer) throw unreachable(peer, `"${address}" is an address of another peer`)
  return parsed
}

/** The peer that an address ends with. Throws Refusal `Usage`. */
export function peerOfAddress(address: string): string {
  let named: string | undefined
  try {
    named = multiaddr(address)
      .getComponents()
      .findLast((component) => component.name === 'p2p')?.value
  } catch (error) {
    throw new Refusal('Usage', `"${address}" is not an address (/ip4/1.2.3.4/tcp/4001/p2p/…)`, { cause: error })
  }
  if (named === undefined) throw new Refusal('Usage', `"${address}" names no peer: end it with /p2p/<peer>`)
  return named
}

export function unreachable(peer: string, why: string, cause?: unknown): Refusal {
  return new Refusal('Unreachable', `peer ${peer} cannot be reached: ${why.replaceAll(`/p2p/${peer}`, '')}`, { cause })
}

function anyOf(signal: AbortSignal | undefined, timeoutMs: number): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}

/** Why a dial failed, and what to do about it. */
function dialFailure(error: unknown): string {
  const message = firstMessage(error)
  const other = /Payload identity key (\w+) does not match/.exec(message)?.[1]
  if (other !== undefined)
    return `another peer, ${other}, answers there; correct the address, which ends in /p2p/⟨peer⟩`
  const why = (error as Error).name === 'TimeoutError' ? 'no answer' : obstacle(new Error(message))
  return `${why}; start that peer, or give the address of another`
}

/** The dialler wraps the failures of several addresses; the first says most. */
function firstMessage(error: unknown): string {
  const inner = error instanceof AggregateError ? error.errors[0] : error
  return inner instanceof Error ? inner.message : String(inner)
}
