/** Wait for the end of a process that answers over its channel. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/**
 * Resolves when `child` has ended and nothing it sent is still on its way: its exit may be told before its last message.
 * @returns the signal that ended it, or its exit code
 * @throws what kept it from being started
 */
export async function ended(child: ChildProcess): Promise<string> {
  const [[code, signal]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  return String(signal ?? code)
}
