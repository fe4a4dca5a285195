/** What hostile programs do to one peer, each as fast as it can, over real libp2p. */
import { randomBytes } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { createClient } from '../../node/client.ts'
import { createPeerKey } from '../../node/network/key.ts'
import { createNode } from '../../node/network/transport.ts'
import { protocolOf } from '../../node/network/wire.ts'
import { signStatement } from '../../src/upgrade/entry.ts'
import type { StatementBody } from '../../src/upgrade/statement.ts'
import { delta, type Outsider, outsider, recordOf } from '../../test/node/daemon/outsider.ts'
import { FAR, type TestFleet } from '../../test/src/upgrade/fleet.ts'

export interface Target {
  id: string
  address: string
  fleet: TestFleet
}

/** Does it once; called again and again. */
type Attack = (target: Target) => Promise<() => Promise<void>>

const come = ({ fleet, id, address }: Target): Promise<Outsider> =>
  outsider(fleet.trust.fleet, { id, addresses: () => [address] })

/** Comes again, as somebody else, where its session was ended. */
const persistent = (act: (one: Outsider) => Promise<void> | void): Attack => {
  return async (target) => {
    let one = await come(target)
    return async () => {
      if (one.ended.length > 0) {
        await one.network.close()
        one = await come(target)
      }
      await act(one)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

export const ATTACKS: Record<string, Attack> = {
  nobody: async () => () => new Promise((resolve) => setTimeout(resolve, 100)),

  'sessions without end': async (target) => async () => {
    const one = await come(target)
    await one.network.close()
  },

  'noise on the overlay protocol': async (target) => {
    let one = await come(target)
    return async () => {
      const wire = await one.network.wire(target.id, [target.address], 'overlay')
      wire.send(randomBytes(4096))
      await one.network.close()
      one = await come(target)
    }
  },

  'statements of a stranger': async (target) => {
    const { fleet } = target
    let sequence = 0
    return await persistent((one) => {
      sequence += 1
      const body = { format: 1, fleet: fleet.trust.fleet, sequence, note: '', what: 'pause', target: null }
      const bytes = signStatement(body as StatementBody, FAR, [fleet.outsider])
      one.network.send(target.id, delta({ statements: [bytes] }))
    })(target)
  },

  'records of made-up peers': async (target) => {
    const { trust } = target.fleet
    const keys = await Promise.all(Array.from({ length: 1000 }, () => createPeerKey()))
    let counter = 0
    let at = 0
    return await persistent(async (one) => {
      if (at === 0) counter += 1
      const records = keys.slice(at, at + 100).map((key) => recordOf(trust, key, { group: 'g0', counter }))
      at = (at + 100) % keys.length
      one.network.send(target.id, delta({ records }))
      // What is still to be sent is the attacker's own memory.
      await new Promise((resolve) => setTimeout(resolve, 5))
    })(target)
  },

  'half frames on three protocols': async (target) => {
    const claim = Buffer.alloc(4)
    claim.writeUInt32BE(4 * 1024 * 1024)
    const held: Outsider[] = []
    return async () => {
      if (held.length >= 100) return await new Promise((resolve) => setTimeout(resolve, 100))
      const one = await come(target)
      held.push(one)
      for (const name of ['call', 'control', 'overlay']) {
        const wire = await one.network.wire(target.id, [target.address], name)
        wire.send(Buffer.concat([claim, Buffer.alloc(64 * 1024)]))
      }
    }
  },

  'six hundred streams at once': async ({ fleet, address }) => {
    const node = await createNode({ key: await createPeerKey(), listen: [] }, () => false)
    const protocol = protocolOf(fleet.trust.fleet, 'call')
    return async () => {
      const connection = await node.dial(multiaddr(address))
      const open = () => connection.newStream(protocol, { maxOutboundStreams: 600, negotiateFully: false })
      await Promise.allSettled(Array.from({ length: 600 }, open))
      await connection.close()
    }
  },

  'five thousand calls at once': async ({ fleet, id, address }) => {
    const client = await createClient({ root: fleet.rootBytes, peers: [address] })
    const call = { class: 'IntSet', version: 1, method: 'contains', args: [1], to: { peer: id } }
    return async () => {
      await Promise.allSettled(Array.from({ length: 5_000 }, () => client.call(call)))
    }
  },

  'a thousand status requests at once': async ({ fleet, address }) => {
    const clients = await Promise.all(
      Array.from({ length: 16 }, () => createClient({ root: fleet.rootBytes, peers: [address] }))
    )
    return async () => {
      await Promise.allSettled(Array.from({ length: 1_000 }, (_, index) => clients[index % 16]!.status()))
    }
  }
}
