/**
 * Where simulated peers are (SPEC M24): their labels, the place that each is in, how far places are from each other, and
 * whom a peer is told of at its start. All follow from a peer's index, so that a fleet of any size costs no table.
 */

import type { Generator } from '../src/prng.ts'
import { hash53 } from './authority.ts'
import type { Scenario } from './scenario.ts'

/** Regions, or clusters behind thin links: what lies between two places is what distinguishes them. */
export interface Places {
  names: string[]
  /** Of the fleet, one for each place; they sum up to 1. */
  shares: number[]
  /** One way between two places, ms; the diagonal is within a place. */
  delaysMs: number[][]
  /** Members of a group are in one place. */
  groupsTogether: boolean
  /** Bytes a ms that a place can send to, or receive from, all others together; Infinity: no bound. */
  linkBytesPerMs: number
  /** Of the earlier peers that one is told of at start, the share that is of its own place. */
  localShare: number
}

/** How a peer comes to the peers that it is told of at start. */
export type Topology = 'random' | 'scale-free'

/** Labels and bandwidth may be told for the peers that have all of these, each with one of the values. */
export type Where = Record<string, string[]>

export const matches = (labels: Readonly<Record<string, string>>, where: Where): boolean =>
  Object.entries(where).every(([label, values]) => values.includes(labels[label] ?? ''))

/** From 0 to 1, the same for the same words on any machine: whatever is shared out by it needs no table. */
const placeOn = (words: string): number => hash53(words) / 2 ** 53

function drawn(shares: readonly number[], point: number): number {
  let left = point * shares.reduce((sum, share) => sum + share, 0)
  for (let index = 0; index < shares.length; index++) {
    left -= shares[index]!
    if (left < 0) return index
  }
  return shares.length - 1
}

/** Index of a node's place; 0 where there is only one. */
export function placeOf({ places, groupSize, seed }: Scenario, node: number): number {
  if (places === null) return 0
  const unit = places.groupsTogether && groupSize > 0 ? `G${Math.floor(node / groupSize)}` : node
  return drawn(places.shares, placeOn(`${seed}/place/${unit}`))
}

const NO_LABELS: Record<string, string> = {}

/** `region` from places, or in turn from `regions`; others by their shares, each label for itself. */
export function labelsOf(scenario: Scenario, node: number): Record<string, string> {
  const { regions, places, seed } = scenario
  if (regions.length === 0 && places === null && Object.keys(scenario.labels).length === 0) return NO_LABELS
  const labels: Record<string, string> = {}
  const region = places === null ? regions[node % Math.max(1, regions.length)] : places.names[placeOf(scenario, node)]
  if (region !== undefined) labels['region'] = region
  for (const [label, values] of Object.entries(scenario.labels)) {
    const chosen = drawn(Object.values(values), placeOn(`${seed}/label/${label}/${node}`))
    labels[label] = Object.keys(values)[chosen]!
  }
  return labels
}

/** Tries to find an earlier peer of the own place: few are needed unless the place is tiny. */
const TRIES = 24

/** Hands out the earlier peers that each one is told of at start, in order of their indexes. */
export class Introductions {
  readonly #scenario: Scenario
  readonly #random: Generator
  readonly #places: Uint16Array | undefined
  /** Both ends of every introduction so far: who is named often here is known to many. */
  readonly #ends: number[] = []

  constructor(scenario: Scenario, random: Generator) {
    this.#scenario = scenario
    this.#random = random
    this.#places = scenario.places === null ? undefined : new Uint16Array(scenario.peers)
  }

  of(node: number): Set<number> {
    const { bootstrap, topology } = this.#scenario
    if (this.#places !== undefined) this.#places[node] = placeOf(this.#scenario, node)
    const earlier = new Set<number>()
    for (let draw = 0; draw < bootstrap && node > 0; draw++) earlier.add(this.#draw(node))
    if (topology === 'scale-free') for (const one of earlier) this.#ends.push(node, one)
    return earlier
  }

  #draw(node: number): number {
    const { topology, places } = this.#scenario
    const random = this.#random
    if (topology === 'scale-free' && this.#ends.length > 0) return random.pick(this.#ends)
    if (this.#places === undefined || places === null || !random.chance(places.localShare)) return random.below(node)
    let found = random.below(node)
    for (let tries = 0; tries < TRIES && this.#places[found] !== this.#places[node]; tries++) found = random.below(node)
    return found
  }
}
