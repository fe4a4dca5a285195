/** A bundle of a few pieces to store, cut and damaged in tests. */
import { createArchive } from '../../../node/pack/archive.ts'
import type { BundleTable } from '../../../src/upgrade/manifest.ts'
import { pieceRange, pieceTable } from '../../../src/upgrade/pieces.ts'

export interface Sample {
  files: Map<string, Uint8Array>
  table: BundleTable
  piece(index: number): Uint8Array
}

export const sample = async (): Promise<Sample> => {
  const files = new Map<string, Uint8Array>([
    ['object.js', new TextEncoder().encode('export default class {}\n')],
    ['lib/deep/empty.js', new Uint8Array()],
    ...Array.from({ length: 5 }, (_, n): [string, Uint8Array] => {
      const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => (at * (n + 7) + (at >> 8)) & 0xff)
      return [`lib/table-${n}.bin`, bytes]
    })
  ])
  const archive = await createArchive(files)
  const table = pieceTable(archive)
  const piece = (index: number) => {
    const { offset, length } = pieceRange(table, index)
    return archive.subarray(offset, offset + length)
  }
  return { files, table, piece }
}
