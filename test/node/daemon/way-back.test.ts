import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Client, RunningPeer } from '../../../node/index.ts'
import { allAt, LiveFleet, until } from './live-fleet.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SETS = join(ROOT, 'test/fixtures/sets')
const V1 = join(ROOT, 'test/fixtures/fleet/v1')

/** Ways in which version 2 can go wrong before it serves: what the module says instead. */
const FAULTS: [what: string, module: 'object' | 'transform', source: string, reason: RegExp][] = [
  ['its TF throws', 'transform', 'export default () => { throw new Error("no such luck") }', /no such luck/],
  ['its TF ends its process', 'transform', 'export default () => process.exit(7)', /exited with code 7/],
  ['the new object does not start', 'object', 'start() { throw new Error("cannot open") }', /cannot open/],
  ['its health probe fails', 'object', 'health() { throw new Error("sick") }', /sick/],
  ['its health probe hangs', 'object', 'health() { return new Promise(() => {}) }', /within \d+ ms/],
  [
    'it changes the world before its commit',
    'object',
    'static calls = { ColorSet: 2 }; async start() { await this.context.call("ColorSet", "insertColor", [1, "red"]) }',
    /NotCommitted|observers only/
  ]
]

async function upgradeWith(directory: string, module: 'object' | 'transform', source: string): Promise<string> {
  const folder = join(directory, 'v2')
  await mkdir(folder)
  const object = module === 'object' ? source : ''
  await writeFile(
    join(folder, 'object.ts'),
    `import ColorSet from '${SETS}/color-set.ts'\nexport default class extends ColorSet { ${object} }\n`
  )
  const transform = module === 'transform' ? source : `export { default } from '${SETS}/transform.ts'`
  await writeFile(join(folder, 'transform.ts'), `${transform}\n`)
  await writeFile(join(folder, 'past.ts'), `export { default } from '${SETS}/past-int-set.ts'\n`)
  await writeFile(
    join(folder, 'upgrade.ts'),
    `import { defineUpgrade, immediately } from '${ROOT}src/index.ts'
export default defineUpgrade({
  version: 2,
  description: 'a version that goes wrong',
  classes: {
    IntSet: {
      becomes: 'ColorSet', object: './object.ts', transform: './transform.ts', past: './past.ts',
      schedule: { when: immediately(), constraints: [] }
    }
  }
})
`
  )
  return folder
}

describe('the way back (SPEC L4, L5; real peers)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  let client: Client
  let peer: RunningPeer

  beforeEach(async () => {
    fleet = await LiveFleet.create()
    peer = await fleet.embed('p0')
    client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', V1))
    await until('v1 serves', () => allAt(peer.status(), 'IntSet', 1, 1))
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [42] })
  })
  afterEach(async () => await fleet.close())

  const object = () => peer.status().objects['IntSet']!
  const contains = () => client.call({ class: 'IntSet', version: 1, method: 'contains', args: [42] })

  for (const [what, module, source, reason] of FAULTS) {
    it(`${what}: back on the old version, serving, remembered, and told to others`, async () => {
      const other = await fleet.embed('p1', 'g1')
      await until('the other serves v1', () => allAt(peer.status(), 'IntSet', 1, 2))
      await client.injectUpgrade(await fleet.pack('', await upgradeWith(fleet.directory, module, source)))
      await until('it went back', () => object().failed.length === 1 && object().phase === 'idle' && object().serving)
      assert.equal(object().version, 1)
      assert.match(object().failed[0]!.reason, reason)
      assert.match(object().reason, /^went back from version 2/)
      assert.equal(await contains(), true)
      await until('the other knows', () => {
        const known = other.status().peers.find((one) => one.peer === peer.id)
        return known?.objects['IntSet']?.failed.length === 1
      })
    })
  }

  it('the disk fills up during the TF: back on the old version, serving, remembered; the rubbish is gone', async function () {
    const mount = join(fleet.directory, 'small-disk')
    await mkdir(mount)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', mount])
    if (mounted.status !== 0) this.skip() // lacks: the right to mount a small disk
    try {
      const small = await fleet.embed('small-disk/peer')
      await until('v1 serves there, too', () => allAt(small.status(), 'IntSet', 1, 2))
      const fill = `import { appendFileSync } from 'node:fs'
export default ({ new: { directory } }) => { for (;;) appendFileSync(directory + '/rubbish', Buffer.alloc(1e6)) }`
      const fatal = await upgradeWith(fleet.directory, 'transform', fill)
      // The other node has room for more than anybody should write.
      await peer.close()
      const there = await fleet.client(small.addresses())
      await there.injectUpgrade(await fleet.pack('', fatal))
      const at = () => small.status().objects['IntSet']!
      await until('it has gone back', () => at().failed.length > 0 && at().serving && at().phase === 'idle', 30_000, at)
      assert.match(at().failed[0]!.reason, /disk is full|ENOSPC/)
      const call = { class: 'IntSet', version: 1, method: 'insert', args: [7], to: { peer: small.id } }
      await there.call(call)
      assert.equal(await there.call({ ...call, method: 'contains' }), true)
      await until('the attempt is gone', async () => (await statfs(mount)).bavail * (await statfs(mount)).bsize > 64e6)
      await small.close()
    } finally {
      spawnSync('umount', ['-l', mount])
    }
  })

  it('L5: it is tried again after a retry, and only then', async () => {
    const flag = join(tmpdir(), `upstart-flag-${peer.id}`)
    const source = `import { existsSync } from 'node:fs'
import transform from '${SETS}/transform.ts'
export default (context: any) => {
  if (!existsSync('${flag}')) throw new Error('not yet')
  transform(context)
}`
    try {
      await client.injectUpgrade(await fleet.pack('', await upgradeWith(fleet.directory, 'transform', source)))
      await until('it went back', () => object().failed.length === 1 && object().phase === 'idle' && object().serving)
      await writeFile(flag, '')
      await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
      assert.equal(object().version, 1, 'tried again without being told')
      const { hash } = peer.status().log[1]!
      await client.injectStatement(fleet.statement({ what: 'resume', lifts: peer.status().pauses[0]!.hash }))
      await client.injectStatement(fleet.statement({ what: 'retry', target: hash, peer: peer.id }))
      await until('v2 serves', () => allAt(peer.status(), 'IntSet', 2, 1))
      assert.deepEqual(object().failed, [])
      assert.equal(await contains(), true)
    } finally {
      await rm(flag, { force: true })
    }
  })

  it('L11: an abort stops it where it is not committed, and tells why', async () => {
    await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    await client.injectUpgrade(await fleet.pack('', join(ROOT, 'test/fixtures/fleet/v2')))
    await client.call({ class: 'ColorSet', version: 2, method: 'insertColor', args: [7, 'red'] })
    const { hash } = peer.status().log[1]!
    await client.injectStatement(fleet.statement({ what: 'abort', target: hash }))
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: peer.status().pauses[0]!.hash }))
    await until('it is idle', () => object().phase === 'idle' && /^version 2 is aborted/.test(object().reason))
    assert.equal(object().version, 1)
    // Abort stops upgrading, not serving.
    assert.equal(await client.call({ class: 'ColorSet', version: 2, method: 'getColor', args: [7] }), 'red')
  })
})
