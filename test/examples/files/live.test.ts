/** SPEC F: the example on a real peer, called at both versions while it upgrades. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { allAt, LiveFleet, until } from '../../node/daemon/live-fleet.ts'

describe('examples/files on real peers', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('files, owners and modes become access lists; each version refuses what it would lie about', async () => {
    const peer = await fleet.embed('p0')
    const client = await fleet.client()
    await fleet.rosters(client, 1)
    const call = (version: number, method: string, ...args: any[]) =>
      client.call({ class: version === 1 ? 'PermFS' : 'AclFS', version, method, args, to: 'any' })
    await client.injectUpgrade(await fleet.pack('files/v1'))
    await until('it runs v1', () => allAt(peer.status(), 'PermFS', 1, 1))
    for (let i = 0; i < 20; i++) {
      assert.equal(await call(1, 'create', `docs/f${i}`, 'ann'), true)
      await call(1, 'write', `docs/f${i}`, `text ${i}`)
      await call(1, 'setMode', `docs/f${i}`, 0o60 + (i % 8))
    }
    const paused = await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    assert.match(paused, /pause/)
    await client.injectUpgrade(await fleet.pack('files/v2'))
    assert.deepEqual(await call(2, 'getAcl', 'docs/f3'), { owner: 6, everyone: 3 })
    await call(2, 'setAcl', 'docs/f4', { owner: 7 })
    assert.equal(await call(1, 'getMode', 'docs/f4'), 0o70)
    await assert.rejects(call(2, 'setAcl', 'docs/f5', { owner: 6, carol: 4 }), { name: 'Disallowed' })

    const { hash } = peer.status().pauses[0]!
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: hash }))
    const explain = () => peer.status().objects
    await until('it runs v2', () => allAt(peer.status(), 'PermFS', 2, 1), 60_000, explain)
    for (let i = 0; i < 20; i++) {
      assert.equal(await call(1, 'read', `docs/f${i}`), `text ${i}`)
      assert.equal(await call(2, 'getOwner', `docs/f${i}`), 'ann')
      if (i !== 4) assert.equal(await call(1, 'getMode', `docs/f${i}`), 0o60 + (i % 8))
    }
    await call(2, 'setAcl', 'docs/f5', { owner: 6, carol: 4 })
    await assert.rejects(call(1, 'getMode', 'docs/f5'), { name: 'Disallowed' })
    await assert.rejects(call(1, 'setMode', 'docs/f5', 0o64), { name: 'Disallowed' })
    assert.deepEqual(await call(2, 'getAcl', 'docs/f5'), { owner: 6, everyone: 0, carol: 4 })
    assert.equal(await call(1, 'read', 'docs/f5'), 'text 5')
    assert.equal(await readFile(await contentOf(join(fleet.directory, 'p0/objects/PermFS'), 'f7'), 'utf8'), 'text 7')
  })
})

/** Where the content of a file lies in a peer's data directory. */
async function contentOf(directory: string, name: string): Promise<string> {
  const found = (await readdir(directory, { recursive: true })).find((path) => path.includes(`/docs/${name}~`))
  assert.ok(found !== undefined, `${name} is not below ${directory}`)
  return join(directory, found)
}
