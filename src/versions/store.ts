/**
 * What a chain asks of the store that its object and its SOs share, and how the state of one object is divided among
 * its links (SPEC V8, V9). One call is one transaction: a savepoint in the transaction of its commit group.
 */
import type { KeyValueStore } from './types.ts'

export interface ChainStore {
  /** The part of the store that belongs to one link (`spaceOf`) or to the chain itself (`CHAIN_SPACE`). */
  space(name: string): KeyValueStore
  begin(): void
  /** Opens a savepoint inside the last one. */
  savepoint(): void
  /** Keeps what was written since the innermost savepoint, and closes it. */
  release(): void
  /** Undoes what was written since the innermost savepoint, and closes it. */
  rollback(): void
  /** Durable on return. */
  commit(): void
}

export type LinkRole = 'past' | 'current' | 'future'

/**
 * Name of a link's part of the store and of its directory. A past SO of version v and the future SO of version v
 * never live in one attempt, so the version alone tells SOs apart.
 */
export function spaceOf(role: LinkRole, version: number): string {
  return role === 'current' ? 'object' : simulationSpace(version)
}
export function simulationSpace(version: number): string {
  return `so-${version}`
}

/** The chain's own part: which SOs have been started here, and which must not be trusted any more. */
export const CHAIN_SPACE = 'chain'
const STARTED = 'started/'
const QUARANTINED = 'quarantined/'

/** The durable marks of an object's SOs. */
export class Marks {
  #space: KeyValueStore
  constructor(space: KeyValueStore) {
    this.#space = space
  }

  /** Versions whose SO was started here (its `initial` has run, or a TF has made its state). */
  started(): number[] {
    return [...this.#space.entries({ prefix: STARTED })].map(([key]) => Number(key.slice(STARTED.length)))
  }
  isStarted(version: number): boolean {
    return this.#space.get(STARTED + version) === true
  }
  start(version: number): void {
    this.#space.put(STARTED + version, true)
  }
  /** Why the SO's state must not be used: it may have missed calls (SPEC V10). */
  quarantined(version: number): string | null {
    const reason = this.#space.get(QUARANTINED + version)
    return typeof reason === 'string' ? reason : null
  }
  quarantine(version: number, reason: string): void {
    this.#space.put(QUARANTINED + version, reason)
  }
  forget(version: number): void {
    this.#space.delete(STARTED + version)
    this.#space.delete(QUARANTINED + version)
  }
}
