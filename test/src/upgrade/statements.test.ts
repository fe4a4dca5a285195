import assert from 'node:assert/strict'
import fc from 'fast-check'
import { hash53 } from '../../../src/upgrade/seal.ts'
import type { Statement, StatementBody } from '../../../src/upgrade/statement.ts'
import { StatementSet } from '../../../src/upgrade/statements.ts'

const FLEET = '0'.repeat(64)
const hashOf = (serial: number): string => serial.toString(16).padStart(64, '0')

function statement(
  serial: number,
  body: Partial<StatementBody> & { what: string },
  change: Partial<Statement> = {}
): Statement {
  const whole = { format: 1, fleet: FLEET, sequence: serial, note: '', ...body } as StatementBody
  return { hash: hashOf(serial), keys: ['key'], expires: 1_000, bytes: new Uint8Array(), body: whole, ...change }
}

const setOf = (statements: readonly Statement[]): StatementSet => {
  const set = new StatementSet(hash53)
  for (const one of statements) set.add(one)
  return set
}

const UPGRADE = hashOf(999)

describe('statements (SPEC T)', () => {
  it('a pause stands until its expiry, or until a resume names it, in any order of arrival', () => {
    const pause = statement(1, { what: 'pause', target: UPGRADE })
    const whole = statement(2, { what: 'pause', target: null })
    const resume = statement(3, { what: 'resume', lifts: pause.hash })
    assert.deepEqual(setOf([pause]).pauses(UPGRADE, 999), [pause])
    assert.deepEqual(setOf([pause]).pauses(UPGRADE, 1_000), [])
    assert.deepEqual(setOf([pause]).pauses(hashOf(998), 0), [])
    assert.deepEqual(setOf([whole]).pauses(hashOf(998), 0), [whole])
    for (const order of [
      [pause, resume],
      [resume, pause]
    ])
      assert.deepEqual(setOf(order).pauses(UPGRADE, 0), [])
    assert.deepEqual(setOf([resume, whole, pause]).pauses(UPGRADE, 0), [whole])
  })

  it('a pause of a peer, a label or a class holds what fits all that it names, and only that', () => {
    const pause = statement(1, { what: 'pause', target: null, of: { labels: { region: 'eu' }, class: 'KV' } })
    const who = { peer: 'peer00001', labels: { region: 'eu', rack: '7' }, classes: ['KV', 'KV2'] }
    const set = setOf([pause])
    assert.deepEqual(set.pauses(UPGRADE, 0, who), [pause])
    assert.deepEqual(set.pauses(UPGRADE, 0), [pause], 'operators see it, whoever it is for')
    assert.deepEqual(set.pauses(UPGRADE, 0, { ...who, labels: { region: 'us' } }), [])
    assert.deepEqual(set.pauses(UPGRADE, 0, { ...who, classes: ['IntSet', null] }), [])
    const node = setOf([statement(2, { what: 'pause', target: UPGRADE, of: { peer: 'peer00002' } })])
    assert.deepEqual(node.pauses(UPGRADE, 0, who), [])
    assert.equal(node.pauses(UPGRADE, 0, { ...who, peer: 'peer00002' }).length, 1)
    const resume = statement(3, { what: 'resume', lifts: pause.hash })
    assert.deepEqual(setOf([resume, pause]).pauses(UPGRADE, 0, who), [])
  })

  it('T7: of two operators in two partitions the more cautious wins, and a replay changes nothing', () => {
    const [mine, theirs] = [
      statement(1, { what: 'pause', target: UPGRADE }),
      statement(2, { what: 'pause', target: null })
    ]
    const resume = statement(3, { what: 'resume', lifts: mine.hash })
    const [approve, abort] = [
      statement(4, { what: 'approve', target: UPGRADE }),
      statement(5, { what: 'abort', target: UPGRADE })
    ]
    const [here, there] = [
      [mine, resume, approve],
      [theirs, abort]
    ]
    for (const order of [
      [...here, ...there],
      [...there, ...here]
    ]) {
      const set = setOf(order)
      assert.deepEqual(
        set.pauses(UPGRADE, 0),
        [theirs],
        'a resume lifts what it names, not what another operator paused'
      )
      assert.equal(set.abort(UPGRADE), abort, 'an abort stands beside an approval')
      const { digest } = set
      for (const one of [mine, theirs, approve]) assert.equal(set.add(one), 'known')
      assert.deepEqual([set.digest, set.pauses(UPGRADE, 0)], [digest, [theirs]], 'what was lifted is not paused anew')
    }
  })

  it('two different statements with one key and sequence are equivocation, and both count', () => {
    const one = statement(1, { what: 'pause', target: UPGRADE })
    const two = statement(2, { what: 'resume', lifts: hashOf(7), sequence: 1 })
    const set = setOf([one])
    assert.equal(set.add(two), 'equivocation')
    assert.equal(set.size, 2)
    assert.deepEqual(set.pauses(UPGRADE, 0), [one])
  })

  it('two rosters of one number with other members are disputed, whatever came first', () => {
    const one = statement(1, { what: 'roster', group: 'g', number: 1, members: ['peer00001', 'peer00002'] })
    const same = statement(2, { what: 'roster', group: 'g', number: 1, members: ['peer00002', 'peer00001'] })
    const other = statement(3, { what: 'roster', group: 'g', number: 1, members: ['peer00001', 'peer00003'] })
    assert.equal(setOf([one, same]).roster('g', 1)?.disputed, false)
    assert.equal(setOf([one, other]).roster('g', 1)?.disputed, true)
    assert.equal(setOf([other, same, one]).roster('g', 1)?.disputed, true)
  })

  it('the newest roster is the last of an unbroken run', () => {
    const roster = (number: number) => statement(number, { what: 'roster', group: 'g', number, members: ['peer00001'] })
    assert.equal(setOf([roster(2), roster(3)]).newestRoster('g'), 0)
    assert.equal(setOf([roster(2), roster(3), roster(1), roster(5)]).newestRoster('g'), 3)
  })

  it('property: equal sets have equal digests, different ones do not', () => {
    const serials = fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(serials, fc.nat(), (list, at) => {
        const all = list.map((serial) => statement(serial, { what: 'pause', target: UPGRADE }))
        const reversed = setOf([...all].reverse())
        assert.equal(setOf(all).digest, reversed.digest)
        assert.notEqual(setOf(all.toSpliced(at % all.length, 1)).digest, reversed.digest)
      })
    )
  })
})

describe('statements that stop, retry and exclude (SPEC T)', () => {
  it('an abort stands for good; a retry counts for its peer, or for all', () => {
    const set = setOf([
      statement(1, { what: 'abort', target: UPGRADE }, { expires: 0 }),
      statement(2, { what: 'retry', target: UPGRADE, peer: null }),
      statement(3, { what: 'retry', target: UPGRADE, peer: 'peer00001' })
    ])
    assert.equal(set.abort(UPGRADE)?.hash, hashOf(1))
    assert.equal(set.abort(hashOf(7)), undefined)
    assert.equal(set.retries(UPGRADE, 'peer00001'), 2)
    assert.equal(set.retries(UPGRADE, 'peer00002'), 1)
    assert.equal(set.retries(hashOf(7), 'peer00001'), 0)
  })

  it('an exclusion holds up to its roster, whatever came first', () => {
    const exclude = (serial: number, roster: number) =>
      statement(serial, { what: 'exclude', group: 'g', peer: 'peer00001', roster })
    for (const order of [
      [exclude(1, 2), exclude(2, 1)],
      [exclude(2, 1), exclude(1, 2)]
    ]) {
      const set = setOf(order)
      assert.ok(set.excluded('g', 'peer00001', 1) && set.excluded('g', 'peer00001', 2))
      assert.ok(!set.excluded('g', 'peer00001', 3))
      assert.ok(!set.excluded('g', 'peer00002', 1))
    }
  })

  it('S9: a peer is excluded anywhere until a newer roster of that group names it again', () => {
    const roster = (number: number, members = ['peer00001']) =>
      statement(number, { what: 'roster', group: 'g', number, members })
    const excluded = statement(9, { what: 'exclude', group: 'g', peer: 'peer00001', roster: 1 })
    assert.ok(setOf([excluded]).excludedAnywhere('peer00001'))
    assert.ok(setOf([roster(1), excluded]).excludedAnywhere('peer00001'))
    assert.ok(!setOf([roster(1), roster(2), excluded]).excludedAnywhere('peer00001'))
    assert.ok(!setOf([roster(1), excluded]).excludedAnywhere('peer00002'))
    const without = roster(2, ['peer00002'])
    assert.ok(setOf([roster(1), without, excluded]).excludedAnywhere('peer00001'))
    assert.ok(!setOf([roster(1), without, roster(3), excluded]).excludedAnywhere('peer00001'))
  })

  it('B6: a forget is of one entry, and does not expire', () => {
    const set = setOf([statement(1, { what: 'forget', target: UPGRADE }, { expires: 0 })])
    assert.ok(set.forgotten(UPGRADE))
    assert.ok(!set.forgotten(hashOf(7)))
  })
})
