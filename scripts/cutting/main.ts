/** Runs seed after seed until the power has gone so often; prints how often at which step. Exits with 1 on a violation. */
import { commitOf } from '../../sim/commit.ts'
import type { Cuts } from '../../sim/power.ts'
import { addCuts, cutRun } from './cut.ts'

const [wanted = 100_000, first = 1] = process.argv.slice(2).map(Number)
if (![wanted, first].every((one) => Number.isInteger(one) && one > 0)) {
  console.error('scripts/crash-points [POINTS] [SEED]: both are whole numbers from 1 on')
  process.exit(2)
}

const commit = commitOf()
const all: Cuts = {}
let points = 0
let seed = first
let broken = 0
const begunMs = performance.now()
for (; points < wanted; seed++) {
  const run = cutRun(seed, commit)
  points += addCuts(all, run)
  if (run.violation === undefined) continue
  broken += 1
  console.log(`seed ${seed}: ${run.violation}`)
}
const rows = Object.entries(all).sort(([a], [b]) => a.localeCompare(b))
console.log('the power went                       before    after')
for (const [step, { before, after }] of rows)
  console.log(`${step.padEnd(34)}${String(before).padStart(9)}${String(after).padStart(9)}`)
const seconds = ((performance.now() - begunMs) / 1000).toFixed(1)
console.log(
  `${points} crash points in ${seed - first} histories, ${broken} of them broken; ${seconds} s, commit ${commit}`
)
process.exitCode = broken > 0 ? 1 : 0
