/** SPEC F3, H8: the TF over a tree of many files, killed in the middle and run again. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChildHost } from '../../../node/host/child.ts'
import { State } from '../../../node/host/state.ts'
import { buildModules } from '../../../node/pack/build.ts'

const DIRECTORIES = 150
const FILES = 20
const EXAMPLE = join(import.meta.dirname, '../../../examples/files')

describe('examples/files: the TF', function () {
  this.timeout(120_000)
  let root: string
  let host: ChildHost
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'files-transform-'))
    host = new ChildHost({ directory: join(root, 'host'), sandbox: 'none' })
    for (const [path, bytes] of await buildModules(join(EXAMPLE, 'v2'), ['./transform.ts']))
      await writeFile(join(root, path), bytes)
    await writeFile(join(root, 'package.json'), '{ "type": "module" }')
    new State(join(root, '1')).close()
    for (let d = 0; d < DIRECTORIES; d++) {
      const directory = join(root, '1/files/object/tree', `d${d}`)
      await mkdir(directory, { recursive: true })
      const files = Array.from({ length: FILES }, (_, i) => [
        `f${i}`,
        { owner: 'ann', rights: 0o60 + (i % 8), content: i + 1 }
      ])
      for (let i = 0; i < FILES; i++) await writeFile(join(directory, `f${i}~${i + 1}`), `text ${d} ${i}`)
      await writeFile(join(directory, '.table'), JSON.stringify({ format: 1, next: FILES + 1, files }))
    }
  })
  after(async () => {
    await host.close()
    await rm(root, { recursive: true, force: true })
  })

  const warm = (attempt: number) =>
    host.warmTransform({
      object: 'PermFS',
      peer: 'p',
      group: null,
      module: join(root, 'transform.js'),
      from: 1,
      to: 2,
      skipped: [],
      carried: [],
      futures: [],
      oldDirectory: join(root, '1'),
      newDirectory: join(root, String(attempt))
    })

  async function contentsOf(directory: string): Promise<Map<string, string>> {
    const contents = new Map<string, string>()
    for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.isFile()) contents.set(path.slice(directory.length), await readFile(path, 'utf8'))
    }
    return contents
  }

  it('killed when half is done it is run again from what it found, with progress, and makes the same', async () => {
    const tree = (attempt: number) => join(root, String(attempt), 'files/object/tree')
    const before = await contentsOf(tree(1))
    const first = await warm(2)
    let killed: Promise<void> | undefined
    const run = first.run((fraction) => {
      if (fraction >= 0.5) killed ??= first.kill()
    })
    await assert.rejects(run)
    await killed
    assert.deepEqual(await contentsOf(tree(1)), before)

    const seen: number[] = []
    await (await warm(3)).run((fraction) => seen.push(fraction))
    assert.equal(seen.at(-1), 1)
    assert.ok(seen.length > 50, `told only ${seen.length} times`)
    const made = await contentsOf(tree(3))
    assert.deepEqual([...made.keys()].sort(), [...before.keys()].sort())
    for (const [path, text] of made) if (!path.endsWith('.table')) assert.equal(text, before.get(path))
    const { format, files } = JSON.parse(made.get('/d7/.table')!)
    assert.equal(format, 2)
    assert.deepEqual(files[3], ['f3', { owner: 'ann', rights: { owner: 6, everyone: 3 }, content: 4 }])
    await (await warm(4)).run(() => undefined)
    assert.deepEqual(await contentsOf(tree(4)), made)
    assert.deepEqual(await contentsOf(tree(1)), before)
  })
})
