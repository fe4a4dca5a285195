/** What theory says (SPEC M34). Shares are of peers, times in rounds or in uploads of the whole file. */

/** Share informed after t rounds in Serf's convergence simulator: every informed peer pushes to `fanout` others each round. */
export const serfShare = (rounds: number, peers: number, fanout: number): number =>
  1 / (1 + (peers + 1) * Math.exp(-0.5 * fanout * rounds))

/** Its inverse: rounds until a share of the peers is informed. */
export const serfRounds = (share: number, peers: number, fanout: number): number =>
  Math.log(((peers + 1) * share) / (1 - share)) / (0.5 * fanout)

/** Rounds until a rumour that everybody who knows it tells one other each round is known to all (Frieze, Grimmett, Pittel). */
export const pushRounds = (peers: number): number => Math.log2(peers) + Math.log(peers)

/**
 * The least time in which one source brings a file of M parts to N peers, all of equal upload and unbounded download, in
 * uploads of the file (Mundinger, Weber, Weiss: "Optimal scheduling of peer-to-peer file dissemination").
 */
export const mundingerTime = (peers: number, parts: number): number => 1 + Math.floor(Math.log2(peers)) / parts

/** Relative standard error of HyperLogLog with so many registers. */
export const sketchError = (registers: number): number => 1.04 / Math.sqrt(registers)

/**
 * The same of linear counting (Whang, Vander-Zanden, Taylor), which a sketch of few elements amounts to: its estimate is
 * of the registers that are still empty.
 */
export function linearCountingError(elements: number, registers: number): number {
  const load = elements / registers
  return Math.sqrt(registers * (Math.exp(load) - load - 1)) / elements
}
