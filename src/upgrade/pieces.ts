/** The piece table of a bundle (SPEC U3): fixed-length pieces, each with its sha-256, so that each is verified alone. */
import { createHash } from 'node:crypto'
import { Refusal } from '../errors.ts'
import { type BundleTable, MAX_BUNDLE_BYTES, MAX_PIECES, MIN_PIECE_BYTES } from './manifest.ts'

/** The smallest power of two, at least 256 KiB, that cuts `length` bytes into at most 512 pieces. */
export function pieceLengthFor(length: number): number {
  if (length < 1 || length > MAX_BUNDLE_BYTES) {
    throw new Refusal('Oversize', `bundle: ${length} bytes, allowed are 1 to ${MAX_BUNDLE_BYTES}`)
  }
  let pieceLength = MIN_PIECE_BYTES
  while (Math.ceil(length / pieceLength) > MAX_PIECES) pieceLength *= 2
  return pieceLength
}

/** Where piece `index` lies in the bundle. */
export function pieceRange(table: BundleTable, index: number): { offset: number; length: number } {
  const offset = index * table.pieceLength
  return { offset, length: Math.min(table.pieceLength, table.length - offset) }
}

/** Takes a bundle of known length in chunks of any size and yields its table. */
export class PieceHasher {
  readonly #length: number
  readonly #pieceLength: number
  readonly #whole = createHash('sha256')
  readonly #pieces: string[] = []
  #piece = createHash('sha256')
  #taken = 0

  constructor(length: number) {
    this.#length = length
    this.#pieceLength = pieceLengthFor(length)
  }

  update(chunk: Uint8Array): void {
    this.#whole.update(chunk)
    for (let at = 0; at < chunk.length; ) {
      const room = this.#pieceLength - (this.#taken % this.#pieceLength)
      const part = chunk.subarray(at, at + room)
      this.#piece.update(part)
      this.#taken += part.length
      at += part.length
      if (part.length === room) this.#closePiece()
    }
  }

  finish(): BundleTable {
    if (this.#taken % this.#pieceLength !== 0) this.#closePiece()
    if (this.#taken !== this.#length) {
      throw new Refusal(
        'Malformed',
        `bundle: ${this.#taken} bytes where ${this.#length} were announced; it changed while it was read`
      )
    }
    return {
      length: this.#length,
      sha256: this.#whole.digest('hex'),
      pieceLength: this.#pieceLength,
      pieces: this.#pieces
    }
  }

  #closePiece(): void {
    this.#pieces.push(this.#piece.digest('hex'))
    this.#piece = createHash('sha256')
  }
}

export function pieceTable(bundle: Uint8Array): BundleTable {
  const hasher = new PieceHasher(bundle.length)
  hasher.update(bundle)
  return hasher.finish()
}
