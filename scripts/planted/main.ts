/** The table of docs/simulator.md: node scripts/planted/main.ts [seeds] [part of a defect's name]. Exits 1 if one is missed. */
import { bugs } from './bugs.ts'
import { find } from './plant.ts'

const [count = '1000', name = ''] = process.argv.slice(2)
const chosen = bugs.filter(({ what }) => what.includes(name))
let missed = 0
console.log('| defect | found by | seeds until then |\n|---|---|---|')
for (const bug of chosen) {
  const found = await find(bug, 1, Number(count))
  if (found === null) missed += 1
  const by = found === null ? '**nothing**' : `${found.rule}: ${found.text.split('\n')[0]!.slice(0, 110)}`
  console.log(`| ${bug.what} | ${by.replaceAll('|', '/')} | ${found?.seeds ?? `> ${count}`} |`)
}
console.log(`\n${chosen.length - missed} of ${chosen.length} found within ${count} seeds`)
process.exitCode = missed > 0 ? 1 : 0
