/**
 * The canonical archive of a bundle (SPEC U2): one way to write given files, and a reader that trusts nothing but the
 * hash in the entry. Names are sorted, times, owners and modes fixed; there are no links, directories or odd names.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Extract, type Header, extract as tarExtract, pack as tarPack } from 'tar-stream'
import { Refusal } from '../../src/errors.ts'
import { pathSchema } from '../../src/names.ts'
import type { BundleTable } from '../../src/upgrade/manifest.ts'

/** More files than any bundle of modules has; bounds the work of a bundle made to be slow. */
export const MAX_FILES = 4096

const FIXED = { mode: 0o644, uid: 0, gid: 0, uname: '', gname: '', mtime: new Date(0), type: 'file' } as const

/** One name per file, also where file systems fold letters, and no file where another's directory must be. */
class Names {
  readonly #files = new Set<string>()
  readonly #directories = new Set<string>()

  add(name: string): void {
    if (!pathSchema.safeParse(name).success) {
      throw new Refusal(
        'UnsafePath',
        `bundle: the name ${JSON.stringify(name.slice(0, 100))} is not a plain relative path; pack it anew`
      )
    }
    if (this.#files.size >= MAX_FILES) throw new Refusal('Oversize', `bundle: more than ${MAX_FILES} files`)
    const folded = name.toLowerCase()
    const above = parents(folded)
    if (this.#files.has(folded) || this.#directories.has(folded) || above.some((one) => this.#files.has(one))) {
      throw new Refusal(
        'UnsafePath',
        `bundle: the name ${name} meets another one on some file system; rename one of them`
      )
    }
    this.#files.add(folded)
    for (const one of above) this.#directories.add(one)
  }
}

/** 'a/b/c' → 'a/b', 'a'. */
function parents(path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, at) => segments.slice(0, at + 1).join('/')).reverse()
}

/** U2. The archive of these files; equal files give equal bytes. */
export async function createArchive(files: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  const names = new Names()
  const archive = tarPack()
  for (const name of [...files.keys()].sort()) {
    names.add(name)
    archive.entry({ ...FIXED, name }, Buffer.from(files.get(name)!))
  }
  archive.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of archive) chunks.push(chunk as Uint8Array)
  return new Uint8Array(Buffer.concat(chunks))
}

/** A header of the fixed form, for other archives that this project writes. */
export function fixedHeader(name: string, size: number): Pick<Header, 'name' | 'size'> {
  return { ...FIXED, name, size }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeEntry(entry: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const handle = await open(path, 'wx', 0o644)
  try {
    for await (const chunk of entry) await handle.writeFile(chunk)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function* measured(source: AsyncIterable<Uint8Array>, table: BundleTable): AsyncGenerator<Uint8Array> {
  const digest = createHash('sha256')
  let length = 0
  for await (const chunk of source) {
    length += chunk.length
    if (length > table.length)
      throw new Refusal('WrongBundle', `bundle: longer than the ${table.length} bytes its entry names; fetch it anew`)
    digest.update(chunk)
    yield chunk
  }
  if (length !== table.length || digest.digest('hex') !== table.sha256) {
    throw new Refusal('WrongBundle', `bundle: ${length} bytes that are not the ones its entry names; fetch it anew`)
  }
}

/** Writes the archive's files under `directory` and returns the directories made. */
async function writeFiles(extract: Extract, directory: string, table: BundleTable): Promise<Set<string>> {
  const names = new Names()
  const directories = new Set<string>([directory])
  for await (const entry of extract) {
    const { name, type, size } = entry.header
    if (type !== 'file') {
      throw new Refusal('UnsafePath', `bundle: ${JSON.stringify(name)} is a ${type}; only files are allowed`)
    }
    names.add(name)
    if ((size ?? 0) > table.length) {
      throw new Refusal('Malformed', `bundle: ${name} claims more bytes than the bundle has`)
    }
    for (const one of parents(name)) directories.add(join(directory, one))
    await writeEntry(entry as AsyncIterable<Uint8Array>, join(directory, name))
  }
  return directories
}

function isOfFileSystem(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined
}

/** Feeds the archive to its reader; whichever fails first ends the other, whose error is but an echo. */
async function extractInto(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  table: BundleTable
): Promise<Set<string>> {
  const extract = tarExtract()
  const feeding = pipeline(Readable.from(measured(source, table)), extract)
  const [written, fed] = await Promise.allSettled([writeFiles(extract, directory, table), feeding])
  if (written.status === 'fulfilled' && fed.status === 'fulfilled') return written.value
  const errors = [written, fed].flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []))
  const known = errors.find((error) => error instanceof Refusal || isOfFileSystem(error))
  if (known !== undefined) throw known
  const text = `bundle: not a readable archive (${errors[0]!.message}); fetch or pack it anew`
  throw new Refusal('Malformed', text, { cause: errors[0] })
}

/**
 * Unpacks a bundle so that `directory` either does not exist or holds all of it, durably: it is written beside, fsynced
 * and renamed. A directory that exists already is whole and left alone. Hash and length are those of `table`.
 *
 * @throws Refusal WrongBundle, UnsafePath, Malformed or Oversize; errors of the file system as they are
 */
export async function unpackBundle(
  source: string | Uint8Array | AsyncIterable<Uint8Array>,
  directory: string,
  table: BundleTable
): Promise<void> {
  const existing = await stat(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (existing?.isDirectory()) return
  const partial = `${directory}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true })
  const bytes = typeof source === 'string' ? createReadStream(source) : source instanceof Uint8Array ? [source] : source
  try {
    const directories = await extractInto(Readable.from(bytes), partial, table)
    for (const one of directories) await syncDirectory(one)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw error
  }
  await rename(partial, directory)
  await syncDirectory(dirname(directory))
}
