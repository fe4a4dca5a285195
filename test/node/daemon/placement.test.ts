import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunningPeer, Value } from '../../../node/index.ts'
import { allAt, LiveFleet, until } from './live-fleet.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))

describe('SOs on the node of the caller (SPEC G; real peers)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  let caller: RunningPeer
  let callee: RunningPeer
  /** Files where the callee would store the pieces of a version: it never has the bundle while they are there. */
  const obstacles: string[] = []

  before(async () => {
    fleet = await LiveFleet.create()
    caller = await fleet.embed('caller', 'g0')
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    callee = await fleet.embed('callee', 'g1')
    await until('both serve v1', () => allAt(caller.status(), 'IntSet', 1, 2))
    const v2 = await fleet.pack('', join(FIXTURES, 'direct'))
    const obstacle = join(fleet.directory, 'callee', 'bundles', `${v2.envelope.content.bundle.sha256}.pieces`)
    await writeFile(obstacle, '')
    obstacles.push(obstacle)
    await client.injectUpgrade(v2)
    await until('the caller runs v2', () => caller.status().objects['IntSet']?.version === 2)
    await until('the callee knows of it', () => callee.status().head.version === 2)
  })
  after(async () => await fleet.close())

  const request = (version: number, method: string, ...args: Value[]) => ({
    class: ['IntSet', 'ColorSet', 'FlavorSet'][version - 1]!,
    version,
    method,
    args,
    to: { peer: callee.id },
    timeoutMs: 5_000
  })
  const call = (version: number, method: string, ...args: Value[]) => caller.call(request(version, method, ...args))
  const hosted = () => caller.status().guests.reduce((sum, { count }) => sum + count, 0)

  it('G1, G10: a peer at v2 calls one at v1 that cannot have v2 through future SOs of its own', async () => {
    await call(1, 'insert', 1)
    assert.deepEqual(await call(2, 'all'), [[1, 'blue']])
    await call(2, 'insertColor', 2, 'blue')
    assert.deepEqual(await call(1, 'all'), [1, 2])
    await assert.rejects(call(2, 'insertColor', 3, 'red'), { name: 'Disallowed' })
    assert.equal(callee.status().objects['IntSet']!.version, 1)
    assert.deepEqual(caller.status().guests, [
      { object: 'IntSet', class: 'ColorSet', version: 2, delegate: 1, count: 3 }
    ])
  })

  it('G2, G4: what is not stateless is Unavailable; a false claim is found out', async () => {
    const counted = hosted()
    const short = { class: 'ColorSet', version: 2, args: [1, 2], to: { peer: callee.id }, timeoutMs: 1_500 }
    await assert.rejects(caller.call({ ...short, method: 'size' }), { name: 'Unavailable' })
    await assert.rejects(caller.call({ ...short, method: 'keep' }), { name: 'Unavailable' })
    await assert.rejects(caller.call({ ...short, method: 'either', args: [8, 9] }), { name: 'NotStateless' })
    assert.deepEqual(await call(1, 'all'), [1, 2])
    assert.equal(hosted(), counted)
  })

  it('G1: SOs stack: a call at version 3 of a peer at version 1', async () => {
    const v3 = await fleet.pack('', join(FIXTURES, 'direct3'))
    const second = join(fleet.directory, 'callee', 'bundles', `${v3.envelope.content.bundle.sha256}.pieces`)
    await writeFile(second, '')
    obstacles.push(second)
    const client = await fleet.client()
    await client.injectUpgrade(v3)
    await until('the caller runs v3', () => caller.status().objects['IntSet']?.version === 3)
    assert.equal(await call(3, 'getFlavor', 1), 'plain')
    assert.equal(await call(3, 'getFlavor', 7), null)
    // `size` of the SO of version 2 is not stateless, though that of version 3 says that it is.
    await assert.rejects(caller.call({ ...request(3, 'size'), timeoutMs: 1_500 }), { name: 'Unavailable' })
    assert.equal(callee.status().objects['IntSet']!.version, 1)
    assert.deepEqual(caller.status().guests.at(-1), {
      object: 'IntSet',
      class: 'FlavorSet',
      version: 3,
      delegate: 1,
      count: 2
    })
  })

  it('G9: a client outside the fleet hosts nothing', async () => {
    const client = await fleet.client(callee.addresses())
    const request = { class: 'ColorSet', version: 2, method: 'contains', args: [1], to: { peer: callee.id } }
    await assert.rejects(client.call({ ...request, timeoutMs: 1_500 }), { name: 'Unavailable' })
  })

  /** The callee may have the bundles from now on. A restart asks for them at once; otherwise that happens ever more rarely. */
  const enable = async () => {
    if (obstacles.length === 0) return
    await callee.close()
    for (const obstacle of obstacles.splice(0)) await rm(obstacle)
    callee = await fleet.embed('callee', 'g1')
    await until('the caller reaches it', () =>
      caller.status().peers.some((one) => one.peer === callee.id && one.connected)
    )
  }

  it('G5: once the callee is able it says so, and is called directly', async () => {
    await call(1, 'insert', 4)
    assert.equal(await call(2, 'contains', 4), true)
    await enable()
    const answered = () => callee.status().answered.find(({ version }) => version === 2)?.count ?? 0
    await until('the callee answers v2 itself', async () => {
      assert.equal(await call(2, 'contains', 4), true)
      return answered() > 0
    })
    const counted = hosted()
    assert.deepEqual(await call(2, 'getColor', 4), 'blue')
    assert.ok(((await call(2, 'size')) as number) > 0)
    assert.equal(hosted(), counted)
  })

  it('G1, G2, R6: a past SO that was retired runs on the node of the caller, where the retirement leaves that to it', async () => {
    await enable()
    const object = () => callee.status().objects['IntSet']!
    const { version } = caller.status().objects['IntSet']!
    await until('the callee runs what the caller runs', () => object().version === version && object().serving)
    await call(1, 'insert', 5)
    const client = await fleet.client()
    const target = caller.status().log[0]!.hash
    await client.injectStatement(fleet.statement({ what: 'retire', target, callers: true }))
    await until('the callee has no past SO', () => object().lowest === 2)
    const counted = hosted()
    assert.equal(await call(1, 'contains', 5), true)
    await call(1, 'delete', 5)
    assert.equal(await call(2, 'contains', 5), false)
    assert.equal(hosted(), counted + 2)
    await assert.rejects(call(1, 'insert', 3), { name: 'Retired' })
    await client.injectStatement(fleet.statement({ what: 'retire', target, callers: false }))
    await until('callers hear of it', () =>
      call(1, 'all').then(
        () => false,
        (error: Error) => error.name === 'Retired'
      )
    )
  })
})

describe('SOs on the node of a caller that is behind (SPEC G; real peers)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  before(async () => {
    fleet = await LiveFleet.create()
  })
  after(async () => await fleet.close())

  it('G1: code of version 1 calls a node at version 2 whose past SO was retired; what it may not simulate is Retired', async () => {
    const ahead = await fleet.embed('ahead', 'g0')
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'asking1')))
    const behind = await fleet.embed('behind', 'g1')
    await until('both serve v1', () => allAt(ahead.status(), 'IntSet', 1, 2) && allAt(behind.status(), 'IntSet', 1, 2))
    // The other's group has no roster: it waits.
    await client.injectStatement(fleet.statement({ what: 'roster', group: 'g0', number: 1, members: [ahead.id] }))
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'asking2')))
    await until('one runs v2', () => ahead.status().objects['IntSet']!.version === 2)
    await until('the other waits with the bundle', () => behind.status().objects['IntSet']!.phase === 'waiting')
    const ask = (method: string, ...args: Value[]) =>
      behind.call({
        class: 'IntSet',
        version: 1,
        method: 'ask',
        args: [ahead.id, method, ...args],
        to: { peer: behind.id }
      })
    await ask('insert', 1)
    const target = behind.status().log[0]!.hash
    await client.injectStatement(fleet.statement({ what: 'retire', target, callers: true }))
    await until('it hosts no past SO', () => ahead.status().objects['IntSet']!.lowest === 2)
    assert.equal(await ask('contains', 1), true)
    await ask('delete', 1)
    assert.equal(await ask('contains', 1), false)
    await assert.rejects(ask('insert', 2), /Retired/)
    assert.deepEqual(behind.status().guests, [{ object: 'IntSet', class: 'IntSet', version: 1, delegate: 2, count: 3 }])
    assert.equal(behind.status().objects['IntSet']!.version, 1)
  })
})
