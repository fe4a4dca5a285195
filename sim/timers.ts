/**
 * The one timer of each peer (SPEC M7), in flat columns, and its clock's last reading. A peer that asks for a later time
 * than before keeps the event that it has: most wakes are put off before they come. One that asks for an earlier time
 * gets another event instead: a peer has one in the queue, however long it runs.
 */
import { EventKind, type Kernel } from './kernel.ts'

const FIELDS = 4
/** When the peer asked to be woken; its event in the queue (NONE: it has none), and when that comes; the last reading. */
const [WAKE, EVENT, COMES, SHOWN] = [0, 1, 2, 3]
const NONE = -1
const NEVER = Number.POSITIVE_INFINITY

export class Timers {
  readonly #kernel: Kernel
  readonly #columns: Float64Array

  constructor(kernel: Kernel, peers: number) {
    this.#kernel = kernel
    this.#columns = new Float64Array(peers * FIELDS)
    for (let node = 0; node < peers; node++) {
      this.#columns[node * FIELDS + WAKE] = NEVER
      this.#columns[node * FIELDS + EVENT] = NONE
    }
  }

  /** When the peer is woken, virtual ms. */
  wakeAt(node: number): number {
    return this.#columns[node * FIELDS + WAKE]!
  }

  set(node: number, at: number): void {
    const columns = this.#columns
    const first = node * FIELDS
    columns[first + WAKE] = at
    const event = columns[first + EVENT]!
    if (event !== NONE) {
      if (columns[first + COMES]! <= at) return
      this.#kernel.cancel(event)
    }
    columns[first + COMES] = at
    columns[first + EVENT] = at === NEVER ? NONE : this.#kernel.at(at, EventKind.wake, node)
  }

  /** The peer's event has come. Returns whether it is woken now. */
  fire(node: number): boolean {
    const first = node * FIELDS
    this.#columns[first + EVENT] = NONE
    const at = this.#columns[first + WAKE]!
    if (at > this.#kernel.now) {
      this.set(node, at)
      return false
    }
    this.#columns[first + WAKE] = NEVER
    return true
  }

  /** The process is gone. */
  clear(node: number): void {
    const first = node * FIELDS
    if (this.#columns[first + EVENT] !== NONE) this.#kernel.cancel(this.#columns[first + EVENT]!)
    this.#columns[first + EVENT] = NONE
    this.#columns[first + WAKE] = NEVER
    this.#columns[first + SHOWN] = 0
  }

  /** What a process reads off a clock that may step: it never runs backwards for it. */
  shown(node: number, clock: number): number {
    const place = node * FIELDS + SHOWN
    const shown = Math.max(this.#columns[place]!, clock)
    this.#columns[place] = shown
    return shown
  }
}
