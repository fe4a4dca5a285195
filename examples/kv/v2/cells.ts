/** Names of version 2: a cell is a key of a namespace; the default namespace is what version 1 had (SPEC K13). */
import type { Entry } from '../protocol/acceptor.ts'

/** An entry that may end by itself. Members at v1 keep and pass on `expiresAt` without knowing it (K9). */
export interface Entry2 extends Entry {
  /** Unix time in milliseconds by the clock of the coordinator that wrote it. */
  expiresAt?: number
}

export const DEFAULT_NAMESPACE = 'default'
/** The flat space is the default namespace, which both versions share; the named one is all the others. */
export type Space = 'flat' | 'named'

const FLAT = `${DEFAULT_NAMESPACE}/`
const MAX_KEY_BYTES = 512

/** A namespace has no '/', so the text of a cell has one reading. */
export function cellOf(namespace: string, key: string): string {
  if (typeof namespace !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(namespace)) {
    throw new RangeError('a namespace is 1 to 64 letters, digits, _ . -')
  }
  if (typeof key !== 'string' || key.length === 0 || Buffer.byteLength(key) > MAX_KEY_BYTES || !key.isWellFormed()) {
    throw new RangeError(`a key is a text of 1 to ${MAX_KEY_BYTES} bytes in UTF-8`)
  }
  return `${namespace}/${key}`
}

export const spaceOf = (cell: string): Space => (cell.startsWith(FLAT) ? 'flat' : 'named')
export const cellOfFlat = (key: string): string => FLAT + key
/** The key that version 1 knows the cell by. */
export const flatKey = (cell: string): string => cell.slice(FLAT.length)
export const keyOf = (cell: string): string => cell.slice(cell.indexOf('/') + 1)
