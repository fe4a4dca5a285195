/** Length-prefixed frames (SPEC N4): four bytes, big endian, then that many bytes. */
import { Refusal } from '../../src/errors.ts'
import { encode } from './cbor.ts'

export const PREFIX_BYTES = 4
/** Chunks from this size on are kept as they are. */
const JOINED_BYTES = 16 * 1024

/** A value as one frame. Throws Refusal `Oversize` above `limit` and `Malformed` for what is no plain value. */
export function frameOf(value: unknown, limit: number): Uint8Array {
  return frame(encode(value), limit)
}

export function frame(payload: Uint8Array, limit: number): Uint8Array {
  if (payload.byteLength > limit) throw oversize(payload.byteLength, limit)
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + payload.byteLength)
  bytes.writeUInt32BE(payload.byteLength, 0)
  bytes.set(payload, PREFIX_BYTES)
  return bytes
}

/** Cuts a stream of chunks into frames. What is kept is bounded by `limit` and one chunk; nothing is allocated on a promise. */
export class FrameReader {
  readonly #limit: number
  #chunks: Uint8Array[] = []
  #held = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes of a frame that is not complete yet. */
  get held(): number {
    return this.#held
  }

  /** Yields the frames that `chunk` completes. Throws Refusal `Oversize` as soon as a prefix announces too much. */
  *read(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let rest = chunk
    if (this.#held > 0) {
      this.#keep(chunk)
      const wanted = this.#wanted()
      if (wanted === undefined || this.#held < wanted) return
      rest = Buffer.concat(this.#chunks, this.#held)
      this.#chunks = []
      this.#held = 0
    }
    while (rest.byteLength >= PREFIX_BYTES) {
      const length = this.#announced(rest)
      if (rest.byteLength < PREFIX_BYTES + length) break
      yield rest.subarray(PREFIX_BYTES, PREFIX_BYTES + length)
      rest = rest.subarray(PREFIX_BYTES + length)
    }
    if (rest.byteLength > 0) {
      this.#chunks = [rest]
      this.#held = rest.byteLength
    }
  }

  /** Small chunks are joined, the smaller to the larger: a frame that comes byte by byte must not cost an object a byte. */
  #keep(chunk: Uint8Array): void {
    this.#held += chunk.byteLength
    let last = chunk
    for (
      let before = this.#chunks.at(-1);
      before !== undefined && before.byteLength <= last.byteLength && last.byteLength < JOINED_BYTES;
      before = this.#chunks.at(-1)
    ) {
      this.#chunks.pop()
      last = Buffer.concat([before, last])
    }
    this.#chunks.push(last)
  }

  /** Bytes needed before the first frame is complete; undefined while even its prefix is not. */
  #wanted(): number | undefined {
    if (this.#held < PREFIX_BYTES) return undefined
    const first = this.#chunks[0]!
    if (first.byteLength < PREFIX_BYTES) {
      this.#chunks = [Buffer.concat(this.#chunks, this.#held)]
      return PREFIX_BYTES + this.#announced(this.#chunks[0]!)
    }
    return PREFIX_BYTES + this.#announced(first)
  }

  #announced(bytes: Uint8Array): number {
    const length = ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0
    if (length > this.#limit) throw oversize(length, this.#limit)
    return length
  }
}

function oversize(length: number, limit: number): Refusal {
  return new Refusal('Oversize', `a frame of ${length} bytes; at most ${limit} are allowed here`)
}
