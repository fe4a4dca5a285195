import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Mutant, mutants } from '../../../scripts/checking/mutants.ts'
import { isMissed, rowOf, tryMutant } from '../../../scripts/checking/mutate.ts'
import { EXTENTS } from '../../../scripts/checking/verdict.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/check.md'), 'utf8')

/** The check of the check: what is broken is found, and docs/check.md says by which history (SPEC Q17). */
describe('the shipped code of the sets, broken in one place', function () {
  this.timeout(120_000)
  const byFile = new Map<string, Mutant[]>()
  for (const mutant of mutants) byFile.set(mutant.file, [...(byFile.get(mutant.file) ?? []), mutant])
  for (const [file, all] of byFile) {
    const found = all.filter(({ same }) => same === undefined).length
    it(`Q17: ${file}: ${found} of ${all.length} are found, the others are not wrong`, async () => {
      for (const mutant of all) {
        const tried = await tryMutant(mutant, mutant.same === undefined ? undefined : EXTENTS.quick.memory)
        assert.ok(!isMissed(tried), `${mutant.what}: ${tried.found?.history.join('; ') ?? 'nothing was found'}`)
        const row = `| ${rowOf(tried).join(' | ')} |`
        assert.ok(
          page.includes(row),
          `docs/check.md lacks the row ${row}; node scripts/mutants.ts --markdown writes it`
        )
      }
    })
  }

  it('a text that is not there once is no mutant', async () => {
    const absent = { file: 'v2/transform.ts', what: 'nothing', from: 'no such text', to: '' }
    await assert.rejects(tryMutant(absent), /is there 0 times, not once/)
  })
})
