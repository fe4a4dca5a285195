/**
 * A hundred real peers on one host: all of them meet, all learn of an upgrade injected at one, and then they are quiet:
 * scripts/bench crowd [--peers N] [--processes N] [--settle SECONDS] [--idle SECONDS] [--json]. Fails where one of these does not hold.
 */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { LiveFleet } from '../test/node/daemon/live-fleet.ts'
import { Crowd, partsOf, sentBy } from './crowd/crowd.ts'
import type { Look } from './crowd/worker.ts'

const FIXTURES = fileURLToPath(new URL('../test/fixtures/fleet/', import.meta.url))
const MINUTE_MS = 60_000
const LOOK_MS = 500
const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '100' },
    processes: { type: 'string', default: '4' },
    // Rounds and shuffles back off within this time.
    settle: { type: 'string', default: '300' },
    idle: { type: 'string', default: '120' },
    json: { type: 'boolean', default: false }
  }
})
const [peers, processes] = [Number(values.peers), Number(values.processes)]
const [settleMs, idleMs] = [Number(values.settle) * 1000, Number(values.idle) * 1000]
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const every = (looks: Look[], holds: (look: Look) => boolean) => looks.length === peers && looks.every(holds)

async function measure(fleet: LiveFleet, crowd: Crowd) {
  const begun = performance.now()
  const since = (from: number) => Math.round(performance.now() - from)
  const addresses = await crowd.start(peers)
  const startedMs = since(begun)
  /** A look costs as much as many messages: it must not be what is measured. */
  const all = async (what: string, holds: (look: Look) => boolean) => {
    const end = performance.now() + 5 * MINUTE_MS
    while (!every((await crowd.look()).looks, holds)) {
      if (performance.now() > end) throw new Error(`${what}: not within five minutes`)
      await wait(LOOK_MS)
    }
  }
  await all('all know all', ({ known, neighbours }) => known === peers && neighbours.length > 0)
  const metMs = since(begun)
  const client = await fleet.client(addresses)
  const file = await fleet.pack('', join(FIXTURES, 'v1'))
  const injected = performance.now()
  await client.injectUpgrade(file)
  await all('all have the entry', ({ head }) => head === 1)
  const informedMs = since(injected)
  await all('all serve it', ({ serving }) => serving === 1)
  const servingMs = since(injected)
  await wait(settleMs)
  const [before, at] = [await crowd.look(), performance.now()]
  await wait(idleMs)
  const after = await crowd.look()
  const idleMinutes = since(at) / MINUTE_MS
  const degrees = after.looks.map(({ neighbours }) => neighbours.length).sort((a, b) => a - b)
  return {
    peers,
    processes,
    startedMs,
    metMs,
    informedMs,
    servingMs,
    ...partsOf(after.looks),
    neighbours: { least: degrees[0], median: degrees[degrees.length >> 1], most: degrees.at(-1) },
    residentMibPerPeer: Math.round(after.residentBytes / 2 ** 20 / peers),
    idleMessagesPerPeerMinute: Number(((sentBy(after.looks) - sentBy(before.looks)) / peers / idleMinutes).toFixed(2)),
    idleCpuMsPerPeerSecond: Number(((after.cpuMs - before.cpuMs) / peers / (idleMinutes * 60)).toFixed(2))
  }
}

const fleet = await LiveFleet.create()
const crowd = new Crowd(processes, fleet.directory, fleet.keys.rootBytes)
try {
  const report = await measure(fleet, crowd)
  console.log(values.json ? JSON.stringify(report) : report)
  // M17 and M21, on real peers.
  if (report.parts !== 1 || report.oneSided > 0 || report.idleMessagesPerPeerMinute > 4) process.exitCode = 1
} finally {
  await crowd.end()
  await fleet.close()
}
