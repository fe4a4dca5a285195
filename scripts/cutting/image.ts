/**
 * What a disk may hold after a power cut (SPEC M63): all that was synced, and of the rest whatever the system happened
 * to have written: any of the writes to a file, whole or torn at a sector, and any of the changes of names, in any
 * directory, each of them or not. A sync of a file promises its contents, a sync of a directory the names in it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Generator } from '../../src/prng.ts'
import type { Step } from './trace.ts'

const SECTOR = 512

interface Write {
  at: number
  bytes: Buffer
}
/** Contents come and go by writes and cuts to a length. */
type Change = Write | { length: number }

interface Inode {
  /** As the system shows it. */
  contents: Buffer
  /** As it surely is on the disk, and what came since. */
  synced: Buffer
  pending: Change[]
  end: number
}

/** A name appears with a file behind it, or goes. */
interface Naming {
  path: string
  inode: Inode | 'directory' | null
  /** Namings of one rename happen both or not at all. */
  rename: number
}

/** What a cut takes of what was not synced. */
export type Loss = 'all' | 'none' | 'data' | 'names' | 'some'

function changed(contents: Buffer, change: Change): Buffer {
  if ('length' in change) {
    const cut = Buffer.alloc(change.length)
    contents.copy(cut, 0, 0, Math.min(contents.length, change.length))
    return cut
  }
  const longer = Buffer.alloc(Math.max(contents.length, change.at + change.bytes.length))
  contents.copy(longer)
  change.bytes.copy(longer, change.at)
  return longer
}

export class DiskModel {
  readonly #directory: string
  readonly #names = new Map<string, Inode | 'directory'>()
  readonly #synced = new Map<string, Inode | 'directory'>()
  #pending: Naming[] = []
  #renames = 0

  constructor(directory: string) {
    this.#directory = directory
    this.#names.set(directory, 'directory')
    this.#synced.set(directory, 'directory')
  }

  apply(step: Step): void {
    switch (step.what) {
      case 'open': {
        const known = this.#file(step.path)
        if (known === undefined)
          this.#name(step.path, { contents: Buffer.alloc(0), synced: Buffer.alloc(0), pending: [], end: 0 })
        else if (step.fresh) this.#change(known, { length: 0 })
        const file = this.#file(step.path)!
        file.end = step.append ? file.contents.length : 0
        return
      }
      case 'write': {
        const file = this.#file(step.path)
        if (file === undefined) return
        const at = step.at ?? file.end
        if (step.at === undefined) file.end = at + step.bytes.length
        return this.#change(file, { at, bytes: step.bytes })
      }
      case 'truncate': {
        const file = this.#file(step.path)
        return file && this.#change(file, { length: step.length })
      }
      case 'copy': {
        const [from, file] = [this.#file(step.from), this.#file(step.path)]
        if (from === undefined || file === undefined) return
        const part = from.contents.subarray(file.end, Math.min(from.contents.length, file.end + step.length))
        const at = file.end
        file.end += part.length
        return this.#change(file, { at, bytes: Buffer.from(part) })
      }
      case 'sync':
        return this.#sync(step.path)
      case 'acknowledge':
        return
      default:
        return this.#rename(step)
    }
  }

  #file(path: string): Inode | undefined {
    const found = this.#names.get(path)
    return found === 'directory' ? undefined : found
  }

  #change(file: Inode, change: Change): void {
    file.contents = changed(file.contents, change)
    file.pending.push(change)
  }

  #name(path: string, inode: Inode | 'directory' | null, rename = 0): void {
    if (inode === null) this.#names.delete(path)
    else this.#names.set(path, inode)
    this.#pending.push({ path, inode, rename })
  }

  #rename(step: Extract<Step, { what: 'link' | 'rename' | 'unlink' | 'mkdir' | 'rmdir' }>): void {
    if (!('from' in step)) return this.#name(step.path, step.what === 'mkdir' ? 'directory' : null)
    const inode = this.#names.get(step.from)
    if (inode === undefined) return
    if (step.what === 'link') return this.#name(step.path, inode)
    this.#renames += 1
    // What lies in a directory goes with it.
    for (const [path, one] of [...this.#names]) {
      if (path !== step.from && !path.startsWith(`${step.from}/`)) continue
      this.#name(step.path + path.slice(step.from.length), one, this.#renames)
      this.#name(path, null, this.#renames)
    }
  }

  #sync(path: string): void {
    const found = this.#names.get(path)
    if (found === undefined) return
    if (found !== 'directory') {
      found.synced = found.contents
      found.pending = []
      return
    }
    const renamed = new Set(this.#pending.filter((one) => dirname(one.path) === path).map(({ rename }) => rename))
    const isSynced = (one: Naming) => dirname(one.path) === path || (one.rename > 0 && renamed.has(one.rename))
    for (const one of this.#pending) if (isSynced(one)) put(this.#synced, one)
    this.#pending = this.#pending.filter((one) => !isSynced(one))
  }

  /** Path → contents (null: a directory) after a cut that takes so much. */
  after(loss: Loss, random: Generator): Map<string, Buffer | null> {
    const keepsNames = { all: 0, none: 1, data: 1, names: 0, some: random.fraction() }[loss]
    const keepsData = { all: 0, none: 1, data: 0, names: 1, some: random.fraction() }[loss]
    const names = new Map(this.#synced)
    const kept = new Map<number, boolean>()
    for (const one of this.#pending) {
      const keeps = (one.rename > 0 ? kept.get(one.rename) : undefined) ?? random.fraction() < keepsNames
      if (one.rename > 0) kept.set(one.rename, keeps)
      if (keeps) put(names, one)
    }
    const files = new Map<Inode, Buffer>()
    const contentsOf = (inode: Inode): Buffer => {
      const known = files.get(inode) ?? contentsAfter(inode, keepsData, loss === 'some', random)
      files.set(inode, known)
      return known
    }
    const left = new Map<string, Buffer | null>()
    for (const [path, inode] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // A name is met only where the directories above it are.
      if (path !== this.#directory && left.get(dirname(path)) !== null) continue
      left.set(path, inode === 'directory' ? null : contentsOf(inode))
    }
    return left
  }
}

function put(names: Map<string, Inode | 'directory'>, { path, inode }: Naming): void {
  if (inode === null) names.delete(path)
  else names.set(path, inode)
}

function contentsAfter({ synced, pending }: Inode, keeps: number, tears: boolean, random: Generator): Buffer {
  let contents = synced
  for (const change of pending) {
    if (random.fraction() >= keeps) continue
    contents = changed(contents, tears && 'bytes' in change && random.chance(0.3) ? torn(change, random) : change)
  }
  return contents
}

/** Sectors are written whole or not at all, the last ones not. */
function torn({ at, bytes }: Write, random: Generator): Write {
  const first = Math.floor(at / SECTOR)
  const sectors = Math.ceil((at + bytes.length) / SECTOR) - first
  const end = (first + random.below(sectors)) * SECTOR
  return { at, bytes: bytes.subarray(0, Math.max(0, end - at)) }
}

/** Writes an image below another directory. */
export function materialise(image: ReadonlyMap<string, Buffer | null>, from: string, to: string): void {
  for (const [path, contents] of image) {
    const place = join(to, path.slice(from.length))
    if (contents === null) mkdirSync(place, { recursive: true, mode: 0o700 })
    else writeFileSync(place, contents, { mode: 0o600 })
  }
}
