/**
 * An upgrade file, `NAME.upgrade` (SPEC U8): a tar of `entry.json` and then `bundle.tar`. Any tar tool shows it; the
 * bundle lies in it at one offset, so pieces are read in place, whatever its size.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract as tarExtract, pack as tarPack } from 'tar-stream'
import { Refusal } from '../../src/errors.ts'
import { type Envelope, parseEntry } from '../../src/upgrade/entry.ts'
import { MAX_BUNDLE_BYTES, MAX_ENTRY_BYTES, type Manifest } from '../../src/upgrade/manifest.ts'
import { PieceHasher, pieceRange } from '../../src/upgrade/pieces.ts'
import { ofFile, unreadable, unwritable } from '../obstacles.ts'
import { fixedHeader } from './archive.ts'

const BLOCK = 512
const CHUNK_BYTES = 1024 * 1024
const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK

export interface UpgradeFile {
  readonly path: string
  /** The entry's shape was checked, its signatures were not. */
  readonly envelope: Envelope<Manifest>
  readonly bundleLength: number
  /** The bundle from its first byte on, in chunks of at most 1 MiB. */
  bundle(): AsyncGenerator<Uint8Array>
  /** One piece, as the entry's table cuts the bundle; not verified. */
  piece(index: number): Promise<Uint8Array>
  /** Reads the bundle once and compares it with the entry. @throws Refusal WrongBundle */
  verify(): Promise<void>
  close(): Promise<void>
}

async function* chunks(handle: FileHandle, offset: number, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < length; ) {
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, length - at))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset + at)
    if (bytesRead === 0)
      throw new Refusal('Malformed', 'upgrade file: it ended while it was read; pack or copy it anew')
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

interface Layout {
  entry: Uint8Array
  bundleLength: number
}

/** Reads both headers and the entry; the bundle's bytes are not touched. */
async function layout(handle: FileHandle, fileLength: number): Promise<Layout> {
  const head = Math.min(fileLength, BLOCK + padded(MAX_ENTRY_BYTES) + BLOCK)
  const extract = tarExtract()
  const feeding = pipeline(Readable.from(chunks(handle, 0, head)), extract).catch((error: unknown) => error)
  let entry: Uint8Array | null = null
  for await (const part of extract) {
    const { name, type } = part.header
    const size = part.header.size ?? 0
    if (type !== 'file' || name !== (entry === null ? 'entry.json' : 'bundle.tar')) break
    if (entry !== null) {
      // Leaving the loop destroys the stream; the feeding's complaint about that is of no interest.
      return { entry, bundleLength: size }
    }
    if (size > MAX_ENTRY_BYTES) throw new Refusal('Oversize', `entry: ${size} bytes, the limit is ${MAX_ENTRY_BYTES}`)
    const bytes: Uint8Array[] = []
    for await (const chunk of part) bytes.push(chunk as Uint8Array)
    entry = new Uint8Array(Buffer.concat(bytes))
  }
  const cause = await feeding
  throw new Refusal(
    'Malformed',
    'upgrade file: it does not hold entry.json and then bundle.tar; make it with "upstart pack"',
    { cause }
  )
}

async function readable(handle: FileHandle, path: string): Promise<Layout> {
  try {
    return await layout(handle, (await handle.stat()).size)
  } catch (error) {
    if (error instanceof Refusal) throw error
    if ((error as NodeJS.ErrnoException).syscall !== undefined)
      return unreadable(path, 'give the file that "upstart pack" wrote')(error)
    throw new Refusal(
      'Malformed',
      `${path}: no upgrade file, or a damaged one (${(error as Error).message}); pack or copy it anew`,
      { cause: error }
    )
  }
}

/** Opens an upgrade file; every size is checked before anything of that size is allocated or read. */
export async function openUpgradeFile(path: string): Promise<UpgradeFile> {
  const failed = unreadable(path, 'give the file that "upstart pack" wrote')
  const handle = await open(path, 'r').catch(failed)
  try {
    const { entry, bundleLength } = await readable(handle, path)
    const envelope = ofFile(path, () => parseEntry(entry))
    const table = envelope.content.bundle
    if (bundleLength > MAX_BUNDLE_BYTES)
      throw new Refusal('Oversize', `bundle: ${bundleLength} bytes, the limit is ${MAX_BUNDLE_BYTES}`)
    if (bundleLength !== table.length) {
      throw new Refusal(
        'WrongBundle',
        `${path}: a bundle of ${bundleLength} bytes where the entry names ${table.length}; pack it anew`
      )
    }
    const offset = BLOCK + padded(entry.length) + BLOCK
    const { size } = await handle.stat()
    if (size < offset + bundleLength)
      throw new Refusal(
        'Malformed',
        `${path}: truncated, ${offset + bundleLength - size} bytes of the bundle are missing; copy it anew`
      )
    return {
      path,
      envelope,
      bundleLength,
      bundle: () => chunks(handle, offset, bundleLength),
      async piece(index) {
        const range = pieceRange(table, index)
        const parts: Uint8Array[] = []
        for await (const chunk of chunks(handle, offset + range.offset, range.length)) parts.push(chunk)
        return new Uint8Array(Buffer.concat(parts))
      },
      async verify() {
        const hasher = new PieceHasher(bundleLength)
        for await (const chunk of chunks(handle, offset, bundleLength)) hasher.update(chunk)
        const found = hasher.finish()
        if (
          found.sha256 !== table.sha256 ||
          found.pieceLength !== table.pieceLength ||
          found.pieces.some((one, at) => one !== table.pieces[at])
        ) {
          throw new Refusal(
            'WrongBundle',
            `${path}: the bundle is not the one that the entry names; it is damaged, pack or copy it anew`
          )
        }
      },
      close: () => handle.close()
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Writes an upgrade file whole or not at all; an existing one is replaced. */
export async function writeUpgradeFile(
  path: string,
  entry: Uint8Array,
  bundle: AsyncIterable<Uint8Array>,
  bundleLength: number
): Promise<void> {
  const partial = `${path}.partial`
  const handle = await open(partial, 'w', 0o644).catch(unwritable(path))
  try {
    const archive = tarPack()
    const writing = pipeline(archive, async (source: AsyncIterable<Uint8Array>) => {
      for await (const chunk of source) await handle.writeFile(chunk)
    })
    archive.entry(fixedHeader('entry.json', entry.length), Buffer.from(entry))
    const sink = archive.entry(fixedHeader('bundle.tar', bundleLength), () => archive.finalize())
    await Promise.all([writing, pipeline(Readable.from(bundle), sink)])
    await handle.sync()
  } catch (error) {
    await handle.close()
    await rm(partial, { force: true })
    throw error
  }
  await handle.close()
  await rename(partial, path).catch(unwritable(path))
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
