/** For programs that embed a peer, or talk to a fleet without being a peer of it. */
import { readFile } from 'node:fs/promises'
import { type Logger, pino } from 'pino'
import { Refusal } from '../src/errors.ts'
import { type Configuration, configurationSchema } from './daemon/configuration.ts'
import { type RunningPeer, startPeer } from './daemon/daemon.ts'

export { CallError, type CallErrorName, Refusal, type RefusalName } from '../src/errors.ts'
export type { CallRequest, CallTarget, Value } from '../src/versions/types.ts'
export { type Client, type ClientInit, type Credentials, createClient } from './client.ts'
export type { RunningPeer } from './daemon/daemon.ts'
export type { Status } from './daemon/status.ts'

export interface CreatePeerOptions extends Partial<Omit<Configuration, 'data' | 'root'>> {
  /** Directory of this peer's own. */
  data: string
  /** Contents of the fleet's root.json, or its path. */
  root: Uint8Array | string
  /** Where the peer logs. @default nowhere */
  log?: Logger
}

/**
 * Starts a peer in this program; objects run in child processes, as under `upstart-peer`.
 * @throws Refusal Usage, WrongFleet, Locked, DamagedStore, …
 */
export async function createPeer(options: CreatePeerOptions): Promise<RunningPeer> {
  const { root, log, ...rest } = options
  const parsed = configurationSchema.safeParse({ ...rest, root: typeof root === 'string' ? root : 'given as bytes' })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new Refusal('Usage', `createPeer: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const rootBytes = typeof root === 'string' ? await readFile(root) : root
  return await startPeer({ ...parsed.data, rootBytes, log: log ?? pino({ level: 'silent' }) })
}
