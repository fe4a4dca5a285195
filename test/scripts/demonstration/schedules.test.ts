import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { showsNamed } from '../../../scripts/demonstration/schedules/program.ts'
import type { Finding } from '../../../scripts/demonstration/schedules/shows.ts'

const PROGRAM = fileURLToPath(new URL('../../../scripts/demonstration/main.ts', import.meta.url))
/** On one fleet, one after another. */
const SHOWN = ['manual', 'window', 'rolling', 'big-flip', 'servers-first', 'custom', 'pause', 'failing']

describe('demo, schedules (SPEC X7; real processes)', () => {
  it('X7: each schedule does on four real peers what it says, the failing version stops at its canaries', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'upstart-demo-test-'))
    const args = [PROGRAM, '--schedule', SHOWN.join(), '--peers', '4', '--json']
    const demo = spawn(process.execPath, args, {
      env: { ...process.env, TMPDIR: directory },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    try {
      const lines: string[] = []
      createInterface(demo.stdout).on('line', (line) => lines.push(line))
      const [code] = await once(demo, 'close')
      assert.equal(code, 0, lines.join('\n'))
      const { held, shown } = JSON.parse(lines.at(-1)!)
      assert.equal(held, true)
      assert.deepEqual(
        shown.map(({ name, findings }: { name: string; findings: Finding[] }) => [name, findings.length > 1]),
        SHOWN.map((name) => [name, true])
      )
      assert.deepEqual(await readdir(directory), [])
    } finally {
      if (demo.exitCode === null && demo.signalCode === null) {
        demo.kill('SIGTERM')
        await once(demo, 'exit')
      }
      await rm(directory, { recursive: true, force: true })
    }
  }).timeout(300_000)

  it('X7: an unknown one, and one after what fails, are refused with what there is', () => {
    assert.deepEqual(showsNamed('manual,failing'), ['manual', 'failing'])
    assert.equal(showsNamed('all').at(-1), 'failing')
    assert.throws(() => showsNamed('manual,sometimes'), /--schedule sometimes: give manual, .* or all/)
    assert.throws(() => showsNamed('failing,manual'), /nothing can follow failing/)
  })
})
