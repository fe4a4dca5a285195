/**
 * The two encodings of signed metadata (SPEC U4): canonical JSON is what is hashed and signed, sorted JSON is what
 * travels. They differ because canonical JSON leaves control characters raw, which no JSON parser accepts back.
 */
import { hash } from 'node:crypto'
import { canonicalize } from '@tufjs/canonical-json'
import type { z } from 'zod'
import { Refusal } from '../errors.ts'

/** sha-256, hex. */
export function sha256(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, sorted((value as Record<string, unknown>)[key])]))
}

/** An escape that canonical JSON does not know: it escapes quotes and backslashes only. */
const FOREIGN_ESCAPE = /(?:^|[^\\])(?:\\\\)*\\[^"\\]/

/**
 * Canonical JSON of a plain value whose numbers are integers. Sorted JSON is the same unless a text holds control
 * characters or lone surrogates, and several times quicker to make.
 */
export function canonicalText(value: unknown): string {
  const text = JSON.stringify(sorted(value))
  return FOREIGN_ESCAPE.test(text) ? canonicalize(value) : text
}

/** Hash of a plain value's canonical form: the name of entries, statements, keys and fleets. */
export function canonicalHash(value: unknown): string {
  return sha256(canonicalText(value))
}

/** One value, one encoding: keys sorted, no white space. The value must be bounded in depth. */
export function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(sorted(value)))
}

/** Decodes JSON of at most `limit` bytes; the size is checked before anything is parsed. */
export function decode(bytes: Uint8Array, limit: number, what: string): unknown {
  if (bytes.byteLength > limit) {
    throw new Refusal('Oversize', `${what}: ${bytes.byteLength} bytes, the limit is ${limit}`)
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new Refusal('Malformed', `${what}: not JSON in UTF-8; it may be truncated, fetch or make it anew`, { cause })
  }
}

/** The first issues of a failed validation as one short line. */
export function explain(error: z.ZodError): string {
  const lines = error.issues.slice(0, 3).map((issue) => `${issue.path.join('.') || 'value'}: ${issue.message}`)
  return lines.join('; ').slice(0, 500)
}
