/** SPEC K5, K6, K10, K11: what a member holds after it was away, was killed, or lost its disk. */
import assert from 'node:assert/strict'
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Register } from '../../../examples/kv/protocol/register.ts'
import { FileCells } from '../../../examples/kv/v1/file-cells.ts'
import { Fleet, type Version } from './fleet.ts'

const VALUES = 40
const EARLY = '999998999999999.000000.early'
const LATE = '999999000000000.000000.late'

/** Writes VALUES keys at both versions. */
async function fill(fleet: Fleet, tag: string): Promise<void> {
  const [a, b] = fleet.members.filter((one) => one.up)
  for (let i = 0; i < VALUES; i++) {
    if (i % 2 === 0) await a!.call(1, 'put', [`${tag}${i}`, `${i}`])
    else await b!.call(2, 'compareAndSet', ['blue', `${tag}${i}`, null, `${i}`, {}])
  }
}
async function assertFull(fleet: Fleet, reader: number, tag: string): Promise<void> {
  for (let i = 0; i < VALUES; i++) {
    const [version, args]: [Version, string[]] = i % 2 === 0 ? [1, [`${tag}${i}`]] : [2, ['blue', `${tag}${i}`]]
    const found = await fleet.member(reader).call(version, 'get', args)
    assert.equal(i % 2 === 0 ? found : found?.value, `${i}`)
  }
}

describe('examples/kv, recovery', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await Fleet.create()
    await fleet.member(0).call(2, 'get', ['blue', 'k'])
    await fleet.catchUp(2)
  })
  afterEach(() => fleet.close())

  for (const mix of ['1 1 1', '1 2 1', '2 1 2', '2 2 2']) {
    const upgrade = async () => {
      for (const [i, version] of mix.split(' ').entries()) if (version === '2') await fleet.member(i).upgrade()
    }

    it(`K10: a member that was away holds by itself what it missed (${mix})`, async () => {
      await upgrade()
      await fleet.member(2).down()
      await fill(fleet, 'k')
      await fleet.member(2).start()
      await fleet.catchUp()
      await fleet.catchUp(2)
      // Two of three suffice, and one of them was away.
      await fleet.member(0).down()
      await assertFull(fleet, 1, 'k')
    })

    for (const version of [1, 2] as const)
      it(`K6: an empty member at v${version} fills itself from members at ${mix}`, async () => {
        await upgrade()
        await fleet.member(0).down()
        await fill(fleet, 'k')
        await fleet.member(0).start()
        // Every acknowledged write lay at the members 1 and 2. Member 0 may know nothing of them yet.
        await fleet.member(1).crash({ emptyAt: version })
        await fleet.member(1).start()
        await fleet.member(1).call(1, 'catchUp')
        await fleet.member(1).call(2, 'catchUp')
        await fleet.member(2).down()
        await assertFull(fleet, 0, 'k')
      })

    it(`K3: acknowledged writes survive that all members are killed at once (${mix})`, async () => {
      await upgrade()
      await fill(fleet, 'k')
      for (const member of fleet.members) await member.crash()
      for (const member of fleet.members) await member.start()
      await assertFull(fleet, 0, 'k')
    })
  }

  it('K6: an empty member does not vote while another one cannot be asked', async () => {
    const { patienceMs } = Register
    Register.patienceMs = 100
    try {
      await fleet.member(0).call(1, 'put', ['k', 'v'])
      await fleet.member(2).down()
      await fleet.member(1).crash({ emptyAt: 1 })
      await fleet.member(1).start()
      await assert.rejects(fleet.member(1).call(1, 'catchUp'))
      await assert.rejects(fleet.member(1).call(1, 'get', ['k']), { name: 'OutcomeUnknown' })
      await fleet.member(2).start()
      await fleet.member(1).call(1, 'catchUp')
      assert.equal(await fleet.member(1).call(1, 'get', ['k']), 'v')
    } finally {
      Register.patienceMs = patienceMs
    }
  })

  it('K5: a promise holds after a restart and after the upgrade', async () => {
    const entry = { stamp: EARLY, value: 'v', calls: [] }
    const [restarted, upgraded] = fleet.members
    for (const member of [restarted!, upgraded!]) {
      assert.equal((await member.call(1, 'prepare', ['k', LATE])).yes, true)
      if (member === restarted) await member.crash().then(() => member.start())
      else await member.upgrade()
      assert.equal((await member.call(1, 'accept', ['k', EARLY, entry])).yes, false)
      assert.equal((await member.call(2, 'accept', ['default/k', EARLY, entry])).yes, false)
    }
  })

  it('K6: a member that lost its disk stands by the promises it has forgotten', async () => {
    const [lost, other] = fleet.members
    for (const member of [lost!, other!]) assert.equal((await member.call(1, 'prepare', ['k', LATE])).yes, true)
    for (const version of [1, 2] as const) {
      await lost!.crash({ emptyAt: version })
      await lost!.start()
      await lost!.call(version, 'catchUp')
      assert.equal((await lost!.call(1, 'accept', ['k', EARLY, { stamp: EARLY, value: 'v', calls: [] }])).yes, false)
    }
  })

  it('K3: a v1 member answers nothing before what it says is on its disk', async () => {
    const { durable } = FileCells.prototype
    const { promise: synced, resolve: sync } = Promise.withResolvers<void>()
    FileCells.prototype.durable = () => synced
    try {
      let answered = false
      const put = fleet
        .member(0)
        .call(1, 'put', ['k', 'v'])
        .then(() => {
          answered = true
        })
      for (let turn = 0; turn < 100; turn++) await new Promise((next) => setImmediate(next))
      assert.equal(answered, false)
      sync()
      await put
    } finally {
      FileCells.prototype.durable = durable
    }
  })

  it('K11: a torn end of the log file is cut, an acknowledged line never', async () => {
    await fleet.member(0).call(1, 'put', ['k', 'v'])
    const path = join(fleet.member(0).directory, 'kv.log')
    await fleet.member(0).down()
    const whole = await readFile(path)
    for (const torn of [Buffer.from([9]), Buffer.from([40, 0, 0, 0, 1, 2, 3, 4, 5]), Buffer.alloc(100)]) {
      await writeFile(path, whole)
      await appendFile(path, torn)
      const { cells, cutBytes } = await FileCells.open(fleet.member(0).directory)
      assert.equal(cutBytes, torn.length)
      assert.equal(cells.get('k')?.entry.value, 'v')
      await cells.close()
      assert.equal((await stat(path)).size, whole.length)
    }
    await truncate(path, whole.length - 1)
    const { cells, cutBytes } = await FileCells.open(fleet.member(0).directory)
    assert.ok(cutBytes > 0)
    await cells.close()
  })

  it('K11: damage before the end of the log file is named, and nothing is cut', async () => {
    await fleet.member(0).call(1, 'put', ['k', 'v'])
    await fleet.member(0).call(1, 'put', ['l', 'w'])
    const path = join(fleet.member(0).directory, 'kv.log')
    await fleet.member(0).down()
    const bytes = await readFile(path)
    bytes[12]! ^= 1
    await writeFile(path, bytes)
    await assert.rejects(FileCells.open(fleet.member(0).directory), /kv\.log is damaged at byte 0/)
    assert.deepEqual(await readFile(path), bytes)
    bytes[12]! ^= 1
    await writeFile(path, bytes)
  })

  it('K11: many writes share one fsync, and a log file of replaced lines is rewritten', async () => {
    const { cells } = await FileCells.open(fleet.root)
    const row = (i: number) => ({ ballot: `${i}`, entry: { stamp: `${i}`, value: `${i}`, calls: [] } })
    cells.join()
    for (let i = 0; i < 20_000; i++) cells.put(`k${i % 10}`, row(i))
    await cells.close()
    const path = join(fleet.root, 'kv.log')
    const before = (await stat(path)).size
    // One frame: a header, lines, and nothing else in between.
    assert.equal((await readFile(path)).readUInt32LE(0) + 8, before)
    const { cells: again } = await FileCells.open(fleet.root)
    assert.ok((await stat(path)).size < before / 100)
    assert.equal(again.joined, true)
    assert.deepEqual(again.get('k3'), row(19_993))
    assert.deepEqual(
      [...again.rows('', 'k7')].map(([cell]) => cell),
      ['k8', 'k9']
    )
    await again.close()
  })
})
