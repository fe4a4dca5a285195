/**
 * Some peers of a crowd in one process, told by its parent what to do: `start` some with a bootstrap address, `look` at
 * all, `end`. Objects run inside the process: a child for each of a hundred would measure node, not the overlay.
 */
import { join } from 'node:path'
import { pino } from 'pino'
import { configurationSchema } from '../../node/daemon/configuration.ts'
import { type RunningPeer, startPeer } from '../../node/daemon/daemon.ts'
import { InlineHost } from '../../node/host/inline.ts'
import { type Observed, Observer } from '../reality/observer.ts'

export interface Start {
  do: 'start'
  directory: string
  root: string
  names: string[]
  bootstrap: string[]
}
/** `observe`: from now on the turns of all peers here are looked at; told is what was seen since the last time. */
export type Order = Start | { do: 'look' } | { do: 'observe' } | { do: 'end' }

/** What a crowd is judged by, of one peer. */
export interface Look {
  peer: string
  addresses: string[]
  head: number
  serving: number
  /** What its object says. */
  reason: string
  neighbours: string[]
  known: number
  sent: Record<string, number>
}
export interface Report {
  looks: Look[]
  residentBytes: number
  cpuMs: number
  observed?: Observed
}

const observer = new Observer()
let observing = false
const peers: RunningPeer[] = []

function lookAt(peer: RunningPeer): Look {
  const { head, objects, neighbours, peers: known, sent } = peer.status()
  const serving = Object.values(objects).find((one) => one.serving)?.version ?? 0
  const { id } = peer
  const reason = Object.values(objects)[0]?.reason ?? ''
  return {
    peer: id,
    addresses: peer.addresses(),
    head: head.version,
    serving,
    reason,
    neighbours,
    known: known.length,
    sent
  }
}

async function start({ directory, root, names, bootstrap }: Start): Promise<void> {
  const rootBytes = Buffer.from(root, 'base64')
  for (const name of names) {
    const configuration = configurationSchema.parse({ data: join(directory, name), root: 'given as bytes', bootstrap })
    peers.push(await startPeer({ ...configuration, rootBytes, log: pino({ level: 'silent' }), host: new InlineHost() }))
  }
}

async function obey(order: Order): Promise<void> {
  if (order.do === 'start') await start(order)
  if (order.do === 'end') {
    await Promise.all(peers.map((peer) => peer.close()))
    process.disconnect?.()
    return
  }
  if (order.do === 'observe' && !observing) {
    observing = true
    observer.start()
  }
  const { user, system } = process.cpuUsage()
  const report: Report = {
    // A look costs as much as many messages: it must not be what is observed.
    looks: order.do === 'observe' ? [] : peers.map(lookAt),
    residentBytes: process.memoryUsage().rss,
    cpuMs: (user + system) / 1000
  }
  process.send?.(order.do === 'observe' ? { ...report, observed: observer.take() } : report)
}

process.on('message', (order: Order) => {
  // A worker that cannot do what it is told ends, and its parent says so.
  obey(order).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
// A parent that is gone can tell nobody to end.
process.on('disconnect', () => process.exit())
