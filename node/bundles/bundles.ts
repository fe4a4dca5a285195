/**
 * The bundles that a peer holds on disk, in pieces and unpacked (SPEC D8 to D12). In the directory:
 *   ⟨hash⟩.pieces/⟨index⟩-⟨sha-256⟩   pieces; a file under such a name is verified and durable, the names are the bit field
 *   ⟨hash⟩/                           the unpacked bundle
 *   ⟨hash⟩.files                      its table and the hashes of its files
 */
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import { type BundleTable, MAX_PIECES } from '../../src/upgrade/manifest.ts'
import { Pool } from './pool.ts'
import { DRAFT, piecesName, recordName } from './work.ts'

export interface BundlesInit {
  /** Bytes of pieces and unpacked bundles kept at most. @default 16 GiB */
  quotaBytes?: number
  /** Bytes of the disk left to everybody else. @default 64 MiB */
  reserveBytes?: number
  /** Threads that hash and write. One is enough for a fleet at rest; two let pieces pass while a bundle is unpacked. @default 2 */
  threads?: number
}

export interface HeldBundle {
  bundle: string
  /** Bit field of the pieces held: lowest bit of the first byte is piece 0. */
  pieces: Uint8Array
  unpacked: boolean
}

/** A bundle is named by the sha-256 of the whole, its table's `sha256`. */
export interface Bundles {
  /** What is on the disk, for the boot of a peer. */
  held(): HeldBundle[]
  /** Bit field of the durable pieces of a bundle. */
  has(bundle: string): Uint8Array
  /**
   * Verifies a piece and stores it; false if it has not the table's hash. When it resolves with true the piece is
   * durable. The bytes stay the caller's. Rejects with Refusal `NoSpace` (D11), or what the disk says.
   */
  store(table: BundleTable, index: number, bytes: Uint8Array): Promise<boolean>
  /** The bytes of a piece that is held, verified again. A piece that is missing or damaged is `WrongBundle`, and no longer held. */
  read(bundle: string, index: number): Promise<Uint8Array>
  /** Verifies the whole and unpacks it, if that is not done; resolves with the directory. Rejects with `WrongBundle`, `NoSpace` … */
  unpack(table: BundleTable): Promise<string>
  /** The directory of an unpacked bundle, compared with its record and if need be mended from its pieces (D10). */
  path(bundle: string): Promise<string>
  /**
   * Deletes all that is stored of a bundle (D13). It is gone from `held` at once, and from the disk's names when this
   * resolves; what is stored of it later is not touched.
   */
  remove(bundle: string): Promise<void>
  /** Ends the threads. Idempotent. */
  close(): Promise<void>
}

const DEFAULTS: Required<BundlesInit> = { quotaBytes: 16 * 2 ** 30, reserveBytes: 64 * 2 ** 20, threads: 2 }

/** Reads what the directory holds, and makes it if it is not there. Belongs to the owner of the data directory's store. */
export async function openBundles(directory: string, init: BundlesInit = {}): Promise<Bundles> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const bundles = new DiskBundles(directory, { ...DEFAULTS, ...init })
  await bundles.survey()
  return bundles
}

interface HeldPiece {
  name: string
  bytes: number
}

const PIECE = /^(\d{1,3})-([0-9a-f]{64})$/
const HASH = /^[0-9a-f]{64}$/

class DiskBundles implements Bundles {
  readonly #directory: string
  readonly #init: Required<BundlesInit>
  readonly #pool: Pool
  /** bundle → index → piece. */
  readonly #pieces = new Map<string, Map<number, HeldPiece>>()
  /** bundle → bytes of the unpacked files, at most. */
  readonly #unpacked = new Map<string, number>()
  /** Unpacked or compared in this life of the process, or about to be: bundle → directory. */
  readonly #ready = new Map<string, Promise<string>>()
  readonly #removals = new Map<string, Promise<void>>()
  /** Bytes of writes under way. */
  #writing = 0

  constructor(directory: string, init: Required<BundlesInit>) {
    this.#directory = directory
    this.#init = init
    this.#pool = new Pool(init.threads)
  }

  /** D8: what is held is what the names say. Drafts that a crash left are removed. */
  async survey(): Promise<void> {
    const names = await readdir(this.#directory)
    for (const name of names) {
      if (name.includes(DRAFT)) await rm(join(this.#directory, name), { recursive: true, force: true })
      else if (name.endsWith(piecesName('')) && HASH.test(name.slice(0, 64)))
        await this.#surveyPieces(name.slice(0, 64))
    }
    for (const name of names) {
      // The record is durable before the directory has its name; a directory without one is none of ours.
      if (!HASH.test(name) || !names.includes(recordName(name))) continue
      this.#unpacked.set(name, sizeOf(this.#pieces.get(name)))
    }
  }

  held(): HeldBundle[] {
    const known = new Set([...this.#pieces.keys(), ...this.#unpacked.keys()])
    return [...known].map((bundle) => ({ bundle, pieces: this.has(bundle), unpacked: this.#unpacked.has(bundle) }))
  }

  has(bundle: string): Uint8Array {
    const bits = new Uint8Array(MAX_PIECES / 8)
    for (const index of this.#pieces.get(bundle)?.keys() ?? []) bits[index >> 3]! |= 1 << (index & 7)
    return bits
  }

  async store(table: BundleTable, index: number, bytes: Uint8Array): Promise<boolean> {
    const sha256 = table.pieces[index]
    if (sha256 === undefined) throw new RangeError(`bundle ${table.sha256} has no piece ${index}`)
    const name = `${index}-${sha256}`
    await this.#settled(table.sha256)
    const stored = await this.#writingBytes(bytes.byteLength, () => {
      const copy = new Uint8Array(bytes)
      return this.#pool.run({ kind: 'store', file: this.#file(table.sha256, name), bytes: copy, sha256 }, [copy.buffer])
    })
    if (stored) await this.#hold(table.sha256, index, { name, bytes: bytes.byteLength })
    return stored
  }

  async read(bundle: string, index: number): Promise<Uint8Array> {
    const piece = this.#pieces.get(bundle)?.get(index)
    if (piece === undefined)
      throw new Refusal('WrongBundle', `piece ${index} of bundle ${bundle} is not held; fetch it`)
    const file = this.#file(bundle, piece.name)
    const sha256 = PIECE.exec(piece.name)![2]!
    const bytes = await this.#pool.run({ kind: 'read', file, sha256 })
    if (bytes !== null) return bytes
    this.#pieces.get(bundle)?.delete(index)
    await rm(file, { force: true })
    throw new Refusal('WrongBundle', `${file} was damaged and is removed; the piece must be fetched again`)
  }

  unpack(table: BundleTable): Promise<string> {
    return this.#once(table.sha256, async () => {
      const difference = this.#unpacked.has(table.sha256) ? await this.#inspect(table.sha256) : 'it is not unpacked'
      return difference === null ? this.#location(table.sha256) : this.#unpack(table)
    })
  }

  path(bundle: string): Promise<string> {
    return this.#once(bundle, async () => {
      if (!this.#unpacked.has(bundle))
        throw new Refusal('WrongBundle', `bundle ${bundle} is not unpacked; fetch and unpack it`)
      const difference = await this.#inspect(bundle)
      if (difference === null) return this.#location(bundle)
      try {
        const { table } = await this.#pool.run({ kind: 'record', root: this.#directory, bundle })
        return await this.#unpack(table)
      } catch (cause) {
        const text = `${difference}, and the pieces do not mend it (${(cause as Error).message})`
        throw new Refusal('WrongBundle', `${text}; fetch the bundle again`, { cause })
      }
    })
  }

  remove(bundle: string): Promise<void> {
    this.#pieces.delete(bundle)
    this.#unpacked.delete(bundle)
    this.#ready.delete(bundle)
    const removal = this.#settled(bundle).then(() => this.#delete(bundle))
    this.#removals.set(bundle, removal)
    const done = (): void => {
      if (this.#removals.get(bundle) === removal) this.#removals.delete(bundle)
    }
    removal.then(done, done)
    return removal
  }

  async #delete(bundle: string): Promise<void> {
    // The directory goes before the pieces that could mend it: a crash in between leaves nothing that claims to be whole.
    const drafts: string[] = []
    for (const name of [bundle, recordName(bundle), piecesName(bundle)]) {
      const draft = join(this.#directory, name + DRAFT)
      try {
        await rename(join(this.#directory, name), draft)
        drafts.push(draft)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    const directory = await open(this.#directory, 'r')
    await directory.sync().finally(() => directory.close())
    for (const draft of drafts) await rm(draft, { recursive: true, force: true })
  }

  /** A removal that is under way ends before anything of the bundle is stored anew; who asked for it hears if it fails. */
  async #settled(bundle: string): Promise<void> {
    await Promise.allSettled([this.#removals.get(bundle)])
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  async #unpack(table: BundleTable): Promise<string> {
    const pieces = table.pieces.map((sha256, index) => {
      const name = `${index}-${sha256}`
      if (this.#pieces.get(table.sha256)?.get(index)?.name === name) return this.#file(table.sha256, name)
      throw new Refusal('WrongBundle', `bundle ${table.sha256} lacks piece ${index}; fetch it`)
    })
    const work = { kind: 'unpack', root: this.#directory, table, pieces } as const
    await this.#settled(table.sha256)
    this.#unpacked.delete(table.sha256)
    await this.#writingBytes(table.length, () => this.#pool.run(work))
    this.#unpacked.set(table.sha256, table.length)
    return this.#location(table.sha256)
  }

  /** Only what succeeded is remembered; a failure is looked at anew. */
  #once(bundle: string, action: () => Promise<string>): Promise<string> {
    const known = this.#ready.get(bundle)
    if (known !== undefined) return known
    const outcome = action().catch((error: unknown) => {
      this.#ready.delete(bundle)
      throw error
    })
    this.#ready.set(bundle, outcome)
    return outcome
  }

  #inspect(bundle: string): Promise<string | null> {
    return this.#pool.run({ kind: 'inspect', root: this.#directory, bundle })
  }

  async #hold(bundle: string, index: number, piece: HeldPiece): Promise<void> {
    const pieces = this.#pieces.get(bundle) ?? new Map<number, HeldPiece>()
    this.#pieces.set(bundle, pieces)
    const earlier = pieces.get(index)
    pieces.set(index, piece)
    // One bundle may be cut in two ways by two entries; the last one wins.
    if (earlier !== undefined && earlier.name !== piece.name)
      await rm(this.#file(bundle, earlier.name), { force: true })
  }

  /** D11. */
  async #writingBytes<T>(bytes: number, write: () => Promise<T>): Promise<T> {
    const used = [...this.#pieces.values()].reduce((sum, pieces) => sum + sizeOf(pieces), 0)
    const unpacked = [...this.#unpacked.values()].reduce((sum, size) => sum + size, 0)
    const { quotaBytes, reserveBytes } = this.#init
    if (used + unpacked + this.#writing + bytes > quotaBytes) {
      throw new Refusal(
        'NoSpace',
        `${this.#directory}: bundles may use ${quotaBytes} bytes; raise the quota or retire versions`
      )
    }
    this.#writing += bytes
    try {
      const { bavail, bsize } = await statfs(this.#directory)
      if (bavail * bsize - this.#writing < reserveBytes) {
        const text = `${this.#directory}: ${bavail * bsize} bytes are free, ${this.#writing + reserveBytes} are needed; free some`
        throw new Refusal('NoSpace', text)
      }
      return await write()
    } finally {
      this.#writing -= bytes
    }
  }

  async #surveyPieces(bundle: string): Promise<void> {
    const folder = join(this.#directory, piecesName(bundle))
    for (const name of await readdir(folder)) {
      const index = Number(PIECE.exec(name)?.[1] ?? Number.NaN)
      if (Number.isInteger(index) && index < MAX_PIECES) {
        await this.#hold(bundle, index, { name, bytes: (await stat(join(folder, name))).size })
      } else if (name.endsWith(DRAFT)) await rm(join(folder, name), { force: true })
    }
  }

  #location(bundle: string): string {
    return join(this.#directory, bundle)
  }

  #file(bundle: string, name: string): string {
    return join(this.#directory, piecesName(bundle), name)
  }
}

const sizeOf = (pieces: Map<number, HeldPiece> | undefined): number =>
  [...(pieces?.values() ?? [])].reduce((sum, { bytes }) => sum + bytes, 0)
