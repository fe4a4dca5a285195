/**
 * The neighbourhood of a formed fleet (SPEC M32): a random graph in which every peer has so many neighbours, and its whole
 * group beside them. Flat, so that a million peers cost their edges and nothing else.
 */
import type { Generator } from '../src/prng.ts'

/** Draws tried to avoid that an edge is drawn twice; in a small fleet a few stay undrawn. */
const TRIES = 100

export class Graph {
  readonly #most: number
  readonly #counts: Int32Array
  readonly #others: Int32Array

  /** @param most edges that a node may have */
  constructor(nodes: number, most: number) {
    this.#most = most
    this.#counts = new Int32Array(nodes)
    this.#others = new Int32Array(nodes * most)
  }

  get nodes(): number {
    return this.#counts.length
  }
  of(node: number): Int32Array {
    const first = node * this.#most
    return this.#others.subarray(first, first + this.#counts[node]!)
  }
  joins(a: number, b: number): boolean {
    return a === b || this.of(a).includes(b)
  }
  join(a: number, b: number): void {
    this.#others[a * this.#most + this.#counts[a]!++] = b
    this.#others[b * this.#most + this.#counts[b]!++] = a
  }
}

/**
 * Circles through all peers, each in an order of its own: two edges a peer and circle, one part already by the first.
 * An odd degree takes every other edge of a last one.
 * @param groupOf nodes of one group are joined to each other, beside `degree` others; −1: none
 */
export function formedGraph(
  peers: readonly number[],
  nodes: number,
  degree: number,
  groups: readonly (readonly number[])[],
  random: Generator
): Graph {
  const largest = groups.reduce((most, group) => Math.max(most, group.length - 1), 0)
  const graph = new Graph(nodes, degree + largest)
  for (const group of groups)
    group.forEach((one, index) => {
      for (const other of group.slice(index + 1)) graph.join(one, other)
    })
  const strangers = peers.length - 1 - largest
  const each = Math.min(degree, Math.max(strangers, 0))
  for (let left = each; left > 0; left -= 2) circle(graph, peers, random, left === 1 ? 2 : 1)
  return graph
}

function circle(graph: Graph, peers: readonly number[], random: Generator, every: number): void {
  const order = random.shuffle(peers.slice())
  const { length } = order
  const last = every === 2 ? length - 1 : length === 2 ? 1 : length
  for (let at = 0; at < last; at += every) {
    const [here, next] = [order[at]!, (at + 1) % length]
    // Who is in the way changes places with somebody further on.
    for (let tries = 0; tries < TRIES && next > at && graph.joins(here, order[next]!); tries++) {
      const chosen = next + random.below(length - next)
      const kept = order[next]!
      order[next] = order[chosen]!
      order[chosen] = kept
    }
    if (!graph.joins(here, order[next]!)) graph.join(here, order[next]!)
  }
}
