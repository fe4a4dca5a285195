import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allBatches, LONGEST } from '../../../scripts/testing/batches.ts'
import { Pool } from '../../../scripts/testing/pool.ts'
import type { Outcome } from '../../../scripts/testing/reporter.ts'

describe('scripts/testing', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-pool-'))
  })
  after(async () => await rm(directory, { recursive: true, force: true }))

  /** Runs files of tests, each by itself. @returns the outcomes in the order of the files, and what was printed */
  async function run(boundMs: number, ...texts: string[]): Promise<{ outcomes: Outcome[]; printed: string }> {
    let printed = ''
    const print = (text: string) => {
      printed += text
    }
    const outcomes: Outcome[] = []
    for (const text of texts) {
      const file = join(directory, 'one.test.ts')
      await writeFile(file, text)
      const pool = new Pool({ lanes: 2, boundMs, print })
      try {
        outcomes.push(...(await pool.run([{ args: [file], computes: true }])))
      } finally {
        pool.close()
      }
    }
    return { outcomes, printed }
  }

  it('counts what passed, failed and was skipped, and repeats why', async () => {
    const text = `it('one', () => {}); it('two', () => { throw new Error('as it must') }); it('three')`
    const { outcomes, printed } = await run(60_000, text, `it('four', () => {})`)
    const [first, second] = outcomes
    assert.deepEqual(second, { passed: 1, failed: 0, skipped: 0, failures: '' })
    assert.deepEqual({ ...first, failures: '' }, { passed: 1, failed: 1, skipped: 1, failures: '' })
    assert.match(first!.failures, /two:\s+Error: as it must/)
    assert.match(printed, /one.*two.*three.*four/s)
  })

  it('a process that dies, does not end, or cannot read its tests has failed', async () => {
    const dies = `it('one', () => {}); it('two', () => process.kill(process.pid, 'SIGKILL'))`
    const late = `it('one', () => {}); process.on('exit', () => process.kill(process.pid, 'SIGKILL'))`
    const { outcomes } = await run(60_000, dies, `import 'node:no-such-module'`, late)
    const reasons = [/SIGKILL, without its outcome/, /exit code \d+, without its outcome/, /after its tests had passed/]
    for (const [index, why] of reasons.entries()) {
      assert.equal(outcomes[index]!.failed, 1)
      assert.match(outcomes[index]!.failures, why)
    }
    const hung = await run(1_500, `it('one', () => { for (;;); })`)
    assert.equal(hung.outcomes[0]!.failed, 1)
    assert.match(hung.outcomes[0]!.failures, /one\.test\.ts was ended after 1\.5 s/)
  })

  it('runs every file once', () => {
    const files = allBatches().flatMap((batch) => batch.args)
    assert.equal(new Set(files).size, files.length)
    assert.ok(files.length > 80 && files.every((file) => existsSync(file)))
    assert.deepEqual(
      LONGEST.filter((file) => !files.includes(file)),
      []
    )
  })
})
