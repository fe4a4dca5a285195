/** What the system says of files and addresses, in the words of messages (SPEC C11): people need not know its codes. */
import { dirname } from 'node:path'
import { Refusal } from '../src/errors.ts'

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is no directory',
  EEXIST: 'something else is there',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EADDRINUSE: 'another program listens there',
  EADDRNOTAVAIL: 'that is no address of this machine',
  ECONNREFUSED: 'nobody listens there',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network'
}

/** In words where the system's code is known, else its message. */
export function obstacle(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const known = code ?? /\bE[A-Z]{4,}\b/.exec(message)?.[0]
  return WORDS[known ?? ''] ?? message
}

const SQLITE_FULL = 13

/** Whether it failed since a disk is full, or a quota used up: no fault of whoever met it, and it passes. */
export function lacksSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, errcode, name, cause } = error as NodeJS.ErrnoException & { errcode?: number; cause?: unknown }
  if (code === 'ENOSPC' || code === 'EDQUOT' || errcode === SQLITE_FULL) return true
  return name === 'NoSpace' || code === 'NoSpace' || lacksSpace(cause)
}

/** A file that cannot be read, or written, as its user hears of it. */
export function unreadable(path: string, mend: string): (cause: unknown) => never {
  return (cause) => {
    throw new Refusal('Usage', `${path}: cannot be read: ${obstacle(cause)}; ${mend}`, { cause })
  }
}

export function unwritable(path: string): (cause: unknown) => never {
  return (cause) => {
    // A file that is to be made lacks nothing but its directory.
    const isLost = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const why = isLost ? `there is no directory ${dirname(path)}` : obstacle(cause)
    const mend = isLost ? 'make it first, or give another name' : 'give another name, or make room for it'
    throw new Refusal('Usage', `${path}: cannot be written: ${why}; ${mend}`, { cause })
  }
}

/** Runs `read` on the contents of a file: what is refused of them is refused of that file. */
export function ofFile<Result>(path: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    // The kind that the contents should have been of stands first; the name of the file says more.
    throw new Refusal(error.code, `${path}: ${error.message.replace(/^(root\.json|entry|statement): /, '')}`, {
      cause: error
    })
  }
}
