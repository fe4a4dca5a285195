/** Connections and who has which, in flat columns (SPEC M5): what a message on its way needs lies together. */

/** What an end's process was told last: nothing, that it is connected, that the connection is gone. */
export const NEVER = 0
export const CONNECTED = 1
export const GONE = 2
type Told = typeof NEVER | typeof CONNECTED | typeof GONE

/** Numbers of a connection: both nodes, marks, latency, and of each end when the last message to it arrives. */
const FIELDS = 6
const [MARKS, LATENCY, LAST] = [2, 3, 4]
/** Bits of the marks: open; then of each end two that it was told, and one: what is still on the way to it is lost. */
const [OPEN, TOLD, CUT] = [1, 1, 5]
const FIRST_CAPACITY = 256

/** By id; ids are never used again. An end is `2·id + side`: side 0 dialled side 1. */
export class Connections {
  #count = 0
  #columns = new Float64Array(FIRST_CAPACITY * FIELDS)

  /** Open; no end knows of it yet. */
  add(dialler: number, target: number, latencyMs: number): number {
    const id = this.#count++
    const at = id * FIELDS
    if (at === this.#columns.length) {
      const columns = new Float64Array(at * 2)
      columns.set(this.#columns)
      this.#columns = columns
    }
    this.#columns[at] = dialler
    this.#columns[at + 1] = target
    this.#columns[at + MARKS] = OPEN
    this.#columns[at + LATENCY] = latencyMs
    return id
  }

  /** A node's end of a connection. */
  end(id: number, node: number): number {
    return this.#columns[id * FIELDS] === node ? 2 * id : 2 * id + 1
  }
  nodeAt(end: number): number {
    return this.#columns[(end >> 1) * FIELDS + (end & 1)]!
  }
  otherAt(end: number): number {
    return this.nodeAt(end ^ 1)
  }
  latencyMs(id: number): number {
    return this.#columns[id * FIELDS + LATENCY]!
  }

  /** Whether it carries what is sent now. An end may not have heard yet that it does not. */
  isOpen(id: number): boolean {
    return (this.#marks(id) & OPEN) !== 0
  }
  shut(id: number): void {
    this.#columns[id * FIELDS + MARKS] = this.#marks(id) & ~OPEN
  }

  told(end: number): Told {
    return ((this.#marks(end >> 1) >> (TOLD + 2 * (end & 1))) & 3) as Told
  }
  tell(end: number, told: Told): void {
    const shift = TOLD + 2 * (end & 1)
    this.#columns[(end >> 1) * FIELDS + MARKS] = (this.#marks(end >> 1) & ~(3 << shift)) | (told << shift)
  }

  /** Whether what is still on the way to this end is lost. */
  isCut(end: number): boolean {
    return (this.#marks(end >> 1) & (1 << (CUT + (end & 1)))) !== 0
  }
  cut(end: number): void {
    this.#columns[(end >> 1) * FIELDS + MARKS] = this.#marks(end >> 1) | (1 << (CUT + (end & 1)))
  }

  /** When a message arrives at an end that is sent now, on a way that would bring it there at `at`: after those before it. */
  inOrder(end: number, at: number): number {
    const place = (end >> 1) * FIELDS + LAST + (end & 1)
    const ordered = Math.max(this.#columns[place]!, at)
    this.#columns[place] = ordered
    return ordered
  }

  #marks(id: number): number {
    return this.#columns[id * FIELDS + MARKS]!
  }
}

/** Connections that a node has place for at first: its neighbours, and a few that it meets. */
const FIRST_PLACES = 12
const ROOM_FIELDS = 4
const [USES, HAS] = [1, 2]

/** Of each node: neighbour → connection, in no particular order. */
export class Sides {
  /** Of each node: its first place, how many it uses, how many it has. */
  readonly #rooms: Int32Array
  /** ⟨neighbour, connection⟩ for each place. */
  #places: Int32Array
  #used: number

  constructor(nodes: number) {
    this.#rooms = new Int32Array(nodes * ROOM_FIELDS)
    for (let node = 0; node < nodes; node++) {
      this.#rooms[node * ROOM_FIELDS] = node * FIRST_PLACES
      this.#rooms[node * ROOM_FIELDS + HAS] = FIRST_PLACES
    }
    this.#used = nodes * FIRST_PLACES
    this.#places = new Int32Array(2 * this.#used)
  }

  get nodes(): number {
    return this.#rooms.length / ROOM_FIELDS
  }

  /** Undefined if there is none. */
  get(node: number, other: number): number | undefined {
    const place = this.#find(node, other)
    return place < 0 ? undefined : this.#places[2 * place + 1]!
  }

  set(node: number, other: number, id: number): void {
    let place = this.#find(node, other)
    if (place < 0) {
      const at = node * ROOM_FIELDS
      if (this.#rooms[at + USES] === this.#rooms[at + HAS]) this.#move(node)
      place = this.#rooms[at]! + this.#rooms[at + USES]!++
    }
    this.#places[2 * place] = other
    this.#places[2 * place + 1] = id
  }

  delete(node: number, other: number): void {
    const place = this.#find(node, other)
    if (place < 0) return
    const at = node * ROOM_FIELDS
    const last = this.#rooms[at]! + --this.#rooms[at + USES]!
    this.#places.copyWithin(2 * place, 2 * last, 2 * last + 2)
  }

  clear(node: number): void {
    this.#rooms[node * ROOM_FIELDS + USES] = 0
  }

  neighbours(node: number): number[] {
    return this.#every(node, 0)
  }
  connections(node: number): number[] {
    return this.#every(node, 1)
  }

  #every(node: number, offset: 0 | 1): number[] {
    const all: number[] = []
    const first = this.#rooms[node * ROOM_FIELDS]!
    const end = first + this.#rooms[node * ROOM_FIELDS + USES]!
    for (let place = first; place < end; place++) all.push(this.#places[2 * place + offset]!)
    return all
  }

  #find(node: number, other: number): number {
    const first = this.#rooms[node * ROOM_FIELDS]!
    const end = first + this.#rooms[node * ROOM_FIELDS + USES]!
    for (let place = first; place < end; place++) if (this.#places[2 * place] === other) return place
    return -1
  }

  /** To twice the room, at the end of all. What a node leaves is small beside what all have. */
  #move(node: number): void {
    const at = node * ROOM_FIELDS
    const [first, room] = [this.#rooms[at]!, this.#rooms[at + HAS]! * 2]
    if (2 * (this.#used + room) > this.#places.length) {
      const places = new Int32Array(Math.ceil(this.#places.length * 1.25) + 2 * room)
      places.set(this.#places)
      this.#places = places
    }
    this.#places.copyWithin(2 * this.#used, 2 * first, 2 * (first + this.#rooms[at + USES]!))
    this.#rooms[at] = this.#used
    this.#rooms[at + HAS] = room
    this.#used += room
  }
}
