import assert from 'node:assert/strict'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allAt, LiveFleet, until } from './live-fleet.ts'

const CODE = fileURLToPath(new URL('../../fixtures/host/schedule.ts', import.meta.url))
const MOODS = ['go', 'wait', 'throw', 'loop', 'rubbish'] as const

describe('code as a schedule (SPEC S60 to S62; real peers)', function () {
  this.timeout(120_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('each node asks its own; what throws, hangs or says rubbish waits and is named; the objects serve meanwhile', async () => {
    for (const mood of MOODS) await fleet.embed(mood, null, { labels: { mood } })
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', await fleet.variant('v1', 'v1', [])))
    await until('all run v1', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 1, MOODS.length)))
    const source = await fleet.variant('v2', 'trivial', [
      ['immediately }', 'custom }'],
      ['immediately()', "custom('./schedule.ts')"]
    ])
    // The types that it imports are not there, and are erased.
    await copyFile(CODE, join(source, 'schedule.ts'))
    await client.injectUpgrade(await fleet.pack('', source))

    const object = (mood: (typeof MOODS)[number]) => fleet.peers[MOODS.indexOf(mood)]!.status().objects['IntSet']!
    const says = (mood: (typeof MOODS)[number], pattern: RegExp) =>
      until(
        `${mood} says so`,
        () => pattern.test(object(mood).reason),
        30_000,
        () => object(mood)
      )
    await until(
      'go went',
      () => object('go').version === 2 && object('go').serving,
      30_000,
      () => object('go')
    )
    await says('wait', /^schedule\.js says: \S+ drew 0\.\d+$/)
    await says('throw', /^schedule\.js failed: no idea; it is asked again \d+ s later$/)
    await says('rubbish', /^schedule\.js failed: its answer is neither/)
    await says('loop', /^schedule\.js is asked$/)
    const looping = fleet.peers[MOODS.indexOf('loop')]!
    const insert = { class: 'IntSet', version: 1, method: 'insert', args: [7], to: { peer: looping.id } }
    await client.call(insert)
    await says('loop', /^schedule\.js failed: no answer within 10000 ms; it is asked again 10 s later$/)
    assert.equal(await client.call({ ...insert, method: 'contains' }), true)
    for (const mood of MOODS.slice(1)) assert.deepEqual([object(mood).version, object(mood).serving], [1, true], mood)

    // An operator's word stands above it.
    const { hash } = fleet.peers[0]!.status().log[1]!
    await client.injectStatement(fleet.statement({ what: 'hasten', target: hash }))
    await until('all run v2', () => fleet.peers.every((peer) => allAt(peer.status(), 'IntSet', 2, MOODS.length)))
    assert.equal(await client.call({ ...insert, class: 'ColorSet', version: 2, method: 'getColor' }), 'blue')
  })

  it('S60: a module that exports no function, or is not there, is refused where it is packed', async () => {
    const source = await fleet.variant('v1', 'v1', [
      ['immediately }', 'custom }'],
      ['immediately()', "custom('./schedule.ts')"]
    ])
    const upgrade = join(source, 'upgrade.ts')
    await assert.rejects(fleet.pack('', source), { name: 'Malformed', message: /schedule\.ts/ })
    await writeFile(join(source, 'schedule.ts'), 'export default { go: true }\n')
    await assert.rejects(fleet.pack('', source), { name: 'Malformed', message: /must be the schedule function/ })
    await writeFile(upgrade, (await readFile(upgrade, 'utf8')).replace('./schedule.ts', './../schedule.ts'))
    await assert.rejects(fleet.pack('', source), { name: 'Malformed', message: /custom: .*beside upgrade\.ts/ })
  })
})
