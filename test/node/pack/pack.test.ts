import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pack as tarPack } from 'tar-stream'
import { unpackBundle } from '../../../node/pack/archive.ts'
import { openUpgradeFile, writeUpgradeFile } from '../../../node/pack/file.ts'
import { type PackOptions, pack } from '../../../node/pack/pack.ts'
import { type Envelope, parseEntry, signEntry } from '../../../src/upgrade/entry.ts'
import { MAX_ENTRY_BYTES, type Manifest } from '../../../src/upgrade/manifest.ts'
import { pieceTable } from '../../../src/upgrade/pieces.ts'
import { FAR, testFleet, testManifest } from '../../src/upgrade/fleet.ts'
import { COLOR_SET, INT_SET, type Sources, writeSources } from './sets.ts'

const { trust, release } = testFleet()
const once = async function* (bytes: Uint8Array) {
  yield bytes
}

describe('pack', function () {
  this.timeout(60_000)
  let directory: string
  let first: Envelope<Manifest>
  let count = 0

  const packed = async (sources: Sources, options: Partial<PackOptions> = {}) => {
    const source = await writeSources(join(directory, `source${++count}`), sources)
    const out = join(directory, `${count}.upgrade`)
    return pack({ source, fleet: trust.fleet, parents: [], expiresMs: FAR, out, ...options })
  }
  const second = (changes: Record<string, [from: string, to: string]> = {}) => {
    const sources = { ...COLOR_SET }
    for (const [name, [from, to]] of Object.entries(changes)) {
      assert(sources[name]!.includes(from), `${name} has ${from}`)
      sources[name] = sources[name]!.replace(from, to)
    }
    return packed(sources, { parents: [first] })
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-pack-test-'))
    const { path } = await packed(INT_SET, { signers: release.slice(0, 2) })
    const file = await openUpgradeFile(path)
    first = file.envelope
    await file.close()
  })
  after(() => rm(directory, { recursive: true }))

  it('U8: version 1 is packed, signed, opened and unpacked into modules that run', async () => {
    assert.equal(trust.openEntry(first.bytes).hash, first.hash)
    assert.equal(first.content.parent, trust.fleet)
    assert.deepEqual(first.content.classes[0]!.interface.methods['contains'], { kind: 'observer' })
    const file = await openUpgradeFile(join(directory, '1.upgrade'))
    await file.verify()
    const chunks: Uint8Array[] = []
    for await (const chunk of file.bundle()) chunks.push(chunk)
    const bundle = Buffer.concat(chunks)
    assert.deepEqual(await file.piece(0), new Uint8Array(bundle))
    await file.close()
    const target = join(directory, 'unpacked')
    await unpackBundle(bundle, target, first.content.bundle)
    assert.deepEqual(readdirSync(target), ['int-set.js', 'package.json'])
    const { default: IntSet } = await import(pathToFileURL(join(target, 'int-set.js')).href)
    const state = new Map()
    const set = new IntSet({
      state: { put: (k: string, v: unknown) => state.set(k, v), get: (k: string) => state.get(k) }
    })
    set.insert(1)
    assert.equal(set.contains(1), true)
  })

  it('S46: a schedule that waits for itself, for a class that nobody has, or in two orders is refused', async () => {
    const waiting = (when: string) => second({ 'upgrade.ts': ["after({ delay: '1s' })", when] })
    await assert.rejects(waiting("after({ class: 'IntSet', version: 2 })"), {
      name: 'Malformed',
      message: /wait for each other: ColorSet for ColorSet/
    })
    await assert.rejects(waiting("after({ class: 'Nobody', version: 1 })"), {
      name: 'UnknownClass',
      message: /class ColorSet: its schedule waits for class Nobody at version 1; known are ColorSet/
    })
    await assert.doesNotReject(waiting("after({ class: 'ColorSet', version: 1, fraction: 0.9 })"))
    const orders =
      "{ kind: 'all', of: [{ kind: 'canary', share: { count: 1 }, soakMs: 0 }, " +
      "{ kind: 'domains', by: 'zone', order: [['a'], ['b']], everyMs: 0, success: 1000000 }] }"
    await assert.rejects(waiting(orders), { name: 'Malformed', message: /in two orders/ })
  })

  it('U8: version 2 names its parent, its modules and their interfaces', async () => {
    const { manifest, warnings } = await second()
    assert.deepEqual(warnings, [])
    assert.equal(manifest.parent, first.hash)
    const [upgrade] = manifest.classes
    assert.equal(upgrade!.to, 'ColorSet')
    assert.deepEqual(upgrade!.interface.calls, { IntSet: 1 })
    assert.deepEqual(upgrade!.interface.methods['getColor'], { kind: 'observer', concurrent: true })
    assert.equal(upgrade!.future!.module, 'v1/future.js')
    assert.deepEqual(upgrade!.future!.intercepts, ['delete'])
    assert.equal(upgrade!.transform, 'transform.js')
    assert.deepEqual(upgrade!.schedule.when, { kind: 'after', delayMs: 1000 })
  })

  it('U9: the same sources give the same bytes, wherever they lie', async () => {
    const [one, two] = [await second(), await second()]
    assert.equal(one.hash, two.hash)
    assert.deepEqual(readFileSync(one.path), readFileSync(two.path))
    const text = readFileSync(one.path, 'latin1')
    assert.equal(text.includes(directory), false)
    assert.equal(text.includes('ZodError'), false, 'only what modules use of this package is bundled')
    assert.equal(text.includes('CallError = class'), true)
  })

  it('U10: refuses an incompatible class without a past SO, and a claim to be a subtype that is none', async () => {
    await assert.rejects(second({ 'upgrade.ts': ["past: './past.ts',", ''] }), {
      name: 'Malformed',
      message: /insert is gone/
    })
    await assert.rejects(second({ 'upgrade.ts': ["past: './past.ts',", "past: 'subtype',"] }), {
      name: 'Malformed',
      message: /no subtype/
    })
  })

  it('U10: warns of what is left out', async () => {
    const { warnings } = await second({
      'upgrade.ts': ["transform: './transform.ts',\n      future: './v1/future.ts',", '']
    })
    assert.equal(warnings.length, 2)
  })

  it('U10: names the module that is wrong, be it in building, importing or declaring', async () => {
    for (const changes of [
      { 'past.ts': ["insert: 'mutator', ", ''] },
      { 'color-set.ts': ['./absent.ts', './missing.ts'] },
      { 'color-set.ts': ['export default', 'throw new Error("boom")\nexport default'] },
      { 'color-set.ts': ['export default', 'export'] },
      { 'transform.ts': ['export default async function transform () {}', 'export default 5'] },
      { 'color-set.ts': ['export default', 'process.exit(3)\nexport default'] }
    ] as Record<string, [string, string]>[]) {
      const [module] = Object.keys(changes)
      const exits = changes[module!]![1].includes('exit')
      await assert.rejects(second(changes), {
        name: 'Malformed',
        message: exits ? /ended its process/ : new RegExp(module!.replace('.', '\\.'))
      })
    }
    for (const change of [
      ['export default defineUpgrade', 'export default Object'],
      ["becomes: 'ColorSet'", "becoms: 'ColorSet'"]
    ] as [string, string][]) {
      await assert.rejects(second({ 'upgrade.ts': change }), { name: 'Malformed' })
    }
  })

  it('U10: refuses an unknown class, a missing or wrong parent, another fleet', async () => {
    await assert.rejects(second({ 'upgrade.ts': ['IntSet: {', 'IntBag: {'] }), { name: 'UnknownClass' })
    await assert.rejects(packed(COLOR_SET), { name: 'StaleParent' })
    await assert.rejects(packed(INT_SET, { parents: [first] }), { name: 'StaleParent' })
    await assert.rejects(packed(COLOR_SET, { parents: [first, first] }), { name: 'StaleParent' })
    await assert.rejects(packed(COLOR_SET, { parents: [first], fleet: 'a'.repeat(64) }), { name: 'WrongFleet' })
    await assert.rejects(packed({ 'other.ts': '' }), { name: 'Usage' })
    await assert.rejects(second({ 'upgrade.ts': ["'./past.ts'", "'./../past.ts'"] }), { name: 'UnsafePath' })
  })

  it('U8: an upgrade file that is none, or not whole, or not its entry’s, is refused', async () => {
    const path = join(directory, 'bad.upgrade')
    const refuses = async (name: string) => {
      await assert.rejects(
        async () => {
          const file = await openUpgradeFile(path)
          try {
            await file.verify()
          } finally {
            await file.close()
          }
        },
        { name }
      )
    }
    const good = readFileSync(join(directory, '1.upgrade'))
    for (const length of [0, 100, 512, 700, 2000, good.length - 2048]) {
      await writeFile(path, good)
      await truncate(path, length)
      await refuses('Malformed')
    }
    const at = good.indexOf('this.context.state.put')
    await writeFile(path, Buffer.concat([good.subarray(0, at), Buffer.from('T'), good.subarray(at + 1)]))
    await refuses('WrongBundle')
    await writeUpgradeFile(path, first.bytes, once(new Uint8Array(2048)), 2048)
    await refuses('WrongBundle')
    const bundle = new Uint8Array(1000)
    const entry = signEntry(testManifest(trust.fleet, { bundle: pieceTable(bundle) }), FAR, [])
    await writeUpgradeFile(path, entry, once(bundle.map(() => 1)), 1000)
    await refuses('WrongBundle')
    const archive = tarPack()
    archive.entry({ name: 'entry.json' }, Buffer.alloc(MAX_ENTRY_BYTES + 1))
    archive.finalize()
    await writeFile(path, archive as AsyncIterable<Uint8Array>)
    await refuses('Oversize')
    const other = tarPack()
    other.entry({ name: 'else.json' }, '{}')
    other.finalize()
    await writeFile(path, other as AsyncIterable<Uint8Array>)
    await refuses('Malformed')
    await rm(path)
    await refuses('Usage')
  })

  it('U8: a failed write leaves no file', async () => {
    const path = join(directory, 'failed.upgrade')
    await assert.rejects(writeUpgradeFile(path, first.bytes, once(new Uint8Array(10)), 11))
    assert.equal(existsSync(path) || existsSync(`${path}.partial`), false)
    assert.equal(parseEntry(first.bytes).hash, first.hash)
  })
})
