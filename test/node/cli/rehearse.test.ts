/** SPEC Q20 to Q22: rehearsals on the state of a peer that was stopped, and on what a backup may hold of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { openUpgradeFile, type UpgradeFile, writeUpgradeFile } from '../../../node/pack/file.ts'
import { pack } from '../../../node/pack/pack.ts'
import { addSignature } from '../../../src/upgrade/entry.ts'
import { allAt, LiveFleet, until } from '../daemon/live-fleet.ts'

const ROOT = join(import.meta.dirname, '../../..')
const FILES = join(ROOT, 'examples/files')
const FAR = Date.parse('2090-01-01T00:00:00Z')

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
  const connect = () => Promise.reject(new Error('a rehearsal needs no peer'))
  return { code: await run(args, { connect, release: '0', terminal }), ...said }
}

/** Every path below a directory with what it holds, its mode and its times of change. */
async function pictureOf(directory: string): Promise<string[]> {
  const lines: string[] = []
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mode, mtimeMs } = await stat(path)
    const sum = entry.isFile()
      ? createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      : ''
    lines.push(`${path} ${mode} ${mtimeMs} ${sum}`)
  }
  return lines.sort()
}

describe('upstart rehearse', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  let v1: UpgradeFile
  let v2: UpgradeFile
  let data: string
  const rehearse = (upgrade: UpgradeFile, state: string, ...more: string[]) =>
    upstart('rehearse', upgrade.path, '--state', state, '--sandbox', 'none', ...more)

  before(async () => {
    fleet = await LiveFleet.create()
    const peer = await fleet.embed('p0', null)
    data = join(fleet.directory, 'p0')
    const client = await fleet.client()
    v1 = await fleet.pack('files/v1')
    await client.injectUpgrade(v1)
    await until('it runs v1', () => allAt(peer.status(), 'PermFS', 1, 1))
    const call = (method: string, ...args: any[]) =>
      client.call({ class: 'PermFS', version: 1, method, args, to: 'any' })
    for (const path of ['a', 'docs/b']) await call('create', path, 'ann')
    await call('write', 'a', 'one')
    await call('setMode', 'a', 0o60)
    v2 = await fleet.pack('files/v2')
    const running = await rehearse(v2, data)
    assert.equal(running.code, 1)
    assert.match(running.err, /^upstart: Locked: .*its peer is running.*stop it/)
    await peer.close()
  })
  after(async () => await fleet.close())

  it('Q20: tells time, space and memory of a stopped peer, and not a byte of its data changes', async () => {
    const before = await pictureOf(data)
    const { code, out, err } = await rehearse(v2, data, '--json')
    assert.equal(code, 0, out + err)
    const { ok, objects } = JSON.parse(out)
    assert.equal(ok, true)
    const [one] = objects
    assert.deepEqual([one.object, one.from, one.to, one.failure], ['PermFS', 1, 2, null])
    assert.ok(one.transformMs > 0 && one.stateBytes > 0 && one.newStateBytes > 0)
    assert.ok(one.neededBytes > 2 * one.stateBytes)
    if (process.platform === 'linux') assert.ok(one.peakMemoryBytes > 10_000_000)
    assert.deepEqual(await pictureOf(data), before)
  })

  it('Q21: with the specification observers of both versions are asked before and after', async () => {
    const parent = ['--parent', v1.path]
    const { code, out } = await rehearse(v2, data, '--source', join(FILES, 'v2'), ...parent)
    assert.equal(code, 0, out)
    assert.match(out, /observers +14 answers, none changed by the upgrade/)
    const wrong = await changed('transform.ts', 'rights: listOf(entry.rights)', 'rights: listOf(0o64)')
    const packed = await fleet.packBeside(wrong, [v1.envelope])
    const found = await rehearse(packed, data, '--source', wrong, ...parent)
    assert.equal(found.code, 1)
    assert.match(found.out, /FAILED: observers after the upgrade: getMode\("a"\)@1 answers 52, and answered 48 before/)
  })

  it('Q20: what fails is named with its step: a TF that throws, an object that is not healthy', async () => {
    const throws = await changed('transform.ts', 'const tree =', "throw new Error('no such luck')\n  const tree =")
    const failed = await rehearse(await fleet.packBeside(throws, [v1.envelope]), data, '--json')
    assert.equal(failed.code, 1)
    const [{ failure }] = JSON.parse(failed.out).objects
    assert.equal(failure.step, 'transform')
    assert.match(failure.reason, /no such luck/)
    const ill = await changed('acl-fs.ts', '  flush() {', "  health() {\n    throw new Error('ill')\n  }\n  flush() {")
    const unhealthy = await rehearse(await fleet.packBeside(ill, [v1.envelope]), data)
    assert.match(unhealthy.out, /FAILED: health probe: .*ill/)
  })

  it('Q22: an attempt by itself, as a backup has it, is taken to be of the version before', async () => {
    const [attempt] = (await readdir(join(data, 'objects/PermFS'))).sort()
    const copy = await mkdtemp(join(tmpdir(), 'attempt-'))
    try {
      await cp(join(data, 'objects/PermFS', attempt!), copy, { recursive: true })
      const before = await pictureOf(copy)
      const { code, out } = await rehearse(v2, copy, '--parent', v1.path)
      assert.equal(code, 0, out)
      assert.deepEqual(await pictureOf(copy), before)
      const alone = await rehearse(v2, copy)
      assert.match(alone.err, /^upstart: StaleParent: .*--parent/)
    } finally {
      await rm(copy, { recursive: true })
    }
  })

  it('Q22: a directory that is neither, a state of another version, a wrong option: what is wrong, and the mend', async () => {
    const neither = await rehearse(v2, ROOT)
    assert.equal(neither.code, 2)
    assert.match(neither.err, /^upstart: Usage: .* holds neither/)
    const third = await changed('upgrade.ts', 'version: 2', 'version: 2')
    const classes = "{ AclFS: { becomes: 'Acl3FS', object: './acl-fs.ts' } }"
    await writeFile(
      join(third, 'upgrade.ts'),
      `import { defineUpgrade } from 'upstart-peer'
       export default defineUpgrade({ version: 3, description: 'too far', classes: ${classes} })`
    )
    const ahead = await fleet.packBeside(third, [v1.envelope, v2.envelope])
    const far = await rehearse(ahead, data, '--parent', v2.path)
    assert.equal(far.code, 1)
    assert.match(far.err, /^upstart: StaleParent: PermFS is at version 1 there, and version 3 is made from version 2/)
    assert.match((await rehearse(ahead, data)).err, /^upstart: StaleParent: version 3 does not follow/)
    assert.match((await rehearse(v1, data)).err, /^upstart: Usage: version 1 brings new classes only/)
    assert.equal((await upstart('rehearse', v2.path, '--state', data, '--sandbox', 'steel')).code, 2)
  })

  it('Q26: what it took is written into the upgrade file before it is signed, and every peer tells it', async () => {
    const signed = await rehearse(v2, data, '--record')
    assert.match(signed.err, /^upstart: Usage: .* is signed, and --record would change it/)
    const out = join(fleet.directory, 'recorded.upgrade')
    const { fleet: id } = v1.envelope.content
    await pack({ source: join(FILES, 'v2'), fleet: id, parents: [v1.envelope], expiresMs: FAR, out })
    const told = await upstart('rehearse', out, '--state', data, '--sandbox', 'none', '--record', '--json')
    const { objects, recorded } = JSON.parse(told.out)
    const file = await openUpgradeFile(out)
    await file.verify()
    assert.equal(file.envelope.hash, recorded)
    const entry = fleet.keys.release.slice(0, 2).reduce(addSignature, file.envelope.bytes)
    await writeUpgradeFile(out, entry, file.bundle(), file.bundleLength)
    await file.close()

    const peer = await fleet.embed('p1', null)
    const client = await fleet.client(peer.addresses())
    const released = await openUpgradeFile(out)
    try {
      await client.injectUpgrade(v1)
      await client.injectUpgrade(released)
      const { transformMs, startMs, neededBytes, peakMemoryBytes } = objects[0]
      assert.deepEqual(peer.status().log.find((one) => one.version === 2)!.rehearsed, [
        { object: 'PermFS', transformMs, startMs, neededBytes, peakMemoryBytes }
      ])
    } finally {
      await released.close()
      await peer.close()
    }
  })

  it('Q26: a rehearsal that failed is not recorded', async () => {
    const throws = await changed('transform.ts', 'const tree =', "throw new Error('no such luck')\n  const tree =")
    const out = join(fleet.directory, 'failed.upgrade')
    const { fleet: id } = v1.envelope.content
    await pack({ source: throws, fleet: id, parents: [v1.envelope], expiresMs: FAR, out })
    const before = await readFile(out)
    const told = await upstart('rehearse', out, '--state', data, '--sandbox', 'none', '--record')
    assert.equal(told.code, 1)
    assert.match(told.out, /nothing is recorded: it failed/)
    assert.deepEqual(await readFile(out), before)
  })

  /** A copy of version 2 of the example with one text of one file replaced. @returns its directory */
  async function changed(file: string, from: string, to: string): Promise<string> {
    const copy = await mkdtemp(join(fleet.directory, 'files-'))
    await cp(FILES, copy, { recursive: true })
    for (const entry of await readdir(copy, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const text = (await readFile(path, 'utf8')).replaceAll('../../../src/', `${ROOT}/src/`)
      const isIt = path === join(copy, 'v2', file)
      assert.ok(!isIt || text.includes(from), `${file} has no ${from}`)
      await writeFile(path, isIt ? text.replace(from, to) : text)
    }
    return join(copy, 'v2')
  }
})
