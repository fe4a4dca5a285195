/** The program `upstart` (SPEC C). */

import { RELEASE } from '../daemon/release.ts'
import { takePassphrase } from '../passphrase.ts'
import type { Connect } from './connection.ts'
import { run } from './program.ts'

/** libp2p takes a third of a second to load: only commands that talk to a fleet pay for it. */
const connect: Connect = async (root, peers, credentials) => {
  const { createClient } = await import('../client.ts')
  return createClient({ root, peers, credentials })
}

takePassphrase()
// A reader that has gone away (`upstart status | head`) is no error of ours; the write's own failure says so.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})
process.exitCode = await run(process.argv.slice(2), { connect, release: RELEASE })
