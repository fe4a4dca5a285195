import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Client } from '../../../node/index.ts'
import { allAt, type Daemon, LiveFleet, until } from './live-fleet.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../../node/bin/upstart-peer.js', import.meta.url))

async function gone(daemon: Daemon, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(daemon.process, 'exit') as Promise<[number | null]>
  daemon.process.kill(signal)
  return (await exit)[0]
}

describe('a daemon that dies (real processes)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  let client: Client
  let daemon: Daemon

  const call = (version: number, method: string, ...args: (number | string)[]) =>
    client.call({ class: version === 1 ? 'IntSet' : 'ColorSet', version, method, args, to: { peer: daemon.peer } })
  const phase = async () => (await client.status()).objects['IntSet']?.phase

  async function restart(): Promise<void> {
    daemon = await fleet.spawn('p0', 'g0', [])
    client = await fleet.client(daemon.addresses)
  }

  beforeEach(async () => {
    fleet = await LiveFleet.create()
    await restart()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('v1 serves', async () => allAt(await client.status(), 'IntSet', 1, 1))
    for (let x = 0; x < 20; x++) await call(1, 'insert', x)
  })
  afterEach(async () => await fleet.close())

  it('D3: a second daemon on one data directory is refused, by name, and the first is not hurt', async () => {
    const args = [PROGRAM, '--data', join(fleet.directory, 'p0'), '--root', join(fleet.directory, 'root.json')]
    const second = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
    assert.equal(second.status, 1)
    assert.match(second.stderr, /^upstart-peer: Locked: .*\n$/)
    assert.equal(await call(1, 'contains', 7), true)
  })

  it('D26: SIGTERM ends it cleanly, and it serves what it had', async () => {
    assert.equal(await gone(daemon, 'SIGTERM'), 0)
    await restart()
    await until('it serves again', async () => allAt(await client.status(), 'IntSet', 1, 1))
    assert.deepEqual(
      await call(1, 'all'),
      Array.from({ length: 20 }, (_, x) => x)
    )
  })

  it('kill -9 between writes loses none that was acknowledged', async () => {
    let acknowledged = 20
    const writing = (async () => {
      for (let x = 20; x < 5_000; x++) {
        await call(1, 'insert', x)
        acknowledged = x + 1
      }
    })()
    await until('some writes are acknowledged', () => acknowledged > 60)
    await gone(daemon, 'SIGKILL')
    await assert.rejects(writing)
    await restart()
    await until('it serves again', async () => allAt(await client.status(), 'IntSet', 1, 1))
    const found = new Set((await call(1, 'all')) as number[])
    for (let x = 0; x < acknowledged; x++) assert.ok(found.has(x), `${x} was acknowledged and is lost`)
  })

  it('L3: kill -9 in the middle of the TF: the next start goes on in a fresh attempt, and what v2 callers wrote through the future SO is there', async () => {
    const paused = fleet.statement({ what: 'pause', target: null })
    await client.injectStatement(paused)
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v2')))
    await call(2, 'insertColor', 3, 'red')
    assert.equal(await call(1, 'contains', 3), true)
    const [pause] = (await client.status()).pauses
    await client.injectStatement(fleet.statement({ what: 'resume', lifts: pause!.hash }))
    await until('the TF runs', async () => (await phase()) === 'transforming')
    await gone(daemon, 'SIGKILL')
    await restart()
    await until(
      'v2 serves',
      async () => allAt(await client.status(), 'IntSet', 2, 1),
      30_000,
      () => client.status()
    )
    const elements = (await call(2, 'all')) as [number, string][]
    assert.deepEqual(
      elements,
      Array.from({ length: 20 }, (_, x) => [x, x === 3 ? 'red' : 'blue'])
    )
    assert.equal(await call(1, 'contains', 3), true)
  })

  it('L8: a future SO that was started is there again after kill -9, with its state', async () => {
    await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v2')))
    await call(2, 'insertColor', 5, 'red')
    await gone(daemon, 'SIGKILL')
    await restart()
    await until('it serves again', async () => allAtWaiting(await client.status()))
    await call(1, 'delete', 6)
    await call(1, 'insert', 6)
    assert.equal(await call(2, 'getColor', 5), 'red')
    assert.equal(await call(2, 'getColor', 6), 'blue')
  })
})

const allAtWaiting = (status: Awaited<ReturnType<Client['status']>>): boolean => {
  const object = status.objects['IntSet']
  return object?.serving === true && object.phase === 'waiting' && object.highest === 2
}
