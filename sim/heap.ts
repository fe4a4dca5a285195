/** A 4-ary heap of event slots by ⟨time, order of scheduling⟩ (SPEC M3). It holds the few events of one millisecond. */

/** Numbers of an event's record; its time and order are the first two. */
export const FIELDS = 4
export const [TIME, ORDER] = [0, 1]

export class EventHeap {
  /** FIELDS numbers for each slot. */
  records: Float64Array
  size = 0
  #slots = new Int32Array(256)

  constructor(records: Float64Array) {
    this.records = records
  }

  get first(): number {
    return this.#slots[0]!
  }

  add(slot: number): void {
    if (this.size === this.#slots.length) {
      const slots = new Int32Array(this.size * 2)
      slots.set(this.#slots)
      this.#slots = slots
    }
    const slots = this.#slots
    let hole = this.size++
    while (hole > 0) {
      const parent = (hole - 1) >> 2
      const above = slots[parent]!
      if (!this.#before(slot, above)) break
      slots[hole] = above
      hole = parent
    }
    slots[hole] = slot
  }

  /** Takes the first one out. */
  drop(): void {
    this.size--
    if (this.size > 0) this.#sink(this.#slots[this.size]!)
  }

  #before(slot: number, other: number): boolean {
    const { records } = this
    const time = records[slot * FIELDS + TIME]!
    const otherTime = records[other * FIELDS + TIME]!
    return (
      time < otherTime || (time === otherTime && records[slot * FIELDS + ORDER]! < records[other * FIELDS + ORDER]!)
    )
  }

  /** Puts `slot` into the hole at the root. */
  #sink(slot: number): void {
    const slots = this.#slots
    const { size } = this
    let hole = 0
    for (;;) {
      const first = hole * 4 + 1
      if (first >= size) break
      let least = first
      const last = Math.min(first + 4, size)
      for (let child = first + 1; child < last; child++) if (this.#before(slots[child]!, slots[least]!)) least = child
      const below = slots[least]!
      if (!this.#before(below, slot)) break
      slots[hole] = below
      hole = least
    }
    slots[hole] = slot
  }
}
