import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPeerKey, loadPeerKey } from '../../../node/network/key.ts'
import { createMemoryNetwork, MemoryHub } from '../../../node/network/memory.ts'
import { createNetwork, type Network } from '../../../node/network/network.ts'
import { peerIdOf, privateKeyFromSeed } from '../../../src/upgrade/keys.ts'
import { FLEET, networkContract, OTHER_FLEET, type Recorded, record, until } from './contract.ts'

const LOOPBACK = ['/ip4/127.0.0.1/tcp/0']

const hub = new MemoryHub()
let names = 0
networkContract({
  name: 'memory',
  create: (fleet) => createMemoryNetwork({ hub, fleet, peer: `memory${++names}x` }),
  cut: (one, other) => hub.cut(one.peer, other.peer)
})

networkContract({
  name: 'libp2p',
  create: async (fleet) => createNetwork({ fleet, key: await createPeerKey(), listen: LOOPBACK }),
  cut: (one, other) => one.disconnect(other.peer, 'cut', true)
})

describe('network: libp2p', () => {
  const networks: Network[] = []
  afterEach(async () => {
    await Promise.all(networks.splice(0).map((network) => network.close()))
  })

  it('N1: a wildcard address is expanded to what can be dialled', async () => {
    const network = await createNetwork({ fleet: FLEET, key: await createPeerKey(), listen: ['/ip4/0.0.0.0/tcp/0'] })
    networks.push(network)
    assert.ok(network.addresses().length > 0)
    for (const address of network.addresses()) assert.doesNotMatch(address, /0\.0\.0\.0|tcp\/0\//)
  })

  it('N6: who connects and uses no protocol is shown out; members and callers stay', async () => {
    const create = async (fleet: string) => {
      const network = await createNetwork({ fleet, key: await createPeerKey(), listen: LOOPBACK, sweepMs: 400 })
      networks.push(network)
      return record(network)
    }
    const [a, member, caller, idler] = [
      await create(FLEET),
      await create(FLEET),
      await create(FLEET),
      await create(OTHER_FLEET)
    ]
    await member.network.connect(a.network.peer, a.network.addresses())
    await a.network.serve('call', (wire) => wire.listen({ data: () => undefined, closed: () => undefined }))
    await caller.network.wire(a.network.peer, a.network.addresses(), 'call')
    await assert.rejects(idler.network.connect(a.network.peer, a.network.addresses()), { name: 'WrongFleet' })
    assert.ok(a.network.reachable(idler.network.peer))
    await until('the idler is gone', () => !a.network.reachable(idler.network.peer))
    assert.ok(a.network.reachable(member.network.peer) && a.network.reachable(caller.network.peer))
    assert.deepEqual(a.disconnected, [])
  })

  it('N1: thirty peers of one host meet at once, and one publication reaches all', async function () {
    this.timeout(60_000)
    const peers: Recorded[] = []
    for (let count = 0; count < 30; count++) {
      const network = await createNetwork({ fleet: FLEET, key: await createPeerKey(), listen: LOOPBACK })
      networks.push(network)
      peers.push(record(network))
    }
    // A ring with chords: eight neighbours each, as the overlay aims at.
    await Promise.all(
      peers.map(async ({ network }, index) => {
        for (const step of [1, 3, 7, 12]) {
          const other = peers[(index + step) % peers.length]!.network
          await network.connect(other.peer, other.addresses())
        }
      })
    )
    await until('all have met', () => peers.every(({ connected }) => connected.length === 8), 30_000)
    peers[7]!.network.publish('entry', Buffer.from('to all'))
    await until('all have it', () => peers.every((peer, index) => index === 7 || peer.published.length === 1), 30_000)
  })
})

describe('network: peer key', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-key-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('N1: it is created once, readable by its owner only, and stays the same', async () => {
    const path = join(directory, 'peer.key')
    const [one, other] = await Promise.all([loadPeerKey(path), loadPeerKey(join(directory, 'other.key'))])
    assert.notEqual(one.peer, other.peer)
    await chmod(path, 0o644)
    assert.equal((await loadPeerKey(path)).peer, one.peer)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  it('N1: a damaged key is named, never replaced', async () => {
    const path = join(directory, 'peer.key')
    await writeFile(path, 'not a key')
    await assert.rejects(loadPeerKey(path), { name: 'DamagedStore' })
  })

  it('N1: a peer id is the key that records are signed with', async () => {
    const key = await createPeerKey()
    assert.equal(key.peer, peerIdOf(privateKeyFromSeed(key.seed)))
    assert.equal((await createPeerKey(key.seed)).peer, key.peer)
  })
})
