/** The shape of the overlay at one moment (SPEC M21): who has whom for a neighbour, and who is known to how many. */
import type { Machine } from './machine.ts'

export interface Spread {
  least: number
  median: number
  most: number
  mean: number
  deviation: number
}

export interface Shape {
  /** Peers that run. */
  peers: number
  /** Parts of the graph of neighbours between which nothing leads. */
  components: number
  /** Pairs of which only one has the other for a neighbour. */
  oneSided: number
  neighbours: Spread
  /** In how many passive sets each peer is: an even spread means that a random contact is a random peer. */
  known: Spread
}

export function shapeOf(machines: readonly Machine[], indexOf: (peer: string) => number | undefined): Shape {
  const parents = machines.map((_, index) => index)
  const rootOf = (index: number): number => {
    let root = index
    while (parents[root] !== root) root = parents[root]!
    for (let one = index; one !== root; ) [parents[one], one] = [root, parents[one]!]
    return root
  }
  const up = machines.filter((machine) => machine.up)
  const known = machines.map(() => 0)
  const degrees: number[] = []
  let oneSided = 0
  for (const { index, peer, id } of up) {
    const neighbours = [...(peer?.neighbours?.all() ?? [])]
    degrees.push(neighbours.length)
    for (const neighbour of neighbours) {
      const other = machines[indexOf(neighbour) ?? -1]
      if (other?.up !== true || other.peer?.neighbours?.has(id) !== true) oneSided += 1
      else parents[rootOf(index)] = rootOf(other.index)
    }
    for (const contact of peer?.membership?.passive.peers() ?? []) {
      const other = indexOf(contact)
      if (other !== undefined) known[other]! += 1
    }
  }
  return {
    peers: up.length,
    components: new Set(up.map(({ index }) => rootOf(index))).size,
    oneSided,
    neighbours: spreadOf(degrees),
    known: spreadOf(up.map(({ index }) => known[index]!))
  }
}

function spreadOf(numbers: number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b)
  const mean = sorted.reduce((sum, one) => sum + one, 0) / Math.max(1, sorted.length)
  const variance = sorted.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, sorted.length)
  const rounded = (one: number) => Math.round(one * 10) / 10
  return {
    least: sorted[0] ?? 0,
    median: sorted[sorted.length >> 1] ?? 0,
    most: sorted.at(-1) ?? 0,
    mean: rounded(mean),
    deviation: rounded(Math.sqrt(variance))
  }
}
