/** Explores permits to a bound (SPEC P), one line a setting; long runs of what the tests do in seconds. */
import { Command, InvalidArgumentError } from 'commander'
import * as permits from '../../src/overlay/permits.ts'
import { explore, walk } from './explore.ts'
import { SETTINGS, WALKS } from './settings.ts'

const whole = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('a whole number is needed')
  return number
}

const program = new Command('permits')
  .description('looks for a state in which more members of a group hold permits than may')
  .option('--states <n>', 'states of each setting, at most (default: as the tests)', whole)
  .option('--seeds <n>', 'random histories of each setting', whole, 300)
  .option('--only <text>', 'settings whose title has this text', '')
  .parse()

const { states, seeds, only } = program.opts<{ states?: number; seeds: number; only: string }>()
const passedMs = (begun: bigint): string => `${(Number(process.hrtime.bigint() - begun) / 1e6).toFixed(0)} ms`
let failed = false

for (const setting of SETTINGS.filter((one) => one.title.includes(only))) {
  const begun = process.hrtime.bigint()
  const found = explore(setting, permits, states ?? setting.states)
  const extent = found.complete ? 'all there are' : `to a depth of ${found.depth} steps`
  console.log(`${setting.title}: ${found.states} states, ${extent}; at most ${found.holders} held; ${passedMs(begun)}`)
  if (found.violation === undefined) continue
  failed = true
  for (const step of found.violation) console.log(`  ${step}`)
}
for (const setting of WALKS.filter((one) => one.title.includes(only))) {
  const begun = process.hrtime.bigint()
  let held = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const one = walk(setting, permits, seed, 200)
    held += one.held
    if (one.violation === undefined) continue
    failed = true
    console.log(`  seed ${seed}: ${one.violation.join('\n  ')}`)
  }
  console.log(`${setting.title}: seeds 1 to ${seeds}, 200 steps each; ${held} permits were held; ${passedMs(begun)}`)
}
process.exitCode = failed ? 1 : 0
