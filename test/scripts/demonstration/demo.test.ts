import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../../scripts/demonstration/main.ts', import.meta.url))

describe('demo', () => {
  let directory: string
  let demo: ChildProcess | undefined

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-demo-test-'))
  })

  afterEach(async () => {
    if (demo?.exitCode === null && demo.signalCode === null) {
      demo.kill('SIGTERM')
      await once(demo, 'exit')
    }
    await rm(directory, { recursive: true, force: true })
  })

  const start = (...args: string[]): ChildProcess => {
    // Its own temporary directory: whatever it leaves there, it left behind.
    demo = spawn(process.execPath, [PROGRAM, ...args], {
      env: { ...process.env, TMPDIR: directory },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    return demo
  }

  /** Every process that was told of the directory, as data, root or code. */
  const processes = (): string[] =>
    execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(directory))

  it('X1, X5: three peers upgrade under load, everything holds, and nothing stays behind', async () => {
    const demo = start('--once', '--json', '--peers', '3', '--keys', '200')
    const lines: string[] = []
    createInterface(demo.stdout!).on('line', (line) => lines.push(line))
    const [code] = await once(demo, 'close')
    const report = JSON.parse(lines.at(-1)!)
    assert.deepEqual([code, report.held], [0, true], lines.join('\n'))
    const { peers, upgraded, version, failed, lostWrites, groupDownMax, calledByBoth } = report
    assert.deepEqual(
      { peers, upgraded, version, failed, lostWrites, groupDownMax, calledByBoth },
      { peers: 3, upgraded: 3, version: 2, failed: 0, lostWrites: 0, groupDownMax: 1, calledByBoth: 3 }
    )
    assert.ok(report.calls > 600 && report.acknowledgedKeys >= 200 && report.unavailableMsMax > 0)
    assert.ok(!lines.join('\n').includes('\u001b'), 'no control characters in a pipe')
    assert.deepEqual(await readdir(directory), [])
    assert.deepEqual(processes(), [])
  }).timeout(240_000)

  it('X6: three peers are killed while they upgrade; all upgrade, no call fails, no write is lost', async () => {
    const demo = start('--once', '--json', '--peers', '3', '--keys', '100', '--chaos', '--seed', '2', '--kills', '1')
    const lines: string[] = []
    createInterface(demo.stdout!).on('line', (line) => lines.push(line))
    const [code] = await once(demo, 'close')
    const report = JSON.parse(lines.at(-1)!)
    assert.deepEqual([code, report.held], [0, true], lines.join('\n'))
    const { upgraded, failed, lostWrites, groupDownMax, chaos } = report
    assert.deepEqual(
      { upgraded, failed, lostWrites, groupDownMax },
      { upgraded: 3, failed: 0, lostWrites: 0, groupDownMax: 1 }
    )
    assert.ok(chaos.kills > 0 && chaos.list.length === chaos.kills, lines.join('\n'))
    assert.equal(lines.filter((line) => line.includes('kill -9 of ')).length, chaos.kills)
    assert.deepEqual(await readdir(directory), [])
    assert.deepEqual(processes(), [])
  }).timeout(240_000)

  it('X1: an interruption ends every process and removes every file', async () => {
    const demo = start('--once', '--peers', '3', '--keys', '100000')
    for await (const line of createInterface(demo.stdout!)) if (line.endsWith('  writes')) break
    assert.ok(processes().length >= 3)
    demo.kill('SIGINT')
    const [code] = await once(demo, 'exit')
    assert.equal(code, 1)
    assert.deepEqual(await readdir(directory), [])
    assert.deepEqual(processes(), [])
  }).timeout(120_000)

  for (const args of [
    ['--peers', '4'],
    ['--peers', 'x'],
    ['--peers', '63'],
    ['--keys', '0'],
    ['--sometimes'],
    ['--seed', '1'],
    ['--chaos', '--kills', '5'],
    ['--schedule', 'sometimes'],
    ['--schedule', 'manual', '--peers', '5'],
    ['--schedule', 'manual', '--chaos']
  ]) {
    it(`X1: ${args.join(' ')}: refused in one line`, async () => {
      const demo = start(...args)
      const said: string[] = []
      createInterface(demo.stderr!).on('line', (line) => said.push(line))
      const [code] = await once(demo, 'close')
      assert.equal(code, 2)
      assert.equal(said.length, 1, said.join('\n'))
      assert.match(said[0]!, /^scripts\/demo: .*--/)
    })
  }
})
