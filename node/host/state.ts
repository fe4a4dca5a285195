/**
 * The state of one object in its attempt directory (SPEC H3): `state.sqlite`, the key-value store of all links, and
 * `files/<link>/`. Every commit is synced before it returns; one process at a time has it open.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { CallError, Refusal } from '../../src/errors.ts'
import type { ChainStore } from '../../src/versions/store.ts'
import type { KeyValueStore, Value } from '../../src/versions/types.ts'
import { decode, encode } from '../network/cbor.ts'

export const STATE_FILE = 'state.sqlite'
export const MAX_KEY_LENGTH = 1024
export const MAX_VALUE_BYTES = 8 * 1024 * 1024
/** Marks the file as ours ("UPST"), so that a foreign one is named and never written to. */
const APPLICATION_ID = 0x55505354
/** Format of the file; every released one stays readable. */
const FORMAT = 1
/** Another process may need a moment to let go of the file: one that is being killed. */
const BUSY_TIMEOUT_MS = 2000
const PAGE_ROWS = 256
/** Writes of a transform between two commits: bounds the log file, and nobody reads it before it is whole. */
const BULK_WRITES = 10_000
const SQLITE_BUSY = 5

export function filesOf(directory: string, space: string): string {
  return join(directory, 'files', space)
}

type Row = { key: string; value: Uint8Array }

export class State implements ChainStore {
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #page: StatementSync
  readonly #savepoints: { open: StatementSync; release: StatementSync; rollback: StatementSync }[] = []
  readonly #bulk: boolean
  #depth = 0
  #writes = 0

  /**
   * Opens or creates the store. `bulk` is for a transform, whose output counts only when all of it is synced: writes
   * are not synced one by one.
   */
  constructor(directory: string, options: { bulk?: boolean } = {}) {
    mkdirSync(directory, { recursive: true })
    const file = join(directory, STATE_FILE)
    this.#bulk = options.bulk ?? false
    this.#db = open(file, this.#bulk)
    this.#get = this.#db.prepare('SELECT value FROM entry WHERE space = ? AND key = ?')
    this.#put = this.#db.prepare('INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value')
    this.#delete = this.#db.prepare('DELETE FROM entry WHERE space = ? AND key = ?')
    this.#page = this.#db.prepare('SELECT key, value FROM entry WHERE space = ? AND key > ? ORDER BY key LIMIT ?')
    if (this.#bulk) this.begin()
  }

  space(name: string): KeyValueStore {
    return {
      get: (key) => {
        const row = this.#get.get(name, key) as Row | undefined
        return row === undefined ? undefined : (decode(row.value) as Value)
      },
      put: (key, value) => {
        this.#checkOpen()
        this.#put.run(name, checkedKey(key), checkedValue(key, value))
        this.#wrote()
      },
      delete: (key) => {
        this.#checkOpen()
        this.#delete.run(name, key)
        this.#wrote()
      },
      entries: (options = {}) => this.#entries(name, options)
    }
  }

  /** Copies another store's part as it is. */
  copySpace(from: State, name: string): void {
    for (const { key, value } of from.#rows(name, '', '')) {
      this.#put.run(name, key, value)
      this.#wrote()
    }
  }

  begin(): void {
    this.#db.exec('BEGIN IMMEDIATE')
  }
  savepoint(): void {
    this.#checkOpen()
    this.#savepoint(this.#depth).open.run()
    this.#depth += 1
  }
  release(): void {
    this.#depth -= 1
    this.#savepoint(this.#depth).release.run()
  }
  rollback(): void {
    this.#depth -= 1
    // Undone already, with everything else.
    if (!this.#db.isTransaction) return
    const { rollback, release } = this.#savepoint(this.#depth)
    rollback.run()
    release.run()
  }
  commit(): void {
    this.#checkOpen()
    this.#db.exec('COMMIT')
  }

  /** Checkpoints, so that the one file is the whole store, and closes it. */
  close(): void {
    if (this.#bulk) this.commit()
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    this.#db.close()
  }

  /** Closes it as a crash would: what is not committed is lost. */
  drop(): void {
    if (this.#db.isOpen) this.#db.close()
  }

  /**
   * On some failures, a full disk among them, SQLite undoes the whole transaction by itself. What is written after that
   * would be durable at once, as half of an operation.
   */
  #checkOpen(): void {
    if (this.#db.isTransaction) return
    const text = 'the disk refused a write, and all since the last commit was undone; free some space'
    // A transform that fills the disk has failed; an object whose disk is full waits (L20).
    throw this.#bulk ? new Error(text) : new Refusal('NoSpace', text)
  }

  *#entries(space: string, options: { prefix?: string; after?: string; limit?: number }): Iterable<[string, Value]> {
    let left = options.limit ?? Number.POSITIVE_INFINITY
    for (const { key, value } of this.#rows(space, options.prefix ?? '', options.after ?? '')) {
      if (left <= 0) return
      left -= 1
      yield [key, decode(value) as Value]
    }
  }

  /** Page by page, so that whoever iterates may write meanwhile. */
  *#rows(space: string, prefix: string, after: string): Iterable<Row> {
    // The empty key is refused by `put`, so that every key comes after the empty string.
    if (prefix !== '' && this.#get.get(space, prefix) !== undefined && after < prefix) {
      yield { key: prefix, value: (this.#get.get(space, prefix) as Row).value }
    }
    let last = after > prefix ? after : prefix
    for (;;) {
      const rows = this.#page.all(space, last, PAGE_ROWS) as Row[]
      for (const row of rows) {
        if (!row.key.startsWith(prefix)) return
        yield row
        last = row.key
      }
      if (rows.length < PAGE_ROWS) return
    }
  }

  #wrote(): void {
    if (!this.#bulk || ++this.#writes % BULK_WRITES !== 0) return
    this.commit()
    this.begin()
  }

  #savepoint(depth: number) {
    this.#savepoints[depth] ??= {
      open: this.#db.prepare(`SAVEPOINT s${depth}`),
      release: this.#db.prepare(`RELEASE s${depth}`),
      rollback: this.#db.prepare(`ROLLBACK TO s${depth}`)
    }
    return this.#savepoints[depth]
  }
}

function open(file: string, bulk: boolean): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(file)
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    const { application_id: id } = db.prepare('PRAGMA application_id').get() as { application_id: number }
    const { tables } = db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number }
    if (id !== APPLICATION_ID && (id !== 0 || tables !== 0)) {
      throw new Refusal('DamagedStore', `${file} is the database of another program; move it away`)
    }
    db.exec('PRAGMA journal_mode = WAL')
    db.exec(`PRAGMA synchronous = ${bulk ? 'OFF' : 'FULL'}`)
    if (id === 0) create(db)
    const { user_version: format } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (format !== FORMAT) {
      throw new Refusal(
        'DamagedStore',
        `${file} has format ${format}, this release knows ${FORMAT}; install the release that wrote it`
      )
    }
    return db
  } catch (cause) {
    db?.close()
    if (cause instanceof Refusal) throw cause
    const { errcode, message } = cause as Error & { errcode?: number }
    if (errcode === SQLITE_BUSY) throw new Refusal('Locked', `${file} is open in another process`, { cause })
    throw new Refusal('DamagedStore', `${file} cannot be opened (${message}); restore it from a backup`, { cause })
  }
}

/** One transaction: a crash leaves either no table, or a whole file. */
function create(db: DatabaseSync): void {
  db.exec(`BEGIN;
    CREATE TABLE entry (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID;
    PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = ${FORMAT};
    COMMIT;`)
}

function checkedKey(key: string): string {
  if (typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_LENGTH && key.isWellFormed()) return key
  throw new TypeError(
    `a key is a string of 1 to ${MAX_KEY_LENGTH} characters, well-formed; got ${String(key).slice(0, 80)}`
  )
}

function checkedValue(key: string, value: Value): Uint8Array {
  const bytes = encode(value)
  if (bytes.length <= MAX_VALUE_BYTES) return bytes
  throw new CallError(
    'PayloadTooLarge',
    `the value of ${key} has ${bytes.length} bytes; at most ${MAX_VALUE_BYTES} are kept under one key`
  )
}
