/** How a bundle's pieces spread, against the least time that is possible (Mundinger, Weber, Weiss). */
import { fleetOf, quantile, timesUntilAll } from './fleet.ts'
import { type Law, mean, type Row, runsOf, type Sizes } from './law.ts'
import { mundingerTime } from './theory.ts'

/** Upload of each peer, 100 Mbit/s; its download is not bounded. */
const UP_BYTES_PER_MS = 12_500
const PIECE_BYTES = 256 * 1024
const PARTS = [8, 64]
const HOUR_MS = 3_600_000

/** When each peer but the source had the bundle, in uploads of the whole; ascending. */
export function fetched(seed: number, peers: number, pieces: number): Float64Array {
  const upload = (pieces * PIECE_BYTES) / UP_BYTES_PER_MS
  const bandwidth = [{ where: {}, upBytesPerMs: UP_BYTES_PER_MS, downBytesPerMs: Number.POSITIVE_INFINITY }]
  // The source is one more than theory's peers.
  const request = { seed, peers: peers + 1, bandwidth, pieces, pieceBytes: PIECE_BYTES }
  const simulator = fleetOf({ ...request, network: { delayMs: 1 } })
  return timesUntilAll(simulator, 'fetched', HOUR_MS).map((one) => one / upload)
}

export function bundleLaw(sizes: Sizes): Law {
  const rows: Row[] = []
  const lines = PARTS.flatMap((pieces) => {
    const theory: [number, number][] = []
    const all: [number, number][] = []
    for (const peers of sizes.peers) {
      const seeds = Array.from({ length: runsOf(sizes, peers) }, (_, index) => index + 1)
      const times = seeds.map((seed) => fetched(seed, peers, pieces))
      const [half, last] = [0.5, 1].map((share) => mean(times.map((one) => quantile(one, share))))
      const bound = mundingerTime(peers, pieces)
      theory.push([peers, bound])
      all.push([peers, last!])
      rows.push({ what: `${pieces} pieces, the last peer`, peers, theory: bound, measured: last!, expected: [0, 4] })
      rows.push({ what: `${pieces} pieces, half of the peers`, peers, theory: bound, measured: half! })
    }
    return [
      { name: `least, ${pieces} pieces`, points: theory },
      { name: `simulated, ${pieces} pieces`, points: all }
    ]
  })
  return {
    name: 'pieces',
    title: 'Pieces of a bundle against the Mundinger bound',
    unit: 'uploads of the bundle',
    said:
      'Same: one source, N peers, each with the same upload (100 Mbit/s) and unbounded download, pieces uploaded whole, one after the other. ' +
      'Different: the bound is that of a schedule which knows everything, where every peer sends to any other in every step. Here nobody directs: a peer knows what its eight neighbours announced (the first piece, each eighth, all), asks for the rarest, at most eight at a time and four of one neighbour; the entry has to come first, and each message travels 1 ms. ' +
      'It can never be below the bound; uploads that idle while little is announced cost a small multiple of it, more where pieces are few.',
    rows,
    plot: {
      name: 'pieces',
      title: 'Until the last peer has the bundle',
      caption: 'In uploads of the whole bundle by one peer; least: (1 + ⌊log₂ N⌋/M).',
      x: { label: 'peers', log: true },
      y: { label: 'uploads of the bundle' },
      lines
    }
  }
}
