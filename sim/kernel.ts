/**
 * Virtual clock and event queue (SPEC M1, M3). Events lie in flat arrays and a 4-ary heap of slot numbers orders them by
 * ⟨time, order of scheduling⟩: no promise, no closure and no object per event but the payload that it carries anyhow.
 */

/** What an event is; each is handled by one branch of `Simulator.dispatch`. */
export const EventKind = {
  wake: 0,
  arrive: 1,
  gossip: 2,
  dial: 3,
  connected: 4,
  connectFailed: 5,
  disconnected: 6,
  synced: 7,
  hostDone: 8,
  completion: 9,
  fault: 10,
  operator: 11,
  call: 12,
  restart: 13,
  minute: 14,
  left: 15,
  form: 16,
  /** A processor has done what it was at (SPEC M40). */
  free: 17
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

const FIRST_CAPACITY = 1024

export class Kernel {
  /** Virtual milliseconds since the start of the run. */
  now = 0
  /** Events dispatched so far. */
  events = 0
  /** The event taken last by `next`. `about` is a number whose meaning depends on the kind (a connection, a life …). */
  kind: EventKind = EventKind.wake
  node = 0
  about = 0
  payload: unknown = undefined

  #times = new Float64Array(FIRST_CAPACITY)
  #orders = new Float64Array(FIRST_CAPACITY)
  #kinds = new Uint8Array(FIRST_CAPACITY)
  #nodes = new Int32Array(FIRST_CAPACITY)
  #abouts = new Int32Array(FIRST_CAPACITY)
  #payloads: unknown[] = []
  #heap = new Int32Array(FIRST_CAPACITY)
  #size = 0
  /** Slots never used begin here; freed ones are chained through `#abouts`. */
  #fresh = 0
  #free = -1
  #scheduled = 0
  #hashA = 0x811c9dc5 | 0
  #hashB = 0x9e3779b9 | 0

  get pending(): number {
    return this.#size
  }

  /** Hash of the event trace so far, 16 hex digits: same seed, same hash, on any machine. */
  get trace(): string {
    return [this.#hashA, this.#hashB].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }

  /** Mixes a 32-bit word into the trace. */
  note(word: number): void {
    this.#hashA = Math.imul(this.#hashA ^ word, 0x01000193)
    const mixed = Math.imul(this.#hashB ^ word, 0x85ebca6b)
    this.#hashB = mixed ^ (mixed >>> 15)
  }

  /** Schedules an event at a virtual time; the past counts as now. */
  at(time: number, kind: EventKind, node: number, about = 0, payload: unknown = undefined): void {
    let slot = this.#free
    if (slot >= 0) this.#free = this.#abouts[slot]!
    else {
      if (this.#fresh === this.#times.length) this.#grow()
      slot = this.#fresh++
    }
    this.#times[slot] = Math.max(time, this.now)
    this.#orders[slot] = this.#scheduled++
    this.#kinds[slot] = kind
    this.#nodes[slot] = node
    this.#abouts[slot] = about
    this.#payloads[slot] = payload
    this.#rise(this.#size++, slot)
  }

  after(delayMs: number, kind: EventKind, node: number, about = 0, payload: unknown = undefined): void {
    this.at(this.now + delayMs, kind, node, about, payload)
  }

  /** Takes the next event that is not later than `until`; false leaves the clock at `until`. */
  next(until: number): boolean {
    const slot = this.#heap[0]!
    if (this.#size === 0 || this.#times[slot]! > until) {
      if (this.now < until) this.now = until
      return false
    }
    this.#size--
    if (this.#size > 0) this.#sink(this.#heap[this.#size]!)
    this.now = this.#times[slot]!
    this.kind = this.#kinds[slot]! as EventKind
    this.node = this.#nodes[slot]!
    this.about = this.#abouts[slot]!
    this.payload = this.#payloads[slot]
    this.#payloads[slot] = undefined
    this.#abouts[slot] = this.#free
    this.#free = slot
    this.events++
    // Times are fractions of a millisecond: microseconds keep what distinguishes two runs.
    this.note((this.now * 1000) | 0)
    this.note((this.node << 5) ^ this.kind)
    this.note(this.about)
    return true
  }

  #before(slot: number, other: number): boolean {
    const time = this.#times[slot]!
    const otherTime = this.#times[other]!
    return time < otherTime || (time === otherTime && this.#orders[slot]! < this.#orders[other]!)
  }

  #rise(position: number, slot: number): void {
    const heap = this.#heap
    let hole = position
    while (hole > 0) {
      const parent = (hole - 1) >> 2
      const above = heap[parent]!
      if (!this.#before(slot, above)) break
      heap[hole] = above
      hole = parent
    }
    heap[hole] = slot
  }

  /** Puts `slot` into the hole at the root. */
  #sink(slot: number): void {
    const heap = this.#heap
    const size = this.#size
    let hole = 0
    for (;;) {
      const first = hole * 4 + 1
      if (first >= size) break
      let least = first
      const last = Math.min(first + 4, size)
      for (let child = first + 1; child < last; child++) if (this.#before(heap[child]!, heap[least]!)) least = child
      const below = heap[least]!
      if (!this.#before(below, slot)) break
      heap[hole] = below
      hole = least
    }
    heap[hole] = slot
  }

  #grow(): void {
    const capacity = this.#times.length * 2
    const copy = <T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    this.#times = copy(this.#times, new Float64Array(capacity))
    this.#orders = copy(this.#orders, new Float64Array(capacity))
    this.#kinds = copy(this.#kinds, new Uint8Array(capacity))
    this.#nodes = copy(this.#nodes, new Int32Array(capacity))
    this.#abouts = copy(this.#abouts, new Int32Array(capacity))
    this.#heap = copy(this.#heap, new Int32Array(capacity))
  }
}
