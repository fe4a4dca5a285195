import assert from 'node:assert/strict'
import { createCalls } from '../../node/calls/session.ts'
import { type Client, createClient } from '../../node/client.ts'
import { serveControl } from '../../node/network/control.ts'
import { createPeerKey } from '../../node/network/key.ts'
import { createNetwork, type Network } from '../../node/network/network.ts'
import type { UpgradeFile } from '../../node/pack/file.ts'
import { CallError, Refusal } from '../../src/errors.ts'
import { testFleet } from '../src/upgrade/fleet.ts'
import { record } from './network/contract.ts'

const { rootBytes, trust } = testFleet()
const BUNDLE = 'b'.repeat(64)

/** Peers as far as a client sees them: they serve calls and control, and know each other. */
interface Served {
  network: Network
  answered: string[]
  refuse: CallError | undefined
  pieces: Map<number, Uint8Array>
}

describe('client', () => {
  let peers: Served[] = []
  let clients: Client[] = []

  const status = (self: Served) => ({
    fleet: trust.fleet,
    peer: self.network.peer,
    objects: { Kv: { className: 'Kv' } },
    peers: peers.map(({ network }, index) => ({
      peer: network.peer,
      group: index < 2 ? 'one' : 'two',
      addresses: network.addresses(),
      objects: { Kv: { version: 1, lowest: 1, highest: 2, serving: true } }
    }))
  })

  const serve = async (): Promise<Served> => {
    const key = await createPeerKey()
    const network = await createNetwork({ fleet: trust.fleet, key, listen: ['/ip4/127.0.0.1/tcp/0'] })
    const served: Served = { network, answered: [], refuse: undefined, pieces: new Map() }
    record(network)
    await createCalls({
      wires: network,
      serve: async ({ class: name, version, method, args, from }) => {
        if (served.refuse !== undefined) throw served.refuse
        served.answered.push(from)
        return [name, version, method, ...args]
      }
    })
    await serveControl(network, {
      admit: () => undefined,
      status: () => status(served),
      history: () => ({ peer: status(served).peer, items: [{ kind: 'entry' }] }),
      injectEntry: async (bytes) => {
        if (bytes[0] === 0) throw new Refusal('UnderThreshold', 'one signature of two')
        const need = [0, 1, 2, 3, 4, 5].filter((index) => !served.pieces.has(index))
        return need.length > 0 ? { need } : { accepted: 'version 2 is accepted' }
      },
      lock: async () => assert.fail('nobody locks anything here'),
      injectPiece: async (bundle, index, bytes) => {
        assert.equal(bundle, BUNDLE)
        served.pieces.set(index, bytes)
      },
      injectStatement: async (bytes) => `statement of ${bytes.byteLength} bytes`,
      injectRoot: async (bytes) => `root of ${bytes.byteLength} bytes`,
      signed: () => [],
      roots: () => [],
      fault: (error) => assert.fail(String(error))
    })
    peers.push(served)
    return served
  }

  const client = async (...of: Served[]): Promise<Client> => {
    const made = await createClient({ root: rootBytes, peers: of.flatMap(({ network }) => network.addresses()) })
    clients.push(made)
    return made
  }

  const file = (first: number): Pick<UpgradeFile, 'envelope' | 'piece'> => ({
    envelope: {
      bytes: Uint8Array.from([first, 2, 3]),
      content: { bundle: { sha256: BUNDLE } }
    } as UpgradeFile['envelope'],
    piece: async (index) => new Uint8Array(256 * 1024).fill(index)
  })

  afterEach(async () => {
    await Promise.all(clients.map((one) => one.close()))
    await Promise.all(peers.map(({ network }) => network.close()))
    peers = []
    clients = []
  })

  it('N16: it learns the other peers from one, spreads calls over them, and goes elsewhere when one is Unavailable', async () => {
    const [a, b, c] = [await serve(), await serve(), await serve()]
    const one = await client(a)
    const call = (to: 'any' | { group: string } | { peer: string } = 'any') =>
      one.call({ class: 'Kv', version: 1, method: 'get', args: ['x'], to })
    assert.deepEqual(await call({ peer: b.network.peer }), ['Kv', 1, 'get', 'x'])
    await call({ group: 'two' })
    assert.deepEqual([a.answered.length, b.answered.length, c.answered.length], [0, 1, 1])
    a.refuse = new CallError('Unavailable', 'it is upgrading', { retryAfterMs: 5_000 })
    for (let count = 0; count < 10; count++) await call()
    await b.network.close()
    for (let count = 0; count < 10; count++) await call()
    assert.equal(a.answered.length, 0)
    assert.ok(c.answered.length >= 11)
    assert.deepEqual(one.counts(), [{ class: 'Kv', version: 1, method: 'get', outcome: 'ok', count: 22 }])
    assert.deepEqual(a.network.peers(), [], 'a client is no peer')
  })

  it('N16: it starts at any of the peers that it is given', async () => {
    const [a, b] = [await serve(), await serve()]
    const one = await client(a, b)
    await a.network.close()
    assert.equal((await one.status()).peer, b.network.peer)
    assert.deepEqual(await one.call({ class: 'Kv', version: 2, method: 'get', args: [] }), ['Kv', 2, 'get'])
  })

  it('N16: it gives an upgrade to a peer, whole, with progress, and again without harm', async () => {
    const a = await serve()
    const one = await client(a)
    await assert.rejects(one.injectUpgrade(file(0)), { name: 'UnderThreshold' })
    const seen: string[] = []
    assert.equal(await one.injectUpgrade(file(1), (done, of) => seen.push(`${done}/${of}`)), 'version 2 is accepted')
    assert.deepEqual(seen, ['0/6', '1/6', '2/6', '3/6', '4/6', '5/6', '6/6'])
    assert.deepEqual([...a.pieces.keys()].sort(), [0, 1, 2, 3, 4, 5])
    assert.equal(await one.injectUpgrade(file(1)), 'version 2 is accepted')
    assert.equal(await one.injectStatement(new Uint8Array(10)), 'statement of 10 bytes')
  })

  it('N16: no peer, no address, another fleet: each is refused by its name', async () => {
    const a = await serve()
    await assert.rejects(createClient({ root: rootBytes, peers: [] }), { name: 'Usage' })
    await assert.rejects(createClient({ root: rootBytes, peers: ['/ip4/127.0.0.1/tcp/1'] }), { name: 'Usage' })
    await assert.rejects(createClient({ root: rootBytes, peers: ['localhost:1'] }), { name: 'Usage' })
    const stranger = await createClient({ root: testFleet(50).rootBytes, peers: a.network.addresses() })
    clients.push(stranger)
    await assert.rejects(stranger.status(), { name: 'WrongFleet' })
    const lost = await client(a)
    await a.network.close()
    await assert.rejects(lost.status(), { name: 'Unreachable' })
    await assert.rejects(lost.call({ class: 'Kv', version: 1, method: 'get', args: [], timeoutMs: 300 }), {
      name: 'Unavailable'
    })
  })
})
