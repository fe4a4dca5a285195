/**
 * Power cuts at durable steps (SPEC M62): whenever something of a machine becomes durable (what its peer persists, a
 * piece, an unpacked bundle, what a command to its host has made) the power may go just before or just after. Before:
 * the step has not happened; after: it has, and nobody has heard of it.
 */
import type { Effect } from '../src/overlay/events.ts'
import type { ObjectState } from '../src/overlay/lifecycle.ts'
import type { Generator } from '../src/prng.ts'

export type Side = 'before' | 'after'

/** How often the power went at each kind of step. */
export type Cuts = Record<string, Record<Side, number>>

/** How long a machine stays off, ms. */
const DOWN_MS = [1, 20, 500, 5000] as const

/** Cuts at one kind of step in one run: else the first steps of each start would be all that is ever met. */
const MOST = 24

/** What a persist is mostly about: kinds of keys, the most telling first. */
const KINDS = [
  'object',
  'permit',
  'root',
  'entry',
  'statement',
  'left',
  'peer',
  'locks',
  'contacts',
  'heard',
  'history'
]

export class PowerCuts {
  readonly cuts: Cuts = {}
  readonly #random: Generator
  #share: number

  /** @param share of the steps at which the power goes */
  constructor(random: Generator, share: number) {
    this.#random = random
    this.#share = share
  }

  /** Whether the power goes at this step, and on which side of it. */
  at(step: string): Side | undefined {
    if (this.#share === 0 || !this.#random.chance(this.#share)) return undefined
    const side = this.#random.chance(0.5) ? 'before' : 'after'
    const counts = this.cuts[step] ?? { before: 0, after: 0 }
    if (counts[side] >= MOST) return undefined
    this.cuts[step] = counts
    counts[side] += 1
    return side
  }

  downMs(): number {
    return this.#random.pick(DOWN_MS)
  }

  /** From now on the power stays. */
  end(): void {
    this.#share = 0
  }
}

/** Objects are told apart by the phase that becomes durable: each is a step of its own on the way to a version. */
export function stepOf({ put, delete: removed }: Extract<Effect, { type: 'persist' }>): string {
  for (const kind of KINDS) {
    const written = put.find(([key]) => key === kind || key.startsWith(`${kind}/`))
    if (written === undefined) continue
    return kind === 'object' ? `persist object, ${(written[1] as ObjectState).phase.name}` : `persist ${kind}`
  }
  return put.length > 0 ? 'persist other' : `persist, ${removed.length > 0 ? 'deletions' : 'nothing'}`
}
