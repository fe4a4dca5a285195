/**
 * Who may say what in a fleet (SPEC T): what follows from the chain of its roots. Entries and statements are judged by
 * the newest root.
 *
 *   T1  A key id is the hash of the key, so one key never counts twice.
 *   T2  The fleet's hash is that of the canonical signed part of root version 1.
 *   T3  Every signature present must verify and belong to the role; at least the threshold of them is needed.
 *   T10  Sizes are checked before parsing, shape before signatures, signatures before meaning.
 *   T13  Each next root continues the one before, and the thresholds of both signed it.
 *   T14  What only an earlier root covers has lapsed, unless a root vouches for it by its hash.
 *   T15  A second next root is a fork: the one seen first stays.
 *   T16  Only the newest root's expiry counts.
 */
import { Refusal } from '../errors.ts'
import { MAX_ROOT_BYTES } from '../overlay/messages.ts'
import { decode, encode, sha256 } from './canonical.ts'
import { type Envelope, parseEntry, parseStatement, parseTicket } from './entry.ts'
import type { Entry } from './manifest.ts'
import {
  checkEach,
  checkNext,
  checkThreshold,
  counted,
  type OpenRoot,
  openRoot,
  parseRoot,
  type RoleName
} from './root.ts'
import type { Statement, StatementBody } from './statement.ts'
import type { Ticket } from './ticket.ts'

/** Verified entries and statements remembered by the hash of their bytes, beside those remembered by identity. */
const MAX_REMEMBERED = 512
/** Verified tickets that are remembered: those of a view, and some. */
const MAX_TICKETS = 1024
/** Of a file with all roots of a fleet. */
export const MAX_ROOTS_BYTES = 256 * MAX_ROOT_BYTES

/** What the role `control` may say: it holds upgrades up and lets them go, and changes nothing else (T17). */
const CONTROLS: ReadonlySet<StatementBody['what']> = new Set(['pause', 'resume', 'approve'])

/** Who may say it, or release an upgrade: any one of these roles. */
export function rolesFor(what: StatementBody['what'] | 'upgrade'): RoleName[] {
  if (what === 'upgrade') return ['targets']
  if (what === 'revoke') return ['admission']
  return CONTROLS.has(what) ? ['operator', 'control'] : ['operator']
}

/**
 * What is trusted, derived from a chain of roots. Immutable: a rotation gives another one, and those who trust the same
 * may share it. All methods are synchronous and throw Refusal; what is opened is remembered.
 */
export interface Trust {
  readonly fleet: string
  /** The newest one. */
  readonly root: OpenRoot
  /** All, from the first on. */
  readonly roots: readonly OpenRoot[]
  /** Trust with the next root; this one if the root is known. */
  rotated(bytes: Uint8Array): Trust
  /** What some root of the chain covers; whether it still counts is for `covers`. */
  openEntry(bytes: Uint8Array): Entry
  openStatement(bytes: Uint8Array): Statement
  /** T14: whether something that was opened may be taken in and told: the newest root covers it, or one vouches for it. */
  covers(topic: 'entry' | 'statement', bytes: Uint8Array): boolean
  /** A1: whether only who has a ticket takes part. */
  readonly isPrivate: boolean
  /** A ticket as it is shown, covered by the newest root; whether it is good now is not said. */
  openTicket(text: string): Ticket
  /** Whether a first injection at `now` (ms) comes too late: the entry's or the newest root's time has passed. */
  expired(bytes: Uint8Array, now: number): boolean
  /** How many good signatures there are and how many the role needs; refuses bad ones, not too few. */
  signatures(role: RoleName, envelope: Envelope<unknown>): { present: number; threshold: number }
}

/** Remembers results by identity of the bytes, and a bounded number by their hash (duplicates from several peers). */
function memoise<Result extends { bytes: Uint8Array }>(
  open: (bytes: Uint8Array) => Result
): (bytes: Uint8Array) => Result {
  const byIdentity = new WeakMap<Uint8Array, Result>()
  const byHash = new Map<string, Result>()
  return (bytes) => {
    const known = byIdentity.get(bytes)
    if (known !== undefined) return known
    const name = sha256(bytes)
    const result = byHash.get(name) ?? open(bytes)
    if (byHash.size >= MAX_REMEMBERED) byHash.delete(byHash.keys().next().value!)
    byHash.set(name, result)
    byIdentity.set(bytes, result)
    byIdentity.set(result.bytes, result)
    return result
  }
}

/** Trust of the fleet whose first root these bytes are, or all whose roots they are. */
export function openTrust(bytes: Uint8Array): Trust {
  if (bytes[0] !== '['.charCodeAt(0)) return trustIn(openRoot(bytes))
  const [first, ...others] = decode(bytes, MAX_ROOTS_BYTES, 'roots') as unknown[]
  const start = trustIn(openRoot(encode(first ?? null)))
  return others.reduce((trust: Trust, root) => trust.rotated(encode(root)), start)
}

/** The form in which `openTrust` reads all roots of a fleet. */
export function encodeRoots({ roots }: Pick<Trust, 'roots'>): Uint8Array {
  return encode(roots.map(({ bytes }) => JSON.parse(new TextDecoder().decode(bytes))))
}

export function trustIn(root: OpenRoot): Trust {
  return new Chain([root])
}

class Chain implements Trust {
  readonly roots: readonly OpenRoot[]
  readonly openEntry: (bytes: Uint8Array) => Entry
  readonly openStatement: (bytes: Uint8Array) => Statement
  /** What the roots of the chain vouch for, by hash. */
  readonly #vouched: ReadonlySet<string>
  readonly #expiries = new WeakMap<Entry, number>()
  readonly #lapsed = new WeakSet<Entry | Statement>()
  /** They come as text, in one record after another of the same peer. */
  readonly #tickets = new Map<string, Ticket>()

  constructor(roots: readonly OpenRoot[]) {
    this.roots = roots
    this.#vouched = new Set(
      roots.flatMap(({ rotation }) => [...(rotation?.entries ?? []), ...(rotation?.statements ?? [])])
    )
    this.openEntry = memoise((bytes) => this.#entry(bytes))
    this.openStatement = memoise((bytes) => this.#statement(bytes))
  }

  get fleet(): string {
    return this.root.fleet
  }
  get root(): OpenRoot {
    return this.roots.at(-1)!
  }

  covers(topic: 'entry' | 'statement', bytes: Uint8Array): boolean {
    // Before the first rotation nothing has lapsed.
    if (this.roots.length === 1) return true
    return !this.#lapsed.has(topic === 'entry' ? this.openEntry(bytes) : this.openStatement(bytes))
  }

  expired(bytes: Uint8Array, now: number): boolean {
    return now >= Math.min(this.root.expires, this.#expiries.get(this.openEntry(bytes))!)
  }

  signatures(role: RoleName, envelope: Envelope<unknown>): { present: number; threshold: number } {
    checkEach([this.root], role, envelope.metadata, 'signatures')
    return counted(this.root, role, envelope.metadata)
  }

  get isPrivate(): boolean {
    return this.root.isPrivate
  }

  openTicket(text: string): Ticket {
    const known = this.#tickets.get(text)
    if (known !== undefined) return known
    const found = parseTicket(new TextEncoder().encode(text))
    this.#checkFleet(found.content.fleet, 'ticket')
    if (!this.isPrivate) throw new Refusal('WrongSignature', 'ticket: this fleet is open, nobody admits to it')
    checkThreshold(this.root, 'admission', found.metadata, 'ticket')
    const ticket = { ...found.content, expires: found.expires, text }
    if (this.#tickets.size >= MAX_TICKETS) this.#tickets.delete(this.#tickets.keys().next().value!)
    this.#tickets.set(text, ticket)
    return ticket
  }

  rotated(bytes: Uint8Array): Trust {
    const next = parseRoot(bytes)
    const { version } = next
    this.#checkFleet(next.fleet, `root ${version}`)
    const newest = this.root.version
    const known = this.roots[version - 1]
    if (known?.hash === next.hash) return this
    if (version > newest + 1) {
      const text = `root ${version}: the newest root known here is ${newest}; give root ${newest + 1} first`
      throw new Refusal('StaleParent', text)
    }
    checkNext(this.roots[version - 2]!, next)
    if (known === undefined) return new Chain([...this.roots, next])
    const text = `two roots ${version} (${known.hash.slice(0, 12)} and ${next.hash.slice(0, 12)}) stand on one: the one seen first stays; its holders must find out who signed the other`
    throw new Refusal('Fork', text)
  }

  #checkFleet(found: string, what: string): void {
    const { fleet } = this
    if (found === fleet) return
    const text = `${what}: it is for fleet ${found.slice(0, 16)}…, this is ${fleet.slice(0, 16)}…; pack or sign it for this fleet's root.json`
    throw new Refusal('WrongFleet', text)
  }

  #entry(bytes: Uint8Array): Entry {
    const found = parseEntry(bytes)
    this.#checkFleet(found.content.fleet, 'entry')
    const isCovered = this.#judge(rolesFor('upgrade'), found, 'entry')
    const { version, parent } = found.content
    const entry = { version, parent, hash: found.hash, manifest: found.content, bytes: found.bytes }
    this.#expiries.set(entry, found.expires)
    if (!isCovered) this.#lapsed.add(entry)
    return entry
  }

  #statement(bytes: Uint8Array): Statement {
    const found = parseStatement(bytes)
    this.#checkFleet(found.content.fleet, 'statement')
    const isCovered = this.#judge(rolesFor(found.content.what), found, 'statement')
    const { hash, keys, content, expires } = found
    const statement = { hash, keys, body: content, expires, bytes: found.bytes }
    if (!isCovered) this.#lapsed.add(statement)
    return statement
  }

  #held(role: RoleName): string[] {
    return this.roots.flatMap((root) => root.metadata.signed.roles[role]?.keyIDs ?? [])
  }

  /** Whether it is covered (T14). @throws Refusal of the newest root, if no root of the chain takes the signatures */
  #judge(roles: readonly RoleName[], { metadata, hash }: Envelope<unknown>, what: string): boolean {
    const refusal = refusalBy(this.root, roles, metadata, what)
    if (refusal === undefined) return true
    if (this.#vouched.has(hash)) {
      // The roots' holders say so themselves; only noise must not travel with it under its name.
      const held = roles.find((role) => Object.keys(metadata.signatures).some((id) => this.#held(role).includes(id)))
      checkEach(this.roots, held ?? roles[0]!, metadata, what)
      return true
    }
    const earlier = this.roots.slice(0, -1)
    if (earlier.some((root) => refusalBy(root, roles, metadata, what) === undefined)) return false
    throw refusal
  }
}

/** Undefined if one of the roles takes all the signatures. */
function refusalBy(
  root: OpenRoot,
  roles: readonly RoleName[],
  metadata: Envelope<unknown>['metadata'],
  what: string
): Refusal | undefined {
  const ids = Object.keys(metadata.signatures)
  const held = (role: RoleName) => root.metadata.signed.roles[role]?.keyIDs ?? []
  // The first one tells what is wrong where the signatures are nobody's.
  const role = roles.find((one) => ids.length > 0 && ids.every((id) => held(one).includes(id))) ?? roles[0]!
  try {
    checkThreshold(root, role, metadata, what)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
