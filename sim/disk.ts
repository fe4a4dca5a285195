/**
 * The disk of one simulated machine: durable keys and values, and the pieces of bundles (SPEC M9). Machines of a formed
 * fleet begin with the same image and write over it, so that what they have in common exists once (M32).
 */

import { SmallMap } from '../src/small.ts'

/** A map over another one that stays as it is. `own` has what was written since; nothing, as long as nothing was. */
export class Layered<Value> implements ReadonlyMap<string, Value> {
  readonly #image: ReadonlyMap<string, Value> | undefined
  #own: SmallMap<string, Value | undefined> | undefined

  constructor(image: ReadonlyMap<string, Value> | undefined) {
    this.#image = image
  }

  get size(): number {
    let count = 0
    for (const _ of this.keys()) count += 1
    return count
  }
  get(key: string): Value | undefined {
    const own = this.#own?.get(key)
    if (own !== undefined || this.#image === undefined) return own
    return this.#own?.has(key) === true ? undefined : this.#image.get(key)
  }
  has(key: string): boolean {
    return this.get(key) !== undefined
  }
  set(key: string, value: Value): void {
    this.#own ??= new SmallMap()
    this.#own.set(key, value)
  }
  delete(key: string): void {
    // What the image has must be hidden; what only lies above it goes.
    if (this.#image?.has(key) === true) {
      this.#own ??= new SmallMap()
      this.#own.set(key, undefined)
    } else this.#own?.delete(key)
  }

  *entries(): MapIterator<[string, Value]> {
    for (const [key, value] of this.#image ?? []) if (this.#own?.has(key) !== true) yield [key, value]
    for (const [key, value] of this.#own ?? []) if (value !== undefined) yield [key, value]
  }
  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries()
  }
  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key
  }
  *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value
  }
  forEach(action: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this.entries()) action(value, key, this)
  }
}

/** What many machines have in common. */
export interface Image {
  durable: ReadonlyMap<string, unknown>
  bundles: ReadonlyMap<string, StoredBundle>
}

/** What is stored of a bundle: a bit for each piece. Replaced, not changed, where it may be shared. */
export interface StoredBundle {
  readonly pieces: Uint8Array
  readonly unpacked: boolean
}

const NO_PIECES = new Uint8Array()
const NO_BUNDLES: ReadonlyMap<string, StoredBundle> = new Map()

export class Disk {
  readonly durable: Layered<unknown>
  /** The image's own, as long as nothing else is stored. */
  #bundles: ReadonlyMap<string, StoredBundle>

  constructor(image?: Image) {
    this.durable = new Layered(image?.durable)
    this.#bundles = image?.bundles ?? NO_BUNDLES
  }

  bundles(): { bundle: string; pieces: Uint8Array; unpacked: boolean }[] {
    return [...this.#bundles].map(([bundle, { pieces, unpacked }]) => ({ bundle, pieces: pieces.slice(), unpacked }))
  }
  /** Whether anything is stored of a bundle. */
  has(bundle: string): boolean {
    return this.#bundles.has(bundle)
  }
  holds(bundle: string, index: number): boolean {
    const bits = this.#bundles.get(bundle)?.pieces ?? NO_PIECES
    return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
  }
  isUnpacked(bundle: string): boolean {
    return this.#bundles.get(bundle)?.unpacked === true
  }

  /** @param count pieces that the bundle has */
  hold(bundle: string, index: number, count: number): void {
    const stored = this.#bundles.get(bundle)
    const pieces = new Uint8Array(Math.ceil(count / 8))
    pieces.set(stored?.pieces ?? NO_PIECES)
    pieces[index >> 3]! |= 1 << (index & 7)
    this.#store(bundle, { pieces, unpacked: stored?.unpacked ?? false })
  }
  unpack(bundle: string): void {
    this.#store(bundle, { pieces: this.#bundles.get(bundle)?.pieces ?? NO_PIECES, unpacked: true })
  }
  removeBundle(bundle: string): void {
    const left = new SmallMap(this.#bundles)
    left.delete(bundle)
    this.#bundles = left
  }

  /** A machine has few bundles, which change seldom: what is stored is replaced. */
  #store(bundle: string, stored: StoredBundle): void {
    this.#bundles = new SmallMap(this.#bundles).set(bundle, stored)
  }
}
