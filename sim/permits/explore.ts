/** Breadth-first exploration of a model's states, to the end or to a bound, with the shortest way to what is wrong. */
import { Generator as Prng } from '../../src/prng.ts'
import { type Group, Model, type Protocol, type Setting } from './model.ts'

export interface Exploration {
  title: string
  states: number
  /** Every state was looked at; else the bound was reached. */
  complete: boolean
  /** Steps from the beginning to the states that were looked at last. */
  depth: number
  /** Most that held at once. */
  holders: number
  /** The shortest way to more holders than may be, if there is one. */
  violation: string[] | undefined
}

/** States by a 53-bit hash: of n states two are taken for one with probability n² / 2⁵⁴. */
class SeenStates {
  #slots = new Float64Array(1 << 16)
  #count = 0

  get size(): number {
    return this.#count
  }

  /** Whether it was not there yet. */
  add(group: Group): boolean {
    if (this.#count * 2 > this.#slots.length) this.#grow()
    const hash = hashOf(group)
    const at = this.#find(hash)
    if (this.#slots[at] === hash) return false
    this.#slots[at] = hash
    this.#count += 1
    return true
  }

  #find(hash: number): number {
    const mask = this.#slots.length - 1
    let at = hash % this.#slots.length
    while (this.#slots[at] !== 0 && this.#slots[at] !== hash) at = (at + 1) & mask
    return at
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Float64Array(before.length * 2)
    for (const hash of before) if (hash !== 0) this.#slots[this.#find(hash)] = hash
  }
}

function hashOf(group: Group): number {
  let [a, b] = [0x9e3779b9, 0x85ebca6b]
  for (const value of group) {
    a = Math.imul(a ^ value, 0xcc9e2d51)
    a = (a << 15) | (a >>> 17)
    b = Math.imul(b ^ (value + a), 0x1b873593)
    b = (b << 13) | (b >>> 19)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0) + 1
}

/** @param most states looked at, at most */
export function explore(setting: Setting, protocol: Protocol, most: number): Exploration {
  const model = new Model(setting, protocol)
  const seen = new SeenStates()
  /** By state in the order of its finding: the state that it was found from. */
  const parents: number[] = [-1]
  seen.add(model.begin)
  let frontier: { group: Group; serial: number }[] = [{ group: model.begin, serial: 0 }]
  const found = { title: setting.title, complete: false, depth: 0, holders: 0 }
  for (; frontier.length > 0 && seen.size < most; found.depth++) {
    const next: typeof frontier = []
    for (const { group, serial } of frontier) {
      if (seen.size >= most) break
      for (const [, after] of model.next(group)) {
        if (!seen.add(after)) continue
        const at = parents.push(serial) - 1
        const holders = model.holders(after)
        found.holders = Math.max(found.holders, holders.length)
        if (holders.length > model.allowed(holders))
          return { ...found, states: seen.size, violation: wayTo(model, parents, at) }
        next.push({ group: after, serial: at })
      }
    }
    frontier = next
  }
  return { ...found, complete: frontier.length === 0, states: seen.size, violation: undefined }
}

/** One random history. `held`: how often a permit came to be held. */
export function walk(
  setting: Setting,
  protocol: Protocol,
  seed: number,
  steps: number
): { held: number; violation: string[] | undefined } {
  const random = new Prng(seed)
  const model = new Model(setting, protocol)
  let group = model.begin
  let held = 0
  const names: string[] = []
  for (let step = 0; step < steps; step++) {
    const drawn = model.draw(group, random)
    if (drawn === undefined) continue
    const [say, after] = drawn
    names.push(say())
    const [before, now] = [model.holders(group), model.holders(after)]
    if (now.length > before.length) held += 1
    if (now.length > model.allowed(now)) return { held, violation: names }
    group = after
  }
  return { held, violation: undefined }
}

/** The names of the steps that lead to a state: the search again, along its ancestors only. */
function wayTo(model: Model, parents: readonly number[], serial: number): string[] {
  const ancestors: number[] = []
  for (let one = serial; one >= 0; one = parents[one]!) ancestors.unshift(one)
  const seen = new SeenStates()
  seen.add(model.begin)
  let count = 1
  const names: string[] = []
  let frontier: { group: Group; serial: number }[] = [{ group: model.begin, serial: 0 }]
  for (;;) {
    const next: typeof frontier = []
    for (const one of frontier) {
      for (const [say, after] of model.next(one.group)) {
        if (!seen.add(after)) continue
        const at = count++
        if (one.serial === ancestors[names.length] && at === ancestors[names.length + 1]) {
          names.push(say())
          if (at === serial) return names
        }
        next.push({ group: after, serial: at })
      }
    }
    frontier = next
  }
}
