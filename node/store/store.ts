/**
 * The daemon's durable records: one map of keys to plain values with transactions (SPEC D1 to D7), over node:sqlite.
 * Whoever holds a Store owns the data directory: SQLite's exclusive lock keeps every other process out.
 */
import { statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { Refusal } from '../../src/errors.ts'
import type { Persist } from '../../src/overlay/events.ts'
import { decode, encode } from '../network/cbor.ts'
import { lacksSpace } from '../obstacles.ts'
import { Ballast } from './ballast.ts'
import {
  createDatabase,
  FORMAT,
  ownDirectory,
  ownerOf,
  recordOwner,
  STORE_APPLICATION,
  storeFile
} from './directory.ts'

export interface Store {
  /** Everything that was committed; a fresh map at each call. */
  read(): Map<string, unknown>
  /**
   * Applies the deletions, then the puts, all or nothing; durable when it returns (D1). A commit that throws `NoSpace`
   * or `Malformed` has changed nothing and may be tried again; after any other failure the store takes no more commits,
   * for nobody knows what the disk holds until it is opened again.
   */
  commit(change: Persist): void
  /** Gives the directory back. Idempotent. */
  close(): void
}

/** Keys are our own: printable, so that they can be shown in errors and by other tools. */
const KEY = /^[\x21-\x7e]{1,256}$/

const BUSY = 5
const FULL = 13
const INPUT_OUTPUT = 10
/** What a check of the file says of a page that could not be read. */
const UNREAD = /error code=(\d+)/
/** Not sound, not a database, or (errors 1 and 24) with a schema that our own statements do not meet. */
const DAMAGE = new Set([1, 11, 24, 26])

/**
 * Opens the store of a data directory, and makes both where there is none. Throws Refusal `Locked` (another process
 * owns it), `DamagedStore`, `DiskFailure`, `NewerFormat`, or `Usage` (no directory, or open to others).
 */
export function openStore(directory: string): Store {
  ownDirectory(directory)
  const ballast = new Ballast(directory)
  const open = () => {
    createDatabase(directory)
    return new SqliteStore(directory, ballast)
  }
  const store = withBallast(ballast, open)
  ballast.keep()
  return store
}

/** D14: what fails for want of space is done again with the space that was kept for that. */
function withBallast<T>(ballast: Ballast, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (lacksSpace(error) && ballast.release()) return action()
    throw error
  }
}

interface Row {
  key: string
  value: Uint8Array
  sum: number
}

class SqliteStore implements Store {
  readonly #directory: string
  readonly #file: string
  readonly #ballast: Ballast
  readonly #database: DatabaseSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #seal: StatementSync
  /** Checksum of every value: what a commit needs to keep the checksum of the whole (D4). */
  #sums = new Map<string, number>()
  #failure: unknown

  constructor(directory: string, ballast: Ballast) {
    this.#directory = directory
    this.#ballast = ballast
    this.#file = storeFile(directory)
    // SQLite would take an empty file for a new database and write to it.
    if (statSync(this.#file).size === 0) throw this.#damaged('is empty')
    this.#database = this.#guard(() => new DatabaseSync(this.#file, { timeout: 0 }))
    try {
      this.#guard(() => this.#lock())
      recordOwner(directory)
      this.#guard(() => this.#verify())
      this.#put = this.#database.prepare('INSERT OR REPLACE INTO entry (key, value, sum) VALUES (?, ?, ?)')
      this.#delete = this.#database.prepare('DELETE FROM entry WHERE key = ?')
      this.#seal = this.#database.prepare('UPDATE whole SET sum = ?, count = ?')
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  read(): Map<string, unknown> {
    return this.#guard(() => new Map(this.#rows().map(({ key, value }) => [key, this.#decode(key, value)])))
  }

  commit(change: Persist): void {
    if (this.#failure !== undefined) {
      const text = `${this.#file} took no more changes after an earlier failure; restart the peer`
      throw new Refusal('DamagedStore', text, { cause: this.#failure })
    }
    const encoded = change.put.map(([key, value]): Row => {
      if (!KEY.test(key)) throw new TypeError(`not a key of the store: ${JSON.stringify(key)}`)
      const bytes = encode(value)
      return { key, value: bytes, sum: checksum(key, bytes) }
    })
    const sums = new Map(this.#sums)
    for (const key of change.delete) sums.delete(key)
    for (const { key, sum } of encoded) sums.set(key, sum)
    withBallast(this.#ballast, () => this.#guard(() => this.#write(change.delete, encoded, sums)))
    this.#sums = sums
    this.#ballast.keep()
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  #write(keys: string[], rows: Row[], sums: Map<string, number>): void {
    try {
      this.#database.exec('BEGIN')
      for (const key of keys) this.#delete.run(key)
      for (const { key, value, sum } of rows) this.#put.run(key, value, sum)
      this.#seal.run(sumOf(sums), sums.size)
      this.#database.exec('COMMIT')
    } catch (error) {
      // A full disk is met before anything is in force, and SQLite then rolls back whole; other failures leave a doubt.
      if (codeOf(error) !== FULL) this.#failure = error
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** D3: in exclusive mode the lock that this transaction takes is kept until the database is closed. */
  #lock(): void {
    this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT')
  }

  #verify(): void {
    const application = this.#pragma('application_id')
    if (application !== STORE_APPLICATION) throw this.#damaged('was written by another program')
    const format = this.#pragma('user_version')
    if (format > FORMAT) {
      const text = `${this.#file} has format ${format}, this release knows up to ${FORMAT}; start the release that wrote it, or a newer one`
      throw new Refusal('NewerFormat', text)
    }
    // D2: the whole truth stays in one file between commits. D1: and it is on the disk when a commit returns.
    this.#database.exec('PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON')
    const found = this.#database.prepare('PRAGMA quick_check(1)').get()?.quick_check
    const unread = Number(UNREAD.exec(String(found))?.[1] ?? 0)
    if ((unread & 0xff) === INPUT_OUTPUT) throw this.#unread(String(found))
    if (found !== 'ok') throw this.#damaged(`is damaged (${String(found)})`)
    for (const { key, value, sum } of this.#rows()) {
      if (checksum(key, value) !== sum) throw this.#damaged(`is damaged (the value of ${key} has another checksum)`)
      this.#sums.set(key, sum)
    }
    const whole = this.#database.prepare('SELECT sum, count FROM whole').get()
    if (whole?.sum !== sumOf(this.#sums) || whole.count !== this.#sums.size) {
      throw this.#damaged('is damaged (values are missing, or are older than the last commit)')
    }
  }

  #rows(): Row[] {
    return this.#database.prepare('SELECT key, value, sum FROM entry').all() as unknown as Row[]
  }

  #decode(key: string, value: Uint8Array): unknown {
    try {
      return decode(value)
    } catch (cause) {
      throw this.#damaged(`is damaged (the value of ${key} cannot be read)`, cause)
    }
  }

  #pragma(name: string): number {
    return Number(this.#database.prepare(`PRAGMA ${name}`).get()?.[name])
  }

  /** Nobody is to replace a file that may be sound. */
  #unread(what: string, cause?: unknown): Refusal {
    const mend = "see the system's log for what ails the disk, mend that, and start again"
    return new Refusal('DiskFailure', `${this.#file}: the disk did not read or write (${what}); ${mend}`, { cause })
  }

  #damaged(what: string, cause?: unknown): Refusal {
    const mend = `restore ${this.#directory} from a copy; or, if the other members hold the state, move it away and start the peer anew`
    return new Refusal('DamagedStore', `${this.#file} ${what}; ${mend}`, { cause })
  }

  /** Turns what SQLite says about the world into refusals that name the file and the mend (D5). */
  #guard<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      const code = codeOf(error)
      if (code === undefined) throw error
      if (code === BUSY) {
        const text = `${this.#directory} is in use by ${ownerOf(this.#directory)}; stop it, or give this peer a directory of its own`
        throw new Refusal('Locked', text, { cause: error })
      }
      if (code === FULL) {
        throw new Refusal('NoSpace', `no space left for ${this.#file}; free some and try again`, { cause: error })
      }
      if (code === INPUT_OUTPUT) throw this.#unread((error as Error).message, error)
      if (DAMAGE.has(code)) throw this.#damaged(`is damaged (${(error as Error).message})`, error)
      throw error
    }
  }
}

/** The primary result code of SQLite, undefined for any other error. */
const codeOf = (error: unknown): number | undefined => {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

const checksum = (key: string, value: Uint8Array): number => crc32(value, crc32(key))

/** D4: of a set of values, in any order: a page that the disk lost shows although every page is sound by itself. */
const sumOf = (sums: Map<string, number>): number => {
  let whole = 0
  for (const sum of sums.values()) whole ^= sum
  return whole >>> 0
}
