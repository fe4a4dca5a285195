/** SPEC K14 to K17: what the versions mean to each other, on every kind of node. */
import assert from 'node:assert/strict'
import { Fleet } from './fleet.ts'

describe('examples/kv, one group in two versions', () => {
  let fleet: Fleet
  const now = Date.now
  beforeEach(async () => {
    fleet = await Fleet.create()
  })
  afterEach(async () => {
    Date.now = now
    await fleet.close()
  })

  it('K7: a write acknowledged at one member is read at every other, at both versions, before, amid and after', async () => {
    for (let upgraded = 0; upgraded <= 3; upgraded++) {
      if (upgraded > 0) await fleet.member(upgraded - 1).upgrade()
      for (const writer of fleet.members) {
        for (const version of [1, 2] as const) {
          const key = `k${upgraded}${writer.peer}${version}`
          if (version === 1) await writer.call(1, 'put', [key, key])
          else assert.equal((await writer.call(2, 'compareAndSet', ['default', key, null, key, {}])).ok, true)
          for (const reader of fleet.members) {
            assert.equal(await reader.call(1, 'get', [key]), key)
            assert.equal((await reader.call(2, 'get', ['default', key])).value, key)
          }
        }
      }
    }
    for (const pair of ['1→1', '1→2', '2→1', '2→2']) assert.ok(fleet.pairs.get(pair)! > 0, pair)
    const keys = await fleet.member(0).call(1, 'keys')
    assert.equal(keys.length, 4 * 3 * 2)
    assert.deepEqual(keys, [...keys].sort())
    assert.deepEqual(
      (await fleet.member(1).call(2, 'list', ['default'])).map((one: any) => one.key),
      keys
    )
  })

  it('K13: a put changes the version, so a compare-and-set that did not see it fails, on every kind of node', async () => {
    for (let upgraded = 0; upgraded <= 3; upgraded++) {
      if (upgraded > 0) await fleet.member(upgraded - 1).upgrade()
      for (const a of fleet.members) {
        const key = `${upgraded}${a.peer}`
        const { version } = await a.call(2, 'compareAndSet', ['default', key, null, 'one', {}])
        const b = fleet.member(fleet.members.indexOf(a) + 1)
        await b.call(1, 'put', [key, 'two'])
        const outcome = await a.call(2, 'compareAndSet', ['default', key, version, 'three', {}])
        assert.equal(outcome.ok, false)
        assert.equal(outcome.current.value, 'two')
        assert.equal(await b.call(1, 'delete', [key]), true)
        assert.equal(await b.call(1, 'delete', [key]), false)
        assert.equal(await a.call(2, 'get', ['default', key]), null)
      }
    }
  })

  it('K14, K17: other namespaces live through the upgrade and are unknown to version 1', async () => {
    const { version } = await fleet.member(0).call(2, 'compareAndSet', ['blue', 'k', null, 'v', {}])
    for (const member of fleet.members) {
      assert.deepEqual(await member.call(2, 'get', ['blue', 'k']), { value: 'v', version })
      await member.upgrade()
      for (const reader of fleet.members) {
        assert.deepEqual(await reader.call(2, 'get', ['blue', 'k']), { value: 'v', version })
        assert.deepEqual(await reader.call(2, 'list', ['blue']), [{ key: 'k', version }])
        assert.deepEqual(await reader.call(1, 'keys'), [])
      }
    }
  })

  it('K15: an entry expires at both versions at once, whatever its members run', async () => {
    for (let upgraded = 0; upgraded <= 3; upgraded++) {
      if (upgraded > 0) await fleet.member(upgraded - 1).upgrade()
      const key = `k${upgraded}`
      await fleet.member(2).call(2, 'compareAndSet', ['default', key, null, 'v', { ttlMs: 1000 }])
      for (const reader of fleet.members) {
        assert.equal(await reader.call(1, 'get', [key]), 'v')
        assert.equal((await reader.call(2, 'get', ['default', key])).value, 'v')
      }
      const at = now()
      Date.now = () => Math.max(now(), at) + 1000 * (upgraded + 1)
      assert.deepEqual(await fleet.member(upgraded).call(2, 'list', ['default']), [])
      for (const reader of fleet.members) {
        assert.equal(await reader.call(2, 'get', ['default', key]), null)
        assert.equal(await reader.call(1, 'get', [key]), null)
      }
    }
  })

  it('K15: an expired entry that nobody reads is swept, on v1 nodes as well', async () => {
    await fleet.member(0).call(2, 'compareAndSet', ['default', 'k', null, 'v', { ttlMs: 1000 }])
    Date.now = () => now() + 2000
    await fleet.catchUp(2)
    assert.equal(await fleet.member(1).call(1, 'get', ['k']), null)
  })

  it('K16: a put takes the expiry away, on every kind of node', async () => {
    await fleet.member(1).upgrade()
    for (const [i, writer] of fleet.members.entries()) {
      const key = `k${i}`
      await fleet.member(0).call(2, 'compareAndSet', ['default', key, null, 'v', { ttlMs: 1000 }])
      await writer.call(1, 'put', [key, 'w'])
    }
    Date.now = () => now() + 2000
    await fleet.catchUp(2)
    for (const [i, reader] of fleet.members.entries()) {
      assert.equal(await reader.call(1, 'get', [`k${i}`]), 'w')
      assert.equal((await reader.call(2, 'get', ['default', `k${i}`])).value, 'w')
    }
  })

  it('K9: an expiry survives that members at v1 repair the key', async () => {
    fleet.fate = (_, to, method) => (to === 'member2' && method === 'accept' ? 'request lost' : 'passes')
    await fleet.member(0).call(2, 'compareAndSet', ['default', 'k', null, 'v', { ttlMs: 1000 }])
    fleet.fate = () => 'passes'
    await fleet.member(1).down()
    assert.equal(await fleet.member(2).call(1, 'get', ['k']), 'v')
    await fleet.member(1).start()
    await fleet.member(0).down()
    Date.now = () => now() + 2000
    assert.equal(await fleet.member(2).call(2, 'get', ['default', 'k']), null)
  })

  it('K8: a retry with the same id is recognised at another member, another version, and after the upgrade', async () => {
    await fleet.member(0).call(1, 'put', ['a', 'one'], 'id-a')
    const set = await fleet.member(0).call(2, 'compareAndSet', ['default', 'b', null, 'one', {}], 'id-b')
    assert.equal(await fleet.member(0).call(1, 'delete', ['b'], 'id-c'), true)
    await fleet.member(1).call(1, 'put', ['a', 'two'])
    for (const member of fleet.members) {
      for (const when of ['before', 'after']) {
        if (when === 'after') await member.upgrade()
        await member.call(1, 'put', ['a', 'one'], 'id-a')
        assert.equal(await member.call(1, 'get', ['a']), 'two')
        assert.deepEqual(await member.call(2, 'compareAndSet', ['default', 'b', null, 'one', {}], 'id-b'), set)
        assert.equal(await member.call(1, 'delete', ['b'], 'id-c'), true)
        assert.equal(await member.call(2, 'get', ['default', 'b']), null)
      }
    }
  })
})
