/**
 * A directory tree of files with owners and rights, kept in real files (SPEC F1, F2). Each directory has a *table*:
 * name → owner, rights, and the file beside it that holds the content. What rights look like is for each version to say.
 */
import { mkdir, open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'

export const TABLE = '.table'
const NEXT_TABLE = '.table.next'
/** A change writes the whole table of a directory. */
export const MAX_FILES = 1_000
const MAX_TEXT_LENGTH = 1024 * 1024
/** At most eight names with slashes between; a name has no `~` and does not begin with a dot. */
const PATH = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(\/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,7}$/
const OWNER = /^[a-z][a-z0-9-]{0,31}$/

export interface Entry<Rights> {
  owner: string
  rights: Rights
  /** Number of the content's file, `<name>~<number>`; 0: the file is empty. */
  content: number
}

export interface Table<Rights> {
  format: number
  /** Numbers are never used twice in a directory, so what a table names never changes. */
  next: number
  files: Map<string, Entry<Rights>>
}

export const contentName = (name: string, content: number): string => `${name}~${content}`

export async function readTable<Rights>(directory: string, format: number): Promise<Table<Rights>> {
  const path = join(directory, TABLE)
  const text = await readFile(path, 'utf8').catch(absent)
  if (text === null) return { format, next: 1, files: new Map() }
  const table = JSON.parse(text) as { format: number; next: number; files: [string, Entry<Rights>][] }
  if (table.format !== format)
    throw new Error(`${path} has format ${table.format}; this version of the class knows ${format}`)
  return { ...table, files: new Map(table.files) }
}

/** Writes it as a file of its own; the caller puts it in its place. */
export function tableText<Rights>(table: Table<Rights>): string {
  return `${JSON.stringify({ ...table, files: [...table.files] })}\n`
}

export class Tree<Rights> {
  readonly #root: string
  readonly #format: number
  /** Directories with names that are not durable yet, and files that no table names once they are. */
  readonly #changed = new Set<string>()
  readonly #dropped: string[] = []
  /** Directories that were swept of what an interrupted change left. */
  readonly #swept = new Set<string>()

  constructor(directory: string, format: number) {
    this.#root = join(directory, 'tree')
    this.#format = format
  }

  async start(): Promise<void> {
    await mkdir(this.#root, { recursive: true })
    await sync(dirname(this.#root))
  }

  async entry(path: string): Promise<Entry<Rights> | null> {
    const { directory, name } = this.#place(path)
    return (await this.#table(directory)).files.get(name) ?? null
  }

  /** Names of the files right in a directory; of the root for an empty path. */
  async list(path: string): Promise<string[]> {
    const directory = path === '' ? this.#root : join(this.#root, checkedPath(path))
    return [...(await this.#table(directory)).files.keys()].sort()
  }

  async read(path: string): Promise<string | null> {
    const { directory, name } = this.#place(path)
    const entry = (await this.#table(directory)).files.get(name)
    if (entry === undefined) return null
    return entry.content === 0 ? '' : await readFile(join(directory, contentName(name, entry.content)), 'utf8')
  }

  /** Makes an empty file; false if there is one. */
  async create(path: string, owner: string, rights: Rights): Promise<boolean> {
    const { directory, name } = this.#place(path)
    checkOwner(owner)
    await this.#makeDirectory(directory)
    const table = await this.#table(directory)
    if (table.files.has(name)) return false
    if (table.files.size >= MAX_FILES)
      throw new RangeError(`${posix.dirname(path)} has ${MAX_FILES} files; use another directory`)
    table.files.set(name, { owner, rights, content: 0 })
    await this.#put(directory, table)
    return true
  }

  async write(path: string, text: string): Promise<boolean> {
    const { directory, name } = this.#place(path)
    if (typeof text !== 'string' || text.length > MAX_TEXT_LENGTH)
      throw new RangeError(`a text has at most ${MAX_TEXT_LENGTH} characters`)
    const table = await this.#table(directory)
    const entry = table.files.get(name)
    if (entry === undefined) return false
    const content = table.next
    await this.#sweep(directory, table)
    // F2: whole and durable under its name before a table says so.
    await writeSynced(join(directory, contentName(name, content)), text)
    await sync(directory)
    table.files.set(name, { ...entry, content })
    await this.#put(directory, { ...table, next: content + 1 })
    this.#drop(directory, name, entry)
    return true
  }

  async change(path: string, change: Partial<Pick<Entry<Rights>, 'owner' | 'rights'>>): Promise<boolean> {
    const { directory, name } = this.#place(path)
    if (change.owner !== undefined) checkOwner(change.owner)
    const table = await this.#table(directory)
    const entry = table.files.get(name)
    if (entry === undefined) return false
    table.files.set(name, { ...entry, ...change })
    await this.#put(directory, table)
    return true
  }

  async remove(path: string): Promise<boolean> {
    const { directory, name } = this.#place(path)
    const table = await this.#table(directory)
    const entry = table.files.get(name)
    if (entry === undefined) return false
    table.files.delete(name)
    await this.#put(directory, table)
    this.#drop(directory, name, entry)
    return true
  }

  /** F2: makes the changes since the last flush durable; only then is deleted what no table names any more. */
  async flush(): Promise<void> {
    for (const directory of this.#changed) await sync(directory)
    this.#changed.clear()
    for (const path of this.#dropped.splice(0)) await unlink(path)
  }

  #place(path: string): { directory: string; name: string } {
    const whole = join(this.#root, checkedPath(path))
    return { directory: dirname(whole), name: posix.basename(path) }
  }

  #table(directory: string): Promise<Table<Rights>> {
    return readTable(directory, this.#format)
  }

  /** The one step by which a change comes true: a table replaces the one before. */
  async #put(directory: string, table: Table<Rights>): Promise<void> {
    await this.#sweep(directory, table)
    const next = join(directory, NEXT_TABLE)
    await writeSynced(next, tableText(table))
    await rename(next, join(directory, TABLE))
    this.#changed.add(directory)
  }

  #drop(directory: string, name: string, { content }: Entry<Rights>): void {
    if (content !== 0) this.#dropped.push(join(directory, contentName(name, content)))
  }

  async #makeDirectory(directory: string): Promise<void> {
    const first = await mkdir(directory, { recursive: true })
    if (first === undefined) return
    for (let made = directory; made.length >= first.length; made = dirname(made)) this.#changed.add(dirname(made))
  }

  /** Contents that were written and never named, or not deleted in time: what an interrupted change left. */
  async #sweep(directory: string, { files }: Table<Rights>): Promise<void> {
    if (this.#swept.has(directory)) return
    this.#swept.add(directory)
    const before = await this.#table(directory)
    const named = new Set([...files, ...before.files].map(([name, { content }]) => contentName(name, content)))
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (entry.isFile() && entry.name.includes('~') && !named.has(entry.name))
        await unlink(join(directory, entry.name))
    }
  }
}

function checkedPath(path: string): string {
  if (typeof path === 'string' && PATH.test(path)) return path
  throw new TypeError('a path is one to eight names with / between, each of letters, digits and . _ - (not first)')
}

function checkOwner(owner: string): void {
  if (typeof owner === 'string' && OWNER.test(owner)) return
  throw new TypeError('an owner is a name of at most 32 small letters, digits and -')
}

async function writeSynced(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flush: true })
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
