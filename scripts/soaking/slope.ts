/** What a process held at one moment; times in ms since its start, sizes in KiB. */
export interface Sample {
  atMs: number
  heapKb: number
  rssKb: number
  handles: number
  descriptors: number
}

export const MEASURES = ['heapKb', 'rssKb', 'handles', 'descriptors'] as const
export type Measure = (typeof MEASURES)[number]

/** Of the least squares line, a minute. @throws Error where fewer than two moments are known */
export function slope(samples: readonly Sample[], measure: Measure): number {
  if (samples.length < 2) throw new Error(`${samples.length} samples have no slope`)
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length
  const [atMs, value] = [mean((one) => one.atMs), mean((one) => one[measure])]
  const spread = mean((one) => (one.atMs - atMs) ** 2)
  return (mean((one) => (one.atMs - atMs) * (one[measure] - value)) / spread) * 60_000
}
