import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../../node/cli/program.ts'
import { openUpgradeFile } from '../../../node/pack/file.ts'
import { pack } from '../../../node/pack/pack.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SETS = join(ROOT, 'examples/sets')

describe('upstart check (SPEC Q11)', function () {
  this.timeout(60_000)
  let directory: string
  let parent: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-check-'))
    parent = join(directory, 'v1.upgrade')
    await pack({
      source: join(SETS, 'v1'),
      fleet: 'ab'.repeat(32),
      parents: [],
      expiresMs: Date.parse('2090-01-01T00:00:00Z'),
      out: parent
    })
  })
  after(async () => await rm(directory, { recursive: true, force: true }))

  async function upstart(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const said = { out: '', err: '' }
    const terminal = {
      out: (text: string) => {
        said.out += text
      },
      error: (text: string) => {
        said.err += text
      }
    }
    const connect = () => Promise.reject(new Error('a check needs no peer'))
    return { code: await run(args, { connect, release: '0', terminal }), ...said }
  }

  /** A copy of the example with one text of one of its files replaced. */
  async function changed(file: string, from: string, to: string): Promise<string> {
    const copy = await mkdtemp(join(directory, 'sets-'))
    await cp(SETS, copy, { recursive: true })
    for (const name of ['models.ts', 'v1/int-set.ts', ...(await names())]) {
      const path = join(copy, name)
      const text = (await readFile(path, 'utf8')).replaceAll(/'(\.\.\/)+src\//g, `'${ROOT}src/`)
      assert.ok(name !== `v2/${file}` || text.includes(from), `${file} has no ${from}`)
      await writeFile(path, name === `v2/${file}` ? text.replace(from, to) : text)
    }
    return join(copy, 'v2')
  }
  const names = async () =>
    ['upgrade', 'spec', 'color-set', 'future-color-set', 'past-int-set', 'transform'].map((name) => `v2/${name}.ts`)

  it('a correct upgrade: the matrix, what was tried, exit code 0', async () => {
    const { code, out } = await upstart('check', join(SETS, 'v2'), '--parent', parent, '--effort', 'short')
    assert.equal(code, 0, out)
    assert.match(out, /insert@1 +mutator +intercepted +delegated/)
    assert.match(out, /ok: the upgrade at every position \(in memory, up to \d mutators\): \d+ histories/)
    assert.match(out, /nothing wrong was found\n$/)
  })

  it('a wrong one: the shortest history as a table, the rule, how to replay it, exit code 1', async () => {
    const wrong = await changed('future-color-set.ts', "static intercepts = ['insert', 'delete'] as const", '')
    const args = ['check', wrong, '--parent', parent, '--effort', 'short', '--seed', '7']
    const { code, out } = await upstart(...args)
    assert.equal(code, 1, out)
    assert.match(out, /violates sequence: getColor\(1\)@2 answers "red", must be "blue"/)
    for (const line of ['insertColor(1, red)@2', 'delete(1)@1', 'insert(1)@1']) assert.ok(out.includes(line), line)
    assert.ok(out.includes(`replay: upstart ${args.join(' ')}`))
    const page = join(directory, 'report.html')
    const { classes } = JSON.parse((await upstart(...args, '--json', '--suggest', '--html', page)).out)
    assert.equal(classes[0].check.ok, false)
    assert.deepEqual(classes[0].suggestion, [{ phase: 'before', method: 'insertColor', args: [null, 'red'] }])
    const html = await readFile(page, 'utf8')
    assert.match(html, /<svg .*callers at 1.*insertColor\(1, red\)@2.*must be &quot;blue&quot;/s)
    assert.ok(!/<script|https?:/.test(html), 'it needs nothing else')
  })

  it('Q12: pack makes a short check, records it, and refuses what is wrong unless told otherwise', async () => {
    await upstart('keygen', join(directory, 'root'))
    const root = join(directory, 'root.json')
    const keys = ['root', 'release', 'operator'].flatMap((role) => [`--${role}`, join(directory, 'root.pub')])
    await upstart('root', 'new', '--open', ...keys, '--sign', join(directory, 'root'), '-o', root)
    const first = join(directory, 'first.upgrade')
    await upstart('pack', join(SETS, 'v1'), '--root', root, '-o', first)
    const rest = ['--root', root, '--parent', first, '-o', join(directory, 'second.upgrade'), '--json']
    const { checked } = JSON.parse((await upstart('pack', join(SETS, 'v2'), ...rest)).out)
    assert.deepEqual(checked.classes, ['ColorSet'])
    assert.ok(checked.histories > 100)
    const file = await openUpgradeFile(join(directory, 'second.upgrade'))
    assert.deepEqual(file.envelope.content.checked, checked)
    await file.close()
    const wrong = await changed('future-color-set.ts', "static intercepts = ['insert', 'delete'] as const", '')
    const refused = await upstart('pack', wrong, ...rest)
    assert.equal(refused.code, 1)
    assert.match(JSON.parse(refused.out).error.message, /^class ColorSet does not do.*upstart check .*--no-check/)
    assert.equal(JSON.parse((await upstart('pack', wrong, ...rest, '--no-check')).out).checked, null)
  })

  it('without a specification interfaces are compared, and an SO that lacks a method is an error', async () => {
    const bare = await changed('upgrade.ts', "spec: './spec.ts',", '')
    const { code, out } = await upstart('check', bare, '--parent', parent)
    assert.equal(code, 0)
    assert.match(out, /for callers of version 1: insert gone/)
    assert.match(out, /no specification/)
  })

  it('U10: refuses an interception of what is no mutator of the delegate, and a module that is not there', async () => {
    const odd = await changed('future-color-set.ts', "intercepts = ['insert', 'delete']", "intercepts = ['contains']")
    const { err } = await upstart('check', odd, '--parent', parent)
    assert.match(err, /Malformed: .*intercepts contains, which is no mutator of its delegate \(it has delete, insert\)/)
    const lost = await changed('upgrade.ts', './transform.ts', './transfrom.ts')
    assert.match((await upstart('check', lost, '--parent', parent)).err, /"\.\/transfrom\.ts", which upgrade\.ts names/)
  })

  it('R2: of an upgrade that replaces others the step from the version before is checked', async () => {
    const from = "transform: './transform.ts',"
    const replacing = await changed('upgrade.ts', from, `${from} ways: { 1: './other.ts' },`)
    await writeFile(join(replacing, 'other.ts'), 'export default function transform() {}\n')
    const { code, out, err } = await upstart('check', replacing, '--parent', parent, '--effort', 'short')
    assert.equal(code, 0, out + err)
  })

  it('says what is lacking: the old code, an effort, a seed, a specification that is none', async () => {
    const without = await upstart('check', join(SETS, 'v2'))
    assert.deepEqual([without.code, without.out], [1, ''])
    assert.match(without.err, /^upstart: UnknownClass: class IntSet is in no earlier upgrade file.*--parent/)
    assert.equal((await upstart('check', join(SETS, 'v2'), '--parent', parent, '--effort', 'huge')).code, 2)
    assert.equal((await upstart('check', join(SETS, 'v2'), '--parent', parent, '--seed', 'x')).code, 2)
    const none = await changed('spec.ts', 'export default defineSpec(', 'export const spec = defineSpec(')
    assert.match(
      (await upstart('check', none, '--parent', parent)).err,
      /Malformed: spec: its default export must be made by/
    )
  })
})
