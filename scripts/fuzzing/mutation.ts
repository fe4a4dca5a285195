/** Inputs that almost are what a decoder expects: valid ones with something changed, in their bytes or in their structure. */
import type { Generator } from '../../src/prng.ts'

const NUMBERS = [
  0,
  -1,
  1,
  255,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  1e308,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY
]
const TEXTS = [
  '',
  '\0',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '/',
  '\ud800',
  'a'.repeat(70),
  'é'.repeat(5000),
  '1'.repeat(400)
]
/** Beginnings of CBOR items that claim much: arrays, maps, bytes and texts of millions, indefinite ones, tags. */
const HEADS = [
  '9b7fffffffffffffff',
  'bb7fffffffffffffff',
  '5b7fffffffffffffff',
  '7affffffff',
  '9f',
  'bf',
  'd9d9f7',
  'f97e00',
  '9a00ffffff',
  '81818181818181818181'
]

const isBranch = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array)

export class Mutations {
  readonly #random: Generator

  constructor(random: Generator) {
    this.#random = random
  }

  /** Bytes with one to four changes; `others` lend parts of theirs. */
  ofBytes(valid: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    let bytes: Buffer = Buffer.from(valid)
    for (let left = this.#random.between(1, 4); left > 0; left--) bytes = this.#changed(bytes, others)
    return new Uint8Array(bytes)
  }

  #changed(bytes: Buffer, others: readonly Uint8Array[]): Buffer {
    const at = this.#random.below(bytes.length + 1)
    switch (this.#random.below(7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << this.#random.below(8)
        return bytes
      case 1:
        return bytes.subarray(0, at)
      case 2:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(this.#random.below(bytes.length + 1))])
      case 3:
        return Buffer.concat([bytes.subarray(0, at), Buffer.from(this.#random.pick(HEADS), 'hex'), bytes.subarray(at)])
      case 4: {
        const other = this.#random.pick(others)
        const from = this.#random.below(other.length + 1)
        return Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(from, from + this.#random.below(200)),
          bytes.subarray(at)
        ])
      }
      case 5:
        return Buffer.concat([
          bytes.subarray(0, at),
          Buffer.alloc(this.#random.below(64), this.#random.below(256)),
          bytes.subarray(at)
        ])
      default:
        if (at < bytes.length) bytes[at] = this.#random.below(256)
        return bytes
    }
  }

  /** A copy of a plain value with one to three of its parts replaced, removed, doubled or named otherwise. */
  ofValue(valid: unknown): unknown {
    let value = structuredClone(valid)
    for (let left = this.#random.between(1, 3); left > 0; left--) value = this.#mutated(value, 0)
    return value
  }

  #mutated(value: unknown, depth: number): unknown {
    if (!isBranch(value) || depth > 8 || this.#random.chance(0.15)) return this.#replaced(value)
    if (Array.isArray(value)) return this.#inList(value, depth)
    const record = value as Record<string, unknown>
    const keys = Object.keys(record)
    if (keys.length === 0 || this.#random.chance(0.1)) {
      Object.defineProperty(record, this.#random.pick(TEXTS), {
        value: this.#any(),
        enumerable: true,
        configurable: true
      })
      return record
    }
    const key = this.#random.pick(keys)
    if (this.#random.chance(0.1)) delete record[key]
    else record[key] = this.#mutated(record[key], depth + 1)
    return record
  }

  #inList(list: unknown[], depth: number): unknown {
    const at = this.#random.below(list.length + 1)
    if (at === list.length) list.push(list[0] ?? this.#any())
    else if (this.#random.chance(0.2)) list.splice(at, 1)
    else if (this.#random.chance(0.1)) list.push(...Array.from({ length: 300 }, () => list[at]))
    else list[at] = this.#mutated(list[at], depth + 1)
    return list
  }

  #replaced(value: unknown): unknown {
    if (typeof value === 'number' && this.#random.chance(0.6)) return this.#random.pick(NUMBERS)
    if (typeof value === 'string' && this.#random.chance(0.5)) return this.#nearby(value)
    if (value instanceof Uint8Array && this.#random.chance(0.7))
      return value.length === 0 ? new Uint8Array(9) : this.ofBytes(value, [value])
    return this.#any()
  }

  /** Of the same kind, one character off. */
  #nearby(text: string): string {
    const at = this.#random.below(text.length + 1)
    return text.slice(0, at) + this.#random.pick(['', '0', 'f', 'é', '\0', text]) + text.slice(at + 1)
  }

  #any(): unknown {
    switch (this.#random.below(7)) {
      case 0:
        return this.#random.pick(NUMBERS)
      case 1:
        return this.#random.pick(TEXTS)
      case 2:
        return this.#random.chance(0.5)
      case 3:
        return null
      case 4:
        return new Uint8Array(this.#random.below(1000))
      case 5: {
        let nested: unknown = 1
        for (let left = this.#random.below(200); left > 0; left--)
          nested = this.#random.chance(0.5) ? [nested] : { a: nested }
        return nested
      }
      default:
        return {}
    }
  }
}
