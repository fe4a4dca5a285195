/** Whoever speaks the fleet's protocols over real libp2p and says what it likes: the hostile peers of tests. */

import type { RunningPeer } from '../../../node/index.ts'
import { createPeerKey, type PeerKey } from '../../../node/network/key.ts'
import { createNetwork, type Network } from '../../../node/network/network.ts'
import type { Message } from '../../../src/overlay/messages.ts'
import type { PeerRecord } from '../../../src/overlay/record.ts'
import { authority } from '../../../src/upgrade/seal.ts'
import type { Trust } from '../../../src/upgrade/trust.ts'

export interface Outsider {
  network: Network
  key: PeerKey
  /** Why sessions with it ended. */
  ended: string[]
  heard: Message[]
  broadcasts: Uint8Array[]
}

/** One that is connected with `victim`. */
export async function outsider(fleet: string, victim: Pick<RunningPeer, 'id' | 'addresses'>): Promise<Outsider> {
  const key = await createPeerKey()
  const network = await createNetwork({ key, listen: [], fleet })
  const one: Outsider = { network, key, ended: [], heard: [], broadcasts: [] }
  network.start({
    connected: () => undefined,
    disconnected: (_, reason) => one.ended.push(reason),
    message: (_, message) => {
      one.heard.push(message)
    },
    validate: () => 'accept',
    published: (_, _topic, bytes) => {
      one.broadcasts.push(bytes)
    },
    addresses: () => undefined
  })
  await network.connect(victim.id, victim.addresses())
  return one
}

/** What a peer that runs nothing says of itself, well signed. */
export function recordOf(trust: Trust, key: PeerKey, change: Partial<PeerRecord> = {}): Uint8Array {
  const known = {
    format: 1 as const,
    peer: key.peer,
    incarnation: 1,
    counter: 1,
    group: null,
    labels: {},
    addresses: []
  }
  const record = { ...known, head: { version: 0, hash: trust.fleet }, objects: {}, permit: null, ...change }
  return authority(trust, key.seed).sealRecord(record)
}

export const delta = (what: {
  entries?: Uint8Array[]
  statements?: Uint8Array[]
  records?: Uint8Array[]
}): Message => ({
  kind: 'delta',
  entries: [],
  statements: [],
  records: [],
  more: false,
  ...what
})
