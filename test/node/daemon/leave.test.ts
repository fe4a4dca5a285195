import assert from 'node:assert/strict'
import { once } from 'node:events'
import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../../node/cli/program.ts'
import { createClient } from '../../../node/index.ts'
import { privateKeyFromSeed } from '../../../src/upgrade/keys.ts'
import { allAt, LiveFleet, until } from './live-fleet.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/fleet/', import.meta.url))
/** Of the operator of every test fleet. */
const OPERATOR_SEED = new Uint8Array(32).fill(5)

describe('upstart leave (real processes, SPEC O12, P11, C10)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  const upstart = async (...words: string[]): Promise<string> => {
    let said = ''
    const say = (text: string) => {
      said += text
    }
    const connect = (root: Uint8Array, peers: readonly string[]) => createClient({ root, peers })
    const code = await run(words, { connect, release: '0', terminal: { out: say, error: say } })
    assert.equal(code, 0, said)
    return said
  }

  it('takes a peer out of roster and views, ends its process with 0, keeps its data; a new start brings it back', async () => {
    const key = join(fleet.directory, 'operator.key')
    const pem = privateKeyFromSeed(OPERATOR_SEED).export({ format: 'pem', type: 'pkcs8' }) as string
    await writeFile(key, pem, { mode: 0o600 })
    const [first] = [await fleet.spawn('p0'), await fleet.spawn('p1'), await fleet.spawn('p2')]
    const leaver = fleet.daemons[2]!
    const client = await fleet.client(first.addresses)
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await fleet.rosters(client, 3)
    await until('v1 serves at all', async () => allAt(await client.status(), 'IntSet', 1, 3))
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [7], to: { peer: leaver.peer } })

    const exit = once(leaver.process, 'exit') as Promise<[number | null]>
    const root = join(fleet.directory, 'root.json')
    const said = await upstart('leave', '--root', root, '--sign', key, '--peer', leaver.addresses[0]!)
    assert.match(said, /roster 2 of g0: 2 members[\s\S]*leaves the fleet[\s\S]*its data stays/)
    assert.equal((await exit)[0], 0, leaver.stderr.join('\n'))
    const line = leaver.stderr.map((one) => JSON.parse(one)).find(({ msg }) => /has left the fleet/.test(msg))
    assert.equal(line?.data, join(fleet.directory, 'p2'))
    await access(join(line.data, 'objects', 'IntSet'))

    await until('the others have heard it', async () => {
      const { peers, neighbours, rosters } = await client.status()
      const gone = peers.find(({ peer }) => peer === leaver.peer)
      return gone?.left === true && !neighbours.includes(leaver.peer) && rosters[0]?.number === 2
    })
    // Nobody waits for it, and calls do not go there.
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'trivial')))
    await until('the two others upgrade', async () => allAt(await client.status(), 'IntSet', 2, 2))
    await client.call({ class: 'ColorSet', version: 2, method: 'contains', args: [7] })

    await fleet.spawn('p2')
    await until('it is back, with what it had', async () => allAt(await client.status(), 'IntSet', 2, 3), 60_000)
    assert.ok((await client.status()).peers.every(({ left }) => !left))
    const kept = { class: 'ColorSet', version: 2, method: 'contains', args: [7], to: { peer: leaver.peer } }
    assert.equal(await client.call(kept), true)
  })
})
