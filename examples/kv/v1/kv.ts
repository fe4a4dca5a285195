/**
 * Version 1 of the key-value store: flat keys, last written value, kept by a group of members (SPEC K).
 *
 * Clients call get, put, delete and keys at any member; that member asks the group (`Register`). Members call each
 * other's prepare, accept, read and page, the acceptor's part. Everything is `concurrent`: it does its own locking, by
 * never waiting between looking at a row and changing it, so that many writes share one fsync.
 */
import type { GroupMember, MethodDeclarationInput, ObjectContext } from '../../../src/versions/types.ts'
import { Acceptor, type Entry, type Page, type PageQuery, type Row, type Vote } from '../protocol/acceptor.ts'
import { askAll, PEER_TIMEOUT_MS } from '../protocol/ask.ts'
import { type Ballot, Clock, NO_BALLOT } from '../protocol/ballot.ts'
import { CatchUp, type CaughtUp, Rounds } from '../protocol/catch-up.ts'
import { collect } from '../protocol/listing.ts'
import { once, Register, remember } from '../protocol/register.ts'
import { FileCells } from './file-cells.ts'

export const MAX_KEY_BYTES = 512
export const MAX_VALUE_LENGTH = 64 * 1024

export interface KeyQuery {
  prefix?: string
  after?: string
  limit?: number
}

const observer: MethodDeclarationInput = { kind: 'observer', concurrent: true, idempotent: true }
const mutator: MethodDeclarationInput = { kind: 'mutator', concurrent: true, idempotent: true }

export default class KV {
  static methods: Record<string, MethodDeclarationInput> = {
    get: observer,
    keys: observer,
    put: mutator,
    delete: mutator,
    // Between members only:
    prepare: mutator,
    accept: mutator,
    read: observer,
    page: observer,
    catchUp: mutator
  }
  static calls = { KV: 1 }

  readonly #context: ObjectContext<KV>
  readonly #clock: Clock
  readonly #register: Register<Entry>
  readonly #catchUp: CatchUp
  readonly #rounds: Rounds
  #cells!: FileCells
  #acceptor!: Acceptor

  constructor(context: ObjectContext<KV>) {
    this.#context = context
    this.#clock = new Clock(context.peer, context.version)
    const ask = (method: string, args: unknown[]) => askAll(context, 'KV', method, args)
    this.#register = new Register(this.#clock, {
      prepare: (cell, ballot) => ask('prepare', [cell, ballot]),
      accept: (cell, ballot, entry) => ask('accept', [cell, ballot, entry]),
      read: (cell) => ask('read', [cell])
    })
    this.#catchUp = new CatchUp(this.#replica())
    this.#rounds = new Rounds(
      async () => void (await context.self.catchUp()),
      (error, retryMs) => context.log('could not catch up with the group', { error: String(error), retryMs })
    )
  }

  async start(): Promise<void> {
    const { cells, cutBytes } = await FileCells.open(this.#context.directory)
    if (cutBytes > 0) this.#context.log('cut the torn end off the log file', { cutBytes })
    this.#cells = cells
    this.#acceptor = new Acceptor(cells, this.#clock)
    this.#rounds.start()
  }

  async stop(): Promise<void> {
    this.#rounds.stop()
    await this.#cells.close()
  }

  health(): void {
    this.#cells.check()
  }

  /** The value of a key, or null. */
  async get(key: string): Promise<string | null> {
    return (await this.#register.read(checked(key)))?.value ?? null
  }

  async put(key: string, value: string): Promise<void> {
    if (typeof value !== 'string' || value.length > MAX_VALUE_LENGTH) {
      throw new RangeError(`a value is a string of at most ${MAX_VALUE_LENGTH} characters; keep larger ones in parts`)
    }
    await this.#write(key, value)
  }

  /** Whether there was a value. */
  delete(key: string): Promise<boolean> {
    return this.#write(key, null)
  }

  /** Keys that have a value, in order, at most 500 at once; go on `after` the last one. */
  async keys(query: KeyQuery = {}): Promise<string[]> {
    const pages = (pageQuery: PageQuery): Promise<Page>[] => askAll(this.#context, 'KV', 'page', [pageQuery])
    const found = await collect(query, pages, (cell) => this.#register.read(cell))
    return found.map(([cell]) => cell)
  }

  async prepare(cell: string, ballot: Ballot): Promise<Vote> {
    return this.#durable(this.#acceptor.prepare(cell, ballot))
  }

  async accept(cell: string, ballot: Ballot, entry: Entry): Promise<Vote> {
    return this.#durable(this.#acceptor.accept(cell, ballot, entry))
  }

  async read(cell: string): Promise<Row | null> {
    return this.#durable(this.#acceptor.read(cell))
  }

  async page(query: PageQuery): Promise<Page> {
    return this.#durable(this.#acceptor.page(query))
  }

  catchUp(): Promise<CaughtUp> {
    return this.#catchUp.round()
  }

  #write(key: string, value: string | null): Promise<boolean> {
    const id = this.#context.callId ?? this.#clock.next()
    return this.#register.change(checked(key), (found, stamp) => {
      const before = once(found, id)
      if (before) return { result: before.existed }
      const calls = remember(found, id, stamp)
      return { entry: { stamp, value, calls }, result: calls.at(-1)!.existed }
    })
  }

  /** Nothing leaves this member before what it says is on the disk. */
  async #durable<T>(answer: T): Promise<T> {
    await this.#cells.durable()
    return answer
  }

  #replica() {
    const object = this
    const context = this.#context
    return {
      get joined() {
        return object.#acceptor.joined
      },
      others: () => context.members().flatMap((member: GroupMember) => (member.self ? [] : [member.peer])),
      pull: (peer: string, query: PageQuery): Promise<Page> =>
        context.call('KV', 'page', [{ ...query }], { to: { peer }, timeoutMs: PEER_TIMEOUT_MS }),
      adopt: (rows: [string, Row][]) => this.#durable(this.#acceptor.adopt(rows)),
      join: (clock: Ballot) => this.#durable(this.#acceptor.join(clock)),
      ballotOf: (cell: string) => this.#cells.get(cell)?.ballot ?? NO_BALLOT,
      agree: (cell: string) => this.#register.agree(cell)
    }
  }
}

function checked(key: string): string {
  if (typeof key === 'string' && key.length > 0 && Buffer.byteLength(key) <= MAX_KEY_BYTES && key.isWellFormed())
    return key
  throw new RangeError(`a key is a text of 1 to ${MAX_KEY_BYTES} bytes in UTF-8`)
}
