import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { RunningPeer } from '../../../node/index.ts'
import { FIXTURES, LiveFleet, until } from './live-fleet.ts'

const OBJECT = 'AttributeSet'
const VERSIONS = [1, 2, 3, 4, 5]
const at = (peer: RunningPeer) => peer.status().objects[OBJECT]!
const settled = (peer: RunningPeer, version: number) => () =>
  at(peer)?.version === version && at(peer).serving && !['draining', 'transforming', 'proving'].includes(at(peer).phase)

describe('nodes at five versions call each other (SPEC V14, L8; real peers)', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('each asks each at its own version; then all go on to the newest, with what was written at any version', async () => {
    const name = (version: number) => `stays-at-${version}`
    const peers = new Map<number, RunningPeer>()
    for (const version of [5, 1, 2, 3, 4]) peers.set(version, await fleet.embed(name(version), null))
    const client = await fleet.client(peers.get(5)!.addresses())
    const addresses = peers.get(5)!.addresses()
    for (const version of VERSIONS) {
      await client.injectUpgrade(await fleet.pack('', join(FIXTURES, `../tower/v${version}`)))
      for (const [stays, peer] of peers) {
        if (stays < version) continue
        await until(`${name(stays)} is at ${version}`, settled(peer, version), 30_000, () => at(peer))
        const to = { peer: peer.id }
        await client.call({ class: OBJECT, version, method: 'put', args: [`x${version}`, `v${version}`], to })
      }
      // It is away while the next version comes.
      if (version < 5) await peers.get(version)!.close()
    }
    await client.injectStatement(fleet.statement({ what: 'pause', target: null }, Date.now() + 600_000))
    for (const version of [1, 2, 3, 4])
      peers.set(version, await fleet.embed(name(version), null, { bootstrap: addresses }))
    for (const [version, peer] of peers) {
      await until(`${name(version)} is there`, () => settled(peer, version)() && peer.status().head.version === 5)
    }

    for (const [mine, caller] of peers) {
      for (const [theirs, callee] of peers) {
        if (caller === callee) continue
        const asked = { class: OBJECT, version: mine, method: 'relay', to: { peer: caller.id }, timeoutMs: 30_000 }
        const answer = await client.call({ ...asked, args: [callee.id, 'x1'] })
        // Of version 1 every node knows the element; the value is that of the caller's version, or its default.
        assert.equal(answer, mine === 1 ? 'v1' : `d${mine}`, `version ${mine} asks a node at ${theirs}`)
        assert.equal(await client.call({ ...asked, args: [callee.id, 'nothing'] }), null)
      }
    }
    assert.deepEqual(
      VERSIONS.map((version) => at(peers.get(version)!).version),
      VERSIONS
    )

    const { pauses } = await client.status()
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: pauses[0]!.hash }))
    for (const peer of peers.values()) await until('all are at version 5', settled(peer, 5), 60_000, () => at(peer))
    for (const [was, peer] of peers) {
      for (const version of VERSIONS) {
        const read = { class: OBJECT, version, method: 'get', args: [`x${version}`], to: { peer: peer.id } }
        const expected = version <= was ? `v${version}` : null
        assert.equal(await client.call(read), expected, `x${version} at the node that was at ${was}`)
      }
    }
  })
})
