/**
 * What clients of version 2 call, the same for the object and for the future SO that simulates it on a v1 node: any of
 * them coordinates, and asks the members of its group at version 2 (SPEC K13 to K16).
 */
import type { MethodDeclarationInput, ObjectContext, Value } from '../../../src/versions/types.ts'
import type { Page, PageQuery, Row, Vote } from '../protocol/acceptor.ts'
import { askAll, PEER_TIMEOUT_MS } from '../protocol/ask.ts'
import { type Ballot, Clock } from '../protocol/ballot.ts'
import { CatchUp, type CaughtUp, Rounds } from '../protocol/catch-up.ts'
import { collect } from '../protocol/listing.ts'
import { once, Register, remember } from '../protocol/register.ts'
import { cellOf, type Entry2, keyOf, type Space, spaceOf } from './cells.ts'

const MAX_VALUE_LENGTH = 64 * 1024
const MAX_TTL_MS = 366 * 24 * 3600 * 1000

/** The version of a value: the stamp of the write that made it. Equal versions mean the same write. */
export type Versioned = { value: string; version: string }
export type SetOutcome = { ok: true; version: string } | { ok: false; current: Versioned | null }

export const observer = { kind: 'observer', concurrent: true, idempotent: true } as const
export const mutator = { kind: 'mutator', concurrent: true, idempotent: true } as const

export const clientMethods: Record<string, MethodDeclarationInput> = {
  get: observer,
  list: observer,
  compareAndSet: mutator,
  remove: mutator,
  // Between members, beside prepare, accept, read and page:
  catchUp: mutator
}

export abstract class Namespaces {
  protected readonly context: ObjectContext
  protected readonly clock: Clock
  protected readonly register: Register<Entry2>
  protected readonly rounds: Rounds

  constructor(context: ObjectContext) {
    this.context = context
    this.clock = new Clock(context.peer, context.version)
    const ask = (method: string, args: unknown[]) => askAll(context, 'KV2', method, args)
    this.register = new Register(this.clock, {
      prepare: (cell, ballot): Promise<Vote<Entry2>>[] => ask('prepare', [cell, ballot]),
      accept: (cell, ballot, entry): Promise<Vote<Entry2>>[] => ask('accept', [cell, ballot, entry]),
      read: (cell): Promise<Row<Entry2> | null>[] => ask('read', [cell])
    })
    this.rounds = new Rounds(
      async () => void (await context.self.catchUp()),
      (error, retryMs) => context.log('could not catch up with the group', { error: String(error), retryMs })
    )
  }

  /** One round for every space that this link keeps, and the end of what has expired. */
  abstract catchUp(): Promise<CaughtUp>

  async get(namespace: string, key: string): Promise<Versioned | null> {
    return versioned(await this.look(cellOf(namespace, key)))
  }

  /**
   * Writes `value` if the version of the key is `expected`, null meaning that there is no value. A retry with the id of
   * a call that wrote is answered as that call was.
   */
  async compareAndSet(
    namespace: string,
    key: string,
    expected: string | null,
    value: string,
    options: { ttlMs?: number } = {}
  ): Promise<SetOutcome> {
    if (typeof value !== 'string' || value.length > MAX_VALUE_LENGTH) {
      throw new RangeError(`a value is a string of at most ${MAX_VALUE_LENGTH} characters; keep larger ones in parts`)
    }
    const expiresAt = options?.ttlMs === undefined ? undefined : this.clock.now() + checkedTtl(options.ttlMs)
    const id = this.context.callId ?? this.clock.next()
    return this.register.change<SetOutcome>(cellOf(namespace, key), (found, stamp) => {
      const before = once(found, id)
      if (before) return { result: { ok: true, version: before.stamp } }
      const live = this.#living(found, stamp)
      const current = versioned(live.entry)
      if ((current?.version ?? null) !== expected) {
        // K16: agreed on anew, so that no proposal of an earlier try of this call can come up after this answer.
        return { entry: live.buried ?? found ?? undefined, result: { ok: false, current } }
      }
      const entry: Entry2 = { stamp, value, calls: remember(live.entry, id, stamp) }
      if (expiresAt !== undefined) entry.expiresAt = expiresAt
      return { entry, result: { ok: true, version: stamp } }
    })
  }

  /** Whether there was a value. */
  async remove(namespace: string, key: string): Promise<boolean> {
    const id = this.context.callId ?? this.clock.next()
    return this.register.change(cellOf(namespace, key), (found, stamp) => {
      const before = once(found, id)
      if (before) return { result: before.existed }
      const { entry } = this.#living(found, stamp)
      const calls = remember(entry, id, stamp)
      return { entry: { stamp, value: null, calls }, result: calls.at(-1)!.existed }
    })
  }

  /** Keys of a namespace that have a value, with its version, in order, at most 500 at once. */
  async list(
    namespace: string,
    query: { prefix?: string; after?: string; limit?: number } = {}
  ): Promise<{ key: string; version: string }[]> {
    const within = cellOf(namespace, '-').slice(0, -1)
    const space = spaceOf(within)
    const pages = (page: PageQuery): Promise<Page<Entry2>>[] => askAll(this.context, 'KV2', 'page', [space, page])
    const found = await collect(
      { prefix: within + (query.prefix ?? ''), after: query.after && within + query.after, limit: query.limit },
      pages,
      (cell) => this.look(cell),
      (entry) => !this.#expired(entry)
    )
    return found.map(([cell, entry]) => ({ key: keyOf(cell), version: entry.stamp }))
  }

  /** K15: an expired entry is gone once the group agrees; whoever sees that it is due has the group agree first. */
  protected async look(cell: string): Promise<Entry2 | null> {
    const entry = await this.register.read(cell)
    if (!entry || !this.#expired(entry)) return entry
    return this.register.change(cell, (found, stamp) => {
      const live = this.#living(found, stamp)
      return { entry: live.buried, result: live.entry }
    })
  }

  protected catchUpOf(space: Space, replica: { readonly joined: boolean; ballotOf(cell: string): Ballot }) {
    const { context } = this
    return new CatchUp<Entry2>({
      get joined() {
        return replica.joined
      },
      ballotOf: (cell) => replica.ballotOf(cell),
      others: () => context.members().flatMap((member) => (member.self ? [] : [member.peer])),
      pull: (peer, query) =>
        context.call('KV2', 'page', [space, { ...query }], { to: { peer }, timeoutMs: PEER_TIMEOUT_MS }),
      adopt: (rows) => context.self.adopt(space, rows as unknown as Value[]),
      join: (clock) => context.self.join(space, clock),
      agree: (cell) => this.register.agree(cell)
    })
  }

  /** Ends what is due among `rows`, so that expired values do not stay for want of readers. */
  protected async sweep(rows: Iterable<[string, Row<Entry2>]>): Promise<void> {
    for (const [cell, row] of rows) if (this.#expired(row.entry)) await this.look(cell)
  }

  #expired(entry: Entry2): boolean {
    return entry.value !== null && entry.expiresAt !== undefined && entry.expiresAt <= this.clock.now()
  }

  /** The entry as it counts now; if it has expired, also what is to be agreed on in its place. */
  #living(found: Entry2 | null, stamp: Ballot): { entry: Entry2 | null; buried?: Entry2 } {
    if (!found || !this.#expired(found)) return { entry: found }
    const buried = { stamp, value: null, calls: found.calls }
    return { entry: buried, buried }
  }
}

const versioned = (entry: Entry2 | null): Versioned | null =>
  entry === null || entry.value === null ? null : { value: entry.value, version: entry.stamp }

function checkedTtl(ttlMs: number): number {
  if (Number.isInteger(ttlMs) && ttlMs > 0 && ttlMs <= MAX_TTL_MS) return ttlMs
  throw new RangeError(`ttlMs is a whole number of milliseconds from 1 to ${MAX_TTL_MS} (366 days)`)
}
