/** The simulated protocol against theory (SPEC M34): a table on the terminal, pictures and a page with --out. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleLaw } from './bundle.ts'
import { countingLaw } from './counting.ts'
import { exchangeLaw } from './exchange.ts'
import { holds, type Law, type Sizes } from './law.ts'
import { pushLaw } from './push.ts'
import { filesOf, tableOf } from './report.ts'

const LAWS: Readonly<Record<string, (sizes: Sizes) => Law>> = {
  push: pushLaw,
  'anti-entropy': exchangeLaw,
  pieces: bundleLaw,
  census: countingLaw
}

const USAGE = `scripts/validate [--peers N,N…] [--runs K] [--only ${Object.keys(LAWS).join(',')}] [--out DIR] [--json]`

function refuse(why: string): never {
  console.error(`${why}; usage: ${USAGE}`)
  process.exit(2)
}

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '100,300,1000' },
    runs: { type: 'string', default: '10' },
    only: { type: 'string', default: Object.keys(LAWS).join(',') },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
const sizes: Sizes = { peers: values.peers.split(',').map(Number), runs: Number(values.runs) }
const isCount = (one: number, least: number) => Number.isInteger(one) && one >= least
if (!sizes.peers.every((one) => isCount(one, 20))) refuse(`--peers ${values.peers}: numbers from 20 on`)
if (!isCount(sizes.runs, 1)) refuse(`--runs ${values.runs}: a number from 1 on`)
sizes.peers.sort((a, b) => a - b)

const laws: Law[] = []
for (const name of values.only.split(',')) {
  const law = LAWS[name]
  if (law === undefined) refuse(`--only ${name}: there is no such law`)
  const begun = process.cpuUsage().user
  laws.push(law(sizes))
  const spentS = (process.cpuUsage().user - begun) / 1e6
  if (process.stderr.isTTY) console.error(`${name}: ${spentS.toFixed(0)} s of processor time`)
}
if (values.json) console.log(JSON.stringify(laws.map(({ plot: _, ...law }) => law)))
else console.log(tableOf(laws))
if (values.out !== undefined) {
  await mkdir(values.out, { recursive: true })
  const command = `scripts/validate ${process.argv.slice(2).join(' ')}`
  for (const [file, text] of Object.entries(filesOf(laws, command))) await writeFile(join(values.out, file), text)
}
if (!laws.every(({ rows }) => rows.every(holds))) process.exitCode = 1
