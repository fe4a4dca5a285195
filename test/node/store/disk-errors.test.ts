import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from '../../../node/store/store.ts'
import { cannotRecord } from '../../../scripts/cutting/store.ts'

const WORK = join(import.meta.dirname, '../../fixtures/store-work.ts')
/** Which call of its kind on the store's file fails, and all after it. */
const TURNS = [1, 2, 3, 4, 6, 8, 11]

describe('a disk that fails (SPEC D5; real files)', function () {
  this.timeout(120_000)
  let directory: string
  beforeEach(function () {
    if (cannotRecord() !== undefined) this.skip() // lacks: strace
    directory = mkdtempSync(join(tmpdir(), 'upstart-disk-'))
    chmodSync(directory, 0o700)
    const store = openStore(directory)
    const put = Array.from({ length: 200 }, (_, n): [string, unknown] => [
      `record/${n}`,
      { n, bytes: new Uint8Array(300) }
    ])
    store.commit({ put, delete: [] })
    store.close()
  })
  afterEach(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  })

  for (const [call, error] of [
    ['pread64', 'EIO'],
    ['pwrite64', 'EIO'],
    ['fsync', 'EIO']
  ] as const)
    it(`${call} fails: it is said by name and file, nothing acknowledged is lost, and the file goes on when the disk does`, () => {
      const file = join(directory, 'peer.sqlite')
      let failures = 0
      for (const turn of TURNS) {
        const inject = ['-e', `trace=${call}`, '-P', file, '-e', `inject=${call}:error=${error}:when=${turn}+`]
        const args = ['-f', '-qq', '-o', '/dev/null', ...inject, process.execPath, WORK, directory, String(turn)]
        const { stdout, stderr } = spawnSync('strace', args, { encoding: 'utf8' })
        const [acknowledged, name, message] = JSON.parse(stdout || `[false, "none", ${JSON.stringify(stderr)}]`)
        if (name !== null) {
          failures += 1
          assert.match(name, /^(DiskFailure|DamagedStore)$/, `${call} ${turn}: ${name}: ${message}`)
          assert.ok(message.includes(file), message)
        }
        const store = openStore(directory)
        const found = store.read()
        store.close()
        for (let n = 0; n < 200; n++) assert.equal((found.get(`record/${n}`) as { n: number }).n, n)
        if (acknowledged) assert.equal(found.get('locks'), turn, `${call} ${turn}: an acknowledged change is lost`)
        assert.ok(readFileSync(file).length > 0)
      }
      assert.ok(failures > 0, 'no call failed: this test looks at nothing')
    })
})
