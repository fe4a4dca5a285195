import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client, RunningPeer } from '../../../node/index.ts'
import { generateKeyFiles, readSeed } from '../../../node/keys.ts'
import { createPeerKey } from '../../../node/network/key.ts'
import { signStatement } from '../../../src/upgrade/entry.ts'
import { FAR } from '../../src/upgrade/fleet.ts'
import { allAt, LiveFleet, until } from './live-fleet.ts'
import { type Outsider, outsider } from './outsider.ts'

/** Who may call what: objects of the class change it, one who operates asks them to, everybody looks. */
const ACCESS = "access: { insert: { classes: ['IntSet'] }, ask: { operators: true } }, object:"

describe('a private fleet (real libp2p)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  let peers: RunningPeer[]
  let operator: Client
  let stranger: Outsider | undefined

  const call = (client: Client, method: string, args: unknown[], to: RunningPeer = peers[0]!) =>
    client.call({ class: 'IntSet', version: 1, method, args: args as never, to: { peer: to.id }, timeoutMs: 8_000 })

  const pause = (sequence: number): Uint8Array => {
    const said = { format: 1 as const, fleet: fleet.keys.trust.fleet, sequence, note: '', what: 'pause' as const }
    return signStatement({ ...said, target: null }, FAR, [fleet.keys.operator])
  }
  const pauses = (peer: RunningPeer): number => peer.status().pauses.length

  before(async () => {
    fleet = await LiveFleet.create(0, true)
    peers = []
    for (const name of ['p0', 'p1', 'p2'])
      peers.push(await fleet.embed(name, 'g0', { ticket: await fleet.admit(name, { labels: { zone: name } }) }))
    const key = join(fleet.directory, 'op.key')
    await generateKeyFiles(key)
    const { peer } = await createPeerKey(await readSeed(key))
    operator = await fleet.client(undefined, { ticket: await fleet.admit('op', { peer, as: 'operator' }), key })
    await fleet.rosters(operator, 3)
    const source = await fleet.variant('guarded', 'asking1', [['object:', ACCESS]])
    await operator.injectUpgrade(await fleet.pack('', source))
    await until('version 1 serves', () => peers.every((one) => allAt(one.status(), 'IntSet', 1, 3)))
    stranger = await outsider(fleet.keys.trust.fleet, peers[0]!)
  })
  after(async () => {
    await stranger?.network.close()
    await fleet.close()
  })

  it('A5: its peers know each other, with the labels of their tickets', () => {
    for (const peer of peers) {
      const known = peer.status().peers.map(({ labels }) => labels.zone)
      assert.deepEqual(known.sort(), ['p0', 'p1', 'p2'])
    }
  })

  it('A9: a peer without a ticket, or with that of another, does not start, and is told what to do', async () => {
    await assert.rejects(fleet.embed('p9'), { name: 'NotAdmitted', message: /upstart admit 12D3Koo\w+/ })
    const ticket = join(fleet.directory, 'p0.ticket')
    await assert.rejects(fleet.embed('p9', 'g0', { ticket }), { name: 'NotAdmitted', message: /admits nobody else/ })
    const own = await fleet.admit('p9', { labels: { zone: 'a' } })
    const labels = { zone: 'b' }
    await assert.rejects(fleet.embed('p9', 'g0', { ticket: own, labels }), { name: 'NotAdmitted', message: /zone=b/ })
    const signed = JSON.parse(await readFile(own, 'utf8'))
    assert.equal(signed.signatures.length, 1)
  })

  it('A7: without a ticket no status and no call; what proves itself is taken', async () => {
    const outside = await fleet.client()
    await assert.rejects(outside.status(), { name: 'NotAdmitted', message: /upstart admit/ })
    await assert.rejects(call(outside, 'contains', [1]), { name: 'Forbidden', message: /not executed/ })
    assert.match(await outside.injectStatement(pause(501)), /./)
    await until('everybody knows', () => peers.every((one) => pauses(one) === 1))
  })

  it("A7: an operator's ticket, or a member's, is worth nothing in other hands", async () => {
    const key = join(fleet.directory, 'thief.key')
    await generateKeyFiles(key)
    for (const name of ['op', 'p1']) {
      const thief = await fleet.client(undefined, { ticket: join(fleet.directory, `${name}.ticket`), key })
      await assert.rejects(thief.status(), { name: 'NotAdmitted' })
      await assert.rejects(call(thief, 'contains', [1]), { name: 'Forbidden' })
    }
  })

  it('A8: who is on the list of a method may call it', async () => {
    await assert.rejects(call(operator, 'insert', [7]), { name: 'Forbidden', message: /class IntSet only/ })
    await call(operator, 'ask', [peers[1]!.id, 'insert', 7])
    assert.equal(await call(operator, 'contains', [7], peers[1]), true)
    await assert.rejects(
      peers[2]!.call({ class: 'IntSet', version: 1, method: 'insert', args: [8], to: { peer: peers[0]!.id } }),
      {
        name: 'Forbidden'
      }
    )
  })

  it('A4, A6: a stranger that speaks the overlay is told nothing, by nobody, and its valid statement is taken', async () => {
    const { id } = peers[0]!
    const { network, heard, broadcasts } = stranger!
    network.send(id, { kind: 'neighbour', what: 'ask', urgent: true })
    network.send(id, { kind: 'digest', tips: [], statements: [], records: [], room: 100, answer: true })
    network.send(id, { kind: 'shuffle', contacts: [], answer: true })
    const { sha256 } = fleet.entries[0]!.content.bundle
    network.send(id, { kind: 'want', bundle: sha256, index: 0 })
    const before = pauses(peers[2]!)
    await operator.injectStatement(pause(502))
    await until('members hear of it', () => peers.every((one) => pauses(one) === before + 1))
    network.send(id, { kind: 'delta', entries: [], statements: [pause(503)], records: [], more: false })
    await until('the statement of the stranger is known', () => peers.every((one) => pauses(one) === before + 2))
    assert.deepEqual([...new Set(heard.map(({ kind }) => kind))], ['ticket'])
    assert.deepEqual(broadcasts, [])
    assert.equal(
      peers.some((one) => one.status().peers.some(({ peer }) => peer === stranger!.key.peer)),
      false
    )
  })

  it('A5: a revoked peer is out of all views and may not call; with a later ticket it is back', async () => {
    const out = peers[2]!
    const said = { format: 1 as const, fleet: fleet.keys.trust.fleet, sequence: 900, note: '' }
    const revoked = signStatement({ ...said, what: 'revoke', peer: out.id, upTo: 1 }, FAR, [fleet.keys.admission])
    await operator.injectStatement(revoked)
    const staying = peers.slice(0, 2)
    await until('it is in no view', () =>
      staying.every((one) => one.status().peers.every(({ peer }) => peer !== out.id))
    )
    const request = { class: 'IntSet', version: 1, method: 'contains', args: [7], to: { peer: peers[1]!.id } }
    await assert.rejects(out.call({ ...request, timeoutMs: 5_000 }), { name: 'Forbidden' })
    await out.close()
    fleet.peers.splice(fleet.peers.indexOf(out), 1)
    const ticket = await fleet.admit('p2', { number: 2, labels: { zone: 'p2' } })
    peers[2] = await fleet.embed('p2', 'g0', { ticket })
    await until('it is back', () => peers.every((one) => allAt(one.status(), 'IntSet', 1, 3)))
    assert.equal(await peers[2]!.call(request), true)
  })
})
