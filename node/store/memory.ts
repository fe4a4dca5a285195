/**
 * A simulated data directory: the same contract as the store on disk, with crashes at will. What a commit returned from
 * is durable; what it did not is wholly there or wholly not.
 */
import { Refusal } from '../../src/errors.ts'
import type { Persist } from '../../src/overlay/events.ts'
import { decode, encode } from '../network/cbor.ts'
import type { Store } from './store.ts'

/** Thrown by the commit during which the simulated machine stopped. */
export class Crash extends Error {
  override readonly name = 'Crash'
}

export class MemoryDisk {
  #durable = new Map<string, Uint8Array>()
  #owner: MemoryStore | null = null
  #crashing: 'before' | 'after' | null = null

  open(): Store {
    if (this.#owner !== null) throw new Refusal('Locked', 'the simulated directory is in use; close its store first')
    this.#owner = new MemoryStore(this)
    return this.#owner
  }

  /** The machine stops: the open store is dead, the next `open` sees what was durable. */
  crash(): void {
    this.#owner = null
    this.#crashing = null
  }

  /** The next commit stops the machine, before or after it became durable, and throws Crash. */
  crashInCommit(when: 'before' | 'after'): void {
    this.#crashing = when
  }

  owns(store: MemoryStore): boolean {
    return this.#owner === store
  }

  release(store: MemoryStore): void {
    if (this.owns(store)) this.#owner = null
  }

  read(): Map<string, unknown> {
    return new Map([...this.#durable].map(([key, bytes]) => [key, decode(new Uint8Array(bytes))]))
  }

  write(change: Persist): void {
    const durable = new Map(this.#durable)
    for (const key of change.delete) durable.delete(key)
    for (const [key, value] of change.put) durable.set(key, new Uint8Array(encode(value)))
    const crashing = this.#crashing
    if (crashing !== 'before') this.#durable = durable
    if (crashing === null) return
    this.crash()
    throw new Crash(`the machine stopped ${crashing} the commit was durable`)
  }
}

class MemoryStore implements Store {
  readonly #disk: MemoryDisk

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  read(): Map<string, unknown> {
    this.#open()
    return this.#disk.read()
  }

  commit(change: Persist): void {
    this.#open()
    this.#disk.write(change)
  }

  close(): void {
    this.#disk.release(this)
  }

  #open(): void {
    if (!this.#disk.owns(this)) throw new Error('the store is closed')
  }
}
