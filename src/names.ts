/** The names of the model as they may be written: classes, methods, hashes, paths, versions, peers, groups. */
import { z } from 'zod'

export const MAX_VERSION = 1_000_000
export const MAX_PATH_LENGTH = 200
export const MAX_GROUP_MEMBERS = 64

const RESERVED = new Set(['constructor', 'prototype', 'then', 'toString', 'valueOf', 'hasOwnProperty'])

/** A class or method name: an identifier that is safe as a property name everywhere. */
export const nameSchema = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'a name is a letter followed by at most 63 letters, digits or _')
  .refine((name) => !RESERVED.has(name), 'this name is reserved by the language')

export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/, 'a hash is 64 lower-case hex digits')

/** A relative POSIX path of safe segments: no `..`, no empty or dot segment, no control or reserved character. */
export const pathSchema = z
  .string()
  .max(MAX_PATH_LENGTH)
  .regex(
    /^(?!__proto__$)(?!.*(^|\/)\.{1,2}(\/|$))[A-Za-z0-9_@.+-]+(\/[A-Za-z0-9_@.+-]+)*$/,
    'a path is relative, of plain names joined by /'
  )

export const versionSchema = z.int().min(1).max(MAX_VERSION)

export const peerIdSchema = z.string().regex(/^[A-Za-z0-9]{8,64}$/, 'a peer id is 8 to 64 letters and digits')
export const groupSchema = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'a group is 1 to 64 letters, digits, _ . -')
