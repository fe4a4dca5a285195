import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { openUpgradeFile } from '../../../node/pack/file.ts'
import { pack } from '../../../node/pack/pack.ts'

const SETS = join(import.meta.dirname, '../../../examples/sets')

describe('the sets as they are shipped', function () {
  this.timeout(60_000)
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-sets-'))
  })
  after(async () => await rm(directory, { recursive: true, force: true }))

  /** Packs versions, each on those before; nothing is to be warned of. */
  async function packed(...sources: string[]): Promise<string[]> {
    const files: string[] = []
    for (const source of sources) {
      const parents = []
      for (const file of files) {
        const opened = await openUpgradeFile(file)
        parents.push(opened.envelope)
        await opened.close()
      }
      const out = join(directory, `${source.replaceAll('/', '-')}.upgrade`)
      const expiresMs = Date.parse('2090-01-01T00:00:00Z')
      await pack({ source: join(SETS, source), fleet: 'ab'.repeat(32), parents, expiresMs, out })
      files.push(out)
    }
    return files
  }

  async function check(source: string, parents: readonly string[]): Promise<{ code: number; out: string }> {
    let out = ''
    const terminal = {
      out: (text: string) => {
        out += text
      },
      error: (text: string) => {
        out += text
      }
    }
    const connect = () => Promise.reject(new Error('a check needs no peer'))
    const options = parents.flatMap((file) => ['--parent', file])
    const args = ['check', join(SETS, source), ...options, '--effort', 'short']
    return { code: await run(args, { connect, release: '0', terminal }), out }
  }

  it('IntSet → ColorSet → FlavorSet: versions 1, 2, 3 pack on each other, and each step is right', async () => {
    const files = await packed('v1', 'v2', 'v3')
    for (const [source, parents] of [
      ['v2', files.slice(0, 1)],
      ['v3', files.slice(0, 2)]
    ] as const) {
      const { code, out } = await check(source, parents)
      assert.equal(code, 0, out)
      assert.match(out, /nothing wrong was found\n$/)
    }
  })

  it('GrowSet → IntSet: packs, and is right', async () => {
    const { code, out } = await check('grow/v2', (await packed('grow/v1', 'grow/v2')).slice(0, 1))
    assert.equal(code, 0, out)
    assert.match(out, /delete@2 +mutator +delegated +intercepted/)
  })
})
