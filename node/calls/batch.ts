/** Frames of one tick leave as one write (SPEC N8): a write costs an encryption and a system call. */
import type { Wire } from '../network/wire.ts'

/** Above it a batch is written in parts: joining large buffers costs more than it saves. */
const MAX_JOINED_BYTES = 128 * 1024

interface Item {
  bytes: Uint8Array
  left: (() => void) | undefined
}

export class Batch {
  readonly #wire: Wire
  readonly #before: () => Uint8Array | undefined
  #items: Item[] = []
  #bytes = 0
  #scheduled = false
  #clear = true

  /** `before` is asked at every write for a frame that goes first. */
  constructor(wire: Wire, before: () => Uint8Array | undefined) {
    this.#wire = wire
    this.#before = before
  }

  /** Whether the wire takes more now. */
  get clear(): boolean {
    return this.#clear
  }

  /** Bytes that the wire has not taken yet. */
  get bytes(): number {
    return this.#bytes
  }

  /** `left` is called when the bytes are handed to the wire: from then on they may arrive. */
  push(bytes: Uint8Array, left?: () => void): void {
    this.#items.push({ bytes, left })
    this.#bytes += bytes.byteLength
    if (this.#scheduled || !this.#clear) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#write()
    })
  }

  drained(): void {
    this.#clear = true
    this.#write()
  }

  #write(): void {
    while (this.#clear && this.#wire.open && this.#items.length > 0) {
      const part = this.#part()
      for (const { left } of part) left?.()
      const chunks = part.map(({ bytes }) => bytes)
      const first = this.#before()
      if (first !== undefined) chunks.unshift(first)
      this.#clear = this.#wire.send(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
    }
  }

  #part(): Item[] {
    let count = 0
    let bytes = 0
    do bytes += this.#items[count++]!.bytes.byteLength
    while (count < this.#items.length && bytes + this.#items[count]!.bytes.byteLength <= MAX_JOINED_BYTES)
    this.#bytes -= bytes
    return this.#items.splice(0, count)
  }
}
