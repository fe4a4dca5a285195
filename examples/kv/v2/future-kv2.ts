/**
 * Future SO: version 2, served by a node whose object is still a KV (SPEC K14). The default namespace *is* the flat
 * keys: its votes are the object's votes, and what v1 does not know of an entry the object keeps for us (K9). So there
 * is nothing to intercept: every write gives an entry a new stamp, and the stamp is the version. Other namespaces are
 * this SO's own, kept in its state, which the TF hands on.
 */
import type { Called, MethodDeclarationInput, SimulationContext } from '../../../src/versions/types.ts'
import { Acceptor, type Page, type PageQuery, type Row, type Vote } from '../protocol/acceptor.ts'
import { type Ballot, NO_BALLOT } from '../protocol/ballot.ts'
import type { CatchUp, CaughtUp } from '../protocol/catch-up.ts'
import type KV from '../v1/kv.ts'
import { cellOfFlat, type Entry2, flatKey, type Space, spaceOf } from './cells.ts'
import { clientMethods, mutator, Namespaces, observer } from './namespaces.ts'
import { StoreCells } from './store-cells.ts'

export default class FutureKV2 extends Namespaces {
  static methods: Record<string, MethodDeclarationInput> = {
    ...clientMethods,
    // Concurrent, since the object's own votes are: they share its fsyncs.
    prepare: mutator,
    accept: mutator,
    read: observer,
    page: observer,
    // This SO's own part of them, in its own transactions.
    prepareNamed: 'mutator',
    acceptNamed: 'mutator',
    adopt: 'mutator',
    join: 'mutator'
  }
  static calls = { KV2: 2 }

  readonly #object: Called<KV>
  readonly #cells: StoreCells
  readonly #acceptor: Acceptor<Entry2>
  readonly #catchUp: CatchUp<Entry2>

  constructor(context: SimulationContext<KV>) {
    super(context)
    this.#object = context.delegate
    const cells = new StoreCells(context.state, 'named')
    const acceptor = new Acceptor(cells, this.clock)
    this.#cells = cells
    this.#acceptor = acceptor
    this.#catchUp = this.catchUpOf('named', {
      get joined() {
        return acceptor.joined
      },
      ballotOf: (cell) => cells.get(cell)?.ballot ?? NO_BALLOT
    })
  }

  start(): void {
    this.rounds.start()
  }

  stop(): void {
    this.rounds.stop()
  }

  prepare(cell: string, ballot: Ballot): Promise<Vote<Entry2>> {
    if (spaceOf(cell) === 'flat') return this.#object.prepare(flatKey(cell), ballot)
    return this.context.self.prepareNamed(cell, ballot)
  }

  accept(cell: string, ballot: Ballot, entry: Entry2): Promise<Vote<Entry2>> {
    if (spaceOf(cell) === 'flat') return this.#object.accept(flatKey(cell), ballot, entry)
    return this.context.self.acceptNamed(cell, ballot, entry)
  }

  async read(cell: string): Promise<Row<Entry2> | null> {
    return spaceOf(cell) === 'flat' ? this.#object.read(flatKey(cell)) : this.#acceptor.read(cell)
  }

  async page(space: Space, query: PageQuery): Promise<Page<Entry2>> {
    if (space === 'named') return this.#acceptor.page(query)
    const { prefix, after } = query
    const page = await this.#object.page({
      ...query,
      prefix: prefix && flatKey(prefix),
      after: after && flatKey(after)
    })
    const rows = page.rows.map(([key, row]): [string, Row<Entry2>] => [cellOfFlat(key), row])
    return { ...page, rows, next: page.next === null ? null : cellOfFlat(page.next) }
  }

  prepareNamed(cell: string, ballot: Ballot): Vote<Entry2> {
    return this.#acceptor.prepare(cell, ballot)
  }

  acceptNamed(cell: string, ballot: Ballot, entry: Entry2): Vote<Entry2> {
    return this.#acceptor.accept(cell, ballot, entry)
  }

  adopt(_space: Space, rows: [string, Row<Entry2>][]): void {
    this.#acceptor.adopt(rows)
  }

  join(_space: Space, clock: Ballot): void {
    this.#acceptor.join(clock)
  }

  /** The flat keys are the object's own to catch up with; what has expired among them only this SO can see. */
  async catchUp(): Promise<CaughtUp> {
    const done = await this.#catchUp.round()
    await this.sweep(this.#cells.rows('', ''))
    for (let after: string | null = ''; after !== null; ) {
      const page: Page<Entry2> = await this.page('flat', { after })
      await this.sweep(page.rows)
      after = page.next
    }
    return done
  }
}
