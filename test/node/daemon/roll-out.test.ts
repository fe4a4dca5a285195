import assert from 'node:assert/strict'
import { allAt, LiveFleet, until } from './live-fleet.ts'

describe('a live fleet upgrades itself (real peers, real children)', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('from nothing to v1 and from v1 to v2 while it is called at both versions: no failed call, nothing lost', async () => {
    for (let i = 0; i < 3; i++) await fleet.embed(`p${i}`)
    const client = await fleet.client()
    await fleet.rosters(client, 3)
    await client.injectUpgrade(await fleet.pack('kv/v1'))
    const explain = () => fleet.peers.map((peer) => peer.status().objects)
    await until('all run v1', () => fleet.peers.every((peer) => allAt(peer.status(), 'KV', 1, 3)), 30_000, explain)
    const to = (key: string) => ({ group: 'g0', key })
    for (let i = 0; i < 50; i++)
      await client.call({ class: 'KV', version: 1, method: 'put', args: [`k${i}`, `v${i}`], to: to(`k${i}`) })

    await client.injectUpgrade(await fleet.pack('kv/v2'))
    let upgraded = false
    const failures: string[] = []
    let calls = 0
    const down: number[] = []
    const load = Array.from({ length: 4 }, async (_, lane) => {
      for (let i = 0; !upgraded; i++) {
        const key = `k${(i * 4 + lane) % 50}`
        try {
          const old = await fleet.peers[lane % 3]!.call({
            class: 'KV',
            version: 1,
            method: 'get',
            args: [key],
            to: to(key),
            id: `a${lane}-${i}`
          })
          assert.equal(old, key.replace('k', 'v'))
          const now = (await client.call({
            class: 'KV2',
            version: 2,
            method: 'get',
            args: ['default', key],
            to: to(key),
            id: `b${lane}-${i}`
          })) as { value: string }
          assert.equal(now.value, key.replace('k', 'v'))
          calls += 2
        } catch (error) {
          failures.push(`${(error as Error).name}: ${(error as Error).message}`)
        }
        down.push(fleet.peers.filter((peer) => !peer.status().objects['KV']!.serving).length)
      }
    })
    await until('all run v2', () => fleet.peers.every((peer) => allAt(peer.status(), 'KV', 2, 3)), 60_000, explain)
    upgraded = true
    await Promise.all(load)
    assert.deepEqual(failures, [])
    assert.ok(calls > 50, `only ${calls} calls were made`)
    assert.ok(Math.max(...down) <= 1, 'more than one member was down at once')
    for (const peer of fleet.peers) assert.equal(peer.status().objects['KV']!.unavailableMs.length, 1)
  })

  it('a pause stops a roll-out on every peer, and its resume lets it go on', async () => {
    for (let i = 0; i < 3; i++) await fleet.embed(`p${i}`)
    const client = await fleet.client()
    await fleet.rosters(client, 3)
    await client.injectUpgrade(await fleet.pack('kv/v1'))
    await until('all run v1', () => fleet.peers.every((peer) => allAt(peer.status(), 'KV', 1, 3)))
    const said = await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    assert.match(said, /pause/)
    await until('all know the pause', () => fleet.peers.every((peer) => peer.status().pauses.length === 1))
    await client.injectUpgrade(await fleet.pack('kv/v2'))
    await until('all wait for it', () =>
      fleet.peers.every((peer) => /^paused by statement/.test(peer.status().objects['KV']!.reason))
    )
    assert.ok(fleet.peers.every((peer) => peer.status().objects['KV']!.version === 1))
    const { hash } = fleet.peers[0]!.status().pauses[0]!
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: hash }))
    await until('all run v2', () => fleet.peers.every((peer) => allAt(peer.status(), 'KV', 2, 3)), 60_000)
  })

  it('a peer that joins later learns the log and installs the newest version at once', async () => {
    await fleet.embed('p0', null)
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('kv/v1'))
    await until('the first runs v1', () => allAt(fleet.peers[0]!.status(), 'KV', 1, 1))
    const late = await fleet.embed('p1', null)
    await until('the late one runs v1', () => late.status().objects['KV']?.serving === true)
    assert.equal(late.status().head.version, 1)
  })

  it('a node that hosts none of its classes has nothing to do with an upgrade but passes it on', async () => {
    await fleet.embed('p0', null)
    const relay = await fleet.embed('p1', null, { classes: ['Other'] })
    const client = await fleet.client(relay.addresses())
    await client.injectUpgrade(await fleet.pack('kv/v1'))
    await until('the other runs v1', () => allAt(fleet.peers[0]!.status(), 'KV', 1, 1))
    assert.deepEqual(relay.status().objects, {})
  })
})
