/**
 * What a message costs on its way (SPEC M25): its length as drivers would encode it, how long its way is, how long it
 * takes to leave its sender, to cross a thin link and to enter its receiver. Counts each peer's bytes.
 */

import type { Message } from '../src/overlay/messages.ts'
import type { Kernel } from './kernel.ts'
import { labelsOf, matches, placeOf, type Where } from './places.ts'
import type { Processors } from './processors.ts'
import type { Scenario } from './scenario.ts'

/** Bytes a ms; Infinity: no bound. */
export interface Bandwidth {
  where: Where
  upBytesPerMs: number
  downBytesPerMs: number
}

/** Frame, kind and noise of a message; a hash in hexadecimal with its length; name and counters of a record. */
const FRAME_BYTES = 40
const HASH_BYTES = 66
const COUNTERS_BYTES = 64
/** Streams are served in turn, so what is shorter than this does not wait for what is longer. */
const SHORT_BYTES = 16 * 1024

const lengthOf = (all: readonly Uint8Array[]): number => all.reduce((sum, one) => sum + one.byteLength, 0)

/** @param pieceBytes true length of a bundle's pieces: simulated ones are views of nothing. */
export function bytesOf(message: Message, pieceBytes: (bundle: string) => number): number {
  switch (message.kind) {
    case 'summary':
      return FRAME_BYTES + 2 * HASH_BYTES + 2 * 20
    case 'digest': {
      const hashes = message.tips.length + message.statements.length
      return FRAME_BYTES + hashes * HASH_BYTES + message.records.length * COUNTERS_BYTES
    }
    case 'delta':
      return FRAME_BYTES + lengthOf(message.entries) + lengthOf(message.statements) + lengthOf(message.records)
    case 'census': {
      const sketches = [...message.lines, ...message.before].map((one) =>
        Object.values(one).reduce<number>((sum, part) => sum + (part instanceof Uint8Array ? part.byteLength : 0), 0)
      )
      return FRAME_BYTES + HASH_BYTES + sketches.reduce((sum, one) => sum + one + COUNTERS_BYTES, 0)
    }
    case 'have':
      return FRAME_BYTES + HASH_BYTES + message.pieces.byteLength
    case 'piece':
      return FRAME_BYTES + HASH_BYTES + pieceBytes(message.bundle)
    case 'shuffle':
      return FRAME_BYTES + message.contacts.length * (COUNTERS_BYTES + 40)
    default:
      return FRAME_BYTES + HASH_BYTES
  }
}

/** One direction of somebody's line: what is handed to it leaves in order. */
class Lines {
  readonly #freeAt: Float64Array
  readonly #bytesPerMs: Float64Array
  constructor(count: number, bytesPerMs: (index: number) => number) {
    this.#freeAt = new Float64Array(count)
    this.#bytesPerMs = Float64Array.from({ length: count }, (_, index) => bytesPerMs(index))
  }
  /** When the last byte is through, of a message whose first byte is there at `from`. */
  through(line: number, bytes: number, from: number): number {
    const takesMs = bytes / this.#bytesPerMs[line]!
    if (takesMs === 0) return from
    const begun = Math.max(from, this.#freeAt[line]!)
    this.#freeAt[line] = begun + takesMs
    return (bytes < SHORT_BYTES ? from : begun) + takesMs
  }
}

export class Links {
  /** That each peer sent since the start. */
  readonly sentBytes: Float64Array
  bytes = 0
  readonly #kernel: Kernel
  readonly #scenario: Scenario
  readonly #pieceBytes: (bundle: string) => number
  /** Of the peers, if they share some. */
  readonly processors: Processors | undefined
  readonly #places: Uint16Array | undefined
  readonly #up: Lines | undefined
  readonly #down: Lines | undefined
  readonly #out: Lines | undefined
  readonly #in: Lines | undefined

  constructor(kernel: Kernel, scenario: Scenario, pieceBytes: (bundle: string) => number, processors?: Processors) {
    const { peers, places, bandwidth } = scenario
    this.#kernel = kernel
    this.processors = processors
    this.#scenario = scenario
    this.#pieceBytes = pieceBytes
    this.sentBytes = new Float64Array(peers)
    if (places !== null) {
      this.#places = Uint16Array.from({ length: peers }, (_, node) => placeOf(scenario, node))
      if (Number.isFinite(places.linkBytesPerMs)) {
        this.#out = new Lines(places.names.length, () => places.linkBytesPerMs)
        this.#in = new Lines(places.names.length, () => places.linkBytesPerMs)
      }
    }
    if (bandwidth.length === 0) return
    const bound = (node: number) => bandwidth.find((one) => matches(labelsOf(scenario, node), one.where))
    this.#up = new Lines(peers, (node) => bound(node)?.upBytesPerMs ?? Number.POSITIVE_INFINITY)
    this.#down = new Lines(peers, (node) => bound(node)?.downBytesPerMs ?? Number.POSITIVE_INFINITY)
  }

  /** One way between two nodes before anything is drawn, ms. */
  delayMs(from: number, to: number): number {
    const { places, network } = this.#scenario
    if (places === null || this.#places === undefined) return network.delayMs
    return places.delaysMs[this.#places[from]!]![this.#places[to]!]!
  }

  /** A message is handed over. Returns for how long its length keeps it, ms. */
  carry(from: number, to: number, message: Message): number {
    return this.carryBytes(from, to, bytesOf(message, this.#pieceBytes))
  }

  /** The same of something that is told by its length. */
  carryBytes(from: number, to: number, bytes: number): number {
    this.bytes += bytes
    this.sentBytes[from]! += bytes
    const sentMs = this.processors?.sends(from, bytes) ?? 0
    if (this.#up === undefined && this.#out === undefined) return sentMs
    const { now } = this.#kernel
    let at = this.#up?.through(from, bytes, now + sentMs) ?? now + sentMs
    const [here, there] = [this.#places?.[from] ?? 0, this.#places?.[to] ?? 0]
    if (this.#out !== undefined && here !== there) {
      at = this.#out.through(here, bytes, at)
      at = this.#in!.through(there, bytes, at)
    }
    return (this.#down?.through(to, bytes, at) ?? at) - now
  }
}
