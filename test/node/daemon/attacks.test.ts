import assert from 'node:assert/strict'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { Client, RunningPeer } from '../../../node/index.ts'
import { createPeerKey } from '../../../node/network/key.ts'
import { createNode } from '../../../node/network/transport.ts'
import { protocolOf } from '../../../node/network/wire.ts'
import { DEFAULT_LIMITS } from '../../../src/overlay/events.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'
import { delta, type Outsider, outsider, recordOf } from './outsider.ts'

/** Peers that somebody made up: as many as a laptop makes in a second. */
const SYBILS = 600
const STREAMS = 600

describe('attacks on an open fleet (real libp2p)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  let victim: RunningPeer
  let honest: RunningPeer
  let client: Client
  const outsiders: Outsider[] = []

  async function comes(): Promise<Outsider> {
    const one = await outsider(fleet.keys.trust.fleet, victim)
    outsiders.push(one)
    return one
  }

  /** It is taken for a neighbour, as anybody is. */
  async function neighbour(): Promise<Outsider> {
    const one = await comes()
    const record = recordOf(fleet.keys.trust, one.key)
    one.network.send(victim.id, { kind: 'neighbour', what: 'ask', urgent: true, record })
    await until('it is a neighbour', () =>
      one.heard.some((message) => message.kind === 'neighbour' && message.what === 'accept')
    )
    return one
  }

  const contains = (element: number): Promise<unknown> =>
    client.call({ class: 'IntSet', version: 1, method: 'contains', args: [element], to: { peer: victim.id } })

  before(async () => {
    fleet = await LiveFleet.create()
    victim = await fleet.embed('p0', 'g0')
    honest = await fleet.embed('p1', 'g0')
    client = await fleet.client()
    await fleet.rosters(client, 2)
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('version 1 serves', () => [victim, honest].every((one) => allAt(one.status(), 'IntSet', 1, 2)))
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [1], to: { peer: victim.id } })
  })
  after(async () => {
    await Promise.all(outsiders.map(({ network }) => network.close()))
    await fleet.close()
  })
  afterEach(async () => {
    assert.equal(await contains(1), true)
    assert.ok(
      victim.status().peers.some(({ peer }) => peer === honest.id),
      'the honest peer is not known any more'
    )
  })

  it('replay: a pause that was lifted stays lifted, however often it is sent again', async () => {
    const pause = fleet.statement({ what: 'pause', target: null })
    await client.injectStatement(pause)
    const [{ hash } = { hash: '' }] = victim.status().pauses
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: hash }))
    assert.deepEqual(victim.status().pauses, [])
    const one = await comes()
    for (let time = 0; time < 20; time++) one.network.send(victim.id, delta({ statements: [pause] }))
    one.network.send(victim.id, { kind: 'digest', tips: [], statements: [], records: [], room: 9, answer: true })
    await until('it was heard out', () => one.heard.some(({ kind }) => kind === 'delta' || kind === 'digest'))
    assert.deepEqual(victim.status().pauses, [])
    assert.deepEqual(one.ended, [])
  })

  it('Sybils, and a flood of the view: it stays bounded, and who matters stays in it', async () => {
    const one = await neighbour()
    const keys = await Promise.all(Array.from({ length: SYBILS }, () => createPeerKey()))
    const records = keys.map((key) => recordOf(fleet.keys.trust, key, { group: 'g0' }))
    const last = recordOf(fleet.keys.trust, one.key, { counter: 2, labels: { said: 'all' } })
    for (let from = 0; from < SYBILS; from += 250)
      one.network.send(victim.id, delta({ records: records.slice(from, from + 250) }))
    one.network.send(victim.id, delta({ records: [last] }))
    await until('all was heard', () => victim.status().peers.some(({ labels }) => labels['said'] === 'all'))
    const { peers, rosters } = victim.status()
    assert.ok(peers.length <= DEFAULT_LIMITS.view, `${peers.length} peers in view`)
    // They say that they are of its group: what counts there is the signed roster.
    assert.deepEqual(
      rosters.map(({ members }) => members.length),
      [2]
    )
  })

  it('streams: of those that somebody opens without a bound of its own few stay, and others call on', async () => {
    const node = await createNode({ key: await createPeerKey(), listen: [] }, () => false)
    try {
      const connection = await node.dial(multiaddr(victim.addresses()[0]!))
      const protocol = protocolOf(fleet.keys.trust.fleet, 'call')
      const open = () => connection.newStream(protocol, { maxOutboundStreams: STREAMS, negotiateFully: false })
      assert.equal((await open()).status, 'open')
      const opened = await Promise.allSettled(Array.from({ length: STREAMS }, open))
      const streams = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      await until('what is too many is reset', () => streams.filter(({ status }) => status === 'open').length <= 4)
      const other = await fleet.client()
      const call = { class: 'IntSet', version: 1, method: 'contains', args: [1], to: { peer: victim.id } }
      assert.equal(await other.call(call), true)
    } finally {
      await node.stop()
    }
  })

  it('half frames: who begins one and does not end it holds up nobody but itself', async () => {
    const one = await comes()
    const claim = Buffer.alloc(4)
    claim.writeUInt32BE(4 * 1024 * 1024)
    const wires = await Promise.all(
      ['call', 'control', 'overlay'].map((name) => one.network.wire(victim.id, victim.addresses(), name))
    )
    for (const wire of wires) wire.send(Buffer.concat([claim, Buffer.alloc(1000)]))
    for (let time = 0; time < 20; time++) assert.equal(await contains(1), true)
  })

  it('a flood of calls: another caller is answered beside it', async () => {
    const flooder = await fleet.client()
    const call = { class: 'IntSet', version: 1, method: 'contains', args: [1], to: { peer: victim.id } }
    await flooder.call(call)
    const flood = Promise.allSettled(Array.from({ length: 5_000 }, () => flooder.call(call)))
    let answered = 0
    for (; answered < 10; answered++) assert.equal(await contains(1), true)
    const ended = await flood
    assert.equal(answered, 10)
    assert.ok(ended.every((one) => one.status === 'fulfilled' || one.reason.name === 'Unavailable'))
  })

  it('freeze: a neighbour that says that all is old, and withholds, keeps nothing from its victim', async () => {
    const liars = await Promise.all([neighbour(), neighbour(), neighbour()])
    const { head } = victim.status()
    const lie = (): void => {
      for (const { network } of liars)
        network.send(victim.id, { kind: 'summary', head, statements: '0.0', records: '', census: '' })
    }
    const second = await fleet.client(honest.addresses())
    const injected = second.injectUpgrade(await fleet.pack('', join(FIXTURES, 'direct')))
    for (let time = 0; time < 50; time++) lie()
    await injected
    await until('the victim upgrades', () => allAt(victim.status(), 'IntSet', 2, 2))
  })
})
