/** Where v2 keeps rows: in the host's key-value store, whose transactions make each vote durable (SPEC K12). */
import type { KeyValueStore, Value } from '../../../src/versions/types.ts'
import type { Cells, Row } from '../protocol/acceptor.ts'
import { type Ballot, NO_BALLOT } from '../protocol/ballot.ts'
import { type Entry2, type Space, spaceOf } from './cells.ts'

const CHUNK = 256

export const rowKey = (cell: string): string => `${spaceOf(cell)}/row/${cell}`

export class StoreCells implements Cells<Entry2> {
  readonly #state: KeyValueStore
  readonly #space: Space

  constructor(state: KeyValueStore, space: Space) {
    this.#state = state
    this.#space = space
  }

  get(cell: string): Row<Entry2> | undefined {
    return this.#state.get(rowKey(cell)) as unknown as Row<Entry2> | undefined
  }

  put(cell: string, row: Row<Entry2>): void {
    this.#state.put(rowKey(cell), row as unknown as Value)
  }

  *rows(prefix: string, after: string): Iterable<[string, Row<Entry2>]> {
    const rows = `${this.#space}/row/`
    for (let from: string | undefined = after === '' ? undefined : rows + after; ; ) {
      const chunk = [...this.#state.entries({ prefix: rows + prefix, after: from, limit: CHUNK })]
      for (const [key, row] of chunk) yield [key.slice(rows.length), row as unknown as Row<Entry2>]
      if (chunk.length < CHUNK) return
      from = chunk.at(-1)![0]
    }
  }

  get reserved(): Ballot {
    return (this.#state.get(`${this.#space}/reserved`) as Ballot | undefined) ?? NO_BALLOT
  }

  reserve(ballot: Ballot): void {
    this.#state.put(`${this.#space}/reserved`, ballot)
  }

  get joined(): boolean {
    return this.#state.get(`${this.#space}/joined`) === true
  }

  join(): void {
    this.#state.put(`${this.#space}/joined`, true)
  }
}
