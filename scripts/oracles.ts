/**
 * Every design of the example upgrades, right and wrong, what the check says of it, and what is known of it.
 * Usage: node scripts/oracles.ts [--full] [--json]
 * The exit code is 1 if they disagree. `--full` runs the longest histories on every right design: some ten minutes of one processor.
 */
import { parseArgs } from 'node:util'
import { families } from '../examples/sets/variants/index.ts'
import { table } from '../node/cli/screen.ts'
import { exhaustShipped, judgeDesign, type Row, type Speed } from './checking/oracles.ts'

const { values } = parseArgs({ options: { full: { type: 'boolean' }, json: { type: 'boolean' } } })

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ design, expected, found, droppable, needless, disagreements }) => {
    const known = expected.is === 'correct' ? 'correct' : `violates ${expected.rule}: ${expected.history.join('; ')}`
    const named = (what: string, refusals: readonly string[]) =>
      refusals.length === 0 ? '' : `, ${what}: ${refusals.join(', ')}`
    const refusals = `${named('droppable', droppable)}${named('not needed if it intercepted everything', needless)}`
    const says =
      found === null
        ? `correct${refusals}`
        : `violates ${found.rule}: ${found.history.join('; ')} answers ${found.answers}, must be ${found.must}`
    return `${disagreements.length === 0 ? 'agree' : 'DISAGREE'}  ${design}\n    known: ${known}\n    check: ${says}${disagreements
      .map((one) => `\n    !! ${one}`)
      .join('')}`
  })
  return [rows[0]!.upgrade, '', ...lines, ''].join('\n')
}

function speedText({ histories, calls, seconds, processorSeconds }: Speed): string {
  const rate = (time: number) => Math.round(calls / time).toLocaleString('en')
  return table([
    ['IntSet → ColorSet as shipped, exhaustively', 'HISTORIES', 'CALLS', 'SECONDS', 'CALLS A SECOND'],
    ['by the clock', `${histories}`, `${calls}`, seconds.toFixed(1), rate(seconds)],
    ['of one processor', `${histories}`, `${calls}`, processorSeconds.toFixed(1), rate(processorSeconds)]
  ])
}

const rows: Row[] = []
for (const family of families) {
  const judged: Row[] = []
  for (const variant of family.variants) judged.push(await judgeDesign(family, variant, values.full ? 'full' : 'short'))
  if (!values.json) process.stdout.write(`${tableOf(judged)}\n`)
  rows.push(...judged)
}
const speed = await exhaustShipped()
const wrong = rows.filter((row) => row.disagreements.length > 0)
if (values.json) process.stdout.write(`${JSON.stringify({ rows, speed, ok: wrong.length === 0 }, null, 2)}\n`)
else process.stdout.write(`${speedText(speed)}\n\n${rows.length - wrong.length} of ${rows.length} designs as known\n`)
process.exitCode = wrong.length === 0 ? 0 : 1
