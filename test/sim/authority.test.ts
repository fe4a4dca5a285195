import assert from 'node:assert/strict'
import { hash53, hash64, World } from '../../sim/authority.ts'
import { immediateSchedule } from '../../sim/scenario.ts'
import { type PeerRecord, recordSchema } from '../../src/overlay/record.ts'
import { manifestSchema } from '../../src/upgrade/manifest.ts'
import { statementBodySchema } from '../../src/upgrade/statement.ts'

const REQUEST = { lineages: ['Thing', 'Other'], schedule: immediateSchedule, pieces: 3, future: true, past: true }
const RECORD: PeerRecord = {
  format: 1,
  peer: 'P0000001',
  incarnation: 1,
  counter: 1,
  head: { version: 0, hash: hash64('x') },
  group: null,
  labels: {},
  addresses: [],
  objects: {},
  permit: null
}

describe('sim/authority', () => {
  it('M4: entries and statements are such as the schemas of the production code take', () => {
    const world = new World(1, true)
    for (const version of [1, 2]) {
      const entry = world.makeEntry(REQUEST)
      assert.deepEqual(manifestSchema.parse(entry.manifest), entry.manifest)
      assert.equal(entry.version, version)
    }
    assert.equal(world.entries[1]!.parent, world.entries[0]!.hash)
    const body = {
      format: 1 as const,
      fleet: world.fleet,
      sequence: 1,
      note: '',
      what: 'roster' as const,
      group: 'G0',
      number: 1,
      members: ['P0000000']
    }
    assert.deepEqual(statementBodySchema.parse(world.makeStatement(body).body), body)
    assert.deepEqual(recordSchema.parse(RECORD), RECORD)
  })

  it('M4: what the signer made opens, and only as what it is; everything else is refused', () => {
    const world = new World(1, true)
    const authority = world.authorityOf(() => undefined)
    const entry = world.makeEntry(REQUEST)
    assert.equal(authority.trust.openEntry(entry.bytes), entry)
    const refused = { name: 'WrongSignature' }
    assert.throws(() => authority.trust.openStatement(entry.bytes), refused)
    assert.throws(() => authority.trust.openEntry(entry.bytes.slice()), refused)
    assert.throws(() => authority.trust.openEntry(world.forgeEntry(REQUEST).bytes), refused)
    assert.throws(() => authority.openRecord(world.forgeBytes(600)), refused)
    const other = new World(2, true).makeEntry(REQUEST)
    assert.throws(() => authority.trust.openEntry(other.bytes), refused)
  })

  it('M4: a record that is changed after it was signed is read as it was signed', () => {
    const world = new World(1, true)
    const sealed: PeerRecord[] = []
    const authority = world.authorityOf(({ record }) => sealed.push(record))
    const record = { ...RECORD }
    const bytes = authority.sealRecord(record)
    record.counter = 2
    assert.equal(authority.openRecord(bytes).record.counter, 1)
    assert.equal(sealed[0]?.counter, 1)
  })

  it('M4: hashes spread over their range', () => {
    const hashes = Array.from({ length: 1000 }, (_, index) => hash53(`name ${index}`))
    assert.equal(new Set(hashes).size, 1000)
    const mean = hashes.reduce((sum, hash) => sum + hash / 2 ** 53, 0) / 1000
    assert.ok(Math.abs(mean - 0.5) < 0.05, `mean ${mean}`)
    assert.match(hash64('x'), /^[0-9a-f]{64}$/)
  })
})
