import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RunningPeer } from '../../../node/index.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SETS = join(ROOT, 'test/fixtures/sets')
const PEERS = ['p0', 'p1', 'p2', 'p3', 'p4']
const KEEP = { keepMs: 1000 }

/** A version that brings no past SO: once all run it, nobody needs the bundles before it. */
async function write(folder: string, version: number): Promise<string> {
  await mkdir(folder)
  const upgrade = `import { defineUpgrade, immediately } from '${ROOT}src/index.ts'
export default defineUpgrade({
  version: ${version},
  description: 'without a past',
  classes: { IntSet: { object: './object.ts', schedule: { when: immediately(), constraints: [] } } }
})
`
  const object = `import IntSet from '${SETS}/int-set.ts'\nexport default class extends IntSet { static version = ${version} }\n`
  await writeFile(join(folder, 'object.ts'), object)
  await writeFile(join(folder, 'upgrade.ts'), upgrade)
  return folder
}

describe('keepers (SPEC B; real peers)', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('a late peer finds the bundles that the others have removed; after a forget nobody keeps them', async () => {
    for (const name of PEERS) await fleet.embed(name, null, KEEP)
    let late = await fleet.embed('late', null, KEEP)
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    const at = (peer: RunningPeer) => peer.status().objects['IntSet']
    await until('all run v1', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 1, 6)))
    await client.call({ class: 'IntSet', version: 1, method: 'insert', args: [7], to: { peer: late.id } })
    const addresses = fleet.peers[0]!.addresses()
    await late.close()
    for (const version of [2, 3]) {
      const source = await write(join(fleet.directory, `source-${version}`), version)
      await client.injectUpgrade(await fleet.pack('', source))
    }
    const others = fleet.peers.slice(0, PEERS.length)
    await until('the others run v3', () =>
      others.every((peer) => at(peer)?.version === 3 && at(peer)?.serving === true)
    )
    const [, second] = fleet.entries.map((entry) => entry.content.bundle.sha256)
    const holders = () => PEERS.filter((name) => existsSync(join(fleet.directory, name, 'bundles', `${second}.pieces`)))
    // The late one, which the others know, may be the third.
    await until('version 2 is removed where it is not kept', () => holders().length <= 3, 30_000, holders)
    assert.ok(holders().length >= 2, `${holders()}`)
    assert.ok(!existsSync(join(fleet.directory, 'late', 'bundles', `${second}.pieces`)))

    late = await fleet.embed('late', null, { ...KEEP, bootstrap: addresses })
    await until(
      'the late one runs v3',
      () => at(late)?.version === 3 && at(late)?.serving === true,
      60_000,
      () => at(late)
    )
    assert.equal(at(late)?.unavailableMs.length, 2, 'one step for each version')
    const held = await client.call({
      class: 'IntSet',
      version: 3,
      method: 'contains',
      args: [7],
      to: { peer: late.id }
    })
    assert.equal(held, true)

    const target = late.status().log[1]!.hash
    await client.injectStatement(fleet.statement({ what: 'forget', target }))
    await until('nobody keeps version 2', () => holders().length === 0, 30_000, holders)
  })
})
