/**
 * What happened, as this peer saw it (SPEC O26): when it first heard of each entry and statement, and how each upgrade of
 * its own objects went. Bounded and durable; written only with what it tells of.
 */
import { SmallMap } from '../small.ts'
import { type ObjectState, targetOf } from './lifecycle.ts'
import type { Outbox } from './outbox.ts'
import type { PhaseName } from './record.ts'

const MAX_HEARD = 64
const MAX_UPGRADES = 32
const HEARD = 'heard/'
const NONE: readonly UpgradeNote[] = []

/** One upgrade of one object of this node, at its end. */
export interface UpgradeNote {
  object: string
  from: number
  version: number
  /** Hash of the upgrade's entry. */
  entry: string
  result: 'upgraded' | 'failed' | 'went back'
  reason: string
  /** Unix ms. */
  endedAt: number
  /** How long it was in each phase in this life of the process, ms. */
  phases: Partial<Record<PhaseName, number>>
}

export class Chronicle {
  readonly #around: { readonly outbox: Outbox; now(): number }
  /** Hash → Unix seconds with their fraction, the first heard of first. */
  readonly #heard: SmallMap<string, number>
  #upgrades: readonly UpgradeNote[]
  /** Of each object: since when it is in its phase, and how long it was in the ones before. */
  readonly #under = new SmallMap<string, { since: number; phases: UpgradeNote['phases'] }>()

  constructor(around: { readonly outbox: Outbox; now(): number }, snapshot: ReadonlyMap<string, unknown>) {
    this.#around = around
    const heard = [...snapshot].filter(([key]) => key.startsWith(HEARD))
    const times = heard.map(([key, at]): [string, number] => [key.slice(HEARD.length), at as number])
    this.#heard = new SmallMap(times.sort(([, a], [, b]) => a - b))
    this.#upgrades = (snapshot.get('upgrades') as UpgradeNote[] | undefined) ?? NONE
  }

  /** Unix ms; undefined if it is one of those that were heard of long ago. */
  heardAt(hash: string): number | undefined {
    const seconds = this.#heard.get(hash)
    return seconds === undefined ? undefined : Math.round(seconds * 1000)
  }
  get upgrades(): readonly UpgradeNote[] {
    return this.#upgrades
  }

  /** An entry or a statement is new here. What is read from the disk at the start is not. */
  hear(hash: string): void {
    const now = this.#around.now()
    if (now === 0 || this.#heard.has(hash)) return
    const seconds = now / 1000
    this.#heard.set(hash, seconds)
    this.#around.outbox.persist(`${HEARD}${hash}`, seconds)
    if (this.#heard.size <= MAX_HEARD) return
    const oldest = this.#heard.keys().next().value!
    this.#heard.delete(oldest)
    this.#around.outbox.forget(`${HEARD}${oldest}`)
  }

  /** An object goes from one phase to another. */
  step(before: ObjectState, after: ObjectState): void {
    if (before.phase.name === after.phase.name) return
    const now = this.#around.now()
    const known = this.#under.get(before.object)
    const isNew = targetOf(before.phase) === 0
    const phases = isNew ? {} : { ...known?.phases }
    if (!isNew && known !== undefined)
      phases[before.phase.name] = (phases[before.phase.name] ?? 0) + Math.round(now - known.since)
    const { phase } = after
    if (phase.name === 'idle') this.#under.delete(before.object)
    else this.#under.set(before.object, { since: now, phases })
    if (phase.name !== 'activating' && phase.name !== 'returning') return
    const failed = after.failures.some((one) => one.entry === phase.entry)
    const note: UpgradeNote = {
      object: after.object,
      from: before.current?.version ?? 0,
      version: phase.target,
      entry: phase.entry,
      result: phase.name === 'activating' ? 'upgraded' : failed ? 'failed' : 'went back',
      reason: phase.name === 'returning' ? phase.reason : '',
      endedAt: Math.round(now),
      phases
    }
    this.#upgrades = [...this.#upgrades, note].slice(-MAX_UPGRADES)
    this.#around.outbox.persist('upgrades', this.#upgrades)
  }
}
