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
  /** A processor has done what it was at (SPEC M60). */
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
const CANCELLED = -1
/** Where a slot is that is in no list. */
const [IN_HEAP, FREE] = [-20_000, -20_001]
const BEYOND = SPAN + SPANS

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
  /** The next slot of the same list, also of the free ones; and the one before: −1 − list at its head, IN_HEAP, FREE. */
  #links = new Int32Array(FIRST_CAPACITY * 2)
  readonly #heap = new EventHeap(this.#records)
  /** First slots of the lists: of each millisecond of this span, of each later span, of all beyond. */
  readonly #lists = new Int32Array(SPAN + SPANS + 1).fill(-1)
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

  /** Schedules an event at a virtual time, which is finite; the past counts as now. Returns what `cancel` takes. */
  at(time: number, kind: EventKind, node: number, about = 0, payload: unknown = undefined): number {
    let slot = this.#free
    if (slot >= 0) this.#free = this.#links[2 * slot]!
    else {
      if (this.#fresh === this.#links.length / 2) this.#grow()
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
    return slot
  }

  /** Takes an event back that has not come yet. */
  cancel(slot: number): void {
    const before = this.#links[2 * slot + 1]!
    if (before === FREE) throw new Error('an event is cancelled that has come')
    this.#pending -= 1
    this.#payloads[slot] = undefined
    // The heap drops it when it comes to the top.
    if (before === IN_HEAP) {
      this.#records[slot * FIELDS + WHAT] = CANCELLED
      return
    }
    const next = this.#links[2 * slot]!
    if (before < 0) this.#lists[-1 - before] = next
    else this.#links[2 * before] = next
    if (next >= 0) this.#links[2 * next + 1] = before
    this.#release(slot)
  }

  after(delayMs: number, kind: EventKind, node: number, about = 0, payload: unknown = undefined): number {
    return this.at(this.now + delayMs, kind, node, about, payload)
  }

  /** Takes the next event that is not later than `until`; false leaves the clock at `until`. */
  next(until: number): boolean {
    while (this.#heap.size === 0) if (!this.#turn(until)) return this.#waited(until)
    const slot = this.#heap.first
    const at = slot * FIELDS
    const time = this.#records[at + TIME]!
    if (time > until) return this.#waited(until)
    this.#heap.drop()
    const what = this.#records[at + WHAT]!
    if (what === CANCELLED) {
      this.#release(slot)
      return this.next(until)
    }
    this.#pending -= 1
    this.now = time
    this.node = Math.floor(what / KINDS)
    this.kind = (what - this.node * KINDS) as EventKind
    this.about = this.#records[at + ABOUT]!
    this.payload = this.#payloads[slot]
    this.#payloads[slot] = undefined
    this.#release(slot)
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
    if (tick <= this.#tick) {
      this.#links[2 * slot + 1] = IN_HEAP
      return this.#heap.add(slot)
    }
    const span = Math.floor(tick / SPAN)
    const isNear = span === this.#span
    const list = isNear ? tick - span * SPAN : span < this.#span + SPANS ? SPAN + (span % SPANS) : BEYOND
    const next = this.#lists[list]!
    this.#links[2 * slot] = next
    this.#links[2 * slot + 1] = -1 - list
    if (next >= 0) this.#links[2 * next + 1] = slot
    this.#lists[list] = slot
  }

  #release(slot: number): void {
    this.#links[2 * slot + 1] = FREE
    this.#links[2 * slot] = this.#free
    this.#free = slot
  }

  /** Goes on to the next millisecond in which something happens, or to the end of the span. False: that is after `until`. */
  #turn(until: number): boolean {
    if (this.#pending === 0) return this.#skip(until)
    const first = this.#span * SPAN
    const last = Math.min(first + SPAN - 1, Math.floor(until))
    while (this.#tick < last) {
      this.#tick += 1
      if (this.#lists[this.#tick - first]! < 0) continue
      this.#placeAll(this.#tick - first)
      return true
    }
    if (this.#tick + 1 > until) return false
    this.#enterSpan(this.#span + 1)
    return true
  }

  /** Nothing waits: the wheel stands wherever the clock does. */
  #skip(until: number): false {
    this.#tick = Math.max(this.#tick, Math.floor(until))
    this.#span = Math.floor(this.#tick / SPAN)
    return false
  }

  #enterSpan(span: number): void {
    this.#span = span
    this.#tick = span * SPAN
    this.#placeAll(SPAN + (span % SPANS))
    // Twice in a turn of the wheel, so that nothing in it can be late.
    if (span % (SPANS / 2) === 0) this.#placeAll(BEYOND)
  }

  /** Each event of a list to where it belongs now. */
  #placeAll(list: number): void {
    const first = this.#lists[list]!
    this.#lists[list] = -1
    for (let slot = first; slot >= 0; ) {
      const next = this.#links[2 * slot]!
      this.#place(slot)
      slot = next
    }
  }

  #grow(): void {
    const records = new Float64Array(this.#records.length * 2)
    records.set(this.#records)
    this.#records = records
    this.#heap.records = records
    const links = new Int32Array(this.#links.length * 2)
    links.set(this.#links)
    this.#links = links
  }
}
