/** SPEC Q23, F2: defects of the example's own files that only a kill between its writes shows, and the check finds. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from '../../../scripts/checking/modules.ts'
import { crashAnywhere, cutAnywhere } from '../../../src/spec/histories.ts'
import { type Bench, callStep, judge, observersOf, type Violation } from '../../../src/spec/judge.ts'
import { defineSpec, type Specification } from '../../../src/spec/specification.ts'

const ROOT = join(import.meta.dirname, '../../..')
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
    const copy = await mkdtemp(join(directory, 'variant-'))
    await cp(join(ROOT, 'examples/files'), copy, { recursive: true })
    for (const entry of await readdir(copy, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const text = (await readFile(path, 'utf8')).replaceAll('../../../src/', `${ROOT}/src/`)
      assert.ok(entry.name !== 'tree.ts' || text.includes(from), `tree.ts has no ${from}`)
      await writeFile(path, entry.name === 'tree.ts' ? text.replace(from, to) : text)
    }
    const { default: spec } = (await import(join(copy, 'v2/spec.ts'))) as { default: Specification }
    const { bench } = await load(copy, { from: 1, to: 2 }, PARTS, contents(spec), 'disk')
    return bench
  }

  /** Every history of this weave over one sequence of calls, until one violates something. */
  async function judged(bench: Bench, weave: typeof cutAnywhere): Promise<Violation | undefined> {
    const observers = observersOf(bench.spec, 1)
    const weaving = weave(CALLS, bench)
    let wasHeld = false
    const held = (isHeld: boolean) => {
      wasHeld = isHeld
    }
    for (let next = weaving.next(); !next.done; next = weaving.next(wasHeld)) {
      wasHeld = false
      const violation = await judge(bench, next.value, { observers, held })
      if (violation !== undefined) return violation
    }
    return undefined
  }

  it('nothing is wrong with the example', async () => {
    assert.equal(await judged(await bench(), cutAnywhere), undefined)
  })

  for (const [what, from, to] of DEFECTS)
    it(`${what}: found so, and not by kills between calls`, async () => {
      const broken = await bench(from, to)
      assert.equal(await judged(broken, crashAnywhere), undefined)
      const found = await judged(broken, cutAnywhere)
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
