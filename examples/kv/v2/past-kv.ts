/**
 * Past SO: version 1, served by a node whose object is a KV2 (SPEC K14). Flat keys are the keys of the default
 * namespace, so it keeps nothing. What a v1 client does is said in words of version 2; what a v1 member asks for a vote
 * is a vote of version 2.
 */
import { CallError } from '../../../src/errors.ts'
import type { Called, MethodDeclarationInput, SimulationContext } from '../../../src/versions/types.ts'
import type { Entry, Page, PageQuery, Row, Vote } from '../protocol/acceptor.ts'
import type { Ballot } from '../protocol/ballot.ts'
import type { CaughtUp } from '../protocol/catch-up.ts'
import type { KeyQuery } from '../v1/kv.ts'
import { cellOfFlat, DEFAULT_NAMESPACE, flatKey } from './cells.ts'
import type KV2 from './kv2.ts'
import { mutator, observer } from './namespaces.ts'

/** A put that meets so many writes of others, one after the other, gives way. */
const MAX_TRIES = 100

/** One call of the object, and nothing kept: where no past SO is hosted any more, callers' nodes may run these (SPEC G). */
const stateless = { stateless: true } as const

export default class PastKV {
  static methods: Record<string, MethodDeclarationInput> = {
    get: { ...observer, ...stateless },
    keys: { ...observer, ...stateless },
    put: mutator,
    delete: { ...mutator, ...stateless },
    prepare: { ...mutator, ...stateless },
    accept: { ...mutator, ...stateless },
    read: { ...observer, ...stateless },
    page: { ...observer, ...stateless },
    catchUp: { ...mutator, ...stateless }
  }
  static calls = {}

  readonly #object: Called<KV2>

  constructor(context: SimulationContext<KV2>) {
    this.#object = context.delegate
  }

  async get(key: string): Promise<string | null> {
    return (await this.#object.get(DEFAULT_NAMESPACE, key))?.value ?? null
  }

  /**
   * K16: overwrites whatever is there, and an expiry with it, as a v1 write does at a v1 node. The same call id goes
   * down with every try, so a put that is tried again after it took effect finds that it did.
   */
  async put(key: string, value: string): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const seen = await this.#object.get(DEFAULT_NAMESPACE, key)
      const outcome = await this.#object.compareAndSet(DEFAULT_NAMESPACE, key, seen?.version ?? null, value, {})
      if (outcome.ok) return
    }
    throw new CallError('OutcomeUnknown', `${JSON.stringify(key)} is written by too many others; try again`)
  }

  delete(key: string): Promise<boolean> {
    return this.#object.remove(DEFAULT_NAMESPACE, key)
  }

  async keys(query: KeyQuery = {}): Promise<string[]> {
    return (await this.#object.list(DEFAULT_NAMESPACE, query)).map(({ key }) => key)
  }

  prepare(key: string, ballot: Ballot): Promise<Vote> {
    return this.#object.prepare(cellOfFlat(key), ballot)
  }

  accept(key: string, ballot: Ballot, entry: Entry): Promise<Vote> {
    return this.#object.accept(cellOfFlat(key), ballot, entry)
  }

  read(key: string): Promise<Row | null> {
    return this.#object.read(cellOfFlat(key))
  }

  async page(query: PageQuery): Promise<Page> {
    const page = await this.#object.page('flat', {
      ...query,
      prefix: cellOfFlat(query.prefix ?? ''),
      after: query.after && cellOfFlat(query.after)
    })
    const rows = page.rows.map(([cell, row]): [string, Row] => [flatKey(cell), row])
    return { ...page, rows, next: page.next === null ? null : flatKey(page.next) }
  }

  catchUp(): Promise<CaughtUp> {
    return this.#object.catchUp()
  }
}
