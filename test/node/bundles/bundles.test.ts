import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import fc from 'fast-check'
import { type Bundles, type BundlesInit, openBundles } from '../../../node/bundles/bundles.ts'
import type { BundleTable } from '../../../src/upgrade/manifest.ts'
import { type Sample, sample } from './sample.ts'

const indexes = (bits: Uint8Array) =>
  Array.from({ length: bits.length * 8 }, (_, index) => index).filter(
    (index) => (bits[index >> 3]! & (1 << (index & 7))) !== 0
  )

describe('the store of bundles', () => {
  let given: Sample
  let table: BundleTable
  let bundle: string
  let directory: string
  const opened: Bundles[] = []
  const children: ChildProcess[] = []

  before(async () => {
    given = await sample()
    table = given.table
    bundle = table.sha256
    assert.ok(table.pieces.length >= 5)
  })
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'upstart-bundles-'))
  })
  afterEach(async () => {
    for (const bundles of opened.splice(0)) await bundles.close()
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(directory, { recursive: true, force: true })
  })

  const open = async (init?: BundlesInit) => {
    const bundles = await openBundles(directory, init)
    opened.push(bundles)
    return bundles
  }
  const storeAll = async (bundles: Bundles) => {
    assert.ok(
      (await Promise.all(table.pieces.map((_, index) => bundles.store(table, index, given.piece(index))))).every(
        Boolean
      )
    )
  }
  const pieceFile = (index: number) => join(directory, `${bundle}.pieces`, `${index}-${table.pieces[index]}`)
  const assertUnpacked = (path: string) => {
    for (const [name, bytes] of given.files) assert.ok(Buffer.from(bytes).equals(readFileSync(join(path, name))), name)
  }

  it('D8: stores pieces in any order, announces exactly those, and reads them back', async () => {
    const bundles = await open()
    assert.deepEqual(indexes(bundles.has(bundle)), [])
    for (const index of [3, 0]) assert.equal(await bundles.store(table, index, given.piece(index)), true)
    assert.deepEqual(indexes(bundles.has(bundle)), [0, 3])
    assert.deepEqual(Buffer.from(await bundles.read(bundle, 3)), Buffer.from(given.piece(3)))
    await assert.rejects(bundles.read(bundle, 1), { name: 'WrongBundle' })
    assert.deepEqual(bundles.held(), [{ bundle, pieces: bundles.has(bundle), unpacked: false }])
  })

  it('D8: a piece with another hash is not stored, and the bytes stay the caller’s', async () => {
    const bundles = await open()
    const bytes = new Uint8Array(given.piece(1))
    bytes[1000]! ^= 1
    assert.equal(await bundles.store(table, 1, bytes), false)
    assert.equal(await bundles.store(table, 1, given.piece(2)), false)
    bytes[1000]! ^= 1
    assert.equal(await bundles.store(table, 1, bytes), true)
    assert.deepEqual(indexes(bundles.has(bundle)), [1])
    await assert.rejects(bundles.store(table, 400, bytes), RangeError)
  })

  it('D8: after any history of stores and restarts, what was stored is held', async () => {
    const index = fc.nat(table.pieces.length - 1)
    const check = async (rounds: number[][]) => {
      const held = new Set<number>()
      for (const round of rounds) {
        const bundles = await openBundles(directory, { threads: 1 })
        try {
          assert.deepEqual(
            indexes(bundles.has(bundle)),
            [...held].sort((a, b) => a - b)
          )
          await Promise.all(round.map((one) => bundles.store(table, one, given.piece(one))))
          for (const one of round) held.add(one)
        } finally {
          await bundles.close()
        }
      }
      rmSync(directory, { recursive: true })
    }
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(index, { maxLength: 4 }), { minLength: 1, maxLength: 4 }), check),
      { numRuns: 10 }
    )
  })

  it('D8: a piece that the disk damaged is not given out, and no longer held', async () => {
    const bundles = await open()
    await storeAll(bundles)
    const bytes = readFileSync(pieceFile(2))
    bytes[5]! ^= 64
    writeFileSync(pieceFile(2), bytes)
    await assert.rejects(bundles.read(bundle, 2), { name: 'WrongBundle' })
    assert.ok(!indexes(bundles.has(bundle)).includes(2))
    assert.equal(await bundles.store(table, 2, given.piece(2)), true)
    assertUnpacked(await bundles.unpack(table))
  })

  it('D9: unpacks what the table names, read-only, once', async () => {
    const bundles = await open()
    await storeAll(bundles)
    await assert.rejects(bundles.path(bundle), { name: 'WrongBundle' })
    const [one, two] = await Promise.all([bundles.unpack(table), bundles.unpack(table)])
    assert.equal(one, join(directory, bundle))
    assert.equal(two, one)
    assertUnpacked(one)
    assert.equal(statSync(join(one, 'object.js')).mode & 0o222, 0)
    assert.equal(await bundles.path(bundle), one)
    assert.deepEqual(
      bundles.held().map(({ unpacked }) => unpacked),
      [true]
    )
    assert.deepEqual(readdirSync(directory).sort(), [bundle, `${bundle}.files`, `${bundle}.pieces`])
    const again = await open()
    assert.deepEqual(
      again.held().map(({ unpacked }) => unpacked),
      [true]
    )
    assert.equal(await again.unpack(table), one)
  })

  it('D9: shows nothing of a bundle that lacks a piece or whose whole is wrong', async () => {
    const bundles = await open()
    for (let index = 1; index < table.pieces.length; index++) await bundles.store(table, index, given.piece(index))
    await assert.rejects(bundles.unpack(table), { name: 'WrongBundle', message: /piece 0/ })
    const forged = { ...table, sha256: '0'.repeat(64) }
    for (let index = 0; index < table.pieces.length; index++) await bundles.store(forged, index, given.piece(index))
    await assert.rejects(bundles.unpack(forged), { name: 'WrongBundle' })
    assert.ok(!existsSync(join(directory, bundle)) && !existsSync(join(directory, forged.sha256)))
    assert.ok(bundles.held().every(({ unpacked }) => !unpacked))
  })

  it('D8, D9: kill -9 at any step leaves verified pieces and whole directories only', async function () {
    this.timeout(60_000)
    for (const stop of ['stored', 'stored 2', 'unpacking', 'unpacked']) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'storer.ts'), directory], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      children.push(child)
      let said = ''
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk
        if (said.includes(stop)) child.kill('SIGKILL')
      })
      await once(child, 'close')
      assert.ok(said.includes(stop), said)
      const bundles = await open()
      const acknowledged = [...said.matchAll(/stored (\d+)/g)].map((found) => Number(found[1]))
      const held = indexes(bundles.has(bundle))
      assert.deepEqual(
        acknowledged.filter((index) => !held.includes(index)),
        [],
        'acknowledged, but not held'
      )
      for (const index of held) await bundles.read(bundle, index)
      if (said.includes('unpacked')) assert.ok(bundles.held()[0]!.unpacked)
      if (bundles.held()[0]?.unpacked) assertUnpacked(await bundles.path(bundle))
      else if (existsSync(join(directory, bundle))) assert.fail('a directory that is not whole is in sight')
      assert.deepEqual(
        readdirSync(directory).filter((name) => name.includes('.draft')),
        []
      )
    }
  })

  const damages: [string, (path: string) => void][] = [
    [
      'changed',
      (path) => {
        chmodSync(join(path, 'object.js'), 0o644)
        writeFileSync(join(path, 'object.js'), 'export default class { }\n')
      }
    ],
    ['missing', (path) => unlinkSync(join(path, 'lib/deep/empty.js'))],
    ['added', (path) => writeFileSync(join(path, 'lib/more.js'), '')],
    [
      'replaced by a link',
      (path) => {
        writeFileSync(join(directory, 'elsewhere.js'), readFileSync(join(path, 'object.js')))
        unlinkSync(join(path, 'object.js'))
        symlinkSync(join(directory, 'elsewhere.js'), join(path, 'object.js'))
      }
    ]
  ]
  for (const [what, damage] of damages) {
    it(`D10: a file that is ${what} is mended from the pieces before code runs, or named`, async () => {
      const first = await open()
      await storeAll(first)
      damage(await first.unpack(table))
      const second = await open()
      const path = await second.path(bundle)
      assertUnpacked(path)
      assert.ok(!existsSync(join(path, 'lib/more.js')) && !lstatSync(join(path, 'object.js')).isSymbolicLink())

      damage(path)
      unlinkSync(pieceFile(1))
      const third = await open()
      await assert.rejects(
        third.path(bundle),
        (error: Error) => error.name === 'WrongBundle' && error.message.includes(directory)
      )
      await third.store(table, 1, given.piece(1))
      assertUnpacked(await third.unpack(table))
      assertUnpacked(await third.path(bundle))
    })
  }

  it('D10: a damaged record is damage like any other', async () => {
    const first = await open()
    await storeAll(first)
    const path = await first.unpack(table)
    writeFileSync(`${path}.files`, '{"format":1')
    const second = await open()
    await assert.rejects(second.path(bundle), { name: 'WrongBundle', message: /record/ })
    assertUnpacked(await second.unpack(table))
  })

  it('D11: what does not fit the quota or the disk is refused before it is written', async () => {
    const small = await open({ quotaBytes: table.pieceLength * 2 + 1000 })
    await small.store(table, 0, given.piece(0))
    await small.store(table, 1, given.piece(1))
    await assert.rejects(small.store(table, 2, given.piece(2)), { name: 'NoSpace', message: /quota/ })
    assert.deepEqual(indexes(small.has(bundle)), [0, 1])
    const full = await open({ reserveBytes: 2 ** 60 })
    await assert.rejects(full.store(table, 2, given.piece(2)), { name: 'NoSpace', message: /free/ })
    const roomy = await open()
    await storeAll(roomy)
    const tight = await open({ quotaBytes: table.length + 1000 })
    await assert.rejects(tight.unpack(table), { name: 'NoSpace' })
    assert.ok(!existsSync(join(directory, bundle)))
  })

  it('D13: a removed bundle is gone at once, from the disk when that is said, and can be stored anew meanwhile', async () => {
    const bundles = await open()
    for (let index = 0; index < table.pieces.length; index++) await bundles.store(table, index, given.piece(index))
    await bundles.unpack(table)
    const removal = bundles.remove(bundle)
    assert.deepEqual(bundles.held(), [])
    const again = bundles.store(table, 1, given.piece(1))
    await removal
    assert.equal(await again, true)
    assert.deepEqual(readdirSync(directory), [`${bundle}.pieces`])
    assert.deepEqual(indexes(bundles.has(bundle)), [1])
    await assert.rejects(bundles.read(bundle, 0), { name: 'WrongBundle' })
    await assert.rejects(bundles.path(bundle), { name: 'WrongBundle' })
    await bundles.remove(bundle)
    await bundles.remove(bundle)
    assert.deepEqual(readdirSync(directory), [])
    assert.deepEqual((await open()).held(), [])
  })

  it('D13: a removal that a crash cut short leaves nothing that claims to be held', async () => {
    const bundles = await open()
    for (let index = 0; index < table.pieces.length; index++) await bundles.store(table, index, given.piece(index))
    await bundles.unpack(table)
    // The renames come one after another; the process may die after each.
    const names = [bundle, `${bundle}.files`, `${bundle}.pieces`]
    const expected = [['pieces'], ['pieces'], []]
    for (const [at, name] of names.entries()) {
      renameSync(join(directory, name), join(directory, `${name}.draft`))
      const held = (await open()).held()
      assert.deepEqual(
        held.map((one) => [indexes(one.pieces).length, one.unpacked]),
        expected[at]!.map(() => [table.pieces.length, false])
      )
    }
  })

  it('D12: nothing that the event loop loads can hash, or touch files synchronously', () => {
    const seen = new Set<string>()
    const outside = new Set<string>()
    const visit = (file: string) => {
      if (seen.has(file)) return
      seen.add(file)
      for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
        /^(?:import|export)\b(?! type)[^'"`;]*?from '([^']+)'/gm
      )) {
        if (specifier.startsWith('.')) visit(resolve(dirname(file), specifier))
        else outside.add(specifier)
      }
    }
    visit(resolve(import.meta.dirname, '../../../node/bundles/bundles.ts'))
    assert.ok(outside.has('node:worker_threads'))
    assert.deepEqual(
      [...outside].filter((one) => ['node:crypto', 'node:fs', 'node:zlib', 'tar-stream'].includes(one)),
      []
    )
  })
})
