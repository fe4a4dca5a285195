/** SPEC K, Q24, Q25: one node of the example under check; defects planted in it are found. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import spec from '../../../examples/kv/v2/spec.ts'
import { load } from '../../../scripts/checking/modules.ts'
import { check } from '../../../src/spec/check.ts'
import { cutAnywhere, togetherAnywhere, upgradeAnywhere } from '../../../src/spec/histories.ts'
import { type CallStep, callStep, type Rule, written } from '../../../src/spec/judge.ts'
import { judgeEach, ROOT, variantOf } from '../variant.ts'

const VERSIONS = { from: 1, to: 2 }
const PARTS = {
  old: 'v1/kv.ts',
  new: 'v2/kv2.ts',
  future: 'v2/future-kv2.ts',
  past: 'v2/past-kv.ts',
  transform: 'v2/transform.ts'
}

const put = callStep({ side: 'old', method: 'put', args: ['a', 'one'] })
const remove = callStep({ side: 'old', method: 'delete', args: ['a'] })
const compareAndSet = (namespace: string, expected: string | null) =>
  callStep({ side: 'new', method: 'compareAndSet', args: [namespace, 'a', expected, 'one', {}] })

interface Defect {
  what: string
  file: string
  from: string
  to: string
  /** Mutators of the histories. */
  calls: readonly CallStep[]
  rule: Rule
  /** How the shortest history ends. */
  ends: RegExp
  weave?: typeof cutAnywhere
}

const DEFECTS: readonly Defect[] = [
  {
    what: 'a put at version 1 keeps the stamp',
    file: 'v1/kv.ts',
    from: 'return { entry: { stamp, value, calls }',
    to: 'return { entry: { stamp: found?.stamp ?? stamp, value, calls }',
    calls: [put, put],
    rule: 'sequence',
    ends: /^put\(a, one\)@1; .*get\(default, a\)@2$/
  },
  {
    what: 'a compare-and-set does not compare',
    file: 'v2/namespaces.ts',
    from: '(current?.version ?? null) !== expected',
    to: 'false',
    calls: [compareAndSet('default', 'earlier')],
    rule: 'type',
    ends: /compareAndSet\(default, a, earlier, one, \{\}\)@2$/
  },
  {
    what: 'a delete at version 1 deletes in another namespace',
    file: 'v2/past-kv.ts',
    from: 'this.#object.remove(DEFAULT_NAMESPACE, key)',
    to: "this.#object.remove('blue', key)",
    calls: [put, remove],
    rule: 'sequence',
    ends: /delete\(a\)@1$/
  },
  {
    what: 'the TF forgets the other namespaces',
    file: 'v2/transform.ts',
    from: 'if (context.future) copyNamed(context.future, context.new)',
    to: '',
    calls: [compareAndSet('blue', null)],
    rule: 'sequence',
    ends: /^compareAndSet\(blue, a, null, one, \{\}\)@2; upgrade; get\(blue, a\)@2$/
  },
  {
    what: 'the TF gives values new versions',
    file: 'v2/transform.ts',
    from: 'cells.put(cellOfFlat(line.cell), line.row)',
    to: 'cells.put(cellOfFlat(line.cell), { ...line.row, entry: { ...line.row.entry, stamp: `${line.row.entry.stamp}2` } })',
    calls: [put],
    rule: 'sequence',
    ends: /upgrade; get\(default, a\)@2$/
  },
  {
    what: 'the TF takes the first line of a cell, not the last',
    file: 'v2/transform.ts',
    from: "if ('cell' in line) cells.put(",
    to: "if ('cell' in line && cells.get(cellOfFlat(line.cell)) === undefined) cells.put(",
    calls: [put, put],
    rule: 'sequence',
    ends: /^put\(a, one\)@1; put\(a, one\)@1; .*upgrade; get\(default, a\)@2$/
  },
  {
    what: 'a put at version 1 does not try again',
    file: 'v2/past-kv.ts',
    from: 'if (outcome.ok) return',
    to: 'return void outcome',
    calls: [put, compareAndSet('default', null)],
    rule: 'sequence',
    ends: /^upgrade; .*together; get\(default, a\)@2$/,
    weave: togetherAnywhere
  },
  {
    what: 'the torn end of the file stays',
    file: 'v1/log-file.ts',
    from: 'if (size > end)',
    to: 'if (size < end)',
    calls: [put, put, put, put, put],
    rule: 'type',
    ends: /cut; .*upgrade$/,
    weave: cutAnywhere
  }
]

describe('examples/kv under check', function () {
  this.timeout(120_000)
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kv-check-'))
  })
  after(async () => await rm(directory, { recursive: true, force: true }))

  it('nothing is wrong with the example, and it refuses nothing', async () => {
    const { code, bench } = await load(join(ROOT, 'examples/kv'), VERSIONS, PARTS, spec, 'disk')
    const effort = { calls: 150, most: 75, histories: 2, killed: 0, seed: 7 }
    const report = await check(spec, code, { main: bench.stage }, effort)
    assert.deepEqual(
      report.passes.flatMap(({ violation }) => violation ?? []),
      []
    )
    assert.equal(report.ok, true)
    assert.deepEqual([...report.breaches, ...report.undecided], [])
    assert.deepEqual(
      report.coverage.filter((row) => row.refused > 0),
      []
    )
  })

  for (const { what, file, from, to, calls, rule, ends, weave = upgradeAnywhere } of DEFECTS)
    it(`${what}: found`, async () => {
      const copy = await variantOf('kv', directory, file, [from, to])
      const { bench } = await load(copy, VERSIONS, PARTS, spec, 'disk')
      const found = await judgeEach(bench, calls, weave)
      const steps = found?.lines.map(({ step }) => (step.do === 'call' ? written(bench, step) : step.do)) ?? []
      const history = steps.filter((step) => step !== 'simulate').join('; ')
      assert.equal(found?.rule, rule, `${history} ${found?.text}`)
      assert.match(history, ends)
    })
})
