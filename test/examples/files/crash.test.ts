/** SPEC Q23, F2: defects of the example's own files that only a kill between its writes shows, and the check finds. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from '../../../scripts/checking/modules.ts'
import { crashAnywhere, cutAnywhere } from '../../../src/spec/histories.ts'
import { type Bench, callStep } from '../../../src/spec/judge.ts'
import { defineSpec, type Specification } from '../../../src/spec/specification.ts'
import { judgeEach, variantOf } from '../variant.ts'

const PARTS = {
  old: 'v1/perm-fs.ts',
  new: 'v2/acl-fs.ts',
  future: 'v2/future-acl-fs.ts',
  past: 'v2/past-perm-fs.ts',
  transform: 'v2/transform.ts'
}

const CALLS = [
  callStep({ side: 'old', method: 'create', args: ['a', 'ann'] }),
  callStep({ side: 'new', method: 'write', args: ['a', 'one'] }),
  callStep({ side: 'old', method: 'remove', args: ['a'] })
]

/** What is broken in tree.ts, which both versions share. */
const DEFECTS: readonly [what: string, from: string, to: string][] = [
  [
    'a table is written in its place',
    'await writeSynced(next, tableText(table))\n    await rename(next, join(directory, TABLE))',
    'await writeSynced(join(directory, TABLE), tableText(table))'
  ],
  [
    'a content is deleted before the table that names it no more is in place',
    'table.files.delete(name)\n    await this.#put(directory, table)\n    this.#drop(directory, name, entry)',
    'table.files.delete(name)\n    if (entry.content !== 0) await unlink(join(directory, contentName(name, entry.content)))\n    await this.#put(directory, table)'
  ],
  [
    'a table names a content before it is there',
    'await writeSynced(join(directory, contentName(name, content)), text)\n    await sync(directory)\n    table.files.set(name, { ...entry, content })\n    await this.#put(directory, { ...table, next: content + 1 })',
    'table.files.set(name, { ...entry, content })\n    await this.#put(directory, { ...table, next: content + 1 })\n    await writeSynced(join(directory, contentName(name, content)), text)'
  ],
  [
    'the table is taken away before the next one comes',
    'await rename(next, join(directory, TABLE))',
    'await unlink(join(directory, TABLE)).catch(absent)\n    await rename(next, join(directory, TABLE))'
  ]
]

describe('examples/files, killed between its own writes', function () {
  this.timeout(60_000)
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'files-crash-'))
  })
  after(async () => await rm(directory, { recursive: true, force: true }))

  /** The example with one text of tree.ts replaced, on a disk, under the part of its specification that this is about. */
  async function bench(from = '', to = ''): Promise<Bench> {
    const copy = await variantOf('files', directory, 'tree.ts', [from, to])
    const { default: spec } = (await import(join(copy, 'v2/spec.ts'))) as { default: Specification }
    const { bench } = await load(copy, { from: 1, to: 2 }, PARTS, contents(spec), 'disk')
    return bench
  }

  it('nothing is wrong with the example', async () => {
    assert.equal(await judgeEach(await bench(), CALLS, cutAnywhere), undefined)
  })

  for (const [what, from, to] of DEFECTS)
    it(`${what}: found so, and not by kills between calls`, async () => {
      const broken = await bench(from, to)
      assert.equal(await judgeEach(broken, CALLS, crashAnywhere), undefined)
      const found = await judgeEach(broken, CALLS, cutAnywhere)
      assert.ok(found?.lines.some(({ step }) => step.do === 'cut'))
    })
})

/** Files are made, written and removed; what has to do with rights is left out. */
function contents(spec: Specification): Specification {
  const kept = ['create', 'write', 'remove', 'read', 'list']
  const only = <Part extends object>(part: Part): Part =>
    Object.fromEntries(Object.entries(part).filter(([name]) => kept.includes(name))) as Part
  return defineSpec({
    ...spec,
    old: { ...spec.old, methods: only(spec.old.methods) },
    new: { ...spec.new, methods: only(spec.new.methods) },
    shadows: { old: only(spec.shadows.old), new: only(spec.shadows.new) },
    disallows: {}
  })
}
