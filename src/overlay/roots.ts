/**
 * The roots that a peer has heard of, and what it trusts by them (SPEC T13 to T16, O27). Trust grows along the chain of
 * roots and never goes back.
 */
import { Refusal } from '../errors.ts'
import { SmallMap, SmallSet } from '../small.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Trusted, TrustedRoot } from './events.ts'
import type { Outbox } from './outbox.ts'
import type { Head } from './record.ts'

/** Broadcasts by keys that are not known here which a neighbour may bring before its newer root does (O27). */
const MAX_STRANGE = 4
/** Forks of which each is said once. */
const MAX_RIVALS = 8
/** How long before its end a root is complained about: time for its holders to meet. */
const WARN_MS = 14 * 24 * 3_600_000
/** Named in an alarm. */
const MAX_NAMED = 4

/** How the newest root of another peer stands to one's own. */
export type Standing = 'same' | 'behind' | 'ahead' | 'rival'

export type RootLearned =
  /** `orphan`: roots before it are not known here. */
  { what: 'new' | 'known' | 'orphan' } | { what: 'forged'; refusal: Refusal }

export interface RootsInit {
  readonly authority: { readonly trust: Trusted }
  readonly log: UpgradeLog
  readonly statements: StatementSet
  readonly outbox: Outbox
  readonly chronicle: { hear(hash: string): void }
}

export class Roots {
  readonly #init: RootsInit
  #trust: Trusted
  /** How many are durable, the first one, which every start is given, among them. */
  #kept = 1
  /** The version of which it was said that it expires soon; and a half: that it has. */
  #warned = 0
  /** Hashes of roots that fork the chain. */
  #rivals: SmallSet<string> | undefined
  /** Neighbour → what it broadcast that is signed by keys of no root here. */
  #strange: SmallMap<string, number> | undefined

  constructor(init: RootsInit) {
    this.#init = init
    this.#trust = init.authority.trust
  }

  get trust(): Trusted {
    return this.#trust
  }

  get head(): Head {
    const { version, hash } = this.#trust.root
    return { version, hash }
  }

  /** What messages say of it; everybody knows the first one. */
  get said(): { root?: Head } {
    return this.#trust.root.version === 1 ? {} : { root: this.head }
  }

  standing(theirs: Head | undefined): Standing {
    const { roots } = this.#trust
    const version = theirs?.version ?? 1
    if (version > roots.length) return 'ahead'
    if (theirs !== undefined && roots[version - 1]?.hash !== theirs.hash) return 'rival'
    return version === roots.length ? 'same' : 'behind'
  }

  /** What a peer with this newest root is told: all that follow; of a fork, the one that stands against its own. */
  after(theirs: Head | undefined): Uint8Array[] {
    const version = theirs?.version ?? 1
    const { roots } = this.#trust
    const standing = this.standing(theirs)
    // T15: whoever is ahead on another branch hears of it by this peer's own root.
    if (standing === 'rival' || (standing === 'ahead' && this.#rivals !== undefined))
      return [(roots[version - 1] ?? this.#trust.root).bytes]
    const following = roots.slice(version)
    return following.map((root) => root.bytes)
  }

  learn(bytes: Uint8Array): RootLearned {
    const before = this.#trust
    try {
      this.#trust = before.rotated(bytes)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (error.code === 'StaleParent') return { what: 'orphan' }
      if (error.code !== 'Fork') return { what: 'forged', refusal: error }
      this.#onFork(error.message)
      return { what: 'known' }
    }
    if (this.#trust === before) return { what: 'known' }
    this.#persist(this.#trust.root)
    this.#init.chronicle.hear(this.#trust.root.hash)
    this.#strange = undefined
    this.#warn()
    return { what: 'new' }
  }

  /** Roots that were kept, the first one first. Those given at the start may be newer: see `keep`. */
  restore(kept: readonly Uint8Array[]): void {
    for (const bytes of kept) this.#trust = this.#trust.rotated(bytes)
    this.#kept = kept.length + 1
  }

  /** What was given at the start is kept like what was heard: the next start may be given less. */
  keep(): void {
    for (const root of this.#trust.roots.slice(this.#kept)) this.#persist(root)
  }

  #persist({ version, hash, bytes }: TrustedRoot): void {
    this.#init.outbox.persist(`root/${String(version).padStart(7, '0')}/${hash}`, bytes)
    this.#kept = version
  }

  /** An operator's. Returns what to answer. */
  inject(bytes: Uint8Array, now: number): string | Refusal {
    try {
      const { root } = this.#trust.rotated(bytes)
      if (root.expires <= now && root.version > this.#trust.root.version)
        return new Refusal('Expired', `root ${root.version} is past its expiry; make one with a later one`)
      this.learn(bytes)
      return `root ${root.version} (${root.hash.slice(0, 12)}) is accepted and on its way`
    } catch (error) {
      if (error instanceof Refusal) return error
      throw error
    }
  }

  /** Whether a neighbour may have a newer root, by which what it broadcast is well signed; asked a few times. */
  tolerates(peer: string): boolean {
    // Most peers never meet with either: their tables are made when they are wanted.
    this.#strange ??= new SmallMap()
    const count = (this.#strange.get(peer) ?? 0) + 1
    this.#strange.set(peer, count)
    return count <= MAX_STRANGE
  }

  forget(peer: string): void {
    this.#strange?.delete(peer)
  }

  /** T14: of entries that somebody lacks, parents first, those that are of use there: none that lapsed, and none that rests on one. */
  chained(entries: readonly Entry[]): Entry[] {
    const withheld = new Set<string>()
    return entries.filter(({ hash, parent, bytes, manifest }) => {
      const rests = withheld.has(parent) || (manifest.replaces?.some((one) => withheld.has(one)) ?? false)
      if (!rests && this.#trust.covers('entry', bytes)) return true
      withheld.add(hash)
      return false
    })
  }

  /** T14: hashes of what is held here and covered by no root any more. */
  lapsed(): string[] {
    const { log, statements } = this.#init
    const entries = [...log.entries()].filter((one) => !this.#trust.covers('entry', one.bytes))
    const said = [...statements.all()].filter((one) => !this.#trust.covers('statement', one.bytes))
    return [...entries, ...said].map((one) => one.hash)
  }

  /** T16: says once that the newest root expires soon, and once that it has. Returns when to look again, ms. */
  turn(now: number): number {
    const { version, expires } = this.#trust.root
    const warnsAt = expires - WARN_MS
    const said = now >= expires ? version + 0.5 : version
    if (now < warnsAt || this.#warned >= said) return nextAfter(now, warnsAt, expires)
    this.#warned = said
    const text =
      now >= expires
        ? `root ${version} is past its expiry: no new upgrade is taken until its holders make the next one; service goes on`
        : `root ${version} expires at ${new Date(expires).toISOString()}: its holders must make the next one ("upstart root rotate"), or no new upgrade is taken from then on`
    this.#init.outbox.send({ type: 'alarm', name: now >= expires ? 'RootExpired' : 'RootExpires', text })
    return nextAfter(now, warnsAt, expires)
  }

  #onFork(text: string): void {
    this.#rivals ??= new SmallSet()
    if (this.#rivals.has(text) || this.#rivals.size >= MAX_RIVALS) return
    this.#rivals.add(text)
    this.#init.outbox.send({ type: 'alarm', name: 'Fork', text })
  }

  #warn(): void {
    const lapsed = this.lapsed()
    if (lapsed.length === 0) return
    const named = lapsed.slice(0, MAX_NAMED).map((hash) => hash.slice(0, 12))
    const text = `root ${this.#trust.root.version} does not cover ${lapsed.length} entries or statements that are held here (${named.join(', ')}): they stay in force here and reach nobody else, until a next root vouches for them`
    this.#init.outbox.send({ type: 'alarm', name: 'Lapsed', text })
  }
}

const nextAfter = (now: number, ...times: number[]): number =>
  Math.min(...times.map((at) => (at > now ? at : Number.POSITIVE_INFINITY)))
