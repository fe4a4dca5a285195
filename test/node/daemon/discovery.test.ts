import assert from 'node:assert/strict'
import { readConfiguration } from '../../../node/daemon/configuration.ts'
import { serviceTagOf } from '../../../node/network/discovery.ts'
import { LiveFleet, until } from './live-fleet.ts'
import { TwoSides } from './namespaces.ts'

describe('discovery on the local network (SPEC N17)', () => {
  const mdnsOf = (...args: string[]) => {
    const request = readConfiguration(['--data', 'd', '--root', 'r', ...args])
    return 'configuration' in request ? request.configuration.mdns : undefined
  }

  it('N17: it can be asked for and refused; else it is for who listens to decide', () => {
    assert.deepEqual([mdnsOf('--mdns'), mdnsOf('--no-mdns'), mdnsOf()], [true, false, null])
  })

  it('N17: the name asked for is a service name of the fleet', () => {
    const [one, other] = ['ab', 'cd'].map((text) => serviceTagOf(text.repeat(32)))
    assert.notEqual(one, other)
    assert.match(one!, /^_[a-z0-9]{1,15}\._udp\.local$/)
  })

  it('N17: peers of one fleet find each other, those of another stay among themselves', async function () {
    const network = TwoSides.create()
    if (network === undefined) return this.skip() // lacks: the right to make network namespaces
    const fleets = await Promise.all([LiveFleet.create(), LiveFleet.create(100)])
    try {
      const clients = fleets.map(async (fleet) => {
        const spawned = network.sides.map((side, index) =>
          fleet.spawn(`p${index}`, 'g0', [], { ...side, flags: ['--listen', `/ip4/${side.address}/tcp/0`] })
        )
        const [first] = await Promise.all(spawned)
        const root = `${fleet.directory}/root.json`
        return { fleet, client: network.client(network.sides[0], root, first!.addresses) }
      })
      for (const { fleet, client } of await Promise.all(clients)) {
        await until('both are neighbours', async () => (await client.status()).neighbours.length === 1)
        const { peers } = await client.status()
        assert.deepEqual(peers.map(({ peer }) => peer).sort(), fleet.daemons.map(({ peer }) => peer).sort())
      }
    } finally {
      await Promise.all(fleets.map((fleet) => fleet.close()))
      network.close()
    }
  }).timeout(60_000)
})
