/**
 * Version 2 of the key-value store: namespaces, expiry, and compare-and-set instead of put; kept in the host's
 * key-value store (SPEC K12 to K16). Votes are plain mutators: the host makes each one a transaction, and commits
 * those of one moment together.
 */
import type { MethodDeclarationInput, ObjectContext } from '../../../src/versions/types.ts'
import { Acceptor, type Page, type PageQuery, type Row, type Vote } from '../protocol/acceptor.ts'
import { type Ballot, NO_BALLOT } from '../protocol/ballot.ts'
import type { CatchUp, CaughtUp } from '../protocol/catch-up.ts'
import { type Entry2, type Space, spaceOf } from './cells.ts'
import { clientMethods, Namespaces, observer } from './namespaces.ts'
import { StoreCells } from './store-cells.ts'

const SPACES: readonly Space[] = ['flat', 'named']

export default class KV2 extends Namespaces {
  static methods: Record<string, MethodDeclarationInput> = {
    ...clientMethods,
    prepare: 'mutator',
    accept: 'mutator',
    read: observer,
    page: observer,
    adopt: 'mutator',
    join: 'mutator'
  }
  static calls = { KV2: 2 }

  readonly #cells: Record<Space, StoreCells>
  readonly #acceptors: Record<Space, Acceptor<Entry2>>
  readonly #catchUps: Record<Space, CatchUp<Entry2>>

  constructor(context: ObjectContext) {
    super(context)
    this.#cells = { flat: new StoreCells(context.state, 'flat'), named: new StoreCells(context.state, 'named') }
    this.#acceptors = {
      flat: new Acceptor(this.#cells.flat, this.clock),
      named: new Acceptor(this.#cells.named, this.clock)
    }
    this.#catchUps = { flat: this.#catchUpOf('flat'), named: this.#catchUpOf('named') }
  }

  start(): void {
    this.rounds.start()
  }

  stop(): void {
    this.rounds.stop()
  }

  prepare(cell: string, ballot: Ballot): Vote<Entry2> {
    return this.#acceptors[spaceOf(cell)].prepare(cell, ballot)
  }

  accept(cell: string, ballot: Ballot, entry: Entry2): Vote<Entry2> {
    return this.#acceptors[spaceOf(cell)].accept(cell, ballot, entry)
  }

  read(cell: string): Row<Entry2> | null {
    return this.#acceptors[spaceOf(cell)].read(cell)
  }

  page(space: Space, query: PageQuery): Page<Entry2> {
    return this.#acceptors[space].page(query)
  }

  adopt(space: Space, rows: [string, Row<Entry2>][]): void {
    this.#acceptors[space].adopt(rows)
  }

  join(space: Space, clock: Ballot): void {
    this.#acceptors[space].join(clock)
  }

  async catchUp(): Promise<CaughtUp> {
    let rows = 0
    for (const space of SPACES) {
      rows += (await this.#catchUps[space].round()).rows
      await this.sweep(this.#cells[space].rows('', ''))
    }
    return { joined: true, rows }
  }

  #catchUpOf(space: Space): CatchUp<Entry2> {
    const acceptor = this.#acceptors[space]
    const cells = this.#cells[space]
    return this.catchUpOf(space, {
      get joined() {
        return acceptor.joined
      },
      ballotOf: (cell) => cells.get(cell)?.ballot ?? NO_BALLOT
    })
  }
}
