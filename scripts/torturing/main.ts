/** `main.ts [ROUNDS] [--versions N] [--peers N] [--seed N]`: exits with 1 if an acknowledged write was lost. */
import { parseArgs } from 'node:util'
import { torture } from './torture.ts'

const USAGE = 'scripts/torture [ROUNDS] [--versions N] [--peers N] [--seed N]: whole numbers from 1 on'
const ROUNDS_FOR_EACH_VERSION = 10

function readOptions(args: string[]) {
  try {
    const options = { versions: { type: 'string' }, peers: { type: 'string' }, seed: { type: 'string' } } as const
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const rounds = Number(positionals[0] ?? 40)
    const versions = Number(values.versions ?? Math.max(2, Math.ceil(rounds / ROUNDS_FOR_EACH_VERSION)))
    const read = { rounds, versions, peers: Number(values.peers ?? 3), seed: Number(values.seed ?? 1) }
    const isWhole = positionals.length <= 1 && Object.values(read).every((one) => Number.isInteger(one) && one > 0)
    return isWhole ? read : undefined
  } catch (error) {
    console.error((error as Error).message)
    return undefined
  }
}

const init = readOptions(process.argv.slice(2))
if (init === undefined) {
  console.error(USAGE)
  process.exit(2)
}
const begunMs = performance.now()
try {
  const report = await torture(init, (line) => console.log(line))
  for (const text of report.lost) console.log(`LOST  ${text}`)
  for (const [text, count] of report.failures) console.log(`${String(count).padStart(6)} calls failed: ${text}`)
  const { rounds, versions, acknowledged, inDoubt, repeated, reads, retries, lost, faults, left } = report
  if (left.length > 0) console.log(`left out, since nobody here may mount a disk: ${left.join(', ')}`)
  console.log(
    Object.entries(faults)
      .map(([fault, count]) => `${fault} ${count}`)
      .join(', ')
  )
  console.log(
    `${rounds} rounds, v1 to v${versions}: ${acknowledged} writes acknowledged, ${inDoubt} in doubt, ${repeated} calls made again, ${reads} reads at the end of each, ${retries} times "retry", ${lost.length} lost; ${Math.round((performance.now() - begunMs) / 1000)} s`
  )
  process.exit(lost.length === 0 ? 0 : 1)
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exit(1)
}
