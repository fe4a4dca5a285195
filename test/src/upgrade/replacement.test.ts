import assert from 'node:assert/strict'
import fc from 'fast-check'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { ClassUpgrade, Entry, Manifest } from '../../../src/upgrade/manifest.ts'
import { testManifest } from './fleet.ts'

const FLEET = '0'.repeat(64)
let serial = 0

/** An entry as if verified, of one class `IntSet` unless it says otherwise. */
function entry(parent: Entry | null, change: Partial<Manifest> = {}, of: Partial<ClassUpgrade> = {}): Entry {
  serial += 1
  const version = (parent?.version ?? 0) + 1
  const base = { ...testManifest(FLEET).classes[0]!, from: version === 1 ? null : 'IntSet', ...of }
  const manifest = testManifest(FLEET, { version, parent: parent?.hash ?? FLEET, classes: [base], ...change })
  const hash = serial.toString(16).padStart(64, '0')
  return { version, hash, parent: manifest.parent, manifest, bytes: new Uint8Array() }
}

const ways = (...from: Entry[]): Partial<ClassUpgrade> => ({
  ways: from.map((one) => ({ entry: one.hash, transform: `from-${one.version}.js` }))
})
const replacing = (parent: Entry, replaced: Entry[], from: Entry[]) =>
  entry(parent, { replaces: replaced.map((one) => one.hash) }, ways(...from))

function logOf(...entries: Entry[]): UpgradeLog {
  const log = new UpgradeLog(FLEET)
  for (const one of entries) log.add(one)
  return log
}

const at = (one: Entry) => ({ version: one.version, entry: one.hash })

describe('upgrades that replace others (SPEC R)', () => {
  const first = entry(null)
  const second = entry(first)

  it('R4: nodes before the replaced version skip it, nodes at it go on, each with its way', () => {
    const third = replacing(second, [second], [first])
    const { schema } = logOf(first, second, third)
    const step = schema.stepFrom('IntSet', at(first))
    assert.equal(step?.target.version, 3)
    assert.deepEqual(step?.way, { entry: first.hash, transform: 'from-1.js' })
    assert.deepEqual(schema.stepFrom('IntSet', at(second))?.way, { transform: null })
    assert.deepEqual(schema.between('IntSet', 1, 3), [2])
  })

  it('R2: a way that is lacking is refused, by name', () => {
    const log = logOf(first, second)
    const text = new RegExp(`nodes may hold version 1 .IntSet, entry ${first.hash.slice(0, 12)}`)
    assert.throws(() => log.add(replacing(second, [second], [])), { name: 'Malformed', message: text })
    assert.equal(log.head.version, 2)
  })

  it('R2: a class that the replaced upgrade named must be upgraded, too', () => {
    const other = { from: null, to: 'Other', schedule: first.manifest.classes[0]!.schedule }
    const base = first.manifest.classes[0]!
    const log = logOf(
      first,
      entry(first, {
        classes: [
          { ...base, from: 'IntSet' },
          { ...base, ...other }
        ]
      })
    )
    const head = log.at(2)!
    assert.throws(() => log.add(replacing(head, [head], [first])), {
      message: /upgraded class Other; upgrade that class/
    })
  })

  it('R1: what is chained on a replaced entry must be named with it', () => {
    const third = entry(second)
    const log = logOf(first, second, third)
    assert.throws(() => log.add(replacing(third, [second], [first, second])), { message: /replace both/ })
    assert.equal(log.add(replacing(third, [second, third], [first, second])), 'added')
    assert.equal(log.schema.stepFrom('IntSet', at(first))?.target.version, 4)
  })

  it('R2: an upgrade that replaces one that replaced brings ways from all that nodes may hold', () => {
    const third = replacing(second, [second], [first])
    const log = logOf(first, second, third)
    assert.throws(() => log.add(replacing(third, [third], [first])), { message: /may hold version 2/ })
    log.add(replacing(third, [third], [first, second]))
    for (const one of [first, second, third]) assert.equal(log.schema.stepFrom('IntSet', at(one))?.target.version, 4)
  })

  it('R2: ways without anything replaced are refused', () => {
    assert.throws(() => logOf(first).add(entry(first, {}, ways(first))), { message: /needs no "ways"/ })
  })

  it('an entry that replaces what is not known waits for it', () => {
    const third = replacing(second, [second, entry(first)], [first])
    assert.equal(logOf(first, second).add(third), 'orphan')
  })
})

describe('the end of a fork (SPEC R3)', () => {
  const first = entry(null)
  const left = entry(first)
  const right = entry(first)
  const end = replacing(left, [left, right], [first, right])

  it('R3: an entry that replaces both branches ends the fork; nodes of either branch have a way', () => {
    const log = logOf(first, left, right)
    assert.deepEqual([log.head.version, log.fork.length], [1, 2])
    assert.equal(log.wouldLead(end), true)
    log.add(end)
    assert.deepEqual([log.head.hash, log.fork.length], [end.hash, 0])
    for (const one of [first, left, right]) assert.equal(log.schema.stepFrom('IntSet', at(one))?.target.entry, end)
    assert.equal(log.schema.stepFrom('IntSet', at(right))?.way?.transform, 'from-2.js')
    assert.equal(log.add(entry(end)), 'added')
    assert.equal(log.head.version, 4)
  })

  it('R3: it may replace versions later than its own, and the log goes on', () => {
    const deep = entry(left)
    const deeper = entry(deep)
    const last = replacing(right, [left, right, deep, deeper], [first, left, deep, deeper])
    const log = logOf(first, left, right, deep, deeper, last)
    assert.equal(log.head.hash, last.hash)
    assert.equal(log.wouldLead(entry(last)), true)
    const missing = log.missingFrom([])
    assert.deepEqual([missing.length, logOf(...missing).head.hash], [6, last.hash])
  })

  it('R3: one that replaces only its own branch does not; nor does one that no branch leads to', () => {
    const log = logOf(first, left, right, replacing(left, [left], [first]))
    assert.equal(log.head.version, 1)
  })

  it('R3: two ends are a fork again, until one replaces them, too', () => {
    const other = replacing(right, [left, right], [first, left])
    const log = logOf(first, left, right, end, other)
    assert.equal(log.head.version, 1)
    const all = [left, right, end, other]
    log.add(replacing(end, all, [first, left, right, other]))
    assert.equal(log.head.version, 4)
  })

  it('R2: a way from the other branch is needed', () => {
    const log = logOf(first, left, right)
    assert.throws(() => log.add(replacing(left, [left, right], [first])), { message: /nodes may hold version 2/ })
  })

  it('any order of arrival gives the same chain', () => {
    const entries = [first, left, right, end, entry(end)]
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, { minLength: 5 }), (order) => {
        const log = new UpgradeLog(FLEET)
        let waiting = order
        while (waiting.length > 0) waiting = waiting.filter((one) => log.add(one) === 'orphan')
        assert.equal(log.head.version, 4)
        assert.deepEqual(
          log.chain.map((one) => one.hash),
          [first, left, end, entries[4]!].map((one) => one.hash)
        )
      })
    )
  })
})
