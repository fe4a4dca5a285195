/**
 * Who may go first (SPEC M41). An upgrade that is tried on a few before others go is begun by nobody else while it has
 * served nowhere: were it bad, it would have been found out on those few. Who they are follows from a hash of entry and
 * peer; who knew of fewer peers than there are may take itself for one of them, so that the checker asks what it knew.
 */
import type { ObjectState } from '../src/overlay/lifecycle.ts'
import type { PeerRecord } from '../src/overlay/record.ts'
import { hasLeft } from '../src/overlay/record.ts'
import { type Condition, MILLION } from '../src/schedule/schedule.ts'
import type { Entry } from '../src/upgrade/manifest.ts'
import { hash53, type World } from './authority.ts'
import type { Watched } from './checkers.ts'

/** How many go first, by what an upgrade's condition cannot do without. */
type First = { count: number } | { perMillion: number }

function firstOf(when: Condition): First | undefined {
  switch (when.kind) {
    case 'canary':
      return (when.success ?? MILLION) === MILLION ? when.share : undefined
    case 'waves':
      return when.success === MILLION && when.ends.length > 1 ? { perMillion: when.ends[0]! } : undefined
    case 'sequence':
    case 'all':
      for (const one of when.of) {
        const first = firstOf(one)
        if (first !== undefined) return first
      }
      return undefined
    default:
      return undefined
  }
}

export class Canaries {
  readonly #world: World
  readonly #say: (machine: Watched, text: string) => void
  /** Object → the highest version that ever served. */
  readonly #served = new Map<string, number>()
  /** Machine/entry → whether the machine knew enough lower peers when the entry came. */
  readonly #late = new Map<string, boolean>()

  constructor(world: World, say: (machine: Watched, text: string) => void) {
    this.#world = world
    this.#say = say
  }

  onServing(object: string, version: number): void {
    if (version > (this.#served.get(object) ?? 0)) this.#served.set(object, version)
  }

  /** An entry is on a machine's disk now. */
  onEntry(machine: Watched, entry: Entry | undefined): void {
    for (const [index, { schedule }] of (entry?.manifest.classes ?? []).entries()) {
      const first = firstOf(schedule.when)
      if (first === undefined) continue
      const object = this.#objectOf(index)
      this.#late.set(`${machine.index}/${entry!.hash}/${object}`, this.#goesLater(machine, entry!, object, first))
    }
  }

  /** An object is about to stop for an upgrade. */
  onBegins(machine: Watched, state: ObjectState): void {
    if (state.current === null || !('entry' in state.phase)) return
    const { entry: hash, target } = state.phase
    const entry = this.#world.entryOf(hash)
    if (entry === undefined || (this.#served.get(state.object) ?? 0) >= target) return
    const upgrade = entry.manifest.classes.find((_, index) => this.#objectOf(index) === state.object)
    const first = upgrade === undefined ? undefined : firstOf(upgrade.schedule.when)
    if (first === undefined || this.#isHastened(machine, hash)) return
    const knewThen = this.#late.get(`${machine.index}/${hash}/${state.object}`) === true
    if (!knewThen || !this.#goesLater(machine, entry, state.object, first)) return
    this.#say(
      machine,
      `${state.object} goes to version ${target}, which has served nowhere, and is none of its canaries`
    )
  }

  /** An object keeps the name of the class that its node installed first, and upgrades name classes in one order. */
  #objectOf(index: number): string {
    return this.#world.entries[0]!.manifest.classes[index]!.to
  }

  #goesLater(machine: Watched, { hash }: Entry, object: string, first: First): boolean {
    const place = (peer: string) => hash53(`${hash}/${peer}`) / 2 ** 53
    const own = place(machine.id)
    const isLower = (record: PeerRecord) =>
      record.peer !== machine.id &&
      record.objects[object] !== undefined &&
      !hasLeft(record) &&
      !this.#isExcluded(record.peer) &&
      place(record.peer) < own
    const lower = [...machine.known()].filter(isLower).length
    return 'count' in first ? lower >= first.count : own * MILLION >= first.perMillion && lower > 0
  }

  #isExcluded(peer: string): boolean {
    return this.#world.statements.some(({ body }) => body.what === 'exclude' && body.peer === peer)
  }

  #isHastened({ durable }: Watched, target: string): boolean {
    return this.#world.statements.some(
      ({ hash, body }) => body.what === 'hasten' && body.target === target && durable.has(`statement/${hash}`)
    )
  }
}
