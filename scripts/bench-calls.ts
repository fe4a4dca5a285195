/** Times an echo call between two processes over loopback: 1 and 64 in flight. Usage: scripts/bench calls */
import { fork } from 'node:child_process'
import { createCalls } from '../node/calls/session.ts'
import { createPeerKey } from '../node/network/key.ts'
import { createNetwork, type Network } from '../node/network/network.ts'

const FLEET = 'be'.repeat(32)
const quiet = {
  connected: () => undefined,
  disconnected: () => undefined,
  message: () => undefined,
  validate: () => 'ignore' as const,
  published: () => undefined,
  addresses: () => undefined
}

async function network(): Promise<Network> {
  const made = await createNetwork({ fleet: FLEET, key: await createPeerKey(), listen: ['/ip4/127.0.0.1/tcp/0'] })
  made.start(quiet)
  return made
}

if (process.send === undefined) {
  const child = fork(import.meta.filename, [], { stdio: 'inherit' })
  child.once('message', async ({ peer, addresses }: { peer: string; addresses: string[] }) => {
    const wires = await network()
    const calls = await createCalls({ wires })
    let last = 0
    const echo = () =>
      calls.call(
        peer,
        addresses,
        {
          class: 'Echo',
          version: 1,
          method: 'echo',
          args: ['key', 42],
          callId: `bench.${++last}`,
          held: false,
          timeoutMs: 0,
          observersOnly: false
        },
        { timeoutMs: 10_000 }
      )
    for (const [inFlight, count] of [
      [1, 3_000],
      [64, 20_000],
      [1, 10_000],
      [64, 200_000]
    ] as const) {
      const times: number[] = []
      const begun = performance.now()
      let left = count
      await Promise.all(
        Array.from({ length: inFlight }, async () => {
          while (left-- > 0) {
            const at = performance.now()
            await echo()
            times.push(performance.now() - at)
          }
        })
      )
      const all = performance.now() - begun
      times.sort((one, other) => one - other)
      const at = (share: number) => `${(times[Math.floor(times.length * share)]! * 1000).toFixed(0)} µs`
      const each = (all / count) * 1000
      console.log(
        `${inFlight} in flight: ${each.toFixed(1)} µs a call, ${Math.round(1e6 / each)}/s, p50 ${at(0.5)}, p99 ${at(0.99)}`
      )
    }
    child.kill()
    await calls.close()
    await wires.close()
  })
} else {
  const wires = await network()
  await createCalls({ wires, serve: async ({ args }) => args })
  process.send({ peer: wires.peer, addresses: wires.addresses() })
}
