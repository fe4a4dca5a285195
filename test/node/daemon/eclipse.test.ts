import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { RunningPeer } from '../../../node/index.ts'
import { DEFAULT_LIMITS } from '../../../src/overlay/events.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'
import { delta, type Outsider, outsider, recordOf } from './outsider.ts'

/** More than a peer has places for strangers. */
const HOSTILE = 2 * DEFAULT_LIMITS.degreeMax

describe('a peer among hostile neighbours (SPEC O2, O7; real libp2p)', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  let victim: RunningPeer
  let honest: RunningPeer
  const outsiders: Outsider[] = []

  beforeEach(async () => {
    fleet = await LiveFleet.create()
    // Not of one group: those are neighbours whatever others do.
    victim = await fleet.embed('p0', 'g0')
    honest = await fleet.embed('p1', 'g1')
    const client = await fleet.client()
    await fleet.rosters(client, 2)
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('version 1 serves', () => [victim, honest].every((one) => allAt(one.status(), 'IntSet', 1, 2)))
  })
  afterEach(async () => {
    await Promise.all(outsiders.splice(0).map(({ network }) => network.close()))
    await fleet.close()
  })

  async function comes(): Promise<Outsider> {
    const one = await outsider(fleet.keys.trust.fleet, victim)
    outsiders.push(one)
    return one
  }
  const ask = (one: Outsider) => {
    const record = recordOf(fleet.keys.trust, one.key)
    one.network.send(victim.id, { kind: 'neighbour', what: 'ask', urgent: true, record })
  }
  const second = async () => await fleet.client(honest.addresses())

  it('eclipse: all its neighbours are hostile and withhold; it hears of a new version all the same', async () => {
    for (let index = 0; index < HOSTILE; index++) await comes()
    await until('every neighbour is hostile', () => {
      const { neighbours } = victim.status()
      if (!neighbours.includes(honest.id)) return neighbours.length > 0
      for (const one of outsiders) ask(one)
      return false
    })
    const { head, neighbours } = victim.status()
    assert.ok(neighbours.every((peer) => outsiders.some(({ key }) => key.peer === peer)))
    const withheld = setInterval(() => {
      for (const { network } of outsiders)
        network.send(victim.id, { kind: 'summary', head, statements: '0.0', records: '', census: '' })
    }, 200)
    try {
      await (await second()).injectUpgrade(await fleet.pack('', join(FIXTURES, 'direct')))
      await until(
        'the victim upgrades',
        () => allAt(victim.status(), 'IntSet', 2, 2),
        60_000,
        () => [victim.status().neighbours.length, victim.status().objects['IntSet']]
      )
    } finally {
      clearInterval(withheld)
    }
  })

  it('slow retrieval: a neighbour announces the bundle and never sends it; it is fetched elsewhere', async () => {
    const one = await comes()
    ask(one)
    await until('it is a neighbour', () =>
      one.heard.some((message) => message.kind === 'neighbour' && message.what === 'accept')
    )
    const file = await fleet.pack('', join(FIXTURES, 'direct'))
    const { sha256 } = file.envelope.content.bundle
    one.network.send(victim.id, delta({ entries: [file.envelope.bytes] }))
    one.network.send(victim.id, { kind: 'have', bundle: sha256, pieces: new Uint8Array([1]) })
    await until('it is asked for the piece', () => one.heard.some((message) => message.kind === 'want'))
    await (await second()).injectUpgrade(file)
    await until('the victim upgrades', () => allAt(victim.status(), 'IntSet', 2, 2), 60_000)
  })
})
