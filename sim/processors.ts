/**
 * Processors that peers share (SPEC M60), as many peers on one host do. What a peer does takes a processor's time; what
 * comes meanwhile waits in the order of coming. Without them whatever a peer computes costs no virtual time.
 */

import type { Event, HostCommandName } from '../src/overlay/events.ts'
import type { Message } from '../src/overlay/messages.ts'
import type { World } from './authority.ts'
import { Publication } from './gossip.ts'
import type { InFlight } from './host.ts'
import { EventKind, type Kernel } from './kernel.ts'
import { bytesOf } from './links.ts'

/** Milliseconds of a processor. */
export interface ProcessorOptions {
  /** Peer i is at processor i modulo this. */
  count: number
  /** To send and to receive a message, whatever it says; and each KiB of it, there and here. */
  sendMs: number
  receiveMs: number
  sendKibMs: number
  receiveKibMs: number
  /** To receive one copy of a broadcast, and to open it: once for each peer. */
  copyMs: number
  openMs: number
  /** A step of the core, by its event (a message by its kind), and of all others. */
  steps: Readonly<Record<string, number>>
  stepMs: number
  /** To make durable what a step says. */
  commitMs: number
  /** To verify and store a KiB of a piece; to unpack a KiB of a bundle. */
  storeKibMs: number
  unpackKibMs: number
  host: Partial<Record<HostCommandName, number>>
  /** Of each second, whatever happens, for each peer: heartbeats of gossip, the transport's timers. */
  restMs: number
}

export const freeProcessors: Omit<ProcessorOptions, 'count'> = {
  sendMs: 0,
  receiveMs: 0,
  sendKibMs: 0,
  receiveKibMs: 0,
  copyMs: 0,
  openMs: 0,
  steps: {},
  stepMs: 0,
  commitMs: 0,
  storeKibMs: 0,
  unpackKibMs: 0,
  host: {},
  restMs: 0
}

/** An event that waits, or is being worked on. */
interface Waiting {
  kind: EventKind
  node: number
  about: number
  payload: unknown
  /** It is a message that has been received: the core's step for it is still to come. */
  isReceived: boolean
}

/** First come, first served. */
class Queue {
  #waiting: Waiting[] = []
  #first = 0
  get length(): number {
    return this.#waiting.length - this.#first
  }
  push(one: Waiting): void {
    this.#waiting.push(one)
  }
  take(): Waiting | undefined {
    const first = this.#waiting[this.#first++]
    if (this.#first >= this.#waiting.length) [this.#waiting, this.#first] = [[], 0]
    return first
  }
}

interface Processor {
  /** Until then it is busy. */
  until: number
  /** What it works on: the event happens when that is done. */
  current: Waiting | undefined
  /**
   * A loop of node: what sockets hold when they are looked at, then what the cores had been told to do by the end of that;
   * what comes meanwhile waits for the next time.
   */
  readonly arrived: Queue
  readonly turns: Queue
  isReading: boolean
  /** How much is left of what it is at. */
  left: number
  isScheduled: boolean
}

/** What the loop comes to next. */
function taken(processor: Processor): Waiting | undefined {
  for (let phase = 0; phase < 2 && processor.left === 0; phase++) {
    processor.isReading = !processor.isReading
    processor.left = (processor.isReading ? processor.arrived : processor.turns).length
  }
  if (processor.left === 0) return undefined
  processor.left -= 1
  return (processor.isReading ? processor.arrived : processor.turns).take()
}

/** What follows from an event at once, as its commit does, comes before the next event. */
const TURN_MS = 0.001

/** The largest share of a processor that peers at rest take. */
const MOST_REST = 0.9

/** What events are of a peer's process; others are the world's. */
const OF_PEERS: ReadonlySet<EventKind> = new Set([
  EventKind.wake,
  EventKind.arrive,
  EventKind.gossip,
  EventKind.connected,
  EventKind.connectFailed,
  EventKind.disconnected,
  EventKind.hostDone,
  EventKind.completion
])

export class Processors {
  readonly #kernel: Kernel
  readonly #options: ProcessorOptions
  readonly #world: World
  readonly #all: Processor[]
  /** What is left to peers at rest stretches all else. */
  readonly #stretch: number
  /** What all peers took together so far. */
  spentMs = 0

  constructor(kernel: Kernel, options: ProcessorOptions, peers: number, world: World) {
    this.#kernel = kernel
    this.#options = options
    this.#world = world
    const restShare = (options.restMs * peers) / options.count / 1000
    // Peers that have no time for anything else would stand still.
    this.#stretch = 1 / (1 - Math.min(restShare, MOST_REST))
    this.#all = Array.from({ length: options.count }, () => ({
      until: 0,
      current: undefined,
      arrived: new Queue(),
      turns: new Queue(),
      isReading: false,
      left: 0,
      isScheduled: false
    }))
  }

  /** Whether the kernel's event happens now. If not it waits; one that waited may take its place. */
  admit(): boolean {
    const kernel = this.#kernel
    if (kernel.kind === EventKind.free) return this.#next(this.#all[kernel.about]!)
    // A commit holds its process up; it is not one more thing that waits.
    if (kernel.kind === EventKind.synced) this.spend(kernel.node, this.#options.commitMs)
    if (!OF_PEERS.has(kernel.kind)) return true
    const processor = this.#of(kernel.node)
    const { kind, node, about, payload } = kernel
    const isIdle = processor.until <= kernel.now && processor.current === undefined && !processor.isScheduled
    const arrives = kind === EventKind.arrive || kind === EventKind.gossip
    const queue = arrives ? processor.arrived : processor.turns
    queue.push({ kind, node, about, payload, isReceived: false })
    return isIdle ? this.#next(processor) : false
  }

  /** A peer does something else. Returns in how many ms it is done. */
  spend(node: number, ms: number): number {
    const processor = this.#of(node)
    processor.until = Math.max(processor.until, this.#kernel.now) + ms * this.#stretch
    this.spentMs += ms
    this.#schedule(processor)
    return processor.until - this.#kernel.now
  }

  /** A message, or a copy of a broadcast, of this length leaves. */
  sends(node: number, bytes: number): number {
    const { sendMs, sendKibMs } = this.#options
    return this.spend(node, sendMs + (bytes / 1024) * sendKibMs)
  }

  /** A copy of what it has heard: received as it comes, before the cores' turns. */
  receivesCopy(node: number): void {
    this.spend(node, this.#options.copyMs)
  }

  /** A broadcast is heard for the first time. */
  opens(node: number): void {
    this.spend(node, this.#options.openMs)
  }

  /** The next event happens, or its work begins. */
  #next(processor: Processor): boolean {
    const kernel = this.#kernel
    processor.isScheduled = false
    if (processor.until > kernel.now) {
      this.#schedule(processor)
      return false
    }
    const { current } = processor
    processor.current = undefined
    if (current === undefined) {
      const next = taken(processor)
      return next === undefined ? false : this.#work(processor, next)
    }
    if (current.kind === EventKind.arrive && !current.isReceived) {
      current.isReceived = true
      processor.turns.push(current)
      return this.#next(processor)
    }
    return this.#happens(processor, current)
  }

  #work(processor: Processor, next: Waiting): boolean {
    const costMs = this.#costOf(next)
    this.spentMs += costMs
    processor.current = next
    processor.until = this.#kernel.now + costMs * this.#stretch
    if (costMs === 0) return this.#next(processor)
    this.#schedule(processor)
    return false
  }

  /** The kernel's event is this one now. */
  #happens(processor: Processor, { kind, node, about, payload }: Waiting): boolean {
    const kernel = this.#kernel
    kernel.kind = kind
    kernel.node = node
    kernel.about = about
    kernel.payload = payload
    processor.until = kernel.now + TURN_MS
    this.#schedule(processor)
    return true
  }

  #of(node: number): Processor {
    return this.#all[node % this.#all.length]!
  }

  #schedule(processor: Processor): void {
    if (processor.isScheduled) return
    processor.isScheduled = true
    this.#kernel.at(processor.until, EventKind.free, 0, this.#all.indexOf(processor))
  }

  #step(event: string): number {
    return this.#options.steps[event] ?? this.#options.stepMs
  }

  #costOf({ kind, payload, isReceived }: Waiting): number {
    const options = this.#options
    switch (kind) {
      case EventKind.arrive: {
        const message = payload as Message
        if (isReceived) return this.#step(`message ${message.kind}`)
        return options.receiveMs + (bytesOf(message, this.#pieceBytes) / 1024) * options.receiveKibMs
      }
      case EventKind.gossip:
        return payload instanceof Publication ? options.copyMs : options.receiveMs
      case EventKind.hostDone: {
        const { command } = (payload as InFlight).command
        return (options.host[command] ?? 0) + this.#step(`done ${command}`)
      }
      case EventKind.completion: {
        const event = payload as Event
        return this.#diskOf(event) + this.#step(event.type === 'published' ? `published ${event.topic}` : event.type)
      }
      case EventKind.wake:
        return this.#step('wake')
      default:
        return options.stepMs
    }
  }

  #diskOf(event: Event): number {
    const { storeKibMs, unpackKibMs } = this.#options
    if (event.type === 'piece-stored') return (this.#pieceBytes(event.bundle) / 1024) * storeKibMs
    if (event.type !== 'unpacked') return 0
    const pieces = this.#world.bundles.get(event.bundle)?.pieces.length ?? 0
    return ((this.#pieceBytes(event.bundle) * pieces) / 1024) * unpackKibMs
  }

  readonly #pieceBytes = (bundle: string): number => this.#world.pieceBytes(bundle)
}
