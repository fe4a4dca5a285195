/**
 * The trust of a simulated fleet (SPEC M4): a signature is the identity of the bytes. `World` is the signer: what it made
 * opens, everything else is refused, so that forged bytes cost nothing to make and cannot be mistaken. The entries,
 * statements and records are those of the production code.
 */
import { Refusal } from '../src/errors.ts'
import type {
  Authority,
  Effect,
  Event,
  HostCommandName,
  PeerInit,
  Trusted,
  TrustedRoot
} from '../src/overlay/events.ts'
import { type PeerRecord, type SignedRecord, signedRecord } from '../src/overlay/record.ts'
import { contextOf, type ScheduleContext } from '../src/schedule/context.ts'
import type { Condition, Schedule } from '../src/schedule/schedule.ts'
import { SharedLogs } from '../src/upgrade/log.ts'
import { type Entry, MIN_PIECE_BYTES } from '../src/upgrade/manifest.ts'
import type { Needs } from '../src/upgrade/needs.ts'
import type { Statement, StatementBody } from '../src/upgrade/statement.ts'
import type { Ticket } from '../src/upgrade/ticket.ts'
import type { Simulation } from './callers.ts'
import type { Curve } from './host.ts'
import { matches, type Where } from './places.ts'

/** cyrb53: a 53-bit hash of a string; spreads orders and shares, protects nothing. */
export function hash53(text: string): number {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    a = Math.imul(a ^ unit, 2654435761)
    b = Math.imul(b ^ unit, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0)
}

/** A name of the shape of a sha-256; simulated content has no bytes to hash. */
export function hash64(text: string): string {
  let hash = ''
  for (let part = 0; part < 5; part++) hash += hash53(`${part}/${text}`).toString(16).padStart(14, '0')
  return hash.slice(0, 64)
}

/**
 * Bytes of a true length that cost no memory: views of one shared buffer, told apart by identity. They carry what was
 * signed themselves: weak maps of millions are most of what a collection costs.
 */
class SimulatedBytes extends Uint8Array {
  signer: World | undefined
  kind: Kind | undefined
  opened: Entry | Statement | SignedRecord | SimulatedRoot | undefined
  /** Version of the root whose keys signed it. */
  under: number | undefined
}
type Kind = 'entry' | 'statement' | 'record' | 'root'
const SHARED = new ArrayBuffer(1024 * 1024)
const bytesOf = (length: number): SimulatedBytes => new SimulatedBytes(SHARED, 0, Math.min(length, SHARED.byteLength))

export interface SimulatedBundle {
  sha256: string
  version: number
  pieces: string[]
  pieceBytes: number
  bytes: Uint8Array[]
}

/** What an upgrade costs where it is made, and where it goes wrong; as told with it. */
export interface Effort {
  /** How long its commands to the host take, where that is known: the TF, the proof of health. */
  times?: Partial<Record<HostCommandName, Curve>>
  /** On a share of the peers with these labels no object of it proves its health; the first that matches counts. */
  fails?: { share: number; where: Where }[]
  simulation?: Simulation
}

/** The code of custom schedules, by the module that a condition names: plain functions, so that a run is one of its seed. */
export type ScheduleCode = Readonly<Record<string, (context: ScheduleContext) => unknown>>

export interface EntryRequest {
  /** Several classes are one lineage each: C1v1 → C1v2 … */
  lineages: string[]
  schedule: Schedule
  /** When future SOs are started that nobody called. @default never */
  simulate?: Condition | undefined
  /** What the code needs beyond its state (SPEC H11). */
  needs?: Needs | undefined
  /** Of lineages that have one of their own. */
  schedules?: Record<string, Schedule>
  /** @default none */
  code?: ScheduleCode | undefined
  pieces: number
  /** True length of one; it fills no memory. @default the least that a bundle may have */
  pieceBytes?: number
  /** Whether the class upgrades bring a future and a past SO. */
  future: boolean
  past: boolean
  /** Entries that it replaces (SPEC R). */
  replaces?: Entry[]
}

/** A root whose keys are all new: what earlier ones signed has lapsed unless it is vouched for. */
export interface SimulatedRoot extends TrustedRoot {
  readonly parent: string
  readonly vouches: ReadonlySet<string>
}

/** Trust in a chain of roots: one object for all peers that know the same. */
class SimulatedTrust implements Trusted {
  readonly roots: readonly SimulatedRoot[]
  readonly #world: World
  /** By the next root. */
  readonly #next = new Map<SimulatedRoot, SimulatedTrust>()

  constructor(world: World, roots: readonly SimulatedRoot[]) {
    this.#world = world
    this.roots = roots
  }

  get root(): SimulatedRoot {
    return this.roots.at(-1)!
  }

  get isPrivate(): boolean {
    return this.#world.isPrivate
  }
  openTicket(text: string): Ticket {
    return this.#world.openTicket(text)
  }
  rotated(bytes: Uint8Array): Trusted {
    const root = this.#world.open('root', bytes) as SimulatedRoot
    const known = this.roots[root.version - 1]
    if (known === root) return this
    const before = this.roots[root.version - 2]
    if (before?.hash !== root.parent) throw new Refusal('StaleParent', `root ${root.version} continues another one`)
    if (known !== undefined) throw new Refusal('Fork', `two roots ${root.version}: ${known.hash} and ${root.hash}`)
    let next = this.#next.get(root)
    if (next === undefined) {
      next = new SimulatedTrust(this.#world, [...this.roots, root])
      this.#next.set(root, next)
    }
    return next
  }

  openEntry(bytes: Uint8Array): Entry {
    return this.#open('entry', bytes) as Entry
  }
  openStatement(bytes: Uint8Array): Statement {
    return this.#open('statement', bytes) as Statement
  }

  covers(kind: 'entry' | 'statement', bytes: Uint8Array): boolean {
    // As in the production code: before the first rotation nothing has lapsed.
    return this.roots.length === 1 || this.#world.isCovered(kind, bytes, this.roots)
  }

  expired(_bytes: Uint8Array, now: number): boolean {
    return now >= this.root.expires
  }

  #open(kind: 'entry' | 'statement', bytes: Uint8Array): unknown {
    const opened = this.#world.open(kind, bytes)
    const isKnown = (bytes as SimulatedBytes).under! <= this.root.version
    if (isKnown || this.#world.isCovered(kind, bytes, this.roots)) return opened
    throw new Refusal('UnknownKey', `the ${kind} is signed by keys that root ${this.root.version} does not list`)
  }
}

/** One peer's: only what it signs is its own. */
class SimulatedAuthority implements Authority {
  readonly #world: World
  readonly #sealed: (signed: SignedRecord) => void

  constructor(world: World, sealed: (signed: SignedRecord) => void) {
    this.#world = world
    this.#sealed = sealed
  }

  get fleet(): string {
    return this.#world.fleet
  }
  get logs(): SharedLogs {
    return this.#world.logs
  }
  get trust(): Trusted {
    return this.#world.trust
  }
  openRecord(bytes: Uint8Array): SignedRecord {
    return this.#world.open('record', bytes) as SignedRecord
  }
  sealRecord(record: PeerRecord): Uint8Array {
    const signed = this.#world.seal(record)
    this.#sealed(signed)
    return signed.bytes
  }
  hash53(text: string): number {
    return hash53(text)
  }
}

export class World {
  readonly logs = new SharedLogs()
  readonly fleet: string
  readonly entries: Entry[] = []
  /** Entries that stand on the parent of one of the chain (T6). */
  readonly rivals: Entry[] = []
  readonly statements: Statement[] = []
  /** A1: only who has a ticket takes part; said before the first peer is made. */
  isPrivate = false
  readonly #tickets = new Map<string, Ticket>()
  readonly bundles = new Map<string, SimulatedBundle>()
  /** Hash of a bundle → the code of its schedules. */
  readonly schedules = new Map<string, ScheduleCode>()
  /** Version → the share of nodes on which its objects prove no health. */
  readonly broken = new Map<number, number>()
  readonly efforts = new Map<number, Effort>()
  /** Version → the share of calls that fail through its objects' fault. */
  readonly errors = new Map<number, number>()
  /** Of the first root. */
  readonly trust: Trusted
  readonly roots: SimulatedRoot[]
  readonly #pieceHashes = new WeakMap<Uint8Array, string>()
  /** Copy what is sealed, so that a peer that changes a record after it signed it is found out. */
  readonly #strict: boolean

  constructor(seed: number, strict: boolean) {
    this.fleet = hash64(`fleet ${seed}`)
    this.#strict = strict
    this.roots = [this.#root(1, this.fleet, '', new Set())]
    this.trust = new SimulatedTrust(this, this.roots.slice())
  }

  /** The holders make the next root, with new keys for all; it vouches for what exists but for what is left out. */
  makeRoot(but: readonly string[] = [], expires = Number.POSITIVE_INFINITY): SimulatedRoot {
    const made = [...this.entries, ...this.rivals, ...this.statements].map((one) => one.hash)
    const root = this.#root(
      this.roots.length + 1,
      hash64(`root ${this.fleet} ${this.roots.length + 1}`),
      this.roots.at(-1)!.hash,
      new Set(made.filter((hash) => !but.includes(hash))),
      expires
    )
    this.roots.push(root)
    return root
  }

  /** Others with the keys of the root before make another one in place of the newest. */
  makeRivalRoot(): SimulatedRoot {
    const { version, parent, vouches } = this.roots.at(-1)!
    return this.#root(version, hash64(`rival root ${this.fleet} ${version}`), parent, vouches)
  }

  #root(
    version: number,
    hash: string,
    parent: string,
    vouches: ReadonlySet<string>,
    expires = Number.POSITIVE_INFINITY
  ): SimulatedRoot {
    const bytes = bytesOf(4000)
    const root = { version, hash, parent, vouches, expires, bytes }
    this.#sign('root', bytes, root)
    return root
  }

  /** T14: the newest of these roots signed it, or one of them vouches for it. */
  isCovered(kind: 'entry' | 'statement', bytes: Uint8Array, roots: readonly SimulatedRoot[]): boolean {
    const { hash } = this.open(kind, bytes) as Entry | Statement
    return (bytes as SimulatedBytes).under === roots.length || roots.some(({ vouches }) => vouches.has(hash))
  }

  /** An entry that a test has made, signed by the keys of now. */
  signed(entry: Omit<Entry, 'bytes'>): Entry {
    const bytes = bytesOf(2000)
    const made = { ...entry, bytes }
    this.#sign('entry', bytes, made)
    return made
  }

  /** The signer makes version n + 1 of the one chain. */
  makeEntry(request: EntryRequest): Entry {
    const parent = this.entries.at(-1)
    const entry = this.#entryAfter(parent, (parent?.version ?? 0) + 1, request, '')
    this.entries.push(entry)
    return this.#release(entry, request)
  }

  /** Another signer makes one on the parent of the chain's last: a fork, if both are released. */
  makeRival(request: EntryRequest): Entry {
    const last = this.entries.at(-1)!
    const entry = this.#entryAfter(this.entries.at(-2), last.version, request, 'rival')
    this.rivals.push(entry)
    return this.#release(entry, request)
  }

  /** The chain's last and its rival change places. */
  yieldTo(rival: Entry): void {
    const last = this.entries.pop()!
    this.entries.push(rival)
    this.rivals[this.rivals.indexOf(rival)] = last
  }

  /** All that signers made with this number. */
  entriesOf(version: number): Entry[] {
    const chained = this.entries[version - 1]
    const rivals = this.rivals.filter((one) => one.version === version)
    return chained === undefined ? rivals : [chained, ...rivals]
  }

  /** The entry of this hash. */
  entryOf(hash: string): Entry | undefined {
    return this.entries.find((one) => one.hash === hash) ?? this.rivals.find((one) => one.hash === hash)
  }

  #release(entry: Entry, request: EntryRequest): Entry {
    const { version } = entry
    this.#sign('entry', entry.bytes, entry)
    const { sha256, pieces } = entry.manifest.bundle
    const bytes = pieces.map((hash) => {
      const piece = bytesOf(1)
      this.#pieceHashes.set(piece, hash)
      return piece
    })
    if (request.code !== undefined) this.schedules.set(sha256, request.code)
    this.bundles.set(sha256, { sha256, version, pieces, pieceBytes: entry.manifest.bundle.pieceLength, bytes })
    return entry
  }

  /** What an attacker would make: well formed, and not signed by anyone entitled. */
  forgeEntry(request: EntryRequest): Entry {
    const parent = this.entries.at(-1)
    return this.#entryAfter(parent, (parent?.version ?? 0) + 1, request, 'forged')
  }

  /** What somebody with the keys of the root before the newest would make. */
  stealEntry(request: EntryRequest): Entry {
    const parent = this.entries.at(-1)
    const entry = this.#entryAfter(parent, (parent?.version ?? 0) + 1, request, 'stolen')
    this.#sign('entry', entry.bytes, entry)
    if (entry.bytes instanceof SimulatedBytes) entry.bytes.under = this.roots.length - 1
    return entry
  }

  makeStatement(body: StatementBody, expires = Number.POSITIVE_INFINITY): Statement {
    const bytes = bytesOf(300)
    // Two pauses that differ in their expiry alone are two statements.
    const hash = hash64(JSON.stringify([body, String(expires)]))
    const statement: Statement = { hash, keys: [hash64('operator')], body, expires, bytes }
    this.statements.push(statement)
    this.#sign('statement', bytes, statement)
    return statement
  }

  /** S63: the production code asks, the scenario's function answers. */
  answerOf({ question, bundle, module, facts }: Extract<Effect, { type: 'ask-schedule' }>): Event {
    try {
      const code = this.schedules.get(bundle)?.[module]
      if (code === undefined) throw new Error(`the scenario has no code for ${module}`)
      return { type: 'schedule-answer', question, value: code(contextOf(facts)) }
    } catch (error) {
      return { type: 'schedule-answer', question, failure: (error as Error).message }
    }
  }

  /** Bytes nobody signed. */
  forgeBytes(length: number): Uint8Array {
    return bytesOf(length)
  }

  /** The hash that stored bytes would have; undefined for bytes that are no piece of any bundle. */
  pieceHash(bytes: Uint8Array): string | undefined {
    return this.#pieceHashes.get(bytes)
  }

  isAuthentic(kind: Kind, bytes: Uint8Array): boolean {
    return bytes instanceof SimulatedBytes && bytes.signer === this && bytes.kind === kind
  }

  /** Whether the objects of a version prove no health on a peer. */
  breaks(version: number, { peer, labels }: Pick<PeerInit, 'peer' | 'labels'>): boolean {
    const rule = this.efforts.get(version)?.fails?.find(({ where }) => matches(labels, where))
    return hash53(`${peer} ${version}`) / 2 ** 53 < (rule?.share ?? this.broken.get(version) ?? 0)
  }

  /** True length of a bundle's pieces. */
  pieceBytes(bundle: string): number {
    return this.bundles.get(bundle)?.pieceBytes ?? MIN_PIECE_BYTES
  }

  /** The authority of one peer; `sealed` hears of every record that it signs. */
  authorityOf(sealed: (signed: SignedRecord) => void): Authority {
    return new SimulatedAuthority(this, sealed)
  }

  seal(record: PeerRecord): SignedRecord {
    const kept = this.#strict ? structuredClone(record) : record
    const bytes = bytesOf(600)
    const signed = signedRecord(kept, bytes, hash53)
    this.#sign('record', bytes, signed)
    return signed
  }

  /** The ticket of a peer, as it is shown. */
  admit(peer: string, change: Partial<Ticket> = {}): string {
    const number = change.number ?? 1
    const text = `ticket ${number} of ${peer}`
    const body = {
      format: 1 as const,
      fleet: this.fleet,
      peer,
      number,
      as: 'member' as const,
      classes: null,
      labels: null
    }
    this.#tickets.set(text, { ...body, expires: 4e12, ...change, text })
    return text
  }

  openTicket(text: string): Ticket {
    const ticket = this.#tickets.get(text)
    if (ticket === undefined)
      throw new Refusal('WrongSignature', `"${text}" is no ticket that the fleet's signers made`)
    return ticket
  }

  open(kind: Kind, bytes: Uint8Array): Entry | Statement | SignedRecord | SimulatedRoot {
    if (!(bytes instanceof SimulatedBytes) || bytes.signer !== this || bytes.kind !== kind) {
      throw new Refusal('WrongSignature', `these bytes are no ${kind} that the fleet's signers made`)
    }
    return bytes.opened!
  }

  #sign(kind: Kind, bytes: Uint8Array, what: Entry | Statement | SignedRecord | SimulatedRoot): void {
    if (!(bytes instanceof SimulatedBytes)) throw new Error('only bytes of this world are signed in it')
    bytes.signer = this
    bytes.kind = kind
    bytes.opened = what
    if (kind !== 'record') bytes.under = this.roots?.length ?? 0
  }

  /** From every earlier version: nodes may be that far behind. */
  #waysOf({ replaces }: EntryRequest): { ways?: { entry: string; transform: string }[] } {
    if (replaces === undefined) return {}
    const held = [...this.entries, ...this.rivals].slice(-32)
    return { ways: held.map((one) => ({ entry: one.hash, transform: 'transform.js' })) }
  }

  #entryAfter(parent: Entry | undefined, version: number, request: EntryRequest, salt: string): Entry {
    const name = `${this.fleet}/${version}/${salt}`
    const made = { methods: {}, calls: {} }
    const simulation = (path: string) => ({ module: path, interface: made, intercepts: [] })
    const pieceLength = request.pieceBytes ?? MIN_PIECE_BYTES
    return {
      version,
      hash: hash64(`entry ${name}`),
      parent: parent?.hash ?? this.fleet,
      bytes: bytesOf(2000),
      manifest: {
        format: 1,
        fleet: this.fleet,
        version,
        parent: parent?.hash ?? this.fleet,
        description: `simulated upgrade ${version}${salt}`,
        classes: request.lineages.map((lineage) => ({
          from: version === 1 ? null : `${lineage}v${version - 1}`,
          to: `${lineage}v${version}`,
          object: 'object.js',
          interface: made,
          transform: version === 1 ? null : 'transform.js',
          future: request.future && version > 1 ? simulation('future.js') : null,
          past: request.past && version > 1 ? simulation('past.js') : null,
          schedule: request.schedules?.[lineage] ?? request.schedule,
          ...(request.needs === undefined ? {} : { needs: request.needs }),
          ...(request.simulate === undefined || !request.future ? {} : { simulate: request.simulate }),
          ...this.#waysOf(request)
        })),
        ...(request.replaces === undefined ? {} : { replaces: request.replaces.map((one) => one.hash) }),
        bundle: {
          length: request.pieces * pieceLength,
          sha256: hash64(`bundle ${name}`),
          pieceLength,
          pieces: Array.from({ length: request.pieces }, (_, index) => hash64(`piece ${index} of ${name}`))
        }
      }
    }
  }
}
