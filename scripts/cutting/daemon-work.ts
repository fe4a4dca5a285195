/**
 * A program that is a peer and its clients: it installs a version, writes, upgrades while it writes, and says what was
 * acknowledged to it: daemon-work.ts ACKNOWLEDGEMENTS. It ends without closing anything.
 */
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { allAt, FIXTURES, LiveFleet, until } from '../../test/node/daemon/live-fleet.ts'

const WRITES = 12

const acknowledged = openSync(process.argv[2]!, 'a')
const say = (text: string): void => void writeSync(acknowledged, `${text}\n`)
const fleet = await LiveFleet.create()
const peer = await fleet.embed('p0', null)
const client = await fleet.client()

async function insert(from: number, to: number): Promise<void> {
  for (let element = from; element <= to; element++) {
    say(`try ${element}`)
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [element], timeoutMs: 60_000 })
    say(`insert ${element}`)
  }
}

await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
say('version 1')
await until('version 1 serves', () => allAt(peer.status(), 'IntSet', 1, 1), 60_000)
await insert(1, WRITES)
const second = fleet.pack('', join(FIXTURES, 'direct'))
const writes = insert(WRITES + 1, 2 * WRITES)
await client.injectUpgrade(await second)
say('version 2')
await until('version 2 serves', () => allAt(peer.status(), 'IntSet', 2, 1), 60_000)
await writes
await insert(2 * WRITES + 1, 3 * WRITES)
console.log(fleet.directory)
process.exit(0)
