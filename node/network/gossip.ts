/**
 * Epidemic broadcast of entries and statements over gossipsub (SPEC N5). What is gossiped proves itself, so messages
 * carry no signature of a publisher and are named by their content: one that two peers publish travels once.
 */
import { createHash } from 'node:crypto'
import {
  type GossipSub,
  type GossipsubMessage,
  type GossipsubOpts,
  StrictNoSign,
  TopicValidatorResult
} from '@chainsafe/libp2p-gossipsub'
import { MAX_STATEMENT_BYTES } from '../../src/overlay/messages.ts'
import { MAX_ENTRY_BYTES } from '../../src/upgrade/manifest.ts'
import type { Node } from './transport.ts'
import { type Gossip, type GossipEvents, type GossipTopic, protocolOf, type Verdict } from './wire.ts'

/** One bound for all peers: an RPC above it makes gossipsub drop the sender while the connection stays. */
const MAX_RPC_BYTES = 1024 * 1024
/** A peer that does not read loses its gossip stream at this many unsent bytes; anti-entropy serves it. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024
/** Messages kept for want of a subscribed peer. What falls out is still in the log and the set of statements. */
export const MAX_OUTBOX = 256

export const MAX_BYTES: Record<GossipTopic, number> = { entry: MAX_ENTRY_BYTES * 2, statement: MAX_STATEMENT_BYTES }
const TOPICS: GossipTopic[] = ['entry', 'statement']
const RESULTS: Record<Verdict, TopicValidatorResult> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject
}

export const gossipTopics = (fleet: string): string[] => TOPICS.map((topic) => protocolOf(fleet, topic))

/** A peer below gossipsub's threshold for publishing and above that for listening: it is heard, and told nothing. */
const STRANGER_SCORE = -60

export interface GossipInit {
  topics: string[]
  admits(peer: string): boolean
}

export function gossipOptions({ topics, admits }: GossipInit): Partial<GossipsubOpts> {
  const score = {
    topicWeight: 1,
    timeInMeshWeight: 0,
    timeInMeshQuantum: 1000,
    timeInMeshCap: 0,
    firstMessageDeliveriesWeight: 0,
    firstMessageDeliveriesDecay: 0.5,
    firstMessageDeliveriesCap: 1,
    // P3 and P3b punish honest peers on topics that are quiet for weeks.
    meshMessageDeliveriesWeight: 0,
    meshMessageDeliveriesDecay: 0.5,
    meshMessageDeliveriesCap: 1,
    meshMessageDeliveriesThreshold: 1,
    meshMessageDeliveriesWindow: 10,
    meshMessageDeliveriesActivation: 1000,
    meshFailurePenaltyWeight: 0,
    meshFailurePenaltyDecay: 0.5,
    invalidMessageDeliveriesWeight: -10,
    invalidMessageDeliveriesDecay: 0.9
  }
  return {
    allowedTopics: topics,
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: (message) => createHash('sha256').update(message.topic).update(message.data).digest(),
    // Entries are rare and small, neighbours few: nearly all of them are in the mesh, and the rest hears for ten seconds
    // what there is. Copies cost less than a round of anti-entropy.
    D: 8,
    Dlo: 6,
    Dhi: 16,
    Dlazy: 12,
    gossipFactor: 0.5,
    mcacheLength: 12,
    mcacheGossip: 10,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    emitSelf: false,
    doPX: false,
    maxInboundDataLength: MAX_RPC_BYTES,
    maxOutboundBufferSize: MAX_UNSENT_BYTES,
    scoreParams: {
      // A fleet on one host, or behind one NAT, shares an address.
      IPColocationFactorWeight: 0,
      appSpecificScore: (peer) => (admits(peer) ? 0 : STRANGER_SCORE),
      appSpecificWeight: 1,
      topics: Object.fromEntries(topics.map((topic) => [topic, score]))
    }
  }
}

export class GossipsubGossip implements Gossip {
  readonly #node: Node
  readonly #pubsub: GossipSub
  readonly #names: Map<string, GossipTopic>
  readonly #topics: Map<GossipTopic, string>
  readonly #outbox = new Map<string, { topic: GossipTopic; bytes: Uint8Array }>()
  readonly #flush = (): void => this.#publishOutbox()

  #events: GossipEvents | undefined

  constructor(node: Node, fleet: string) {
    const { pubsub } = node.services
    if (pubsub === undefined) throw new Error('the node was created without gossip')
    this.#node = node
    this.#pubsub = pubsub
    this.#topics = new Map(TOPICS.map((topic) => [topic, protocolOf(fleet, topic)]))
    this.#names = new Map(TOPICS.map((topic) => [protocolOf(fleet, topic), topic]))
  }

  /** SPEC A6. */
  admits(peer: string): boolean {
    return this.#events?.admits(peer) ?? true
  }

  start(events: GossipEvents): void {
    this.#events = events
    for (const [name, topic] of this.#names) {
      this.#pubsub.topicValidators.set(name, (from, message) => {
        const { data } = message
        const verdict = data.byteLength > MAX_BYTES[topic] ? 'reject' : events.validate(topic, data, from.toString())
        if (verdict === 'reject') events.rejected(from.toString(), topic)
        return RESULTS[verdict]
      })
      this.#pubsub.subscribe(name)
    }
    this.#pubsub.addEventListener('gossipsub:message', (event: CustomEvent<GossipsubMessage>) => {
      const { propagationSource, msg } = event.detail
      const topic = this.#names.get(msg.topic)
      if (topic !== undefined) events.deliver(propagationSource.toString(), topic, msg.data)
    })
    for (const event of ['subscription-change', 'gossipsub:graft', 'gossipsub:heartbeat'] as const) {
      this.#pubsub.addEventListener(event, this.#flush)
    }
  }

  /** Gossipsub loses what is published while nobody is subscribed: it waits here until somebody is. */
  publish(topic: GossipTopic, bytes: Uint8Array): void {
    const id = createHash('sha256').update(topic).update(bytes).digest('hex')
    this.#outbox.delete(id)
    this.#outbox.set(id, { topic, bytes })
    if (this.#outbox.size > MAX_OUTBOX) this.#outbox.delete(this.#outbox.keys().next().value!)
    this.#publishOutbox()
  }

  partners(): string[] {
    const [first = [], ...others] = TOPICS.map((topic) => this.#reachable(topic))
    return first.filter((peer) => others.every((peers) => peers.includes(peer)))
  }

  close(): void {
    for (const event of ['subscription-change', 'gossipsub:graft', 'gossipsub:heartbeat'] as const) {
      this.#pubsub.removeEventListener(event, this.#flush)
    }
  }

  #publishOutbox(): void {
    for (const [id, { topic, bytes }] of this.#outbox) {
      if (this.#reachable(topic).length === 0) continue
      this.#outbox.delete(id)
      // A failed publication is a matter of this instant (the node stops, the stream broke): it waits for the next one.
      this.#pubsub.publish(this.#topics.get(topic)!, bytes).catch(() => this.#outbox.set(id, { topic, bytes }))
    }
  }

  /** Subscribed peers with a stream to them: a subscription alone arrives before there is a way back. */
  #reachable(topic: GossipTopic): string[] {
    const subscribers = this.#pubsub.getSubscribers(this.#topics.get(topic)!)
    const reachable = subscribers.filter((peer) =>
      this.#node
        .getConnections(peer)
        .some((connection) =>
          connection.streams.some((one) => one.direction === 'outbound' && one.protocol.startsWith('/meshsub/'))
        )
    )
    return reachable.map((peer) => peer.toString())
  }
}
