import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Status } from '../../../node/index.ts'
import { type Daemon, LiveFleet, until } from './live-fleet.ts'
import { type NamespaceClient, type Side, TwoSides } from './namespaces.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))

describe('a partition of real peers (network namespaces)', function () {
  this.timeout(240_000)
  let network: TwoSides | undefined
  let fleet: LiveFleet
  before(async function () {
    network = TwoSides.create()
    if (network === undefined) this.skip() // lacks: the right to make network namespaces
    fleet = await LiveFleet.create()
  })
  after(async () => {
    await fleet?.close()
    network?.close()
  })

  const versions = (status: Status) =>
    Object.fromEntries(status.peers.map(({ peer, objects }) => [peer, objects['IntSet']?.version]))
  const areAll = (status: Status, version: number) =>
    status.peers.length === 12 &&
    status.peers.every(({ objects }) => objects['IntSet']?.version === version && objects['IntSet'].serving)

  /** Calls at version 1 at each of these peers, over and over, until told to stop; what failed. */
  function calling(client: NamespaceClient, daemons: Daemon[]) {
    const state = { calls: 0, failures: [] as string[], stop: false }
    const lanes = daemons.map(async ({ peer }) => {
      for (let x = 0; !state.stop; x++) {
        const call = { class: 'IntSet', version: 1, to: { peer }, timeoutMs: 20_000 }
        const done = client
          .call({ ...call, method: 'insert', args: [x], id: `${peer}-${x}` })
          .then(() => client.call({ ...call, method: 'contains', args: [x] }))
        await done.then(
          (found) => found === true || state.failures.push(`${x} is lost at ${peer}`),
          (error: Error) => state.failures.push(error.message)
        )
        state.calls += 2
      }
    })
    return { state, ended: Promise.all(lanes) }
  }

  it('P1, P8, O2: twelve peers in two halves: both stay safe and go on answering, also while one only hears; healed, they end on one version, one of a group at a time', async () => {
    const [here, there] = network!.sides
    const root = join(fleet.directory, 'root.json')
    const spawn = (name: string, side: Side, group: string, bootstrap: string[]) =>
      fleet.spawn(name, group, bootstrap, {
        ...side,
        flags: ['--listen', `/ip4/${side.address}/tcp/0`, '--no-mdns']
      })
    /** Groups that are whole on one side, and groups that the wire goes through: one member here, or two. */
    const first = await spawn('first', here, 'one', [])
    const bootstrap = first.addresses.slice(0, 1)
    const start = (group: string, side: Side, count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, index) => spawn(`${group}-${side.address}-${index}`, side, group, bootstrap))
      )
    const oneHere = [first]
    const oneThere = await start('one', there, 2)
    const [twoHere, twoThere] = [await start('two', here, 2), await start('two', there, 1)]
    const [wholeHere, wholeThere] = [await start('here', here, 3), await start('there', there, 3)]
    const side = { here: [...oneHere, ...twoHere, ...wholeHere], there: [...oneThere, ...twoThere, ...wholeThere] }
    const [a, b] = [network!.client(here, root, first.addresses), network!.client(there, root, oneThere[0]!.addresses)]
    const [v1, v2] = [await fleet.pack('', join(FIXTURES, 'v1')), await fleet.pack('', join(FIXTURES, 'rolling'))]
    const all = (version: number, client: NamespaceClient) =>
      until(
        `all run version ${version}`,
        async () => areAll(await client.status(), version),
        90_000,
        async () => versions(await client.status())
      )
    await a.injectUpgrade(v1.path)
    await all(1, a)
    const groups = {
      one: [...oneHere, ...oneThere],
      two: [...twoHere, ...twoThere],
      here: wholeHere,
      there: wholeThere
    }
    for (const [group, members] of Object.entries(groups)) {
      const roster = { what: 'roster' as const, group, number: 1, members: members.map(({ peer }) => peer) }
      await a.injectStatement(fleet.statement(roster))
    }
    await until('all rosters are known on both sides', async () => (await b.status()).rosters.length === 4)

    network!.cut()
    const loads = [calling(a, side.here.slice(0, 4)), calling(b, side.there.slice(0, 4))]
    const goOn = async (what: string) => {
      const before = loads.map(({ state }) => state.calls)
      await until(what, () => loads.every(({ state }, index) => state.calls > before[index]! + 20))
    }
    await a.injectUpgrade(v2.path)
    const at = async (client: NamespaceClient, daemons: Daemon[]) => {
      const known = versions(await client.status())
      return daemons.map(({ peer }) => known[peer])
    }
    const upgraded = [...twoHere, ...wholeHere]
    await until(
      'who has a quorum upgrades',
      async () => (await at(a, upgraded)).every((one) => one === 2),
      60_000,
      () => at(a, upgraded)
    )
    const isSafe = async () => {
      // One of three has no quorum, whether it has noticed the partition or not.
      const { phase, reason, version } = (await a.status()).objects['IntSet']!
      assert.deepEqual([phase, version], ['waiting', 1])
      assert.match(reason, /1 of the 2 grants|cannot be reached|may not be down/)
      assert.deepEqual([...new Set(await at(b, side.there)), (await b.status()).head.version], [1, 1])
    }
    await isSafe()
    await goOn('calls go on on both sides')

    // The wire is whole again for one of the two directions: nobody is answered.
    network!.mute(here)
    network!.join()
    await goOn('calls go on while one side only hears')
    await isSafe()

    network!.unmute(here)
    await all(2, a)
    await all(2, b)
    for (const load of loads) load.state.stop = true
    await Promise.all(loads.map(({ ended }) => ended))
    assert.deepEqual(
      loads.flatMap(({ state }) => state.failures),
      []
    )
    for (const [group, members] of Object.entries(groups)) {
      const stops = await Promise.all(members.map((daemon) => stopOf(daemon)))
      stops.sort((one, other) => one.from - other.from)
      assert.ok(
        stops.every((one, index) => index === 0 || one.from >= stops[index - 1]!.to),
        `${group}: ${JSON.stringify(stops)}`
      )
    }

    /** When it did not serve for the upgrade, by its own word. */
    async function stopOf(daemon: Daemon): Promise<{ from: number; to: number }> {
      const of = side.here.includes(daemon) ? here : there
      const client = network!.client(of, root, daemon.addresses)
      const { unavailableAt, unavailableMs } = (await client.status()).objects['IntSet']!
      client.close()
      assert.equal(unavailableAt.length, 1)
      return { from: unavailableAt[0]!, to: unavailableAt[0]! + unavailableMs[0]! }
    }
  })
})
