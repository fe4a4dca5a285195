/**
 * CBOR of plain values, safe to decode from anybody (SPEC N3). cbor-x does the work; `check` walks the bytes first, since
 * cbor-x knows many extensions (records, shared structures, cycles, classes) that nothing outside may ask for.
 */
import { Encoder } from 'cbor-x'
import { Refusal } from '../../src/errors.ts'

/** Nesting allowed in a value: deeper input would overflow the stack of whoever walks it. */
export const MAX_DEPTH = 64
const MAX_BIGINT_BYTES = 1024
/** Arrays, maps, dates and bigints of a value: each takes a byte or two here and fifty or a hundred once it is decoded. */
export const MAX_OBJECTS = 500_000
const TAG_DATE = 1
const TAG_BIGINT = 2
const TAG_NEGATIVE_BIGINT = 3

const codec = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false, variableMapSize: true })

/** Encodes a plain value. Throws Refusal `Malformed` for what is none (functions, Maps, class instances, cycles, too deep). */
export function encode(value: unknown): Uint8Array {
  let bytes: Uint8Array
  try {
    // cbor-x reuses its buffer; a copy of exactly this size may be kept.
    bytes = Uint8Array.prototype.slice.call(codec.encode(value))
  } catch (error) {
    throw new Refusal('Malformed', `not a plain value: ${(error as Error).message}`, { cause: error })
  }
  check(bytes)
  return bytes
}

/** Decodes what `check` accepts. Byte strings are views of `bytes`. Throws Refusal `Malformed`. */
export function decode(bytes: Uint8Array): unknown {
  check(bytes)
  try {
    return codec.decode(bytes)
  } catch (error) {
    throw new Refusal('Malformed', `not CBOR: ${(error as Error).message}`, { cause: error })
  }
}

/**
 * Walks one CBOR item without recursion and without allocation per item. Accepted: integers, floats, strings, arrays,
 * maps with string keys other than `__proto__`, dates, bigints, null, undefined, booleans; definite lengths; depth bounded.
 */
export function check(bytes: Uint8Array): void {
  const walk = new Walk(bytes)
  walk.run()
}

class Walk {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #position = 0
  /** Per open container: items still to come, and whether it is a map (its items alternate key, value). */
  readonly #left: number[] = [1]
  readonly #isMap: boolean[] = [false]
  #objects = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  run(): void {
    while (this.#left.length > 0) {
      const top = this.#left.length - 1
      const left = this.#left[top]!
      if (left === 0) {
        this.#left.pop()
        this.#isMap.pop()
        continue
      }
      this.#left[top] = left - 1
      this.#item(this.#isMap[top]! && left % 2 === 0)
    }
    if (this.#position !== this.#bytes.byteLength) this.#refuse('bytes after the end of the value')
  }

  #item(isKey: boolean): void {
    const initial = this.#byte()
    const major = initial >> 5
    const short = initial & 31
    if (isKey && major !== 3) this.#refuse('a key that is not a string')
    if (major >= 4 && major <= 6 && ++this.#objects > MAX_OBJECTS) this.#refuse(`more than ${MAX_OBJECTS} objects`)
    switch (major) {
      case 0:
      case 1:
        this.#length(short)
        return
      case 2:
        this.#skip(this.#length(short))
        return
      case 3: {
        const length = this.#length(short)
        if (isKey && length === 9 && this.#isProto()) this.#refuse('the key __proto__')
        this.#skip(length)
        return
      }
      case 4:
        this.#open(this.#length(short), false)
        return
      case 5:
        this.#open(this.#length(short) * 2, true)
        return
      case 6:
        this.#tag(this.#length(short))
        return
      default:
        this.#simple(short)
    }
  }

  #open(items: number, isMap: boolean): void {
    // Every item takes a byte at least: a count beyond that is a lie, and is found before anything is allocated for it.
    if (items > this.#bytes.byteLength - this.#position) this.#refuse('more items than bytes')
    if (this.#left.length > MAX_DEPTH) this.#refuse(`nested deeper than ${MAX_DEPTH}`)
    this.#left.push(items)
    this.#isMap.push(isMap)
  }

  #tag(tag: number): void {
    const initial = this.#byte()
    const major = initial >> 5
    const short = initial & 31
    if (tag === TAG_DATE && (major === 0 || major === 1)) {
      this.#length(short)
    } else if (tag === TAG_DATE && major === 7 && short >= 25) {
      this.#simple(short)
    } else if ((tag === TAG_BIGINT || tag === TAG_NEGATIVE_BIGINT) && major === 2) {
      const length = this.#length(short)
      if (length > MAX_BIGINT_BYTES) this.#refuse('a bigint that is too long')
      this.#skip(length)
    } else {
      this.#refuse(`tag ${tag}`)
    }
  }

  #simple(short: number): void {
    if (short >= 20 && short <= 23) return
    if (short < 25 || short > 27) this.#refuse('a simple value that is not known')
    this.#skip(1 << (short - 24))
  }

  #byte(): number {
    if (this.#position >= this.#bytes.byteLength) this.#refuse('it ends too early')
    return this.#bytes[this.#position++]!
  }

  /** The argument of an item: its value for integers and tags, its length for the others. */
  #length(short: number): number {
    if (short < 24) return short
    if (short > 27) this.#refuse('an indefinite or reserved length')
    const at = this.#position
    this.#skip(1 << (short - 24))
    if (short === 24) return this.#view.getUint8(at)
    if (short === 25) return this.#view.getUint16(at)
    if (short === 26) return this.#view.getUint32(at)
    return Number(this.#view.getBigUint64(at))
  }

  #skip(length: number): void {
    if (length > this.#bytes.byteLength - this.#position) this.#refuse('it ends too early')
    this.#position += length
  }

  #isProto(): boolean {
    const end = this.#position + 9
    return (
      end <= this.#bytes.byteLength &&
      Buffer.from(this.#bytes.subarray(this.#position, end)).toString('latin1') === '__proto__'
    )
  }

  #refuse(what: string): never {
    throw new Refusal('Malformed', `not a plain value: ${what} (at byte ${this.#position})`)
  }
}
