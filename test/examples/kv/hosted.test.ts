/** SPEC K14, K17: the packed example in real processes, over the real store. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChildHost } from '../../../node/host/child.ts'
import type { LinkPlan, ObjectProcess, Outward } from '../../../node/host/host.ts'
import { unpackBundle } from '../../../node/pack/archive.ts'
import { openUpgradeFile } from '../../../node/pack/file.ts'
import { pack } from '../../../node/pack/pack.ts'
import { CallError } from '../../../src/errors.ts'
import type { ClassUpgrade } from '../../../src/upgrade/manifest.ts'
import type { Value } from '../../../src/versions/types.ts'
import { FAR, testFleet } from '../../src/upgrade/fleet.ts'

const PEERS = ['member00', 'member01', 'member02']
const EXAMPLE = join(import.meta.dirname, '../../../examples/kv')

describe('examples/kv, packed and hosted', function () {
  this.timeout(60_000)
  let directory: string
  let host: ChildHost
  const upgrades: ClassUpgrade[] = []
  const objects = new Map<string, ObjectProcess>()
  let calls = 0

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kv-hosted-'))
    host = new ChildHost({ directory: join(directory, 'host'), sandbox: 'none' })
    const { trust, release } = testFleet()
    const parents = []
    for (const version of [1, 2]) {
      const out = join(directory, `v${version}.upgrade`)
      const signers = release.slice(0, 2)
      const source = join(EXAMPLE, `v${version}`)
      const packed = await pack({ source, fleet: trust.fleet, parents, expiresMs: FAR, out, signers })
      assert.deepEqual(packed.warnings, [])
      const file = await openUpgradeFile(out)
      await unpackBundle(file.bundle(), join(directory, `v${version}`), packed.manifest.bundle)
      parents.push(file.envelope)
      await file.close()
      upgrades.push(packed.manifest.classes[0]!)
    }
  })
  after(async () => {
    await host.close()
    await rm(directory, { recursive: true })
  })

  const module = (version: number, path: string) => join(directory, `v${version}`, path)
  const plan = (version: number, role: LinkPlan['role']): LinkPlan => {
    const [first, second] = upgrades as [ClassUpgrade, ClassUpgrade]
    const base = { version, className: version === 1 ? 'KV' : 'KV2', role, intercepts: [] }
    if (role === 'current') {
      const upgrade = version === 1 ? first : second
      return { ...base, module: module(version, upgrade.object), interface: upgrade.interface }
    }
    const simulation = role === 'past' ? second.past : second.future
    assert.ok(simulation && simulation !== 'subtype')
    return { ...base, module: module(2, simulation.module), interface: simulation.interface }
  }
  const call = async (peer: string, version: number, method: string, ...args: Value[]): Promise<any> => {
    const object = objects.get(peer)
    if (!object) throw new CallError('Unavailable', `${peer} is down`)
    return object.call({ version, method, args, callId: `call${++calls}`, held: false, timeoutMs: 10_000 })
  }
  /** A round that the object began by itself, before all members served, may still fail. */
  const joined = async (peer: string, version: number) => {
    for (let tries = 1; ; tries++) {
      try {
        return await call(peer, version, 'catchUp')
      } catch (error) {
        if (tries === 10) throw error
      }
    }
  }
  const outward = (peer: string): Outward => ({
    call: ({ version, method, args, to }) => call((to as { peer: string }).peer, version, method, ...args),
    members: () => PEERS.map((one) => ({ peer: one, self: one === peer, reachable: objects.has(one) })),
    log: () => undefined,
    faulty: (version, reason) => assert.fail(`${version}: ${reason}`)
  })
  const attempt = (peer: string, version: number) => join(directory, `${peer}-${version}`)
  const start = async (peer: string, version: number, links: LinkPlan[]) => {
    const base = { object: 'KV', peer, group: 'g', attemptDirectory: attempt(peer, version) }
    const object = await host.warm({ ...base, links }, outward(peer))
    await object.start()
    await object.health()
    object.serve()
    objects.set(peer, object)
  }

  it('a group goes from v1 to v2, one member at a time, and loses nothing', async () => {
    await Promise.all(PEERS.map((peer) => start(peer, 1, [plan(1, 'current')])))
    await Promise.all(PEERS.map((peer) => joined(peer, 1)))
    await Promise.all(Array.from({ length: 100 }, (_, i) => call(PEERS[i % 3]!, 1, 'put', `k${i}é`, `${i}`)))
    await Promise.all([...objects.values()].map((object) => object.simulate(plan(2, 'future'))))
    await Promise.all(PEERS.map((peer) => joined(peer, 2)))
    const named = await call(PEERS[0]!, 2, 'compareAndSet', 'blue', 'k', null, 'v', { ttlMs: 1_000_000 })
    for (const [i, peer] of PEERS.entries()) {
      const object = objects.get(peer)!
      objects.delete(peer)
      assert.deepEqual(await object.stop(1000), { cut: 0 })
      const paths = {
        oldDirectory: attempt(peer, 1),
        newDirectory: attempt(peer, 2),
        futures: [2],
        skipped: [],
        carried: []
      }
      const tf = {
        object: 'KV',
        peer,
        group: 'g',
        module: module(2, upgrades[1]!.transform!),
        from: 1,
        to: 2,
        ...paths
      }
      await (await host.warmTransform(tf)).run(() => undefined)
      await start(peer, 2, [plan(1, 'past'), plan(2, 'current')])
      await call(PEERS[(i + 1) % 3]!, 1, 'put', 'while', `${i}`)
      for (const reader of PEERS) {
        assert.equal((await call(reader, 2, 'get', 'default', 'while')).value, `${i}`)
        assert.deepEqual(await call(reader, 2, 'get', 'blue', 'k'), { value: 'v', version: named.version })
        const keys: string[] = await call(reader, 1, 'keys', { prefix: 'k' })
        assert.equal(keys.length, 100)
        assert.equal(await call(reader, 1, 'get', `k${i}é`), `${i}`)
      }
    }
    for (const object of objects.values()) await object.stop(1000)
  })
})
