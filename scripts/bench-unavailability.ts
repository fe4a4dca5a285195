/**
 * How long one node does not serve for an upgrade with a trivial TF, beside the start of a bare node process and an fsync,
 * all measured in this run: scripts/bench unavailability [ROUNDS] [--json].
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allAt, LiveFleet, until } from '../test/node/daemon/live-fleet.ts'
import { fsyncMs, nodeStartMs } from './demonstration/measure.ts'
import { median } from './demonstration/report.ts'

const FIXTURES = fileURLToPath(new URL('../test/fixtures/fleet/', import.meta.url))
const rounds = Number(process.argv.slice(2).find((one) => /^\d+$/.test(one)) ?? 5)

/** One fresh peer, from version 1 to version 2 with twenty elements. */
async function round(): Promise<number> {
  const fleet = await LiveFleet.create()
  try {
    const daemon = await fleet.spawn('p0')
    const client = await fleet.client(daemon.addresses)
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('v1 serves', async () => allAt(await client.status(), 'IntSet', 1, 1))
    for (let x = 0; x < 20; x++) await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [x] })
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'trivial')))
    await until('v2 serves', async () => allAt(await client.status(), 'IntSet', 2, 1))
    return (await client.status()).objects['IntSet']!.unavailableMs[0]!
  } finally {
    await fleet.close()
  }
}

const figures: number[] = []
for (let done = 0; done < rounds; done++) figures.push(await round())
const report = {
  rounds,
  unavailableMsMedian: Math.round(median(figures)),
  unavailableMsMin: Math.round(Math.min(...figures)),
  unavailableMsMax: Math.round(Math.max(...figures)),
  nodeStartMs: Math.round(await nodeStartMs()),
  fsyncMs: Number((await fsyncMs(tmpdir())).toFixed(2))
}
if (process.argv.includes('--json')) console.log(JSON.stringify(report))
else {
  console.log(
    `not serving for an upgrade with a trivial TF: median ${report.unavailableMsMedian} ms, ${report.unavailableMsMin} to ${report.unavailableMsMax} ms in ${rounds} rounds`
  )
  console.log(`beside it: a bare node process starts in ${report.nodeStartMs} ms, an fsync takes ${report.fsyncMs} ms`)
}
