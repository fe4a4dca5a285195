/** What online commands need of a fleet; `node/client.ts` gives it, tests give their own (SPEC C6). */
import { Refusal } from '../../src/errors.ts'
import type { Trust } from '../../src/upgrade/trust.ts'
import type { Client, Credentials } from '../client.ts'

export type Connection = Pick<
  Client,
  | 'status'
  | 'history'
  | 'injectUpgrade'
  | 'injectStatement'
  | 'injectRoot'
  | 'trust'
  | 'signed'
  | 'lock'
  | 'call'
  | 'close'
>

export interface ConnectionOptions {
  root: string
  peer?: string[]
}

export type Connect = (
  rootBytes: Uint8Array,
  peers: readonly string[],
  credentials?: Credentials
) => Promise<Connection>

/** Runs `use` with a connection that is closed whatever happens. */
export async function connected<Result>(
  connect: Connect,
  rootBytes: Uint8Array,
  peers: readonly string[] | undefined,
  use: (connection: Connection) => Promise<Result>
): Promise<Result> {
  if (peers === undefined || peers.length === 0) {
    throw new Refusal(
      'Usage',
      'no peer to talk to: give --peer ADDRESS (or set UPSTART_PEER); "upstart-peer" prints its addresses when it starts'
    )
  }
  const connection = await connect(rootBytes, peers)
  try {
    return await use(connection)
  } finally {
    await connection.close()
  }
}

/** T14: what only an earlier root covers is refused by every peer. */
export function refuseLapsed(trust: Trust, kind: 'entry' | 'statement', bytes: Uint8Array): void {
  if (trust.covers(kind, bytes)) return
  const text = `the ${kind} is signed by keys of an earlier root, which root ${trust.root.version} does not cover; sign it with those of that root`
  throw new Refusal('Lapsed', text)
}
