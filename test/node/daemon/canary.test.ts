import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hash53 } from '../../../src/upgrade/seal.ts'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SETS = join(ROOT, 'test/fixtures/sets')
const PEERS = 4

/** Version 2, whose TF throws until a file is there, tried on canaries first. */
async function write(folder: string, flag: string): Promise<string> {
  await mkdir(folder)
  const transform = `import { existsSync } from 'node:fs'
import transform from '${SETS}/transform.ts'
export default (context: any) => {
  if (!existsSync('${flag}')) throw new Error('no such luck')
  transform(context)
}
`
  const upgrade = `import { canary, defineUpgrade } from '${ROOT}src/index.ts'
export default defineUpgrade({
  version: 2,
  description: 'tried on canaries first',
  classes: {
    IntSet: {
      becomes: 'ColorSet', object: './object.ts', transform: './transform.ts', past: './past.ts',
      schedule: { when: canary({ count: 2, soak: '1s' }), constraints: [] }
    }
  }
})
`
  await writeFile(join(folder, 'object.ts'), `export { default } from '${SETS}/color-set.ts'\n`)
  await writeFile(join(folder, 'past.ts'), `export { default } from '${SETS}/past-int-set.ts'\n`)
  await writeFile(join(folder, 'transform.ts'), transform)
  await writeFile(join(folder, 'upgrade.ts'), upgrade)
  return folder
}

describe('canaries (SPEC S7 to S9; real peers)', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('a version that fails stops at the canaries and says so everywhere; after a retry there it goes on', async () => {
    for (let index = 0; index < PEERS; index++) await fleet.embed(`p${index}`, null)
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
    await until('all run v1', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 1, PEERS)))
    const flag = join(fleet.directory, 'flag')
    await client.injectUpgrade(await fleet.pack('', await write(join(fleet.directory, 'v2'), flag)))
    const { hash } = fleet.peers[0]!.status().log[1]!
    const order = [...fleet.peers].sort((a, b) => hash53(`${hash}/${a.id}`) - hash53(`${hash}/${b.id}`))
    const object = (index: number) => order[index]!.status().objects['IntSet']!
    const say = () => order.map((_, index) => [object(index).version, object(index).reason])
    const wentBack = (index: number) => object(index).failed.length === 1 && object(index).phase === 'idle'
    await until('both canaries went back', () => wentBack(0) && wentBack(1), 60_000, say)
    const told = /^waits for canaries: 0 of 2 run version 2; ….{6} went back: .*no such luck/
    await until('the others say why they wait', () => [2, 3].every((at) => told.test(object(at).reason)), 30_000, say)

    await writeFile(flag, '')
    await client.injectStatement(
      fleet.statement({ what: 'retry', target: hash, peer: order[0]!.id, discardFuture: false })
    )
    await until('one canary runs v2', () => object(0).version === 2 && object(0).serving, 30_000, say)
    await until(
      'the other one still holds all up',
      () => /1 of 2 run version 2; ….{6} went back/.test(object(3).reason),
      30_000,
      say
    )
    assert.deepEqual([object(2).version, object(3).version], [1, 1])
    await client.injectStatement(fleet.statement({ what: 'retry', target: hash, peer: null, discardFuture: false }))
    await until('all run v2', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 2, PEERS)), 60_000, say)
  })
})
