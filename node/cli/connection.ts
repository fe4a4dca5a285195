/** What online commands need of a fleet; `node/client.ts` gives it, tests give their own (SPEC C6). */
import { Refusal } from '../../src/errors.ts'
import type { CallRequest, Value } from '../../src/versions/types.ts'
import type { Status } from '../daemon/status.ts'
import type { UpgradeFile } from '../pack/file.ts'

export interface Connection {
  status(): Promise<Status>
  /** Resolves with what the peer said once it has accepted; refusals keep their name. */
  injectUpgrade(file: UpgradeFile): Promise<string>
  injectStatement(bytes: Uint8Array): Promise<string>
  call(request: CallRequest): Promise<Value>
  close(): Promise<void>
}

export interface ConnectionOptions {
  root: string
  peer?: string[]
}

export type Connect = (rootBytes: Uint8Array, peers: readonly string[]) => Promise<Connection>

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
