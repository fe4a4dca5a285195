/**
 * Virtual clock and event queue (SPEC M1, M3): a timing wheel. Events of the current millisecond lie in a small heap by
 * ⟨time, order of scheduling⟩; later ones in lists, unordered: one for each of the next milliseconds, one for each of the
 * spans after these, one for all beyond. A list is looked at once, when its time comes, so that an event costs the same
 * among ten that wait and among millions. All lies in flat arrays: no promise, no closure and no object per event but
 * the payload that it carries anyhow.
 */
import { EventHeap, FIELDS, ORDER, TIME } from './heap.ts'

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

/** Milliseconds of a span, and spans of the wheel: 4 seconds, and 4.7 hours. */
const SPAN = 4096
const SPANS = 4096
const FIRST_CAPACITY = 1024
/** Of an event's record, beside its time and order: kind and node in one number; a number of its kind's own. */
const [WHAT, ABOUT] = [2, 3]
const KINDS = 32

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

  /** One record of FIELDS numbers for each slot. What belongs together is read together. */
  #records = new Float64Array(FIRST_CAPACITY * FIELDS)
  #payloads: unknown[] = []
  /** The next slot of the same list, also of the free ones. */
  #nexts = new Int32Array(FIRST_CAPACITY)
  readonly #heap = new EventHeap(this.#records)
  readonly #near = new Int32Array(SPAN).fill(-1)
  readonly #far = new Int32Array(SPANS).fill(-1)
  #beyond = -1
  /** The millisecond whose events are in the heap, and the span that it lies in. */
  #tick = 0
  #span = 0
  #pending = 0
  /** Slots never used begin here. */
  #fresh = 0
  #free = -1
  #scheduled = 0
  #hashA = 0x811c9dc5 | 0
  #hashB = 0x9e3779b9 | 0

  get pending(): number {
    return this.#pending
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

  /** Schedules an event at a virtual time, which is finite; the past counts as now. */
  at(time: number, kind: EventKind, node: number, about = 0, payload: unknown = undefined): void {
    let slot = this.#free
    if (slot >= 0) this.#free = this.#nexts[slot]!
    else {
      if (this.#fresh === this.#nexts.length) this.#grow()
      slot = this.#fresh++
    }
    const at = slot * FIELDS
    this.#records[at + TIME] = Math.max(time, this.now)
    this.#records[at + ORDER] = this.#scheduled++
    this.#records[at + WHAT] = node * KINDS + kind
    this.#records[at + ABOUT] = about
    this.#payloads[slot] = payload
    this.#pending += 1
    this.#place(slot)
  }

  after(delayMs: number, kind: EventKind, node: number, about = 0, payload: unknown = undefined): void {
    this.at(this.now + delayMs, kind, node, about, payload)
  }

  /** Takes the next event that is not later than `until`; false leaves the clock at `until`. */
  next(until: number): boolean {
    while (this.#heap.size === 0) if (!this.#turn(until)) return this.#waited(until)
    const slot = this.#heap.first
    const at = slot * FIELDS
    const time = this.#records[at + TIME]!
    if (time > until) return this.#waited(until)
    this.#heap.drop()
    this.#pending -= 1
    const what = this.#records[at + WHAT]!
    this.now = time
    this.node = Math.floor(what / KINDS)
    this.kind = (what - this.node * KINDS) as EventKind
    this.about = this.#records[at + ABOUT]!
    this.payload = this.#payloads[slot]
    this.#payloads[slot] = undefined
    this.#nexts[slot] = this.#free
    this.#free = slot
    this.events++
    // Times are fractions of a millisecond: microseconds keep what distinguishes two runs.
    this.note((time * 1000) | 0)
    this.note((this.node << 5) ^ this.kind)
    this.note(this.about)
    return true
  }

  #waited(until: number): false {
    if (this.now < until) this.now = until
    return false
  }

  /** Into the heap, or the list that its time belongs to. */
  #place(slot: number): void {
    const tick = Math.floor(this.#records[slot * FIELDS + TIME]!)
    if (tick <= this.#tick) return this.#heap.add(slot)
    const span = Math.floor(tick / SPAN)
    if (span === this.#span) this.#nexts[slot] = put(this.#near, tick - span * SPAN, slot)
    else if (span < this.#span + SPANS) this.#nexts[slot] = put(this.#far, span % SPANS, slot)
    else {
      this.#nexts[slot] = this.#beyond
      this.#beyond = slot
    }
  }

  /** Goes on to the next millisecond in which something happens, or to the end of the span. False: that is after `until`. */
  #turn(until: number): boolean {
    if (this.#pending === 0) return false
    const first = this.#span * SPAN
    const last = Math.min(first + SPAN - 1, Math.floor(until))
    while (this.#tick < last) {
      this.#tick += 1
      const list = this.#near[this.#tick - first]!
      if (list < 0) continue
      this.#near[this.#tick - first] = -1
      this.#placeAll(list)
      return true
    }
    if (this.#tick + 1 > until) return false
    this.#enterSpan(this.#span + 1)
    return true
  }

  #enterSpan(span: number): void {
    this.#span = span
    this.#tick = span * SPAN
    const list = this.#far[span % SPANS]!
    this.#far[span % SPANS] = -1
    this.#placeAll(list)
    // Twice in a turn of the wheel, so that nothing in it can be late.
    if (span % (SPANS / 2) !== 0) return
    const beyond = this.#beyond
    this.#beyond = -1
    this.#placeAll(beyond)
  }

  #placeAll(list: number): void {
    for (let slot = list; slot >= 0; ) {
      const next = this.#nexts[slot]!
      this.#place(slot)
      slot = next
    }
  }

  #grow(): void {
    const records = new Float64Array(this.#records.length * 2)
    records.set(this.#records)
    this.#records = records
    this.#heap.records = records
    const nexts = new Int32Array(this.#nexts.length * 2)
    nexts.set(this.#nexts)
    this.#nexts = nexts
  }
}

/** Puts a slot at the head of a list. Returns what was there. */
function put(lists: Int32Array, list: number, slot: number): number {
  const before = lists[list]!
  lists[list] = slot
  return before
}
