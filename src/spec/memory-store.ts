/** A chain's store in memory, with the duties of the real one: savepoints nest, `crash` forgets what was not committed. */
import type { ChainStore } from '../versions/store.ts'
import type { KeyValueStore, Value } from '../versions/types.ts'

interface Change {
  space: Map<string, Value>
  key: string
  had: boolean
  value: Value
}

export class MemoryStore implements ChainStore {
  readonly #spaces = new Map<string, Map<string, Value>>()
  /** What undoes the writes of the open transaction, newest last. */
  #changes: Change[] = []
  /** Lengths of `changes` at which savepoints were opened. */
  #savepoints: number[] = []
  #isOpen = false

  space(name: string): KeyValueStore {
    const space = this.#space(name)
    return {
      get: (key) => copied(space.get(key)),
      put: (key, value) => {
        this.#note(space, key)
        space.set(key, copied(value))
      },
      delete: (key) => {
        this.#note(space, key)
        space.delete(key)
      },
      entries: ({ prefix = '', after, limit = Number.POSITIVE_INFINITY } = {}) =>
        [...space.keys()]
          .filter((key) => key.startsWith(prefix) && (after === undefined || key > after))
          .sort()
          .slice(0, limit)
          .map((key): [string, Value] => [key, copied(space.get(key))])
    }
  }

  begin(): void {
    if (this.#isOpen) throw new Error('a transaction is open')
    this.#isOpen = true
  }
  savepoint(): void {
    if (!this.#isOpen) throw new Error('no transaction is open')
    this.#savepoints.push(this.#changes.length)
  }
  release(): void {
    if (this.#savepoints.pop() === undefined) throw new Error('no savepoint is open')
  }
  rollback(): void {
    const length = this.#savepoints.pop()
    if (length === undefined) throw new Error('no savepoint is open')
    this.#undo(length)
  }
  commit(): void {
    if (!this.#isOpen || this.#savepoints.length > 0) throw new Error('nothing to commit, or a savepoint is open')
    this.#isOpen = false
    this.#changes = []
  }

  /** What a process that starts after a crash of this one would find. The crashed one must not be used any more. */
  crash(): MemoryStore {
    const survived = this.copy()
    for (const { space, key, had, value } of this.#changes.toReversed()) {
      const name = [...this.#spaces].find(([, one]) => one === space)![0]
      if (had) survived.#space(name).set(key, value)
      else survived.#space(name).delete(key)
    }
    return survived
  }

  copy(): MemoryStore {
    const copy = new MemoryStore()
    for (const [name, space] of this.#spaces) copy.#spaces.set(name, new Map(space))
    return copy
  }

  /** Takes over a part of another store as it is. */
  adopt(from: MemoryStore, name: string): void {
    const space = this.space(name)
    for (const [key, value] of from.space(name).entries()) space.put(key, value)
  }

  /** Everything that is kept, for comparisons: part → key → value. */
  contents(): Map<string, ReadonlyMap<string, Value>> {
    return new Map([...this.#spaces].filter(([, space]) => space.size > 0))
  }

  #space(name: string): Map<string, Value> {
    let space = this.#spaces.get(name)
    if (space === undefined) {
      space = new Map()
      this.#spaces.set(name, space)
    }
    return space
  }

  #note(space: Map<string, Value>, key: string): void {
    if (!this.#isOpen) throw new Error('a write outside of a transaction')
    this.#changes.push({ space, key, had: space.has(key), value: space.get(key) })
  }

  #undo(length: number): void {
    while (this.#changes.length > length) {
      const { space, key, had, value } = this.#changes.pop()!
      if (had) space.set(key, value)
      else space.delete(key)
    }
  }
}

/** Who reads a value, and who wrote it, share nothing. */
const copied = (value: Value): Value => (typeof value === 'object' && value !== null ? structuredClone(value) : value)
