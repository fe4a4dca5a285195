/** What a v1 member keeps: all rows in memory, and a log file of every change to them (SPEC K11). */
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cells, Row } from '../protocol/acceptor.ts'
import { type Ballot, NO_BALLOT } from '../protocol/ballot.ts'
import { compare } from '../protocol/order.ts'
import { frame, LogFile } from './log-file.ts'

export const FILE_NAME = 'kv.log'

/** One line of the file. Later lines of the same kind, or for the same cell, replace earlier ones. */
export type Line = { cell: string; row: Row } | { reserved: Ballot } | { joined: true }

/** Rewriting pays when most lines are replaced ones. */
const COMPACT_ABOVE_LINES = 10_000
const COMPACT_FACTOR = 4
const LINES_PER_FRAME = 1000

export class FileCells implements Cells {
  reserved: Ballot = NO_BALLOT
  joined = false
  readonly #rows = new Map<string, Row>()
  /** Cells in order, for paging. */
  readonly #order: string[] = []
  #log!: LogFile

  static async open(directory: string): Promise<{ cells: FileCells; cutBytes: number }> {
    const path = join(directory, FILE_NAME)
    const cells = new FileCells()
    let lines = 0
    const take = (line: Line) => {
      lines++
      cells.#take(line)
    }
    let { log, cutBytes } = await LogFile.open(path, take)
    if (lines > COMPACT_ABOVE_LINES && lines > COMPACT_FACTOR * cells.#rows.size) {
      await log.close()
      await cells.#rewrite(directory, path)
      log = (await LogFile.open(path, () => {})).log
    }
    await syncDirectory(directory)
    cells.#log = log
    return { cells, cutBytes }
  }

  get(cell: string): Row | undefined {
    return this.#rows.get(cell)
  }

  put(cell: string, row: Row): void {
    this.#write({ cell, row })
  }

  reserve(reserved: Ballot): void {
    this.#write({ reserved })
  }

  join(): void {
    this.#write({ joined: true })
  }

  *rows(prefix: string, after: string): Iterable<[string, Row]> {
    const from = compare(after, prefix) >= 0 ? this.#position(after, true) : this.#position(prefix, false)
    for (let i = from; i < this.#order.length; i++) {
      const cell = this.#order[i]!
      if (!cell.startsWith(prefix)) return
      yield [cell, this.#rows.get(cell)!]
    }
  }

  durable(): Promise<void> {
    return this.#log.flushed()
  }

  check(): void {
    this.#log.check()
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  #write(line: Line): void {
    this.#log.append(line)
    this.#take(line)
  }

  #take(line: Line): void {
    if ('cell' in line) {
      if (!this.#rows.has(line.cell)) this.#order.splice(this.#position(line.cell, false), 0, line.cell)
      this.#rows.set(line.cell, line.row)
    } else if ('reserved' in line) this.reserved = line.reserved
    else this.joined = true
  }

  /** Where `cell` stands, or would stand; with `behind` the place after it. */
  #position(cell: string, behind: boolean): number {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#order[middle]!
      const sign = compare(other, cell)
      if (sign < 0 || (behind && sign === 0)) low = middle + 1
      else high = middle
    }
    return low
  }

  async #rewrite(directory: string, path: string): Promise<void> {
    const lines: Line[] = [...this.#rows].map(([cell, row]) => ({ cell, row }))
    if (this.reserved !== NO_BALLOT) lines.push({ reserved: this.reserved })
    if (this.joined) lines.push({ joined: true })
    const fresh = `${path}.new`
    await rm(fresh, { force: true })
    const file = await open(fresh, 'wx')
    for (let i = 0; i < lines.length; i += LINES_PER_FRAME) {
      await file.appendFile(frame(lines.slice(i, i + LINES_PER_FRAME)))
    }
    await file.sync()
    await file.close()
    await rename(fresh, path)
    await syncDirectory(directory)
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
