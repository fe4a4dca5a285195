import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { bundleSchema, MAX_BUNDLE_BYTES, MAX_PIECES, MIN_PIECE_BYTES } from '../../../src/upgrade/manifest.ts'
import { PieceHasher, pieceLengthFor, pieceRange, pieceTable } from '../../../src/upgrade/pieces.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('piece tables', () => {
  it('U3: at most 512 pieces of a power of two, no longer than they need to be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_BUNDLE_BYTES }), (length) => {
        const pieceLength = pieceLengthFor(length)
        assert.equal(Math.log2(pieceLength) % 1, 0)
        assert(Math.ceil(length / pieceLength) <= MAX_PIECES)
        assert(pieceLength === MIN_PIECE_BYTES || Math.ceil(length / (pieceLength / 2)) > MAX_PIECES)
      })
    )
    assert.equal(pieceLengthFor(512 * MIN_PIECE_BYTES), MIN_PIECE_BYTES)
    assert.equal(pieceLengthFor(512 * MIN_PIECE_BYTES + 1), 2 * MIN_PIECE_BYTES)
    for (const length of [0, MAX_BUNDLE_BYTES + 1]) assert.throws(() => pieceLengthFor(length), { name: 'Oversize' })
  })

  it('U3: the same table however the bundle is cut into chunks; its ranges tile the bundle', () => {
    const length = fc.constantFrom(1, MIN_PIECE_BYTES - 1, MIN_PIECE_BYTES, MIN_PIECE_BYTES + 1, 3 * MIN_PIECE_BYTES)
    fc.assert(
      fc.property(length, fc.integer({ min: 1000, max: 700_000 }), (size, chunk) => {
        const bundle = new Uint8Array(size).map((_, at) => (at * 31) % 251)
        const hasher = new PieceHasher(size)
        for (let at = 0; at < size; at += chunk) hasher.update(bundle.subarray(at, at + chunk))
        const table = hasher.finish()
        assert.deepEqual(table, pieceTable(bundle))
        assert.deepEqual(bundleSchema.parse(table), table)
        assert.equal(table.sha256, sha256(bundle))
        let end = 0
        for (const [index, hash] of table.pieces.entries()) {
          const range = pieceRange(table, index)
          assert.equal(range.offset, end)
          assert.equal(sha256(bundle.subarray(range.offset, range.offset + range.length)), hash)
          end += range.length
        }
        assert.equal(end, size)
      }),
      { numRuns: 25 }
    )
  })

  it('U3: a bundle of another length than announced is refused', () => {
    const hasher = new PieceHasher(10)
    hasher.update(new Uint8Array(9))
    assert.throws(() => hasher.finish(), { name: 'Malformed' })
  })
})
