/**
 * The thread that hashes, reads and writes pieces and unpacks bundles (SPEC D8 to D10, D12). It blocks freely: nobody
 * else lives here. Stores that arrive together share one sync of their directory.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { parentPort } from 'node:worker_threads'
import { Refusal } from '../../src/errors.ts'
import { lacksSpace } from '../obstacles.ts'
import { syncDirectory } from '../store/directory.ts'
import { inspect, readRecord, sha256Of, unpack } from './unpacked.ts'
import { type Answer, DRAFT, type Request, type Work } from './work.ts'

type Store = Extract<Work, { kind: 'store' }>

const port = parentPort
if (port === null) throw new Error('this module is the entry of a worker thread')

let stores: { id: number; work: Store }[] = []

const succeed = (id: number, result: Extract<Answer, { ok: true }>['result']) => {
  const transfer = result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : []
  port.postMessage({ id, ok: true, result } satisfies Answer, transfer)
}

const fail = (id: number, error: unknown) => {
  const known = refusalOf(error)
  const message = error instanceof Error ? error.message : String(error)
  port.postMessage({ id, ok: false, refusal: known, message } satisfies Answer)
}

const refusalOf = (error: unknown): string | null => {
  if (error instanceof Refusal) return error.code
  return lacksSpace(error) ? 'NoSpace' : null
}

const writeDurably = (file: string, bytes: Uint8Array) => {
  const descriptor = openSync(file, 'w', 0o600)
  try {
    for (let at = 0; at < bytes.byteLength; ) at += writeSync(descriptor, bytes, at)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** D8: under its name a piece is verified and durable; until then it is a draft, which nobody reads. */
const storeAll = () => {
  const batch = stores
  stores = []
  const written: typeof batch = []
  const directories = new Set<string>()
  for (const { id, work } of batch) {
    try {
      if (sha256Of(work.bytes) !== work.sha256) {
        succeed(id, false)
        continue
      }
      const directory = dirname(work.file)
      if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) directories.add(dirname(directory))
      writeDurably(work.file + DRAFT, work.bytes)
      renameSync(work.file + DRAFT, work.file)
      directories.add(directory)
      written.push({ id, work })
    } catch (error) {
      fail(id, error)
    }
  }
  try {
    for (const directory of directories) syncDirectory(directory)
    for (const { id } of written) succeed(id, true)
  } catch (error) {
    for (const { id } of written) fail(id, error)
  }
}

const read = (file: string, sha256: string): Uint8Array | null => {
  const bytes = readFileSync(file)
  // A copy of its own: small files are read into a pool, which cannot be transferred.
  return sha256Of(bytes) === sha256 ? new Uint8Array(bytes) : null
}

const perform = async (id: number, work: Exclude<Work, Store>) => {
  try {
    if (work.kind === 'read') succeed(id, read(work.file, work.sha256))
    else if (work.kind === 'record') succeed(id, readRecord(work.root, work.bundle))
    else if (work.kind === 'inspect') succeed(id, inspect(work.root, work.bundle))
    else {
      await unpack(work.root, work.table, work.pieces)
      succeed(id, null)
    }
  } catch (error) {
    fail(id, error)
  }
}

port.on('message', ({ id, work }: Request) => {
  if (work.kind !== 'store') {
    void perform(id, work)
    return
  }
  if (stores.length === 0) setImmediate(storeAll)
  stores.push({ id, work })
})
