/** A pause given to one of many real peers (SPEC S14): how long until all are stopped, and whether who joins later is, too. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LiveFleet, until } from '../../test/node/daemon/live-fleet.ts'
import { Crowd } from './crowd.ts'
import type { Look } from './worker.ts'

const FIXTURES = fileURLToPath(new URL('../../test/fixtures/fleet/', import.meta.url))
const BOUND_MS = 120_000

export interface Pausing {
  peers: number
  processes: number
  /** From the statement at one peer until all say that it holds them. */
  pausedMs: number
  /** From the start of one more peer until it says so. */
  joinedMs: number
  /** Of all, the newcomer too: those that begin or run the paused version, afterwards. */
  begun: number
}

/** @param processes that the peers share */
export async function pausing(peers: number, processes: number): Promise<Pausing> {
  const fleet = await LiveFleet.create()
  const crowd = new Crowd(processes, fleet.directory, fleet.keys.rootBytes)
  try {
    const addresses = await crowd.start(peers)
    const client = await fleet.client(addresses)
    const all = (what: string, count: number, holds: (look: Look) => boolean) =>
      until(
        what,
        async () => {
          const { looks } = await crowd.look()
          return looks.length === count && looks.every(holds)
        },
        BOUND_MS,
        async () =>
          (await crowd.look()).looks.filter((look) => !holds(look)).map(({ peer, reason }) => ({ peer, reason }))
      )
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await all('all run version 1', peers, ({ serving }) => serving === 1)
    // Nobody's turn comes while this is looked at.
    const later = await fleet.variant('later', 'trivial', [
      ['immediately }', 'after }'],
      ['immediately()', "after({ delay: '1h' })"]
    ])
    await client.injectUpgrade(await fleet.pack('', later))
    await all('all wait for version 2', peers, ({ reason }) => reason.startsWith('waits another'))
    const { log } = await client.status()
    const pause = fleet.statement({ what: 'pause', target: log[1]!.hash }, Date.now() + 3_600_000)
    const isPaused = ({ reason, serving }: Look): boolean => serving === 1 && reason.startsWith('paused by statement')
    const stated = performance.now()
    await client.injectStatement(pause)
    await all('all are paused', peers, isPaused)
    const pausedMs = performance.now() - stated
    const begun = performance.now()
    await crowd.join('late', addresses[0]!)
    await all('the newcomer is paused, too', peers + 1, isPaused)
    const joinedMs = performance.now() - begun
    const { looks } = await crowd.look()
    return { peers, processes, pausedMs, joinedMs, begun: looks.filter((look) => !isPaused(look)).length }
  } finally {
    await crowd.end()
    await fleet.close()
  }
}
