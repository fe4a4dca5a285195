import assert from 'node:assert/strict'
import { encode } from '../../../node/network/cbor.ts'
import { type ControlHandlers, type ControlLimits, openControl, serveControl } from '../../../node/network/control.ts'
import { frame, frameOf } from '../../../node/network/frames.ts'
import { createPeerKey } from '../../../node/network/key.ts'
import { createMemoryNetwork, MemoryHub } from '../../../node/network/memory.ts'
import type { Wires } from '../../../node/network/network.ts'
import { createNetwork, type Network } from '../../../node/network/network.ts'
import type { Wire, WireHandlers } from '../../../node/network/wire.ts'
import { Refusal } from '../../../src/errors.ts'
import { FLEET, record, until } from './contract.ts'

const BUNDLE = 'b'.repeat(64)
const hub = new MemoryHub()
let names = 0
const forms: [string, () => Promise<Network>][] = [
  ['memory', () => createMemoryNetwork({ hub, fleet: FLEET, peer: `control${++names}x` })],
  ['libp2p', async () => createNetwork({ fleet: FLEET, key: await createPeerKey(), listen: ['/ip4/127.0.0.1/tcp/0'] })]
]

for (const [name, create] of forms) {
  describe(`network: control over ${name}`, () => {
    let networks: Network[] = []
    let pieces: Map<number, Uint8Array>
    let faults: unknown[]

    const handlers: ControlHandlers = {
      admit: () => undefined,
      status: () => ({ fleet: FLEET, peers: [{ peer: 'x', since: 1.5 }] }),
      history: () => ({ peer: 'x', items: [] }),
      injectEntry: async (bytes) => {
        if (bytes.byteLength < 3) throw new Refusal('Unsigned', 'no signature')
        const need = [0, 1, 2].filter((index) => !pieces.has(index))
        return need.length > 0 ? { need } : { accepted: 'version 2' }
      },
      lock: async (token, name, change) => `${token.slice(0, 2)} ${name} ${change?.forMs}`,
      injectPiece: async (bundle, index, bytes) => {
        if (bundle !== BUNDLE) throw new Refusal('WrongBundle', 'no entry names that bundle')
        pieces.set(index, bytes)
      },
      injectStatement: async () => {
        throw new TypeError('a fault of the daemon')
      },
      injectRoot: async (bytes) => `root of ${bytes.byteLength} bytes`,
      signed: (from) =>
        Array.from({ length: 3000 - from }, (_, n) => ({
          what: 'pause',
          hash: `${from + n}`.padStart(64, '0'),
          keys: []
        })),
      roots: (after) => (after === 1 ? [new Uint8Array(7)] : []),
      fault: (error) => void faults.push(error)
    }
    const make = async (limits?: ControlLimits): Promise<[server: Network, client: Network]> => {
      const pair = [await create(), await create()] as [Network, Network]
      networks.push(...pair)
      for (const network of pair) record(network)
      await serveControl(pair[0], handlers, limits)
      return pair
    }

    beforeEach(() => {
      pieces = new Map()
      faults = []
    })
    afterEach(async () => {
      await Promise.all(networks.map((network) => network.close()))
      networks = []
    })

    it('N15: an operator asks, gives pieces, several at once, and is refused by name', async () => {
      const [server, client] = await make()
      const control = await openControl(client, server.peer, server.addresses())
      assert.deepEqual(await control.status(), { fleet: FLEET, peers: [{ peer: 'x', since: 1.5 }] })
      assert.deepEqual(await control.history(), { peer: 'x', items: [] })
      await assert.rejects(control.injectEntry(new Uint8Array(2)), { name: 'Unsigned', message: 'no signature' })
      assert.deepEqual(await control.injectEntry(new Uint8Array(5)), { need: [0, 1, 2] })
      const large = new Uint8Array(4 * 1024 * 1024).fill(9)
      await Promise.all([0, 1, 2].map((index) => control.injectPiece(BUNDLE, index, large)))
      assert.ok([...pieces.values()].every((piece) => Buffer.from(large).equals(piece)))
      assert.deepEqual(await control.injectEntry(new Uint8Array(5)), { accepted: 'version 2' })
      await assert.rejects(control.injectPiece('c'.repeat(64), 0, large), { name: 'WrongBundle' })
      assert.equal(await control.injectRoot(new Uint8Array(9)), 'root of 9 bytes')
      const told = [...(await control.roots(1)), ...(await control.roots(2))]
      assert.deepEqual(
        told.map((root) => root.byteLength),
        [7]
      )
      const signed = await control.signed()
      assert.deepEqual([signed.length, signed[2999]!.hash], [3000, '2999'.padStart(64, '0')])
      assert.deepEqual(faults, [])
      await control.close()
    })

    it('N15: what is oversize or no request is refused before a handler sees it', async () => {
      const [server, client] = await make()
      const control = await openControl(client, server.peer, server.addresses())
      await assert.rejects(control.injectEntry(new Uint8Array(1024 * 1024)), { name: 'Malformed' })
      await assert.rejects(control.injectStatement(new Uint8Array(100_000)), { name: 'Malformed' })
      await assert.rejects(control.injectPiece(BUNDLE, 100_000, new Uint8Array(1)), { name: 'Malformed' })
      await assert.rejects(control.injectPiece(BUNDLE, 0, new Uint8Array(5 * 1024 * 1024)), { name: 'Oversize' })
      assert.equal(pieces.size, 0)
      assert.ok(control.open, 'the operator may go on')
      for (const bytes of [Uint8Array.from([0xff, 0xff, 0xff, 0xff]), frame(encode({ op: 'format-disk' }), 100)]) {
        const wire = await client.wire(server.peer, server.addresses(), 'control')
        const seen: string[] = []
        wire.listen({ data: () => void seen.push('refused'), closed: () => void seen.push('closed') })
        wire.send(bytes)
        await until('an answer or the end', () => seen.length > 0)
      }
      assert.deepEqual((await control.status()) !== undefined, true)
    })

    it('N19: a lock is asked for in bounded words', async () => {
      const [server, client] = await make()
      const control = await openControl(client, server.peer, server.addresses())
      const token = 'ab'.repeat(32)
      assert.equal(await control.lock(token, 'backup', { reason: 'nightly', forMs: 5 }), 'ab backup 5')
      assert.equal(await control.lock(token, 'backup', null), 'ab backup undefined')
      for (const wrong of [
        { reason: 'x'.repeat(201), forMs: 5 },
        { reason: '', forMs: 0 },
        { reason: '', forMs: 1e12 }
      ])
        await assert.rejects(control.lock(token, 'backup', wrong), { name: 'Malformed' })
      await assert.rejects(control.lock('short', 'backup', null), { name: 'Malformed' })
      await assert.rejects(control.lock(token, 'x'.repeat(65), null), { name: 'Malformed' })
    })

    it('N15: a fault of the daemon ends the wire, is told to the daemon, and takes nothing else with it', async () => {
      const [server, client] = await make()
      const control = await openControl(client, server.peer, server.addresses())
      await assert.rejects(control.injectStatement(new Uint8Array(5)), { name: 'Unreachable' })
      assert.equal(faults.length, 1)
      await assert.rejects(control.status(), { name: 'Unreachable' })
      const again = await openControl(client, server.peer, server.addresses())
      await again.status()
    })

    it('N15: who sends slowly, or nothing, loses its place; places are few', async () => {
      const [server, client] = await make({ wires: 2, requestMs: 100 })
      const ended: number[] = []
      for (const turn of [0, 1]) {
        const wire = await client.wire(server.peer, server.addresses(), 'control')
        wire.listen({ data: () => undefined, closed: () => void ended.push(turn) })
        if (turn === 1) wire.send(frameOf({ op: 'status' }, 100).subarray(0, 6))
      }
      await until('both are ended', () => ended.length === 2)
      const control = await openControl(client, server.peer, server.addresses())
      await control.status()
      const [second, third] = [0, 0].map(() => openControl(client, server.peer, server.addresses()))
      const outcomes = await Promise.allSettled([second, third].map(async (one) => (await one)!.status()))
      assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one place was left')
    })

    it('N15: a peer that does not answer, or is gone, is Unreachable', async () => {
      const [server, client] = await make()
      const silent = await create()
      networks.push(silent)
      record(silent)
      await silent.serve('control', (wire) => wire.listen({ data: () => undefined, closed: () => undefined }))
      const control = await openControl(client, silent.peer, silent.addresses(), 50)
      await assert.rejects(control.status(), { name: 'Unreachable' })
      await assert.rejects(openControl(client, server.peer, []), { name: 'Unreachable' })
    })
  })
}

/** A wire whose other end asks once and never reads. */
class DeafWire implements Wire {
  readonly peer = 'deaf'
  open = true
  reason: string | undefined
  #handlers: WireHandlers | undefined
  listen(handlers: WireHandlers) {
    this.#handlers = handlers
    handlers.data(frameOf({ op: 'status' }, 100))
  }
  send() {
    return false
  }
  pause() {}
  resume() {}
  async close() {}
  abort(reason: string) {
    if (!this.open) return
    this.open = false
    this.reason = reason
    this.#handlers?.closed(reason)
  }
}

describe('network: control', () => {
  it('N15: who does not read its answers loses its place', async () => {
    let accept: (wire: Wire) => void = () => undefined
    const wires = {
      serve: async (_name: string, accepted: (wire: Wire) => void) => {
        accept = accepted
      }
    } as Partial<Wires> as Wires
    const handlers = { admit: () => undefined, status: () => 'well' } as Partial<ControlHandlers> as ControlHandlers
    await serveControl(wires, handlers, { wires: 1, requestMs: 20 })
    const deaf = new DeafWire()
    accept(deaf)
    await until('it is ended', () => !deaf.open)
    assert.match(deaf.reason!, /no request within/)
    await new Promise((resolve) => setImmediate(resolve))
    const next = new DeafWire()
    accept(next)
    assert.equal(next.open, true, 'the place is free')
    await until('so is this one', () => !next.open)
  })
})
