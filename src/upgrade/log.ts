/**
 * The fleet's log: one append-only hash chain of upgrade entries (SPEC T4 to T6). Entries arrive in any order and from
 * anywhere; authority comes from signatures, order from the chain.
 */

import { Refusal } from '../errors.ts'
import type { Head } from '../overlay/record.ts'
import type { Entry } from './manifest.ts'
import { checkReplacement } from './replacement.ts'
import { Schema } from './schema.ts'

/** Branches kept of one fork, and forks kept at all: evidence, bounded. */
const MAX_BRANCHES = 4

export type Addition = 'added' | 'known' | 'orphan' | 'fork'

/** What a log holds. */
class Held {
  readonly entries: Map<string, Entry>
  readonly children: Map<string, readonly Entry[]>
  /** The undisputed chain: chain[i] is version i + 1. It ends before the first fork. */
  chain: readonly Entry[] = []
  schema = new Schema()
  /** Schemas at entries beside the chain that were asked for. */
  readonly branches = new Map<string, Schema>()
  /** Hash of an entry → what holds that one, too. Only of what logs share. */
  readonly next: Map<string, Held> | undefined

  constructor(isShared: boolean, before?: Held) {
    this.entries = new Map(before?.entries)
    this.children = new Map(before?.children)
    if (isShared) this.next = new Map()
    if (before === undefined) return
    this.chain = before.chain
    this.schema = before.schema
  }
}

/** What the logs of many simulated peers hold is kept, and worked out, once for all that hold the same. */
export class SharedLogs {
  readonly empty = new Held(true)
}

export class UpgradeLog {
  readonly fleet: string
  #held: Held

  constructor(fleet: string, shared?: SharedLogs) {
    this.fleet = fleet
    this.#held = shared?.empty ?? new Held(false)
  }

  get chain(): readonly Entry[] {
    return this.#held.chain
  }
  get schema(): Schema {
    return this.#held.schema
  }
  get head(): Head {
    const last = this.#held.chain.at(-1)
    return last === undefined ? { version: 0, hash: this.fleet } : { version: last.version, hash: last.hash }
  }
  get size(): number {
    return this.#held.entries.size
  }

  at(version: number): Entry | undefined {
    return this.#held.chain[version - 1]
  }
  has(hash: string): boolean {
    return this.#held.entries.has(hash)
  }
  get(hash: string): Entry | undefined {
    return this.#held.entries.get(hash)
  }
  entries(): IterableIterator<Entry> {
    return this.#held.entries.values()
  }

  /**
   * Whether the chain could take an entry whose parent, and whatever it replaces, is known.
   * @throws Refusal StaleParent if its number is not its parent's plus one; UnknownClass (U7); Malformed (R2).
   */
  check(entry: Entry): void {
    const parent = this.#held.entries.get(entry.parent)
    if (entry.version !== (parent?.version ?? 0) + 1) {
      throw new Refusal(
        'StaleParent',
        `entry ${entry.version} names a parent of version ${parent?.version ?? 0}; a version is its parent's plus one`
      )
    }
    this.#schemaAt(entry.parent).after(entry)
    checkReplacement(entry, { get: (hash) => this.#held.entries.get(hash), schemaAt: (hash) => this.#schemaAt(hash) })
  }

  /** Whether the undisputed chain would end with this entry: what an operator sends must (T4, R3). */
  wouldLead(entry: Entry): boolean {
    const trial = new UpgradeLog(this.fleet)
    for (const one of this.#held.entries.values()) trial.add(one)
    trial.add(entry)
    return trial.head.hash === entry.hash
  }

  /**
   * Adds a verified entry. `orphan`: its parent, or one that it replaces, is not known (ask for it). `fork`: a second
   * child of one parent; kept as evidence, and the chain ends before both (T6) until an entry replaces both (R3).
   * @throws Refusal as `check` does, and Fork beyond the branches that are kept.
   */
  add(entry: Entry): Addition {
    if (this.#held.entries.has(entry.hash)) return 'known'
    const siblings = this.#held.children.get(entry.parent) ?? []
    const next = this.#held.next?.get(entry.hash)
    if (next !== undefined) {
      this.#held = next
      return siblings.length > 0 ? 'fork' : 'added'
    }
    const parent = this.#held.entries.get(entry.parent)
    if (parent === undefined && entry.parent !== this.fleet) return 'orphan'
    if (entry.manifest.replaces?.some((hash) => !this.#held.entries.has(hash))) return 'orphan'
    this.check(entry)
    if (siblings.length >= MAX_BRANCHES)
      throw new Refusal('Fork', `version ${entry.version} has ${siblings.length} branches already`)
    if (this.#held.next !== undefined) {
      const copy = new Held(true, this.#held)
      this.#held.next.set(entry.hash, copy)
      this.#held = copy
    }
    this.#held.entries.set(entry.hash, entry)
    this.#held.children.set(entry.parent, [...siblings, entry])
    this.#rebuild()
    return siblings.length > 0 ? 'fork' : 'added'
  }

  /** Entries with the same parent as this one, itself excluded: adding it would make or widen a fork. */
  rivals(entry: Entry): readonly Entry[] {
    return (this.#held.children.get(entry.parent) ?? []).filter((child) => child.hash !== entry.hash)
  }

  /** The schema of the branch that an entry is on; the whole chain's if it is on the chain. */
  schemaOf(hash: string): Schema {
    const entry = this.#held.entries.get(hash)
    if (entry === undefined || this.#held.chain[entry.version - 1] === entry) return this.#held.schema
    // Asked for at every step while a fork lasts; an entry's ancestors never change.
    const known = this.#held.branches.get(hash) ?? this.#schemaAt(hash)
    this.#held.branches.set(hash, known)
    return known
  }

  /** The rivals on one parent, if the chain ends in a fork. */
  get fork(): readonly Entry[] {
    const children = this.#held.children.get(this.head.hash) ?? []
    return children.length > 1 ? children : []
  }

  /** Ends of all branches, newest first: what anti-entropy compares. */
  tips(): Head[] {
    const tips = [...this.#held.entries.values()].filter((entry) => !this.#held.children.has(entry.hash))
    const heads = tips
      .map(({ version, hash }) => ({ version, hash }))
      .sort((a, b) => b.version - a.version || (a.hash < b.hash ? -1 : 1))
    return heads.length === 0 ? [{ version: 0, hash: this.fleet }] : heads.slice(0, 16)
  }

  /** Entries that a holder of `tips` lacks, in the order in which they were added: what one names comes before it. */
  missingFrom(tips: readonly Head[]): Entry[] {
    const held = new Set<string>([this.fleet])
    for (const tip of tips) {
      for (let hash = tip.hash; !held.has(hash); ) {
        const entry = this.#held.entries.get(hash)
        if (entry === undefined) break
        held.add(hash)
        hash = entry.parent
      }
    }
    return [...this.#held.entries.values()].filter((entry) => !held.has(entry.hash))
  }

  #schemaAt(hash: string): Schema {
    const path: Entry[] = []
    for (let entry = this.#held.entries.get(hash); entry !== undefined; entry = this.#held.entries.get(entry.parent)) {
      if (this.#held.chain[entry.version - 1] === entry && this.#held.chain.length === entry.version)
        return path.reduceRight((s, e) => s.after(e), this.#held.schema)
      path.push(entry)
    }
    return path.reduceRight((schema, entry) => schema.after(entry), new Schema())
  }

  #rebuild(): void {
    const held = this.#held
    // A fork can appear below the head, and an entry can end one: then the chain is walked anew.
    const sound = held.chain.every((entry) => held.children.get(entry.parent)?.length === 1)
    if (!sound || this.fork.length > 0) {
      held.chain = []
      held.schema = new Schema()
    }
    for (let next = this.#next(); next.length > 0; next = this.#next()) {
      held.chain = [...held.chain, ...next]
      for (const entry of next) held.schema = held.schema.after(entry)
    }
  }

  /** What follows the head: the only child, or the way through a fork to the entry that ended it. */
  #next(): Entry[] {
    const children = this.#held.children.get(this.head.hash) ?? []
    return children.length === 1 ? [children[0]!] : this.#throughFork(children)
  }

  /**
   * R3: the one entry chained on a branch that replaces all branches. If there are several that do not replace each
   * other, the fleet disputes that, too.
   */
  #throughFork(branches: readonly Entry[]): Entry[] {
    if (branches.length === 0) return []
    const ending = [...this.#held.entries.values()].filter((entry) =>
      branches.every((branch) => entry.manifest.replaces?.includes(branch.hash))
    )
    const last = ending.filter((one) => !ending.some((other) => other.manifest.replaces!.includes(one.hash)))
    if (last.length !== 1) return []
    const path: Entry[] = []
    for (let entry = last[0]; entry !== undefined && entry.hash !== this.head.hash; ) {
      path.unshift(entry)
      entry = this.#held.entries.get(entry.parent)
    }
    return branches.includes(path[0]!) ? path : []
  }
}
