/**
 * What attacks cost a real peer (docs/trust.md): its daemon's processor time and memory, and what somebody else who calls
 * it notices. scripts/bench attacks [--seconds N] [--json]. The first row is without an attack, in the same run.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { allAt, FIXTURES, LiveFleet, until } from '../test/node/daemon/live-fleet.ts'
import { ATTACKS } from './attacking/attacks.ts'

const TICKS_A_SECOND = 100
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } }
})
const seconds = Number(values.seconds)

const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}
const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024

interface Row {
  attack: string
  /** How often it was done, and how often the victim refused it altogether. */
  times: number
  refused: number
  /** Seconds of the daemon's processor time a second. */
  cpu: number
  /** Before, and at most meanwhile. */
  residentMb: [number, number]
  calls: number
  failed: number
  medianMs: number
  longestMs: number
}

/** A fresh peer for each attack: what one leaves behind is not the next one's. */
async function measure(attack: string): Promise<Row> {
  const fleet = await LiveFleet.create()
  try {
    const victim = await fleet.spawn('p0')
    const pid = victim.process.pid!
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('version 1 serves', async () => allAt(await client.status(), 'IntSet', 1, 1))
    const call = { class: 'IntSet', version: 1, method: 'contains', args: [1], to: { peer: victim.peer } }
    for (let time = 0; time < 200; time++) await client.call(call)
    const before = residentMb(pid)

    const attacker = fork(join(import.meta.dirname, 'attacking/attacker.ts'), [
      attack,
      victim.peer,
      victim.addresses[0]!
    ])
    await once(attacker, 'message')
    const [cpu, begunMs] = [cpuSeconds(pid), performance.now()]
    const waits: number[] = []
    let [failed, most] = [0, before]
    while (performance.now() - begunMs < seconds * 1000) {
      const askedMs = performance.now()
      // The caller's own error is the figure.
      await client.call(call).then(
        () => waits.push(performance.now() - askedMs),
        () => (failed += 1)
      )
      most = Math.max(most, residentMb(pid))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const used = (cpuSeconds(pid) - cpu) / ((performance.now() - begunMs) / 1000)
    const told = once(attacker, 'message')
    attacker.send('end')
    const [{ times, refused }] = (await told) as [{ times: number; refused: number }]
    waits.sort((a, b) => a - b)
    return {
      attack,
      times,
      refused,
      cpu: used,
      residentMb: [before, most],
      calls: waits.length + failed,
      failed,
      medianMs: waits[Math.floor(waits.length / 2)] ?? 0,
      longestMs: waits.at(-1) ?? 0
    }
  } finally {
    await fleet.close()
  }
}

const rows: Row[] = []
const heading = ['times', 'refused', 'CPU s/s', 'MB before', 'at most', 'calls', 'failed', 'median ms', 'longest']
if (!values.json) console.log(`${''.padEnd(36)}${heading.map((one) => one.padStart(10)).join('')}`)
for (const attack of Object.keys(ATTACKS)) {
  const row = await measure(attack)
  rows.push(row)
  const { times, refused, cpu, residentMb: memory, calls, failed, medianMs, longestMs } = row
  const cells = [times, refused, cpu.toFixed(2), ...memory.map(Math.round), calls, failed, medianMs.toFixed(1)]
  const text = [...cells, longestMs.toFixed(0)].map((cell) => String(cell).padStart(10)).join('')
  if (!values.json) console.log(`${attack.padEnd(36)}${text}`)
}
if (values.json) console.log(JSON.stringify(rows))
