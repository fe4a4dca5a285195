import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Status } from '../../../node/index.ts'
import { type Daemon, LiveFleet, until } from './live-fleet.ts'
import { type NamespaceClient, type Side, TwoSides } from './namespaces.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))

describe('a partition of real peers (network namespaces)', function () {
  this.timeout(150_000)
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
    status.peers.length === 4 &&
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

  it('P1, P8, O2: both sides stay safe and go on answering; healed, they end on one version, one of a group at a time', async () => {
    const [here, there] = network!.sides
    const root = join(fleet.directory, 'root.json')
    const spawn = (name: string, side: Side, group: string, bootstrap: string[]) =>
      fleet.spawn(name, group, bootstrap, {
        ...side,
        flags: ['--listen', `/ip4/${side.address}/tcp/0`, '--no-mdns']
      })
    // Of the group of three one is on the small side; a group of one is whole there.
    const cutOff = await spawn('a0', here, 'g0', [])
    const bootstrap = cutOff.addresses.slice(0, 1)
    const alone = await spawn('a1', here, 'g1', bootstrap)
    const most = await Promise.all(['b0', 'b1'].map((name) => spawn(name, there, 'g0', bootstrap)))
    const [a, b] = [network!.client(here, root, cutOff.addresses), network!.client(there, root, most[0]!.addresses)]
    const [first, second] = [
      await fleet.pack('', join(FIXTURES, 'v1')),
      await fleet.pack('', join(FIXTURES, 'rolling'))
    ]
    await a.injectUpgrade(first.path)
    await until(
      'all run version 1',
      async () => areAll(await a.status(), 1),
      60_000,
      () => a.status()
    )
    for (const [group, members] of [['g0', [cutOff, ...most]] as const, ['g1', [alone]] as const]) {
      const roster = { what: 'roster' as const, group, number: 1, members: members.map(({ peer }) => peer) }
      await a.injectStatement(fleet.statement(roster))
    }
    await until('both rosters are known on both sides', async () => (await b.status()).rosters.length === 2)

    network!.cut()
    const loads = [calling(a, [cutOff, alone]), calling(b, most)]
    await a.injectUpgrade(second.path)
    await until('a group that is whole upgrades', async () => versions(await a.status())[alone.peer] === 2, 60_000)
    // One of three has no quorum, whether it has noticed the partition or not.
    const { phase, reason } = (await a.status()).objects['IntSet']!
    assert.equal(phase, 'waiting')
    assert.match(reason, /1 of the 2 grants|cannot be reached|may not be down/)
    assert.equal(versions(await a.status())[cutOff.peer], 1)
    const other = await b.status()
    assert.deepEqual([other.head.version, other.objects['IntSet']!.version], [1, 1])
    const before = loads.map(({ state }) => state.calls)
    await until('calls go on on both sides', () => loads.every(({ state }, side) => state.calls > before[side]! + 20))

    network!.join()
    await until(
      'all run version 2',
      async () => areAll(await a.status(), 2),
      90_000,
      async () => versions(await a.status())
    )
    await until('the other side says so too', async () => areAll(await b.status(), 2))
    for (const load of loads) load.state.stop = true
    await Promise.all(loads.map(({ ended }) => ended))
    assert.deepEqual(
      loads.flatMap(({ state }) => state.failures),
      []
    )

    const third = network!.client(there, root, most[1]!.addresses)
    const stopped = await Promise.all([a, b, third].map(async (client) => (await client.status()).objects['IntSet']!))
    const times = stopped
      .map(({ unavailableAt, unavailableMs }) => ({
        from: unavailableAt[0]!,
        to: unavailableAt[0]! + unavailableMs[0]!
      }))
      .sort((one, other) => one.from - other.from)
    assert.equal(times.length, 3)
    assert.ok(
      times.every((one, at) => at === 0 || one.from >= times[at - 1]!.to),
      JSON.stringify(times)
    )
  })
})
