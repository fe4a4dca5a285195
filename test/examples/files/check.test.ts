/** SPEC F4, Q: the check over a disk finds what is wrong with variants of the example, and nothing in the example. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import spec from '../../../examples/files/v2/spec.ts'
import { withPlan } from '../../../node/check/plan.ts'
import { type ClassReport, runChecks } from '../../../node/check/worker.ts'
import { pack } from '../../../node/pack/pack.ts'
import { breaches } from '../../../src/spec/laws.ts'
import { ROOT, variantOf } from '../variant.ts'

const FILES = join(ROOT, 'examples/files')
const EFFORT = { calls: 6_000, histories: 30, killed: 0, seed: 1 }

describe('examples/files under check', function () {
  this.timeout(180_000)
  let directory: string
  let parent: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'files-check-'))
    parent = join(directory, 'v1.upgrade')
    const fleet = 'ab'.repeat(32)
    await pack({
      source: join(FILES, 'v1'),
      fleet,
      parents: [],
      expiresMs: Date.parse('2090-01-01T00:00:00Z'),
      out: parent
    })
  })
  after(async () => await rm(directory, { recursive: true, force: true }))

  async function checked(source: string): Promise<ClassReport> {
    const [report] = await withPlan(source, [parent], ({ classes }) =>
      runChecks({ classes, effort: EFFORT, suggest: false }, () => undefined)
    )
    return report!
  }

  /** The check of a copy of version 2 in which texts of one file were replaced. */
  async function variant(file: string, ...changes: [from: string, to: string][]): Promise<ClassReport> {
    const copy = await variantOf('files', directory, join('v2', file), ...changes)
    return await checked(join(copy, 'v2'))
  }

  const violations = ({ check }: ClassReport) => check!.passes.flatMap(({ violation }) => violation ?? [])
  const rules = (report: ClassReport) => new Set(violations(report).map(({ rule }) => rule))

  it('the example: nothing is wrong, and of its refusals exactly setMode after the upgrade is policy', async () => {
    const report = await checked(join(FILES, 'v2'))
    assert.equal(report.stage, 'on a disk')
    assert.deepEqual(violations(report), [])
    assert.equal(report.check!.ok, true)
    assert.deepEqual(report.check!.droppable, [{ phase: 'after', method: 'setMode', args: null }])
    assert.deepEqual(report.check!.droppableByInterception, [])
  })

  it('a past SO that answers a mode where the list is rich is served where it must refuse', async () => {
    const lies = 'return (list.owner! << 3) | list.everyone!'
    const report = await variant('past-perm-fs.ts', [
      'const mode = modeOf(list)',
      `${lies}\n    const mode = modeOf(list)`
    ])
    assert.deepEqual(rules(report), new Set(['disallow']))
    assert.ok(
      violations(report).some(({ text }) => /^getMode\(.\)@1 is declared as refused here, and was served/.test(text))
    )
  })

  it('a future SO that lets a rich list through as the nearest mode is found, by the call itself or by getMode', async () => {
    const nearest = 'const { owner = 0, everyone = 0 } = list\n    const mode = modeOf({ owner, everyone })'
    const report = await variant('future-acl-fs.ts', ['const mode = modeOf(list)', nearest])
    assert.deepEqual(rules(report), new Set(['disallow']))
    assert.ok(violations(report).some(({ text }) => /^setAcl\(.*\)@2 is declared as refused here/.test(text)))
  })

  it('a specification that lets it through is wrong by itself: getMode would be answered from nothing', () => {
    const lax = { ...spec, disallows: { ...spec.disallows, before: { ...spec.disallows.before, setAcl: () => false } } }
    assert.deepEqual(breaches(spec), [])
    assert.ok(breaches(lax).some(({ law, text }) => law === 'undetermined' && text.includes('getMode')))
  })

  it('a TF that forgets what modes said is found across the upgrade', async () => {
    const report = await variant('transform.ts', ['rights: listOf(entry.rights)', 'rights: listOf(0o64)'])
    assert.deepEqual(rules(report), new Set(['sequence']))
    const [shortest] = violations(report)
    assert.ok(shortest!.lines.some(({ step }) => step.do === 'upgrade'))
  })

  it('a TF that makes something else when it is run again is found', async () => {
    const begin = 'export default async function transform('
    const report = await variant(
      'transform.ts',
      [begin, `let runs = 0\n${begin}`],
      ['next: number, files: new Map', 'next: number + runs++, files: new Map']
    )
    assert.deepEqual(rules(report), new Set(['rerun']))
  })
})
