import assert from 'node:assert/strict'
import { join } from 'node:path'
import { run } from '../../../node/cli/program.ts'
import { createClient } from '../../../node/index.ts'
import { LiveFleet, until } from './live-fleet.ts'

describe('locks of programs on a peer’s host (SPEC S26, N19; real peers)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('S26: a lock holds the upgrade of its peer until it is released; nobody else may take one', async () => {
    const [held, free] = [await fleet.embed('held', null), await fleet.embed('free', null)]
    const client = await fleet.client()
    const object = (peer: typeof held) => peer.status().objects['IntSet']
    await client.injectUpgrade(await fleet.pack('', await fleet.variant('v1', 'v1', [])))
    await until('version 1 serves', () => [held, free].every((peer) => object(peer)?.serving === true))

    const upstart = async (data: string, ...args: string[]): Promise<[code: number, said: string]> => {
      let said = ''
      const write = (text: string) => {
        said += text
      }
      const root = join(fleet.directory, 'root.json')
      const where = ['--data', join(fleet.directory, data), '--root', root, '--peer', held.addresses()[0]!]
      const connect = (rootBytes: Uint8Array, peers: readonly string[]) => createClient({ root: rootBytes, peers })
      const code = await run([...args, ...where], { connect, release: '0', terminal: { out: write, error: write } })
      return [code, said]
    }
    const take = ['lock', 'backup', '--reason', 'the nightly backup', '--for', '2h']
    const [code, said] = await upstart('held', ...take)
    assert.equal(code, 0, said)
    assert.match(said, /^lock backup is held until /)
    const [refused, why] = await upstart('free', ...take)
    assert.equal(refused, 2, 'the key of another peer')
    assert.match(why, /belongs to peer .* give its own address/)
    await assert.rejects(client.lock('0'.repeat(64), 'mine', null), { name: 'Unsigned' })
    assert.deepEqual(
      held.status().locks.map(({ name, reason }) => [name, reason]),
      [['backup', 'the nightly backup']]
    )

    const changes: [string, string][] = [
      ['immediately }', 'lock }'],
      ['immediately()', "lock({ timeout: '1h' })"]
    ]
    await client.injectUpgrade(await fleet.pack('', await fleet.variant('v2', 'v2', changes)))
    await until(
      'the other one goes',
      () => object(free)?.version === 2,
      40_000,
      () => object(free)
    )
    assert.match(object(held)!.reason, /^is held by lock "backup" \(the nightly backup\), for another \d+m at most$/)
    assert.equal(object(held)!.version, 1)
    assert.deepEqual((await upstart('held', 'unlock', 'backup'))[0], 0)
    await until(
      'it goes, too',
      () => object(held)?.version === 2,
      40_000,
      () => object(held)
    )
    const [again, none] = await upstart('held', 'unlock', 'backup')
    assert.deepEqual([again, /no lock backup is held; held: none/.test(none)], [2, true])
  })
})
