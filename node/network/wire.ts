/**
 * What our protocols need of a network (SPEC N2): byte streams between authenticated peers. Forms: libp2p
 * (`transport.ts`) and memory (`memory.ts`); everything above them is one code.
 */

export interface WireHandlers {
  data(chunk: Uint8Array): void
  /** More may be sent, after `send` returned false. */
  drained?(): void
  /** Called once: nothing will come or go any more. */
  closed(reason: string): void
}

/** One ordered, reliable stream of bytes between two peers. */
export interface Wire {
  /** The authenticated peer at the other end. */
  readonly peer: string
  readonly open: boolean
  /** Takes the bytes in any case; false asks to wait for `drained`. Throws if the wire is closed. */
  send(bytes: Uint8Array): boolean
  /** Begins delivery; what came before is kept. Called once. */
  listen(handlers: WireHandlers): void
  /** Stops delivery: the other end runs out of window and stops, at most WIRE_WINDOW_BYTES later. */
  pause(): void
  resume(): void
  /** Sends what is queued, then closes; never rejects: what cannot end in order ends abruptly. */
  close(): Promise<void>
  /** Closes at once and discards what is queued. */
  abort(reason: string): void
}

/** The most that a paused wire buffers; libp2p would abort a stream whose read buffer exceeds 4 MiB. */
export const WIRE_WINDOW_BYTES = 2 * 1024 * 1024

export interface TransportEvents {
  /** The first connection with a peer opened, the last one closed. Strictly alternating per peer. */
  opened(peer: string): void
  closed(peer: string): void
  addresses(): void
}

export interface Transport {
  readonly peer: string
  /** Where this peer can be dialled, each ending in `/p2p/<peer>`; empty for one that only dials. */
  addresses(): string[]
  /** Lets connections in. Until then nobody gets further than the door. */
  start(events: TransportEvents): void
  connected(peer: string): boolean
  /** Whether a wire of a protocol of ours other than `but` is open with this peer. */
  inUse(peer: string, but: string): boolean
  /** Resolves when a connection exists. Throws Refusal `Unreachable`. */
  dial(peer: string, addresses: string[], signal?: AbortSignal): Promise<void>
  /** A new wire to a connected peer, or undefined where the peer does not speak the protocol. Throws Refusal `Unreachable`. */
  open(peer: string, protocol: string, signal?: AbortSignal): Promise<Wire | undefined>
  handle(protocol: string, accept: (wire: Wire) => void): Promise<void>
  /** Closes all connections with a peer; `abrupt` without sending what is queued. */
  hangUp(peer: string, abrupt: boolean): Promise<void>
  close(): Promise<void>
}

export type Verdict = 'accept' | 'ignore' | 'reject'
export type GossipTopic = 'entry' | 'statement'

export interface GossipEvents {
  /** Whether messages are passed on to a peer. */
  admits(peer: string): boolean
  /** Judges before anything is delivered or passed on; synchronous, since waiting would hold up all of gossip. */
  validate(topic: GossipTopic, bytes: Uint8Array, from: string): Verdict
  /** What `validate` accepted, once. */
  deliver(from: string, topic: GossipTopic, bytes: Uint8Array): void
  /** `from` passed on what it should have rejected. */
  rejected(from: string, topic: GossipTopic): void
}

/** Epidemic broadcast: fast, not certain; anti-entropy is what guarantees delivery. */
export interface Gossip {
  start(events: GossipEvents): void
  publish(topic: GossipTopic, bytes: Uint8Array): void
  /** Peers that gossip with this one on both topics now. */
  partners(): string[]
  close(): void
}

export const protocolOf = (fleet: string, name: string): string => `/upstart/${fleet.slice(0, 16)}/${name}/1.0.0`
