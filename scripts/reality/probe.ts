/**
 * One end of a connection over which single costs are measured (SPEC M61): the network, the piece store and the
 * verification of the daemon, with nothing around them. Told by its parent what to do; it answers what that took.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBundles } from '../../node/bundles/bundles.ts'
import { createPeerKey } from '../../node/network/key.ts'
import { createNetwork, type Network } from '../../node/network/network.ts'
import { createArchive } from '../../node/pack/archive.ts'
import type { Message } from '../../src/overlay/messages.ts'
import { pieceRange, pieceTable } from '../../src/upgrade/pieces.ts'
import { openTrust } from '../../src/upgrade/trust.ts'

const NO_HASH = '0'.repeat(64)

export type ProbeOrder =
  | { do: 'open'; fleet: string }
  | { do: 'dial'; peer: string; addresses: string[] }
  /** Messages of so many bytes, each sent when the answer to the last one came; 0: the shortest. */
  | { do: 'exchange'; peer: string; count: number; bytes: number }
  /** Broadcasts of so many bytes, one each `everyMs`. */
  | { do: 'publish'; count: number; bytes: number; everyMs: number }
  /** Verify and store, read, and unpack the pieces of a bundle. */
  | { do: 'disk'; bytes: number }
  /** Verify entries, each seen for the first time; as base64. */
  | { do: 'verify'; root: string; entries: string[] }
  | { do: 'usage' }
  | { do: 'end' }

export interface ProbeAnswer {
  peer: string
  addresses: string[]
  /** Of this process since it began, ms. */
  cpuMs: number
  wallMs: number
  /** Broadcasts heard. */
  heard: number
  /** What single parts took of the processor, ms. */
  parts: Record<string, number>
}

let network: Network | undefined
let heard = 0
let answered: () => void = () => undefined

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const shortest: Extract<Message, { kind: 'want' }> = { kind: 'want', bundle: NO_HASH, index: 0 }

async function open(fleet: string): Promise<void> {
  network = await createNetwork({ key: await createPeerKey(), listen: ['/ip4/127.0.0.1/tcp/0'], fleet })
  const own = network
  own.start({
    connected: () => undefined,
    disconnected: () => undefined,
    // A question is a `want` of index 0 or a piece; its answer asks for nothing.
    message: (peer, message) => {
      if (message.kind === 'want' && message.index === 1) return answered()
      own.send(peer, { ...shortest, index: 1 })
    },
    validate: () => 'accept',
    published: () => {
      heard += 1
    },
    addresses: () => undefined
  })
}

async function exchange(peer: string, count: number, length: number): Promise<void> {
  const bytes = randomBytes(length)
  for (let index = 0; index < count; index++) {
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    network!.send(peer, length === 0 ? shortest : { kind: 'piece', bundle: NO_HASH, index: 0, bytes })
    await answer
  }
}

async function publish(count: number, length: number, everyMs: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    network!.publish('entry', randomBytes(length))
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

async function disk(length: number): Promise<Record<string, number>> {
  const directory = await mkdtemp(join(tmpdir(), 'upstart-probe-'))
  const bundles = await openBundles(directory)
  try {
    const archive = await createArchive(new Map([['ballast', randomBytes(length)]]))
    const table = pieceTable(archive)
    const parts: Record<string, number> = {}
    const timed = async (part: string, work: () => Promise<unknown>) => {
      const before = cpuMs()
      await work()
      parts[part] = (cpuMs() - before) / (table.length / 1024)
    }
    // Its threads are started, once in the life of a peer.
    await bundles.store(table, 0, archive.subarray(0, table.pieceLength))
    const each = async (work: (index: number) => Promise<unknown>) => {
      for (const index of table.pieces.keys()) await work(index)
    }
    const bytesOf = (index: number) => {
      const { offset, length: own } = pieceRange(table, index)
      return archive.subarray(offset, offset + own)
    }
    await timed('store', () => each((index) => bundles.store(table, index, bytesOf(index))))
    await timed('read', () => each((index) => bundles.read(table.sha256, index)))
    await timed('unpack', () => bundles.unpack(table))
    return parts
  } finally {
    await bundles.close()
    await rm(directory, { recursive: true, force: true })
  }
}

function verify(root: string, entries: readonly string[]): void {
  const trust = openTrust(Buffer.from(root, 'base64'))
  for (const entry of entries) trust.openEntry(Buffer.from(entry, 'base64'))
}

async function obey(order: ProbeOrder): Promise<Record<string, number>> {
  switch (order.do) {
    case 'open':
      await open(order.fleet)
      return {}
    case 'dial':
      await network!.connect(order.peer, order.addresses)
      return {}
    case 'exchange':
      await exchange(order.peer, order.count, order.bytes)
      return {}
    case 'publish':
      await publish(order.count, order.bytes, order.everyMs)
      return {}
    case 'disk':
      return await disk(order.bytes)
    case 'verify':
      verify(order.root, order.entries)
      return {}
    case 'usage':
      return {}
    case 'end':
      await network?.close()
      return {}
  }
}

process.on('message', (order: ProbeOrder) => {
  const begun = performance.now()
  obey(order).then(
    (parts) => {
      const [peer, addresses] = [network?.peer ?? '', network?.addresses() ?? []]
      const answer: ProbeAnswer = { peer, addresses, cpuMs: cpuMs(), wallMs: performance.now() - begun, heard, parts }
      process.send?.(answer)
      if (order.do === 'end') process.disconnect?.()
    },
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    }
  )
})
// A parent that is gone can tell nobody to end.
process.on('disconnect', () => process.exit())
