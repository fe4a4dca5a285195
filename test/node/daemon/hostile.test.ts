import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Client, RunningPeer } from '../../../node/index.ts'
import type { UpgradeFile } from '../../../node/pack/file.ts'
import type { Message } from '../../../src/overlay/messages.ts'
import type { PeerRecord } from '../../../src/overlay/record.ts'
import { addSignature, signEntry, signStatement } from '../../../src/upgrade/entry.ts'
import { authority } from '../../../src/upgrade/seal.ts'
import { FAR } from '../../src/upgrade/fleet.ts'
import { allAt, LiveFleet, until } from './live-fleet.ts'
import { delta, type Outsider, outsider } from './outsider.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))

describe('a hostile peer costs only its own session (real libp2p)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  let client: Client
  let victim: RunningPeer
  let v1: UpgradeFile
  let v2: UpgradeFile
  const liars: Outsider[] = []

  async function liar(): Promise<Outsider> {
    const one = await outsider(fleet.keys.trust.fleet, victim)
    liars.push(one)
    return one
  }

  before(async () => {
    fleet = await LiveFleet.create()
    victim = await fleet.embed('p0')
    client = await fleet.client()
    v1 = await fleet.pack('', join(FIXTURES, 'v1'))
    v2 = await fleet.pack('', join(FIXTURES, 'v2'))
    await client.injectUpgrade(v1)
    await until('v1 serves', () => allAt(victim.status(), 'IntSet', 1, 1))
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [1] })
  })
  after(async () => {
    await Promise.all(liars.map(({ network }) => network.close()))
    await fleet.close()
  })
  afterEach(async () => {
    assert.equal(await client.call({ class: 'IntSet', version: 1, method: 'contains', args: [1] }), true)
  })

  const flipped = (bytes: Uint8Array): Uint8Array => {
    const copy = bytes.slice()
    copy[copy.length >> 1]! ^= 1
    return copy
  }
  const roster = () => ({
    format: 1 as const,
    fleet: fleet.keys.trust.fleet,
    sequence: 77,
    note: '',
    what: 'roster' as const,
    group: 'g0',
    number: 1,
    members: [victim.id]
  })
  const record = (peer: string): PeerRecord => ({
    format: 1,
    peer,
    incarnation: 1,
    counter: 1,
    head: { version: 0, hash: fleet.keys.trust.fleet },
    group: 'g0',
    labels: {},
    addresses: [],
    objects: {},
    permit: null
  })

  const LIES: [string, (one: Outsider) => Message][] = [
    ['an unsigned upgrade', () => delta({ entries: [signEntry(v2.envelope.content, FAR, [])] })],
    [
      'an upgrade signed by a stranger',
      () => delta({ entries: [signEntry(v2.envelope.content, FAR, [fleet.keys.outsider])] })
    ],
    [
      'an upgrade with one signature of two',
      () => delta({ entries: [signEntry(v2.envelope.content, FAR, fleet.keys.release.slice(0, 1))] })
    ],
    ['a bit-flipped upgrade', () => delta({ entries: [flipped(v2.envelope.bytes)] })],
    ['a truncated upgrade', () => delta({ entries: [v2.envelope.bytes.slice(0, -7)] })],
    [
      'an upgrade of another fleet',
      () =>
        delta({
          entries: [signEntry({ ...v2.envelope.content, fleet: 'f'.repeat(64) }, FAR, fleet.keys.release.slice(0, 2))]
        })
    ],
    [
      'a roster signed by a stranger',
      () => delta({ statements: [signStatement(roster(), FAR, [fleet.keys.outsider])] })
    ],
    [
      'a roster signed by a release key',
      () => delta({ statements: [signStatement(roster(), FAR, fleet.keys.release.slice(0, 1))] })
    ],
    [
      'a record in the name of another peer',
      (one) => {
        const seal = authority(fleet.keys.trust, one.key.seed)
        return delta({ records: [seal.sealRecord(record(victim.id))] })
      }
    ],
    [
      'a flipped record',
      (one) => delta({ records: [flipped(authority(fleet.keys.trust, one.key.seed).sealRecord(record(one.key.peer)))] })
    ]
  ]

  for (const [what, lie] of LIES) {
    it(`${what}: the session is closed`, async () => {
      const one = await liar()
      let message: Message
      try {
        message = lie(one)
      } catch (error) {
        // Our own signer refuses to seal what is not its own: forge it below the signer.
        assert.match(String(error), /peer|itself|own/)
        const sealed = authority(fleet.keys.trust, one.key.seed).sealRecord(record(one.key.peer))
        const text = new TextDecoder('latin1').decode(sealed).replace(one.key.peer, victim.id)
        message = delta({ records: [Uint8Array.from(text, (char) => char.charCodeAt(0))] })
      }
      one.network.send(victim.id, message)
      await until('the session ends', () => one.ended.length > 0)
      assert.equal(victim.status().head.version, 1, 'what a liar said is in the log')
      assert.equal(victim.status().rosters.length, 0)
    })
  }

  it('a wrong piece: its sender loses the session, the right one is fetched elsewhere', async () => {
    const one = await liar()
    const bytes = addSignature(
      signEntry(v2.envelope.content, FAR, fleet.keys.release.slice(0, 1)),
      fleet.keys.release[1]!
    )
    await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    one.network.send(victim.id, { kind: 'neighbour', what: 'ask', urgent: true })
    await until('it is a neighbour', () =>
      one.heard.some((message) => message.kind === 'neighbour' && message.what === 'accept')
    )
    const { sha256 } = v2.envelope.content.bundle
    one.network.send(victim.id, delta({ entries: [bytes] }))
    one.network.send(victim.id, { kind: 'have', bundle: sha256, pieces: new Uint8Array([1]) })
    await until('it is asked for the piece', () => one.heard.some((message) => message.kind === 'want'))
    one.network.send(victim.id, { kind: 'piece', bundle: sha256, index: 0, bytes: flipped(await v2.piece(0)) })
    await until('the session ends', () => one.ended.length > 0)
    assert.match(victim.status().objects['IntSet']!.reason, /fetches the bundle of version 2: 0 of 1 pieces/)
    const honest = await liar()
    honest.network.send(victim.id, { kind: 'neighbour', what: 'ask', urgent: true })
    honest.network.send(victim.id, { kind: 'have', bundle: sha256, pieces: new Uint8Array([1]) })
    await until('the honest one is asked', () => honest.heard.some((message) => message.kind === 'want'), 20_000)
    honest.network.send(victim.id, { kind: 'piece', bundle: sha256, index: 0, bytes: await v2.piece(0) })
    await until('the bundle is whole', () => /^paused/.test(victim.status().objects['IntSet']!.reason))
    assert.equal(honest.ended.length, 0)
  }).timeout(60_000)
})
