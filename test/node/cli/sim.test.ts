/** `upstart sim` (SPEC C16): arguments, streams and the exit code pass through to the simulator's own process. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const program = new URL('../../../node/bin/upstart.js', import.meta.url).pathname

async function upstart(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [program, ...args])) }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

describe('upstart sim', () => {
  it('C16: answers with one object as its last line, and with nothing else in a pipe', async () => {
    const { code, stdout, stderr } = await upstart('--json', 'sim', '--peers', '3')
    assert.equal(code, 0)
    assert.equal(stderr, '')
    const told = JSON.parse(stdout.trim().split('\n').at(-1)!)
    assert.deepEqual([told.peers, told.violations], [3, []])
  })

  it('C16: what it refuses is refused here too', async () => {
    const { code, stderr } = await upstart('sim', '--peers', 'many')
    assert.equal(code, 2)
    assert.match(stderr, /^upstart: Usage: .*--peers/)
  })

  it('C16: a run that violates a rule is a failure', async () => {
    const { code, stdout } = await upstart('sim', '--peers', '3', '--duration', '5s', '--json')
    assert.equal(code, 1)
    assert.deepEqual(
      JSON.parse(stdout).violations.map((one: { rule: string }) => one.rule),
      ['M18']
    )
  })
})
