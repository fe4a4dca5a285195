/**
 * How long until a pause that is given to one of thirty real peers holds all, and one that joins later:
 * scripts/bench pause [--peers N] [--processes N] [--json]. Fails where a peer is not held within two seconds.
 */
import { parseArgs } from 'node:util'
import { pausing } from './crowd/pause.ts'

const BOUND_MS = 2_000
const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '30' },
    processes: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false }
  }
})
const found = await pausing(Number(values.peers), Number(values.processes))
const { peers, processes, begun } = found
const [pausedMs, joinedMs] = [Math.round(found.pausedMs), Math.round(found.joinedMs)]
const report = { peers, processes, pausedMs, joinedMs, begun }
console.log(
  values.json
    ? JSON.stringify(report)
    : `a pause at one of ${peers} peers held all within ${pausedMs} ms; one more peer, from its start, within ${joinedMs} ms; ${begun} began`
)
if (pausedMs > BOUND_MS || begun > 0) process.exitCode = 1
