import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { allAt, FIXTURES, LiveFleet, until } from './live-fleet.ts'

describe('rot in a bundle (SPEC D8, D10; real peers)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  const filesBelow = (directory: string): string[] =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((path) => statSync(path).isFile() && statSync(path).size > 0)

  const flip = (path: string) => {
    const bytes = readFileSync(path)
    bytes[Math.floor(bytes.length / 2)]! ^= 1
    writeFileSync(path, bytes)
  }
  const tear = (path: string) => truncateSync(path, Math.floor(statSync(path).size / 2))

  for (const [what, damage] of [
    ['flipped', flip],
    ['torn', tear]
  ] as const)
    it(`every file of its bundles is ${what} while it is down: it fetches them again from others, and serves what it held`, async () => {
      await fleet.embed('p0', 'g0')
      const ill = await fleet.embed('p1', 'g1')
      const client = await fleet.client()
      await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'v1')))
      await until('version 1 serves', async () => allAt(await client.status(), 'IntSet', 1, 2))
      const call = { class: 'IntSet', version: 1, to: { peer: ill.id }, timeoutMs: 30_000 }
      await client.call({ ...call, method: 'insert', args: [7] })
      const { id } = ill
      await ill.close()
      const files = filesBelow(join(fleet.directory, 'p1', 'bundles'))
      const before = new Map(files.map((path) => [path, readFileSync(path)]))
      assert.ok(files.length > 1)
      for (const path of files) damage(path)

      const well = await fleet.embed('p1', 'g1')
      assert.equal(well.id, id)
      assert.equal(await client.call({ ...call, method: 'contains', args: [7] }), true)
      await client.injectUpgrade(await fleet.pack('', join(FIXTURES, 'direct')))
      await until(
        'it goes on to version 2',
        () => allAt(well.status(), 'IntSet', 2, 2),
        30_000,
        () => well.status().objects
      )
      for (const [path, bytes] of before) assert.deepEqual(readFileSync(path), bytes, path)
    })
})
