import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Header, pack as tarPack } from 'tar-stream'
import { createArchive, MAX_FILES, unpackBundle } from '../../../node/pack/archive.ts'
import { pieceTable } from '../../../src/upgrade/pieces.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** An archive as an attacker would write it. */
async function rawArchive(entries: (Partial<Header> & { name: string; body?: string })[]): Promise<Uint8Array> {
  const archive = tarPack()
  for (const { body, ...header } of entries) archive.entry(header, body ?? '')
  archive.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of archive) chunks.push(chunk as Uint8Array)
  return new Uint8Array(Buffer.concat(chunks))
}

describe('bundle archives', () => {
  let directory: string
  let target: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-archive-'))
    target = join(directory, 'bundle')
  })
  afterEach(() => rm(directory, { recursive: true }))

  const refuses = async (archive: Uint8Array, name: string): Promise<void> => {
    await assert.rejects(unpackBundle(archive, target, pieceTable(archive)), { name })
    assert.deepEqual(readdirSync(directory), [], 'nothing is left behind')
  }

  it('U2: what goes in comes out, and the order of files does not matter', async () => {
    const segment = fc.stringMatching(/^[a-z0-9_@+-]{1,8}$/)
    const files = fc.uniqueArray(
      fc.tuple(
        fc.array(segment, { minLength: 1, maxLength: 3 }).map((s) => `d/${s.length}/${s.join('/')}`),
        fc.uint8Array({ maxLength: 2000 })
      ),
      { selector: ([name]) => name, minLength: 1, maxLength: 8 }
    )
    await fc.assert(
      fc.asyncProperty(files, async (list) => {
        const archive = await createArchive(new Map(list))
        assert.deepEqual(await createArchive(new Map(list.toReversed())), archive)
        await unpackBundle(archive, target, pieceTable(archive))
        for (const [name, content] of list) assert.deepEqual(new Uint8Array(readFileSync(join(target, name))), content)
        await rm(target, { recursive: true })
      }),
      { numRuns: 30 }
    )
  })

  it('U2: reads from a file as from memory; a directory that is there is left alone', async () => {
    const archive = await createArchive(new Map([['a/b.js', bytesOf('one')]]))
    await writeFile(join(directory, 'bundle.tar'), archive)
    await unpackBundle(join(directory, 'bundle.tar'), target, pieceTable(archive))
    await writeFile(join(target, 'a/b.js'), 'two')
    await unpackBundle(archive, target, pieceTable(archive))
    assert.equal(readFileSync(join(target, 'a/b.js'), 'utf8'), 'two')
    await assert.rejects(unpackBundle(join(directory, 'absent'), join(directory, 'other'), pieceTable(archive)), {
      code: 'ENOENT'
    })
  })

  it('U2: what a crash left is written anew', async () => {
    const archive = await createArchive(new Map([['a.js', bytesOf('one')]]))
    await mkdir(`${target}.partial`)
    await writeFile(`${target}.partial/rest.js`, 'torn')
    await unpackBundle(archive, target, pieceTable(archive))
    assert.deepEqual(readdirSync(target), ['a.js'])
    assert.equal(existsSync(`${target}.partial`), false)
  })

  it('U2: no path leads out, and nothing but files', async () => {
    for (const name of [
      '../evil.js',
      '/tmp/evil.js',
      'a/../../evil.js',
      './a.js',
      'a\\b.js',
      'a b',
      'é.js',
      `${'x'.repeat(201)}`
    ]) {
      await refuses(await rawArchive([{ name, body: 'x' }]), 'UnsafePath')
    }
    for (const header of [
      { name: 'a', type: 'symlink', linkname: '/etc' },
      { name: 'a', type: 'link', linkname: 'b' },
      { name: 'a', type: 'directory' },
      { name: 'a', type: 'fifo' },
      { name: 'a', type: 'character-device' }
    ] as const) {
      await refuses(await rawArchive([{ name: 'fine.js', body: 'x' }, header]), 'UnsafePath')
    }
  })

  it('U2: no two names that a file system could take for one', async () => {
    for (const names of [
      ['a.js', 'a.js'],
      ['a.js', 'A.js'],
      ['a', 'a/b'],
      ['a/b', 'a'],
      ['A/b', 'a']
    ]) {
      await refuses(await rawArchive(names.map((name) => ({ name, body: 'x' }))), 'UnsafePath')
      await assert.rejects(createArchive(new Map([...new Set(names), 'a', 'A'].map((name) => [name, bytesOf('x')]))), {
        name: 'UnsafePath'
      })
    }
  })

  it('U2: a number of files is the limit', async () => {
    const many = Array.from({ length: MAX_FILES + 1 }, (_, n) => [`${n}.js`, bytesOf('')] as const)
    await assert.rejects(createArchive(new Map(many)), { name: 'Oversize' })
  })

  it('U3: other bytes than the entry names are refused: flipped, truncated, longer', async () => {
    const archive = await createArchive(new Map([['a.js', bytesOf('x'.repeat(5000))]]))
    const table = pieceTable(archive)
    const flipped = archive.slice()
    flipped[1000]! ^= 1
    for (const bytes of [
      flipped,
      archive.subarray(0, archive.length - 512),
      archive.subarray(0, 700),
      Buffer.concat([archive, archive])
    ]) {
      await assert.rejects(unpackBundle(bytes, target, table), { name: 'WrongBundle' })
      assert.deepEqual(readdirSync(directory), [])
    }
    // The hash is right, yet it is no archive.
    await refuses(bytesOf('y'.repeat(1024)), 'Malformed')
    await refuses(archive.slice(0, 700), 'Malformed')
  })
})
