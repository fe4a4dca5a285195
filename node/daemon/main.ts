/** The daemon `upstart-peer`: reads its configuration, runs one peer, ends cleanly on SIGTERM. */
import { readFile } from 'node:fs/promises'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { Refusal } from '../../src/errors.ts'
import { ofFile, unreadable } from '../obstacles.ts'
import { ownDirectory } from '../store/directory.ts'
import { type Configuration, readConfiguration, USAGE } from './configuration.ts'
import type { RunningPeer } from './daemon.ts'
import { RELEASE } from './release.ts'
import { outliveStreams } from './strays.ts'

/** The whole of a clean end; what is not done by then is cut (SPEC D26). */
const END_MS = 4_500

async function main(args: string[]): Promise<void> {
  const request = readConfiguration(args)
  switch (request.action) {
    case 'help':
      process.stdout.write(USAGE)
      return
    case 'version':
      process.stdout.write(`upstart-peer ${RELEASE}, node ${process.versions.node}\n`)
      return
    case 'print':
      process.stdout.write(`${JSON.stringify(request.configuration, null, 2)}\n`)
      return
    case 'peer-id': {
      const { data } = request.configuration
      ownDirectory(data)
      const { loadPeerKey } = await import('../network/key.ts')
      process.stdout.write(`${(await loadPeerKey(join(data, 'peer.key'))).peer}\n`)
      return
    }
    case 'run':
      return await run(request.configuration)
  }
}

async function run(configuration: Configuration): Promise<void> {
  // H6: else this signal would open a debugger, and with it the peer's key, to every user of the host's loopback.
  process.on('SIGUSR1', () => process.stderr.write('upstart-peer: no debugger is opened\n'))
  // Half of a start is compiling: what is imported from here on is compiled once in the life of a data directory (D28).
  ownDirectory(configuration.data)
  enableCompileCache(join(configuration.data, 'compiled'))
  const [{ pino }, { startPeer }, { openTrust }] = await Promise.all([
    import('pino'),
    import('./daemon.ts'),
    import('../../src/upgrade/trust.ts')
  ])
  const log = pino({ level: configuration.logLevel, base: undefined }, pino.destination({ dest: 2, sync: false }))
  outliveStreams(process, (event) => log.warn({ event }, 'a stream ended that nobody waited for'))
  const { root } = configuration
  const rootBytes = await readFile(root).catch(unreadable(`--root ${root}`, 'make one with: upstart root new'))
  ofFile(`--root ${root}`, () => openTrust(rootBytes))
  let peer: RunningPeer | undefined
  let ending = false
  const end = (code: number): void => {
    if (ending) return
    ending = true
    setTimeout(() => process.exit(1), END_MS).unref()
    const closed = peer?.close() ?? Promise.resolve()
    closed.then(
      () => process.exit(code),
      (error: unknown) => {
        log.error({ error }, 'did not end cleanly')
        process.exit(1)
      }
    )
  }
  const failed = (error: unknown): void => {
    complain(error)
    end(1)
  }
  peer = await startPeer({ ...configuration, rootBytes, log, failed, left: () => end(0) })
  // The first line of stdout is for programs that start a peer; everything else is log, on stderr.
  process.stdout.write(`${JSON.stringify({ peer: peer.id, addresses: peer.addresses() })}\n`)
  // Now, not at the end: a daemon that is killed has none.
  setImmediate(flushCompileCache)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'ending')
      end(0)
    })
  }
}

/** One line, with the mend; the stack of what is our own fault. */
function complain(error: unknown): void {
  const { name, message, stack, code } = error as NodeJS.ErrnoException
  const ours = !(error instanceof Refusal) && code === undefined
  const text =
    error instanceof Refusal
      ? `${name}: ${message}`
      : `${code}: ${message}; see that --data is a directory of this peer's own`
  process.stderr.write(`upstart-peer: ${ours ? stack : text.replace(/\s*\n\s*/g, ' ').trim()}\n`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  complain(error)
  process.exit(error instanceof Refusal && error.code === 'Usage' ? 2 : 1)
})
