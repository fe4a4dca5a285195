/** Unpacked bundles: written beside, recorded, then shown whole by one rename (SPEC D9), and compared again later (D10). */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { hashSchema, pathSchema } from '../../src/names.ts'
import { type BundleTable, bundleSchema } from '../../src/upgrade/manifest.ts'
import { unpackBundle } from '../pack/archive.ts'
import { syncDirectory } from '../store/directory.ts'
import { DRAFT, recordName, type UnpackRecord } from './work.ts'

const recordSchema: z.ZodType<UnpackRecord> = z.strictObject({
  format: z.literal(1),
  table: bundleSchema,
  files: z.record(pathSchema, hashSchema)
})

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function* concatenated(files: string[]): AsyncGenerator<Uint8Array> {
  // Read whole: a piece is at most 4 MiB, and the reader downstream takes one at a time.
  for (const file of files) yield readFileSync(file)
}

/** Verifies the whole while it is unpacked, and replaces an unpacked directory that may be there. */
export async function unpack(root: string, table: BundleTable, pieces: string[]): Promise<void> {
  const directory = join(root, table.sha256)
  const draft = directory + DRAFT
  rmSync(draft, { recursive: true, force: true })
  await unpackBundle(concatenated(pieces), draft, table)
  const record: UnpackRecord = { format: 1, table, files: {} }
  for (const path of filesUnder(draft)) {
    record.files[path] = sha256Of(readFileSync(join(draft, path)))
    chmodSync(join(draft, path), 0o444)
  }
  writeRecord(join(root, recordName(table.sha256)), record)
  rmSync(directory, { recursive: true, force: true })
  renameSync(draft, directory)
  syncDirectory(root)
}

/** The first difference between an unpacked bundle and its record, in words; null if there is none. */
export function inspect(root: string, bundle: string): string | null {
  const directory = join(root, bundle)
  const files = filesRecorded(root, bundle)
  if (files === null) return `the record of ${directory} is damaged`
  const found = new Set(filesUnder(directory))
  for (const [path, sha256] of Object.entries(files)) {
    const file = join(directory, path)
    if (!found.delete(path)) return `${file} is missing`
    if (!lstatSync(file).isFile() || sha256Of(readFileSync(file)) !== sha256) return `${file} was changed`
  }
  const [added] = found
  return added === undefined ? null : `${join(directory, added)} was added`
}

export function readRecord(root: string, bundle: string): UnpackRecord {
  return recordSchema.parse(JSON.parse(readFileSync(join(root, recordName(bundle)), 'utf8')))
}

function filesRecorded(root: string, bundle: string): Record<string, string> | null {
  try {
    return readRecord(root, bundle).files
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null
    throw error
  }
}

function writeRecord(file: string, record: UnpackRecord): void {
  const draft = file + DRAFT
  writeFileSync(draft, JSON.stringify(record), { mode: 0o600 })
  const descriptor = openSync(draft, 'r+')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(draft, file)
}

/** Every name below a directory that is not itself a directory, relative, in order; links are not followed. */
function filesUnder(directory: string, prefix = ''): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((one) => {
      const path = prefix + one.name
      return one.isDirectory() ? filesUnder(join(directory, one.name), `${path}/`) : [path]
    })
}
