/** `main.ts [INPUTS] [SEED]`: prints what became of them, target by target. Exits with 1 on a defect. */
import { fuzz } from './fuzz.ts'

const [inputs = 100_000, seed = 1] = process.argv.slice(2).map(Number)
if (![inputs, seed].every((one) => Number.isInteger(one) && one > 0)) {
  console.error('scripts/fuzz [INPUTS] [SEED]: whole numbers from 1 on')
  process.exit(2)
}
const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))
const begunMs = performance.now()
const heaps: number[] = []
const tallies = await fuzz(inputs, seed, (done) => {
  heaps.push(process.memoryUsage().rss)
  process.stderr.write(`\r${done} of ${inputs}`)
})
process.stderr.write('\n')
console.log('target                 inputs   accepted    refused   worst ms  defects')
for (const [name, { inputs: count, accepted, refused, worstMs, defects }] of tallies) {
  const cells = [
    String(count).padStart(11),
    String(accepted).padStart(11),
    String(refused).padStart(11),
    worstMs.toFixed(1).padStart(11),
    String(defects.length).padStart(9)
  ]
  console.log(`${name.padEnd(18)}${cells.join('')}`)
  for (const one of defects) console.log(`  ${one}`)
}
const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`
const memory =
  heaps.length < 2
    ? ''
    : `, resident ${mib(heaps[Math.floor(heaps.length / 4)]!)} after a quarter, ${mib(heaps.at(-1)!)} at the end`
const seconds = ((performance.now() - begunMs) / 1000).toFixed(1)
console.log(`${inputs} inputs of seed ${seed} in ${seconds} s, ${unhandled.length} unhandled rejections${memory}`)
process.exitCode = unhandled.length > 0 || [...tallies.values()].some(({ defects }) => defects.length > 0) ? 1 : 0
