/**
 * The shipped simulation objects and transform functions of the sets, each broken in one place, and the history by which
 * the check notices. Usage: node scripts/mutants.ts [--json | --markdown]
 * The exit code is 1 if it misses one that a history can tell apart.
 */
import { parseArgs } from 'node:util'
import { table } from '../node/cli/screen.ts'
import { mutants } from './checking/mutants.ts'
import { isMissed, rowOf, type Tried, tryMutant } from './checking/mutate.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean' }, markdown: { type: 'boolean' } } })

const tried: Tried[] = []
for (const mutant of mutants) tried.push(await tryMutant(mutant))
const found = tried.filter((one) => one.found !== null).length
const missed = tried.filter(isMissed)
const heads = ['file', 'broken', 'found by']
const print = (text: string) => process.stdout.write(`${text}\n`)
if (values.json) print(JSON.stringify({ tried, found, missed: missed.length }, null, 2))
else if (values.markdown) {
  for (const row of [heads, heads.map(() => '---'), ...tried.map(rowOf)]) print(`| ${row.join(' | ')} |`)
} else {
  print(table([heads.map((head) => head.toUpperCase()), ...tried.map(rowOf)]))
  print(
    `\n${found} of ${tried.length} found, ${tried.length - found - missed.length} cannot be, ${missed.length} missed`
  )
}
process.exitCode = missed.length === 0 ? 0 : 1
