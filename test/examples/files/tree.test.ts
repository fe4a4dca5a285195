/** SPEC F1, F2: a tree on a disk, and what a kill before, or in the middle of, any of its writes leaves. */
import assert from 'node:assert/strict'
import { promises } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Tree } from '../../../examples/files/tree.ts'

const FORMAT = 1

describe('examples/files: a tree of real files', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'files-tree-'))
  })
  afterEach(async () => await rm(root, { recursive: true, force: true }))

  async function opened(directory = root): Promise<Tree<number>> {
    const tree = new Tree<number>(directory, FORMAT)
    await tree.start()
    return tree
  }

  it('keeps contents under their own names, where any tool finds them, and forgets none over a restart (F1)', async () => {
    const tree = await opened()
    assert.equal(await tree.create('docs/readme', 'ann', 0o64), true)
    assert.equal(await tree.create('docs/readme', 'bob', 0o60), false)
    assert.equal(await tree.write('docs/readme', 'hello'), true)
    assert.equal(await tree.create('docs', 'ann', 0o64), true)
    await tree.flush()
    assert.deepEqual((await readdir(join(root, 'tree/docs'))).sort(), ['.table', 'readme~1'])
    const again = await opened()
    assert.equal(await again.read('docs/readme'), 'hello')
    assert.deepEqual([await again.list(''), await again.list('docs')], [['docs'], ['readme']])
    assert.deepEqual(await again.entry('docs/readme'), { owner: 'ann', rights: 0o64, content: 1 })
  })

  it('refuses paths that lead out of it, or meet its own names, and owners that are none', async () => {
    const tree = await opened()
    for (const path of ['', '/a', '../a', 'a/../b', 'a//b', '.table', 'a~1', 'a/', 'x'.repeat(101), 'a\0'])
      await assert.rejects(tree.create(path, 'ann', 0), TypeError, path)
    for (const name of ['__proto__', 'a/b/c/d/e/f/g/h/i']) await assert.rejects(tree.create(name, 'ann', 0), TypeError)
    await assert.rejects(tree.create('a', 'Ann Smith', 0), TypeError)
    assert.equal(await tree.entry('constructor'), null)
  })

  const changes: Record<string, (tree: Tree<number>) => Promise<boolean>> = {
    create: (tree) => tree.create('new/deep/b', 'bob', 0o60),
    write: (tree) => tree.write('a', 'two'),
    'write into an empty file': (tree) => tree.write('empty', 'two'),
    change: (tree) => tree.change('a', { rights: 0o60, owner: 'bob' }),
    remove: (tree) => tree.remove('a')
  }
  for (const [name, change] of Object.entries(changes)) {
    it(`${name}: killed at any write it is done or not done, and leaves nothing that stays (F2)`, async () => {
      const seen = new Set<string>()
      let completed = false
      for (let writes = 0; !completed; writes++) {
        assert.ok(writes < 40, 'it never completes')
        const directory = join(root, String(writes))
        await promises.mkdir(directory)
        const tree = await opened(directory)
        await tree.create('a', 'ann', 0o64)
        await tree.write('a', 'one')
        await tree.create('empty', 'ann', 0o64)
        await tree.flush()
        const before = await pictureOf(tree)
        completed = await killedAfter(writes, async () => {
          await change(tree)
          await tree.flush()
        })
        const found = await pictureOf(await opened(directory))
        if (completed) assert.notEqual(found, before)
        seen.add(found)
        assert.ok(seen.size <= 2, `a third picture after ${writes} writes: ${[...seen].join('\n')}`)
        await assertClean(directory)
      }
      assert.equal(seen.size, 2)
    })
  }

  /** Everything that callers can see. */
  async function pictureOf(tree: Tree<number>): Promise<string> {
    const seen: unknown[] = []
    for (const directory of ['', 'new/deep'])
      for (const name of await tree.list(directory)) {
        const path = directory === '' ? name : `${directory}/${name}`
        const entry = await tree.entry(path)
        seen.push([path, entry!.owner, entry!.rights, await tree.read(path)])
      }
    return JSON.stringify(seen)
  }

  /** A later change in each directory takes away what the killed one left. */
  async function assertClean(directory: string): Promise<void> {
    const tree = await opened(directory)
    for (const path of ['z', 'new/deep/z']) {
      assert.equal(await tree.create(path, 'ann', 0), true)
      assert.equal(await tree.write(path, 'last'), true)
      assert.equal(await tree.read(path), 'last')
    }
    await tree.flush()
    for (const inside of ['', 'new/deep']) {
      const named: string[] = ['.table']
      for (const name of await tree.list(inside)) {
        const { content } = (await tree.entry(join(inside, name)))!
        if (content > 0) named.push(`${name}~${content}`)
      }
      const there = await readdir(join(directory, 'tree', inside), { withFileTypes: true })
      assert.deepEqual(there.flatMap((one) => (one.isFile() ? [one.name] : [])).sort(), named.sort())
    }
  }
})

class Killed extends Error {}

/** Lets so many writes of `node:fs/promises` pass; the one after them is cut in the middle. @returns whether all passed */
async function killedAfter(writes: number, run: () => Promise<void>): Promise<boolean> {
  const { writeFile, rename, unlink, mkdir, open } = promises
  let left = writes
  const counted = <A extends unknown[], R>(real: (...args: A) => Promise<R>, torn?: (...args: A) => Promise<unknown>) =>
    (async (...args: A) => {
      left -= 1
      if (left >= 0) return await real(...args)
      if (left === -1) await torn?.(...args)
      throw new Killed()
    }) as any
  promises.writeFile = counted(writeFile as any, async (...args: any[]) => {
    const [path, text] = args as [string, string]
    await writeFile(path, text.slice(0, text.length / 2))
  })
  promises.rename = counted(rename)
  promises.unlink = counted(unlink)
  promises.mkdir = counted(mkdir as any)
  promises.open = counted(open)
  syncBuiltinESMExports()
  try {
    await run()
    return true
  } catch (error) {
    if (error instanceof Killed) return false
    throw error
  } finally {
    Object.assign(promises, { writeFile, rename, unlink, mkdir, open })
    syncBuiltinESMExports()
  }
}
