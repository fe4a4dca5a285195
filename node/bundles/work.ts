/** What the bundle store gives to its worker threads (SPEC D12), as messages. */
import type { BundleTable } from '../../src/upgrade/manifest.ts'

export type Work =
  /** Verify `bytes` and write them durably to `file`; answered by whether they have the hash. */
  | { kind: 'store'; file: string; bytes: Uint8Array; sha256: string }
  /** Read a piece; answered by its bytes, or null if they have not the hash. */
  | { kind: 'read'; file: string; sha256: string }
  /** Verify the whole and unpack it to `root`/⟨hash⟩ from the piece files, in order. */
  | { kind: 'unpack'; root: string; table: BundleTable; pieces: string[] }
  /** Compare an unpacked bundle with its record; answered by the first difference, or null. */
  | { kind: 'inspect'; root: string; bundle: string }
  | { kind: 'record'; root: string; bundle: string }

export interface WorkResult {
  store: boolean
  read: Uint8Array | null
  unpack: null
  inspect: string | null
  record: UnpackRecord
}

export type Request = { id: number; work: Work }
export type Answer =
  | { id: number; ok: true; result: WorkResult[Work['kind']] }
  /** `refusal` is the name of a Refusal, null for any other error. */
  | { id: number; ok: false; refusal: string | null; message: string }

/** What was unpacked, kept beside the directory: lets damage be found, and mended from the pieces (D10). */
export interface UnpackRecord {
  format: 1
  table: BundleTable
  /** Relative path → sha-256. */
  files: Record<string, string>
}

export const recordName = (bundle: string): string => `${bundle}.files`
export const piecesName = (bundle: string): string => `${bundle}.pieces`
/** Names of what is being written; swept at open. */
export const DRAFT = '.draft'
