/** Operators hold, explain and retire from any one of several real peers (SPEC C8, C14, C15, C18, R7, T7). */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { createClient, type RunningPeer } from '../../../node/index.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

const PEERS = 3

describe('control of a roll-out in flight (real peers)', function () {
  this.timeout(180_000)
  let fleet: LiveFleet

  before(async () => {
    fleet = await LiveFleet.create()
    for (let index = 0; index < PEERS; index++) await fleet.embed(`p${index}`, null)
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('all run v1', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 1, PEERS)))
  })
  after(async () => await fleet.close())

  /** A command at one peer, as JSON. */
  async function upstart(peer: RunningPeer, ...args: string[]): Promise<{ code: number; answer: any }> {
    let out = ''
    const terminal = {
      out: (text: string) => {
        out += text
      },
      error: (text: string) => assert.fail(text)
    }
    const connect = (root: Uint8Array, peers: readonly string[]) => createClient({ root, peers })
    const where = ['--root', join(fleet.directory, 'root.json'), '--peer', peer.addresses()[0]!, '--json']
    const code = await run([...args, ...where], { connect, release: '1', terminal })
    return { code, answer: JSON.parse(out) }
  }
  const object = (peer: RunningPeer) => peer.status().objects['IntSet']!

  it('a held node waits and any other peer says why; released, it goes on; history tells it all', async () => {
    const [first, second, held] = fleet.peers as [RunningPeer, RunningPeer, RunningPeer]
    const client = await fleet.client()
    await client.injectStatement(fleet.statement({ what: 'pause', target: null, of: { peer: held.id } }))
    await until('all know it', () => fleet.peers.every((peer) => peer.status().pauses.length === 1))
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v2')))
    await until('the others upgrade', () => [first, second].every((peer) => object(peer).version === 2))
    await until(
      'every peer knows why it waits',
      async () => {
        const { answer } = await upstart(first, 'explain', held.id.slice(-8))
        return answer.objects[0].kind === 'pause'
      },
      30_000
    )
    const { answer } = await upstart(first, 'explain', held.id)
    const [one] = answer.objects
    assert.deepEqual([answer.asked, one.version, one.target, one.phase], [first.id, 1, 2, 'waiting'])
    assert.ok(Math.abs(Date.parse(one.since) - Date.now()) < 60_000)
    assert.equal(one.statement.hash, first.status().pauses[0]!.hash)
    assert.match(one.mends.join(), /upstart resume/)
    const counted = () => {
      const { tally, pauses } = first.status()
      const [newest, older] = tally.objects[0]!.versions
      return JSON.stringify([tally.by, pauses[0]!.holds, newest!.run, newest!.phases, older!.run])
    }
    const all = JSON.stringify(['records', 1, 2, { waiting: 1 }, 1])
    await until('any peer counts who runs what and who is held', () => counted() === all, 30_000, counted)
    const { pauses } = first.status()

    const refused = await upstart(first, 'retire', '1', '--out', join(fleet.directory, 'retire'))
    assert.deepEqual([refused.code, refused.answer.error.name], [1, 'StillNeeded'])
    assert.match(refused.answer.error.message, new RegExp(held.id))

    await client.injectStatement(fleet.statement({ what: 'resume', lifts: pauses[0]!.hash }))
    await until('it upgrades too', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 2, PEERS)))
    const { items } = (await upstart(held, 'history')).answer
    const told = items.map((item: any) => item.statement?.what ?? `${item.kind} ${item.version}`)
    assert.deepEqual(told, ['entry 1', 'upgrade 1', 'pause', 'entry 2', 'resume', 'upgrade 2'])
    assert.ok(items.every((item: any) => item.at !== null))
    assert.ok(items.at(-1).phases.waiting > 0)
    assert.equal((await upstart(first, 'retire', '1', '--out', join(fleet.directory, 'retire'))).code, 0)
  })

  it('R7: a call at the old version at one peer is known at the others', async () => {
    const client = await fleet.client()
    const [first] = fleet.peers
    await client.call({
      class: 'IntSet',
      version: 1,
      method: 'insert',
      args: [1],
      to: { peer: first!.id },
      timeoutMs: 20_000
    })
    await until(
      'all know of the call',
      () => fleet.peers.every((peer) => peer.status().log[0]!.evidence?.lastCall !== null),
      90_000
    )
  })

  it('a peer that joins later is paused too', async () => {
    const client = await fleet.client()
    await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    await until('all know it', () => fleet.peers.every((peer) => peer.status().pauses.length === 1))
    const late = await fleet.embed('late', null)
    await until(
      'it waits for the pause',
      () => /^paused by statement/.test(late.status().objects['IntSet']?.reason ?? ''),
      60_000,
      () => late.status().objects
    )
    assert.equal(object(late).version, 0)
    const [pause] = late.status().pauses
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: pause!.hash }))
    await until('it installs version 2', () => object(late).version === 2 && object(late).serving, 60_000)
  })
})
