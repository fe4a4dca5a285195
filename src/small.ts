/**
 * Maps and sets that mostly hold nothing or little. A peer has a hundred tables, and a simulated fleet a million peers: an
 * empty `Map` takes 200 bytes, an empty `SmallMap` 32. Up to 24 members lie in one list that is searched from its
 * begin; more of them in a `Map`. The order is that of insertion; members may be added and deleted while they are iterated.
 */
const FEW = 24
/** A table that shrinks to so few becomes a list again. */
const FEWER = 22
/** Shared: a list is never changed in length, but replaced. */
const NONE: never[] = []

/** A new list, no longer than it has to be: `push` makes room for sixteen more. */
function appended(list: readonly unknown[], ...members: readonly unknown[]): unknown[] {
  const longer = new Array<unknown>(list.length + members.length)
  for (let index = 0; index < list.length; index++) longer[index] = list[index]
  for (let index = 0; index < members.length; index++) longer[list.length + index] = members[index]
  return longer
}

/** A new list without some members, as long as it has to be: `filter` leaves room for sixteen more. */
function without(list: readonly unknown[], first: number, count: number): unknown[] {
  const length = list.length - count
  if (length === 0) return NONE
  const shorter = new Array<unknown>(length)
  for (let index = 0; index < length; index++) shorter[index] = list[index < first ? index : index + count]
  return shorter
}

export class SmallMap<K, V> implements ReadonlyMap<K, V> {
  /** Keys and values in turns. */
  #held: unknown[] | Map<K, V> = NONE

  constructor(entries?: Iterable<readonly [K, V]>) {
    if (entries !== undefined) for (const [key, value] of entries) this.set(key, value)
  }

  get size(): number {
    const held = this.#held
    return Array.isArray(held) ? held.length / 2 : held.size
  }

  get(key: K): V | undefined {
    const held = this.#held
    if (!Array.isArray(held)) return held.get(key)
    for (let at = 0; at < held.length; at += 2) if (held[at] === key) return held[at + 1] as V
    return undefined
  }

  has(key: K): boolean {
    const held = this.#held
    if (!Array.isArray(held)) return held.has(key)
    for (let at = 0; at < held.length; at += 2) if (held[at] === key) return true
    return false
  }

  set(key: K, value: V): this {
    const held = this.#held
    if (!Array.isArray(held)) {
      held.set(key, value)
      return this
    }
    for (let at = 0; at < held.length; at += 2) {
      if (held[at] !== key) continue
      held[at + 1] = value
      return this
    }
    if (held.length < 2 * FEW) this.#held = appended(held, key, value)
    else this.#held = new Map(pairs<K, V>(held)).set(key, value)
    return this
  }

  delete(key: K): boolean {
    const held = this.#held
    if (!Array.isArray(held)) {
      const was = held.delete(key)
      if (held.size <= FEWER) this.#held = [...held].flatMap((pair) => pair as unknown[])
      return was
    }
    for (let at = 0; at < held.length; at += 2) {
      if (held[at] !== key) continue
      this.#held = without(held, at, 2)
      return true
    }
    return false
  }

  clear(): void {
    this.#held = NONE
  }

  forEach(action: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) action(value, key, this)
  }

  entries(): MapIterator<[K, V]> {
    const held = this.#held
    return Array.isArray(held) ? pairs<K, V>(held).values() : held.entries()
  }

  keys(): MapIterator<K> {
    const held = this.#held
    return Array.isArray(held) ? (everyOther(held, 0) as K[]).values() : held.keys()
  }

  values(): MapIterator<V> {
    const held = this.#held
    return Array.isArray(held) ? (everyOther(held, 1) as V[]).values() : held.values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}

function pairs<K, V>(list: readonly unknown[]): [K, V][] {
  const found = new Array<[K, V]>(list.length / 2)
  for (let at = 0; at < found.length; at++) found[at] = [list[2 * at] as K, list[2 * at + 1] as V]
  return found
}

function everyOther(list: readonly unknown[], first: 0 | 1): unknown[] {
  if (list.length === 0) return NONE
  const found = new Array<unknown>(list.length / 2)
  for (let at = 0; at < found.length; at++) found[at] = list[2 * at + first]
  return found
}

export class SmallSet<T> implements Iterable<T> {
  #held: T[] | Set<T> = NONE

  constructor(members?: Iterable<T>) {
    if (members !== undefined) for (const member of members) this.add(member)
  }

  get size(): number {
    const held = this.#held
    return Array.isArray(held) ? held.length : held.size
  }

  has(member: T): boolean {
    const held = this.#held
    return Array.isArray(held) ? held.includes(member) : held.has(member)
  }

  add(member: T): this {
    const held = this.#held
    if (!Array.isArray(held)) held.add(member)
    else if (!held.includes(member)) {
      if (held.length < FEW) this.#held = appended(held, member) as T[]
      else this.#held = new Set(held).add(member)
    }
    return this
  }

  delete(member: T): boolean {
    const held = this.#held
    if (!Array.isArray(held)) {
      const was = held.delete(member)
      if (held.size <= FEWER) this.#held = [...held]
      return was
    }
    const at = held.indexOf(member)
    if (at < 0) return false
    this.#held = without(held, at, 1) as T[]
    return true
  }

  clear(): void {
    this.#held = NONE
  }

  values(): SetIterator<T> {
    return this.#held.values()
  }

  [Symbol.iterator](): SetIterator<T> {
    return this.#held.values()
  }
}
