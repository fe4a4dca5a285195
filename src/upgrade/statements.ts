/** The set of statements a peer holds and what they mean together (SPEC T7 to T9). Any order of arrival, same meaning. */

import { SetDigest } from '../digest.ts'
import { SmallMap, SmallSet } from '../small.ts'
import type { Statement, StatementBody } from './statement.ts'

export interface Roster {
  group: string
  number: number
  members: readonly string[]
  /** Two statements name different members for this number: nobody may grant under it (T9). */
  disputed: boolean
}

const sameMembers = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((m) => b.includes(m))

/** What statements mean together. */
class Meaning {
  readonly identities = new SmallMap<string, string>()
  readonly rosters = new SmallMap<string, Map<number, Roster>>()
  readonly lifted = new SmallSet<string>()
  readonly aborts = new SmallMap<string, Statement>()
  readonly approved = new SmallSet<string>()
  readonly hastened = new SmallSet<string>()
  /** Those that nobody lifted: few, and looked at often. */
  readonly pauses = new SmallMap<string, Statement>()
  readonly forgotten = new SmallSet<string>()
  readonly retirements = new SmallMap<string, Statement>()
  /** Entry's hash → its retries. */
  readonly retries = new SmallMap<string, Statement[]>()
  /** Peer → the statements that it leaves. */
  readonly leaves = new SmallMap<string, Statement[]>()
  /** group/peer → the newest roster under which the peer is excluded. */
  readonly exclusions = new SmallMap<string, number>()
  /** Peer → its newest ticket that is revoked. */
  readonly revoked = new SmallMap<string, number>()
}

/** Of no statements: most sets are empty, and share it. */
const NOTHING = new Meaning()

const NONE: readonly Statement[] = []

export class StatementSet {
  readonly #statements = new SmallMap<string, Statement>()
  #meaning = NOTHING
  readonly #hash53: (text: string) => number
  readonly #digest = new SetDigest()

  constructor(hash53: (text: string) => number) {
    this.#hash53 = hash53
  }

  has(hash: string): boolean {
    return this.#statements.has(hash)
  }
  get(hash: string): Statement | undefined {
    return this.#statements.get(hash)
  }
  get size(): number {
    return this.#statements.size
  }
  all(): IterableIterator<Statement> {
    return this.#statements.values()
  }
  /** Equal sets have equal digests, whatever the order of arrival. */
  get digest(): string {
    return `${this.#statements.size}.${this.#digest.text}`
  }

  /** `equivocation`: another statement with the same ⟨keys, sequence⟩ is known; both count, the more cautious wins. */
  add(statement: Statement): 'added' | 'known' | 'equivocation' {
    if (this.#statements.has(statement.hash)) return 'known'
    this.#statements.set(statement.hash, statement)
    if (this.#meaning === NOTHING) this.#meaning = new Meaning()
    this.#digest.add(this.#hash53(statement.hash))
    const { body } = statement
    if (body.what === 'roster') this.#addRoster(body.group, body.number, body.members)
    if (body.what === 'resume') {
      this.#meaning.lifted.add(body.lifts)
      this.#meaning.pauses.delete(body.lifts)
    }
    if (body.what === 'abort') this.#meaning.aborts.set(body.target, statement)
    if (body.what === 'approve') this.#meaning.approved.add(body.target)
    if (body.what === 'hasten') this.#meaning.hastened.add(body.target)
    if (body.what === 'pause' && !this.#meaning.lifted.has(statement.hash))
      this.#meaning.pauses.set(statement.hash, statement)
    if (body.what === 'forget') this.#meaning.forgotten.add(body.target)
    if (body.what === 'retire') this.#addRetirement(body.target, body.callers, statement)
    if (body.what === 'retry')
      this.#meaning.retries.set(body.target, [...(this.#meaning.retries.get(body.target) ?? []), statement])
    if (body.what === 'leave') this.#meaning.leaves.set(body.peer, [...this.leaves(body.peer), statement])
    if (body.what === 'exclude') {
      const name = `${body.group}/${body.peer}`
      this.#meaning.exclusions.set(name, Math.max(body.roster, this.#meaning.exclusions.get(name) ?? 0))
    }
    if (body.what === 'revoke') this.#meaning.revoked.set(body.peer, Math.max(body.upTo, this.revokedUpTo(body.peer)))
    const identity = `${statement.keys.join()}/${body.sequence}`
    const known = this.#meaning.identities.get(identity)
    if (known === undefined) this.#meaning.identities.set(identity, statement.hash)
    return known === undefined ? 'added' : 'equivocation'
  }

  #addRoster(group: string, number: number, members: readonly string[]): void {
    const rosters = this.#meaning.rosters.get(group) ?? new Map<number, Roster>()
    this.#meaning.rosters.set(group, rosters)
    const known = rosters.get(number)
    const disputed = known !== undefined && (known.disputed || !sameMembers(known.members, members))
    rosters.set(number, { group, number, members: known?.members ?? members, disputed })
  }

  roster(group: string, number: number): Roster | undefined {
    return this.#meaning.rosters.get(group)?.get(number)
  }

  /** The highest number such that every roster from 1 to it is known; 0 if roster 1 is not. */
  newestRoster(group: string): number {
    const rosters = this.#meaning.rosters.get(group)
    let number = 0
    while (rosters?.has(number + 1)) number += 1
    return number
  }

  /** The abort of an upgrade entry, if there is one. */
  abort(entryHash: string): Statement | undefined {
    return this.#meaning.aborts.get(entryHash)
  }

  /** Whether the bundle of an entry is not kept for others any more. */
  forgotten(entryHash: string): boolean {
    return this.#meaning.forgotten.has(entryHash)
  }

  approved(entryHash: string): boolean {
    return this.#meaning.approved.has(entryHash)
  }

  /** The retirement of the version that came with an entry; of several, the one that allows the least. */
  retired(entryHash: string): Statement | undefined {
    return this.#meaning.retirements.get(entryHash)
  }

  #addRetirement(target: string, callers: boolean, statement: Statement): void {
    if (!callers || !this.#meaning.retirements.has(target)) this.#meaning.retirements.set(target, statement)
  }

  /** How many retries for this peer, or for all, discard future SOs that missed calls (L15). */
  discards(peer: string): number {
    let count = 0
    for (const stated of this.#meaning.retries.values()) {
      for (const { body } of stated)
        if (body.what === 'retry' && body.discardFuture === true && (body.peer === null || body.peer === peer))
          count += 1
    }
    return count
  }

  /** How many retries of an entry were stated for this peer or for all: a failure is lifted by one more than it knew. */
  retries(entryHash: string, peer: string): number {
    const stated = this.#meaning.retries.get(entryHash) ?? NONE
    return stated.filter(({ body }) => body.what === 'retry' && (body.peer === null || body.peer === peer)).length
  }

  leaves(peer: string): readonly Statement[] {
    return this.#meaning.leaves.get(peer) ?? NONE
  }

  /** The number up to which a peer's tickets are revoked (A3); 0 if none is. */
  revokedUpTo(peer: string): number {
    return this.#meaning.revoked.get(peer) ?? 0
  }

  /** Peers of which tickets are revoked. */
  get revocations(): number {
    return this.#meaning.revoked.size
  }

  /** Whether a peer is excluded from a group under this roster. */
  excluded(group: string, peer: string, roster: number): boolean {
    return (this.#meaning.exclusions.get(`${group}/${peer}`) ?? 0) >= roster
  }

  /** Whether a peer is excluded from a group for as long as no newer roster names it again. */
  excludedAnywhere(peer: string): boolean {
    for (const [name, roster] of this.#meaning.exclusions) {
      const [group, excluded] = [name.slice(0, name.indexOf('/')), name.slice(name.indexOf('/') + 1)]
      if (excluded !== peer) continue
      const newest = this.newestRoster(group)
      if (roster >= newest || this.roster(group, newest)?.members.includes(peer) === false) return true
    }
    return false
  }

  /** The pauses in force against an upgrade entry at `now` (ms); with `who`, those that hold this object of this peer. */
  pauses(entryHash: string, now: number, who?: Paused): Statement[] {
    return [...this.#meaning.pauses.values()].filter(({ body, expires }) => {
      if (body.what !== 'pause' || expires <= now) return false
      if (body.target !== null && body.target !== entryHash) return false
      return who === undefined || fits(body.of ?? {}, who)
    })
  }

  /** Whether nodes are told not to wait for the conditions of an upgrade's schedule. */
  hastened(entryHash: string): boolean {
    return this.#meaning.hastened.has(entryHash)
  }

  /** When the next pause lapses by itself, ms; Infinity if none does. */
  nextLapse(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const { expires } of this.#meaning.pauses.values()) if (expires > now) next = Math.min(next, expires)
    return next
  }
}

/** An object of a peer, as pauses name it. */
export interface Paused {
  peer: string
  labels: Readonly<Record<string, string>>
  /** Its class before and after the upgrade. */
  classes: readonly (string | null)[]
}

type PausedOf = NonNullable<Extract<StatementBody, { what: 'pause' }>['of']>

const fits = (of: PausedOf, who: Paused): boolean =>
  (of.peer === undefined || of.peer === who.peer) &&
  (of.class === undefined || who.classes.includes(of.class)) &&
  Object.entries(of.labels ?? {}).every(([label, value]) => who.labels[label] === value)
