import assert from 'node:assert/strict'
import fc from 'fast-check'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { ClassUpgrade, Entry } from '../../../src/upgrade/manifest.ts'
import { testManifest } from './fleet.ts'

const FLEET = '0'.repeat(64)
let serial = 0

/** An entry as if verified: only chain and schema matter here. */
function entry(parent: Entry | null, change: Partial<ClassUpgrade> = {}): Entry {
  serial += 1
  const base = testManifest(FLEET).classes[0]!
  const version = (parent?.version ?? 0) + 1
  const classUpgrade = { ...base, from: version === 1 ? null : base.to, ...change }
  const hash = serial.toString(16).padStart(64, '0')
  const manifest = testManifest(FLEET, { version, parent: parent?.hash ?? FLEET, classes: [classUpgrade] })
  return { version, hash, parent: parent?.hash ?? FLEET, manifest, bytes: new Uint8Array() }
}

function chain(length: number): Entry[] {
  const entries: Entry[] = []
  for (let i = 0; i < length; i++) entries.push(entry(entries.at(-1) ?? null))
  return entries
}

const logOf = (entries: readonly Entry[]): UpgradeLog => {
  const log = new UpgradeLog(FLEET)
  for (const one of entries) log.add(one)
  return log
}

describe('the log (SPEC T)', () => {
  it('an entry whose parent is not known is an orphan, and is not kept', () => {
    const [, second] = chain(2)
    const log = new UpgradeLog(FLEET)
    assert.equal(log.add(second!), 'orphan')
    assert.equal(log.size, 0)
  })

  it('a version is its parent plus one', () => {
    const [first] = chain(1)
    const log = logOf([first!])
    assert.throws(() => log.add({ ...entry(first!), version: 3 }), { name: 'StaleParent' })
  })

  it('U7: an upgrade names a class that exists, and a new class has a new name', () => {
    const [first] = chain(1)
    const log = logOf([first!])
    assert.throws(() => log.add(entry(first!, { from: 'Nobody' })), { name: 'UnknownClass' })
    assert.throws(() => log.add(entry(first!, { from: null })), { name: 'UnknownClass' })
    assert.equal(log.add(entry(first!, { from: null, to: 'Other' })), 'added')
  })

  it('a class keeps its lineage through a new name', () => {
    const [first] = chain(1)
    const log = logOf([first!, entry(first!, { to: 'ColorSet' })])
    assert.equal(log.schema.find('IntSet', 1)?.object, 'IntSet')
    assert.equal(log.schema.find('ColorSet', 2)?.object, 'IntSet')
    assert.equal(log.schema.find('IntSet', 2), undefined)
  })

  it('a fork ends the chain before it, on whatever side one stood, and both branches are kept as evidence', () => {
    const entries = chain(4)
    const rival = entry(entries[1]!)
    const log = logOf(entries)
    assert.equal(log.head.version, 4)
    assert.equal(log.add(rival), 'fork')
    assert.equal(log.head.version, 2)
    assert.equal(log.at(3), undefined)
    assert.deepEqual(new Set(log.fork), new Set([entries[2], rival]))
    assert.deepEqual(
      log.tips().map((tip) => tip.version),
      [4, 3]
    )
    assert.equal(log.schemaOf(entries[3]!.hash).versions('IntSet').length, 4)
    assert.equal(log.add(entry(entries[3]!)), 'added')
    assert.equal(log.head.version, 2)
  })

  it('property: any order of arrival, repeated until all are known, gives the same log', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        (parents, order) => {
          const entries: Entry[] = []
          for (const at of parents) entries.push(entry(entries.length === 0 ? null : entries[at % entries.length]!))
          // At most four branches on one parent are kept; beyond that the log refuses.
          const branches = (one: Entry) => entries.filter((other) => other.parent === one.parent).length
          fc.pre(entries.every((one) => branches(one) <= 4))
          const waiting = [...entries]
          const log = new UpgradeLog(FLEET)
          while (waiting.length > 0) {
            const [one] = waiting.splice(order.next().value % waiting.length, 1)
            if (log.add(one!) === 'orphan') waiting.push(one!)
          }
          const straight = logOf(entries)
          assert.deepEqual(log.head, straight.head)
          assert.deepEqual(log.tips(), straight.tips())
          assert.deepEqual(new Set(log.fork.map((one) => one.hash)), new Set(straight.fork.map((one) => one.hash)))
        }
      )
    )
  })

  it('property: what is missing from a holder, parents first, makes its log the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.nat(), fc.nat(), (length, share, branch) => {
        const entries = chain(length)
        const all = [...entries, entry(entries[branch % length]!)]
        const log = logOf(all)
        const other = logOf(entries.slice(0, share % (length + 1)))
        for (const one of log.missingFrom(other.tips())) assert.notEqual(other.add(one), 'orphan')
        assert.deepEqual(other.tips(), log.tips())
      })
    )
  })

  it('past versions are served as far down as each upgrade brings a past SO', () => {
    const past = { module: 'past.js', interface: { methods: {}, calls: {} }, intercepts: [] }
    const [first] = chain(1)
    const second = entry(first!, { past: 'subtype' })
    const third = entry(second, { past: null })
    const fourth = entry(third, { past })
    const log = logOf([first!, second, third, fourth])
    assert.deepEqual(log.schema.past('IntSet', 2), [1])
    assert.deepEqual(log.schema.past('IntSet', 3), [])
    assert.deepEqual(log.schema.past('IntSet', 4), [3])
  })
})
