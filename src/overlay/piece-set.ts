/** Which pieces of a bundle somebody holds: mostly none or all, and then it takes no room. */
export class PieceSet implements Iterable<number> {
  /** Pieces of the bundle. */
  readonly count: number
  #some: Set<number> | 'none' | 'all'

  private constructor(count: number, some: Set<number> | 'none' | 'all') {
    this.count = count
    this.#some = some
  }

  static none(count: number): PieceSet {
    return new PieceSet(count, 'none')
  }

  static all(count: number): PieceSet {
    return new PieceSet(count, 'all')
  }

  /** Of a bit field, the lowest bit of its first byte for piece 0. */
  static of(bits: Uint8Array, count: number): PieceSet {
    const set = PieceSet.none(count)
    for (let i = 0; i < Math.min(count, bits.byteLength * 8); i++)
      if ((bits[i >> 3]! & (1 << (i & 7))) !== 0) set.add(i)
    return set
  }

  get size(): number {
    if (typeof this.#some === 'object') return this.#some.size
    return this.#some === 'all' ? this.count : 0
  }

  get isWhole(): boolean {
    return this.size === this.count
  }

  has(index: number): boolean {
    return typeof this.#some === 'object' ? this.#some.has(index) : this.#some === 'all' && index < this.count
  }

  add(index: number): void {
    if (index >= this.count || this.has(index)) return
    if (this.size + 1 === this.count) this.#some = 'all'
    else if (typeof this.#some === 'object') this.#some.add(index)
    else this.#some = new Set([index])
  }

  /** Another set, without this piece. */
  without(index: number): PieceSet {
    const some = new Set(this)
    some.delete(index)
    return new PieceSet(this.count, some.size === 0 ? 'none' : some)
  }

  fill(): void {
    this.#some = 'all'
  }

  clear(): void {
    this.#some = 'none'
  }

  *[Symbol.iterator](): Generator<number> {
    if (typeof this.#some === 'object') yield* this.#some
    else for (let index = 0; index < this.size; index++) yield index
  }

  get bits(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.count / 8))
    for (const index of this) bits[index >> 3]! |= 1 << (index & 7)
    return bits
  }
}
