/** A caller that makes a call again with the same id, as clients do (SPEC N14, Q25). */
import { setTimeout } from 'node:timers/promises'
import type { DiskCode } from './disk.ts'

/** After these the call was not executed, or may be made again. */
const AGAIN: ReadonlySet<string> = new Set(['Unavailable', 'OutcomeUnknown'])
/** Longer than an object takes that begins by asking itself something. */
const TRIES = 100
const PAUSE_MS = 5

/** Whether the code of a version declares that a call may be made twice. */
export function isRepeatable({ old, new: next, future, past }: DiskCode, version: number, method: string): boolean {
  const links = [old, next, future, past].filter((link) => link?.version === version)
  return links.some((link) => link?.interface.methods[method]?.idempotent === true)
}

export async function persist<Answer>(isAllowed: () => boolean, call: () => Promise<Answer>): Promise<Answer> {
  for (let left = TRIES; ; left--) {
    try {
      return await call()
    } catch (error) {
      if (left === 0 || !AGAIN.has((error as Error).name) || !isAllowed()) throw error
      await setTimeout(PAUSE_MS)
    }
  }
}
