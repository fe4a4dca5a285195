/** A chain's store in memory, with the same duties as the real one; `crash` forgets what was not committed. */
import type { ChainStore } from '../../../src/versions/store.ts'
import type { KeyValueStore, Value } from '../../../src/versions/types.ts'

type Content = Map<string, Value>

export class MemoryStore implements ChainStore {
  #committed: Content
  #layers: Content[] = []
  commits = 0
  failing = false

  constructor(committed: Content = new Map()) {
    this.#committed = committed
  }

  /** What a process that starts after a crash of this one would find. */
  crash(): MemoryStore {
    return new MemoryStore(new Map(this.#committed))
  }

  get #now(): Content {
    return this.#layers.at(-1) ?? this.#committed
  }

  space(name: string): KeyValueStore {
    const from = `${name}\0`
    return {
      get: (key) => structuredClone(this.#now.get(from + key)),
      put: (key, value) => void this.#now.set(from + key, structuredClone(value)),
      delete: (key) => void this.#now.delete(from + key),
      entries: ({ prefix = '', after, limit = Number.POSITIVE_INFINITY } = {}) =>
        [...this.#now]
          .filter(([key]) => key.startsWith(from + prefix) && (after === undefined || key > from + after))
          .map(([key, value]): [string, Value] => [key.slice(from.length), structuredClone(value)])
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .slice(0, limit)
    }
  }

  begin(): void {
    if (this.#layers.length > 0) throw new Error('a transaction is open')
    this.#layers.push(new Map(this.#committed))
  }
  savepoint(): void {
    if (this.#layers.length === 0) throw new Error('no transaction is open')
    this.#layers.push(new Map(this.#now))
  }
  release(): void {
    if (this.#layers.length < 2) throw new Error('no savepoint is open')
    const top = this.#layers.pop()!
    this.#layers[this.#layers.length - 1] = top
  }
  rollback(): void {
    if (this.#layers.length < 2) throw new Error('no savepoint is open')
    this.#layers.pop()
  }
  commit(): void {
    if (this.#layers.length !== 1) throw new Error(`commit with ${this.#layers.length} layers`)
    if (this.failing) throw new Error('disk full')
    this.#committed = this.#layers.pop()!
    this.commits += 1
  }
}
