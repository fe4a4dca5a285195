/** The data directory of a peer: private to its user, owned by one process, its store made whole or not at all (SPEC D2, D3, D6). */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Refusal } from '../../src/errors.ts'
import { obstacle } from '../obstacles.ts'

/** Format of the tables and values below; raised with every change, and every earlier one stays readable (D7). */
export const FORMAT = 1
/** "upst": marks the file as ours. */
export const STORE_APPLICATION = 0x75707374

const STORE = 'peer.sqlite'
/** Names the last owner; it stays when the peer has ended, and so also marks a directory that has held a store. */
const OWNER = 'owner'

const TABLES = `
  CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE whole (sum INTEGER NOT NULL, count INTEGER NOT NULL) STRICT;
  INSERT INTO whole VALUES (0, 0);
`

export const storeFile = (directory: string): string => join(directory, STORE)

/** Makes a directory's entries durable: the names in it, not what the files hold. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** D6: keys and state are nobody else's business. The mode is never mended behind the user's back. */
export function ownDirectory(directory: string): void {
  if (!existsSync(directory)) {
    let first: string | undefined
    try {
      first = mkdirSync(directory, { recursive: true, mode: 0o700 })
    } catch (cause) {
      throw new Refusal('Usage', `${directory} cannot be made: ${obstacle(cause)}; name another directory`, { cause })
    }
    // All that were missing, each by its name in the one above it.
    for (let made = resolve(directory); ; made = dirname(made)) {
      syncDirectory(dirname(made))
      if (first === undefined || made === resolve(first)) break
    }
  }
  const { mode, uid } = statSync(directory)
  if (!statSync(directory).isDirectory())
    throw new Refusal('Usage', `${directory} is not a directory; name another for the peer`)
  if (uid !== process.getuid?.() && process.getuid !== undefined) {
    throw new Refusal(
      'Usage',
      `${directory} belongs to user ${uid}; run the peer as that user, or name another directory`
    )
  }
  if ((mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8)
    throw new Refusal('Usage', `${directory} is open to other users (mode ${shown}); run: chmod 700 ${directory}`)
  }
}

/** Makes an empty store where there is none: complete under another name first, so that no crash leaves half of one (D2). */
export function createDatabase(directory: string): void {
  const file = storeFile(directory)
  // The owner first: whoever makes the store beside us names itself only once the file is there.
  const used = existsSync(join(directory, OWNER))
  if (existsSync(file)) return
  if (used) {
    const mend = `restore ${directory} from a copy; or, if the other members hold the state, move it away and start the peer anew`
    throw new Refusal('DamagedStore', `${file} is missing from a directory that has been in use; ${mend}`)
  }
  const draft = `${file}.${process.pid}.new`
  rmSync(draft, { force: true })
  try {
    fillDraft(draft)
  } catch (error) {
    // Another process was quicker, and swept our draft from under us: its store is the one, and it holds the lock.
    if (existsSync(file)) return
    throw error
  }
  try {
    // A link, unlike a rename, does not replace the store that another process may have made meanwhile.
    linkSync(draft, file)
  } catch (error) {
    // Another process was quicker, and may have swept our draft already.
    if (!['EEXIST', 'ENOENT'].includes(String((error as NodeJS.ErrnoException).code))) throw error
  }
  rmSync(draft, { force: true })
  syncDirectory(directory)
}

function fillDraft(draft: string): void {
  const database = new DatabaseSync(draft)
  try {
    database.exec(
      `PRAGMA synchronous = FULL; PRAGMA application_id = ${STORE_APPLICATION}; PRAGMA user_version = ${FORMAT}`
    )
    database.exec(`BEGIN; ${TABLES} COMMIT`)
  } finally {
    database.close()
  }
}

/** Called by the process that holds the lock. Drafts of creations that a crash cut off are swept on the way. */
export function recordOwner(directory: string): void {
  writeFileSync(join(directory, OWNER), `${process.pid}\n`, { mode: 0o600 })
  for (const name of readdirSync(directory)) {
    if (name.startsWith(`${STORE}.`) && name.endsWith('.new')) rmSync(join(directory, name), { force: true })
  }
}

/** Who holds the lock, for people: the lock itself is SQLite's. */
export function ownerOf(directory: string): string {
  const file = join(directory, OWNER)
  const pid = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  return /^\d+$/.test(pid) ? `process ${pid}` : 'another process'
}
