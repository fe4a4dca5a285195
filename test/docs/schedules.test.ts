/** docs/schedules.md is true: every line of it is a schedule that a peer accepts, and no combinator is left out. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { statementCommands } from '../../node/cli/statements.ts'
import * as authors from '../../src/index.ts'
import * as combinators from '../../src/schedule/combinators.ts'
import { conditionSchema, constraintSchema, scheduleSchema } from '../../src/schedule/schedule.ts'
import { blocksOf } from './pages.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/schedules.md'), 'utf8')
const specification = readFileSync(join(ROOT, 'docs/SPEC.md'), 'utf8')
/** What is no combinator: durations, and the schedule that an author who names none gets. */
const OTHERS = ['durationMs', 'defaultSchedule']

interface Row {
  section: string
  line: number
  cells: string[]
}

/** Rows of all tables, without their heads. */
function rows(): Row[] {
  const found: Row[] = []
  let section = ''
  const lines = page.split('\n')
  for (const [at, line] of lines.entries()) {
    if (line.startsWith('## ')) section = line.slice(3)
    if (!line.startsWith('| ') || lines[at + 1]?.startsWith('|---')) continue
    const cells = line.split('|').slice(1, -1)
    found.push({ section, line: at + 1, cells: cells.map((cell) => cell.trim()) })
  }
  return found
}

const codesIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((found) => found[1]!)

function evaluated(code: string): unknown {
  const names = Object.keys(combinators)
  return new Function(...names, `return (${code})`)(...names.map((name) => (combinators as any)[name]))
}

describe('docs/schedules.md', () => {
  it('each example is what a peer accepts', () => {
    const schemas = { Conditions: conditionSchema, Combinators: conditionSchema, Constraints: constraintSchema }
    for (const { section, line, cells } of rows()) {
      const schema = schemas[section as keyof typeof schemas]
      const said = section === 'When a future simulation object starts' ? conditionSchema : (schema ?? scheduleSchema)
      const wanted = schema === undefined ? cells.at(-1)! : cells[2]!
      for (const code of codesIn(wanted)) {
        if (code.startsWith('upstart ') || code.startsWith('--')) continue
        const parsed = said.safeParse(evaluated(code))
        assert.ok(parsed.success, `line ${line}: ${code}: ${parsed.error?.message}`)
      }
    }
  })

  it('each combinator that authors may import has a row, and each row names a rule that there is', () => {
    const named = rows().filter(({ section }) => ['Conditions', 'Combinators', 'Constraints'].includes(section))
    const shown = new Set(named.map(({ cells }) => /^`(\w+)\(/.exec(cells[2]!)![1]!))
    const all = Object.keys(combinators).filter((name) => !OTHERS.includes(name))
    assert.deepEqual([...shown].sort(), all.sort())
    for (const name of all) assert.ok(name in authors, `${name} is not exported to authors`)
    for (const { line, cells } of named)
      assert.ok(specification.includes(`- **${cells[3]}** `), `line ${line}: SPEC has no rule ${cells[3]}`)
  })

  it('each command that it names is one', async () => {
    const { Command } = await import('commander')
    const program = new Command()
    statementCommands(program, { out: () => undefined, error: () => undefined }, async () =>
      assert.fail('no peer here')
    )
    const known = new Set([...program.commands.map((one) => one.name()), 'status', 'explain'])
    for (const [, command] of page.matchAll(/`upstart (\w+)/g)) assert.ok(known.has(command!), `upstart ${command}`)
  })

  it('the code that it shows compiles to a schedule that goes and waits', async () => {
    const block = blocksOf(page).find(({ text }) => text.startsWith('// schedule.ts'))!
    const { transformSync } = await import('esbuild')
    const { code } = transformSync(block.text, { loader: 'ts', format: 'cjs' })
    const made = { exports: {} as { default?: (context: object) => unknown } }
    new Function('module', 'exports', code)(made, made.exports)
    const decide = made.exports.default!
    const gone = { version: 2 }
    assert.deepEqual(decide({ version: 2, now: 7_200_000, neighbours: [gone, gone, { version: 1 }] }), { go: true })
    assert.deepEqual(decide({ version: 2, now: 9_000_000, neighbours: [gone] }), {
      wait: 'until the next full hour',
      inMs: 1_800_000
    })
    assert.deepEqual(decide({ version: 2, now: 0, neighbours: [gone, { version: 1 }, { version: 1 }] }), {
      wait: '1 of 3 neighbours have gone'
    })
  })
})
