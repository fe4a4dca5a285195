import assert from 'node:assert/strict'
import { hash53 } from '../../../sim/authority.ts'
import { Panels } from '../../../src/overlay/panels.ts'
import { type ObjectRecord, type PeerRecord, signedRecord } from '../../../src/overlay/record.ts'
import { View } from '../../../src/overlay/view.ts'
import { Generator } from '../../../src/prng.ts'
import { after, all, canary, domains, immediately, waves } from '../../../src/schedule/combinators.ts'
import { type Condition, type Filter, MILLION } from '../../../src/schedule/schedule.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { Entry } from '../../../src/upgrade/manifest.ts'
import type { Statement, StatementBody } from '../../../src/upgrade/statement.ts'
import { StatementSet } from '../../../src/upgrade/statements.ts'
import { testManifest } from '../upgrade/fleet.ts'

const FLEET = '0'.repeat(64)
const hashOf = (serial: number): string => serial.toString(16).padStart(64, '0')
const nameOf = (index: number): string => `peer${String(index).padStart(5, '0')}`
const LOWEST: Filter = { by: 'place', from: 0, to: MILLION }
const CANARY = canary({ count: 3, soak: '1h' })

const serving: ObjectRecord = {
  version: 1,
  entry: hashOf(1).slice(0, 16),
  lowest: 1,
  highest: 1,
  phase: 'waiting',
  target: 2,
  serving: true,
  reason: '',
  failed: []
}

class Sample {
  readonly log = new UpgradeLog(FLEET)
  readonly statements = new StatementSet(hash53)
  readonly entries: Entry[] = []
  readonly panels: Panels
  readonly view: View
  isCutOff = false

  constructor(size: number, room: number, conditions: Condition[], group: string | null = null) {
    const view = (): View => this.view
    this.panels = new Panels({
      self: nameOf(0),
      group,
      log: this.log,
      statements: this.statements,
      limits: { view: 2 * room, degreeMax: 0 },
      hash53,
      get view() {
        return view()
      },
      isNeighbour: () => true,
      isCutOff: () => this.isCutOff
    })
    const limits = { view: size, strangers: size }
    const around = { isKept: () => false, pins: [this.panels], lost: () => undefined }
    this.view = new View({ group: null, self: nameOf(0), limits, hash53, ...around })
    for (const when of conditions) this.release(when)
  }

  release(when: Condition): void {
    const version = this.entries.length + 1
    const parent = this.entries.at(-1)?.hash ?? FLEET
    const base = testManifest(FLEET).classes[0]!
    const classes = [{ ...base, from: version === 1 ? null : base.to, schedule: { when, constraints: [] } }]
    const manifest = testManifest(FLEET, { version, parent, classes })
    const entry = { version, hash: hashOf(version), parent, manifest, bytes: new Uint8Array() }
    this.log.add(entry)
    this.entries.push(entry)
  }

  hear(index: number, object: Partial<ObjectRecord> = {}, counter = 1, beside: Partial<PeerRecord> = {}): void {
    const objects = { IntSet: { ...serving, ...object } }
    const head = { version: 1, hash: hashOf(1) }
    const said = { incarnation: 1, counter, head, group: null, labels: {}, objects, ...beside }
    const record = { peer: nameOf(index), ...said } as unknown as PeerRecord
    this.view.put(signedRecord(record, new Uint8Array(), hash53), 0)
  }

  exclude(index: number): void {
    this.#state({ what: 'exclude', group: 'g', peer: nameOf(index), roster: 1 })
  }

  leave(index: number): void {
    this.#state({ what: 'leave', peer: nameOf(index) })
  }

  #state(said: object): void {
    const body = { format: 1, fleet: FLEET, sequence: 1, note: '', ...said } as StatementBody
    this.statements.add({ hash: hashOf(99), keys: ['key'], expires: 0, bytes: new Uint8Array(), body } as Statement)
  }

  lowest(now = 0): string[] {
    return this.panels
      .others(this.entries.at(-1)!, 'IntSet', now)
      .panel(LOWEST)
      .judged.map((one) => one.peer)
  }
}

const lowestOf = (entry: number, count: number, among: number): string[] =>
  Array.from({ length: among }, (_, index) => nameOf(index))
    .sort((a, b) => hash53(`${hashOf(entry)}/${a}`) - hash53(`${hashOf(entry)}/${b}`))
    .slice(0, count)

describe('canaries that are known (SPEC O9, S9)', () => {
  it('O9: of a thousand peers heard of in any order, the view of 32 keeps the lowest ten', () => {
    for (const seed of [1, 2, 3]) {
      const sample = new Sample(32, 10, [immediately(), CANARY])
      for (const index of new Generator(seed).shuffle([...Array(1000).keys()])) sample.hear(index)
      assert.equal(sample.view.size, 32)
      assert.deepEqual(sample.lowest(), lowestOf(2, 10, 1000))
    }
  })

  it('O9: an upgrade that comes later finds them in the view, and the room is shared', () => {
    const sample = new Sample(64, 10, [immediately(), CANARY])
    for (let index = 0; index < 40; index++) sample.hear(index)
    sample.release(CANARY)
    assert.deepEqual(sample.lowest(), lowestOf(3, 5, 40))
    const older = sample.panels.others(sample.entries[1]!, 'IntSet', 0).panel(LOWEST)
    assert.deepEqual(
      older.judged.map((one) => one.peer),
      lowestOf(2, 5, 40)
    )
  })

  it('O9: of an upgrade that newer ones crowd out, those in the view count, and settle', () => {
    const sample = new Sample(64, 10, [CANARY, CANARY, CANARY, CANARY, CANARY, CANARY])
    for (let index = 0; index < 40; index++) sample.hear(index)
    const facts = (now: number) => sample.panels.others(sample.entries[0]!, 'IntSet', now).panel(LOWEST)
    assert.deepEqual(
      facts(1000).judged.map((one) => one.peer),
      lowestOf(1, 40, 40)
    )
    assert.equal(facts(9000).settledMs, 8000)
  })

  it('O9: they are offered to whoever lacks them, however little room it has', () => {
    const sample = new Sample(64, 10, [immediately(), CANARY])
    for (let index = 0; index < 60; index++) sample.hear(index)
    const offered = sample.view.newerThan([], 8, new Generator(1)).map((one) => one.record.peer)
    assert.deepEqual(offered.sort(), lowestOf(2, 10, 60).sort())
  })

  it('O9: what one of them shows is news once; what it says of itself beside that is none, nor what others show', () => {
    const sample = new Sample(64, 3, [immediately(), CANARY])
    for (let index = 0; index < 60; index++) sample.hear(index)
    const low = Number(sample.lowest()[0]!.slice(4))
    const high = [...Array(60).keys()].find((index) => !sample.lowest().includes(nameOf(index)))!
    assert.ok(sample.panels.takeNews())
    sample.hear(low, { phase: 'warming' }, 2)
    sample.hear(high, { version: 2, entry: hashOf(2).slice(0, 16) }, 2)
    assert.ok(!sample.panels.takeNews())
    sample.hear(low, { version: 2, entry: hashOf(2).slice(0, 16), target: 0, phase: 'idle' }, 3)
    assert.ok(sample.panels.takeNews() && !sample.panels.takeNews())
    sample.hear(high, {}, 3, { left: true })
    assert.ok(!sample.panels.takeNews())
    sample.hear(low, {}, 4, { left: true })
    assert.ok(sample.panels.takeNews(), 'others wait for one that left until they hear of it')
  })

  it('S8: what a record shows', () => {
    const sample = new Sample(64, 3, [immediately(), CANARY])
    const two = { version: 2, entry: hashOf(2).slice(0, 16), target: 0, phase: 'idle' as const }
    const failed = [{ version: 2, reason: 'no such luck' }]
    const shown = (object: Partial<ObjectRecord>, counter: number) => {
      sample.hear(7, object, counter)
      return sample.panels.others(sample.entries[1]!, 'IntSet', 0).panel(LOWEST).judged[0]!.state
    }
    const cases: [Partial<ObjectRecord>, string][] = [
      [{}, 'behind'],
      [{ failed }, 'failed'],
      [{ failed: [{ version: 3, reason: '' }] }, 'behind'],
      [two, 'runs'],
      [{ ...two, failed }, 'runs'],
      [{ ...two, serving: false }, 'behind'],
      [{ ...two, serving: false, reason: 'it was killed' }, 'sick'],
      [{ ...two, serving: false, phase: 'transforming', target: 3 }, 'runs'],
      [{ ...two, version: 3, entry: hashOf(3).slice(0, 16) }, 'runs'],
      // The same number on another branch is another upgrade.
      [{ ...two, entry: 'f'.repeat(16) }, 'behind']
    ]
    cases.forEach(([object, state], index) => {
      assert.equal(shown(object, index + 1), state, JSON.stringify(object))
    })
  })

  it('S9: who is excluded is none, and the next one takes its place', () => {
    const sample = new Sample(64, 3, [immediately(), CANARY])
    for (let index = 0; index < 60; index++) sample.hear(index)
    const four = lowestOf(2, 4, 60)
    assert.deepEqual(sample.lowest(), four.slice(0, 3))
    sample.exclude(Number(four[0]!.slice(4)))
    assert.deepEqual(sample.lowest(), four.slice(1))
  })

  it('S9, O12: who is ordered to leave is none, farewell or not, until its record says that it obeyed and is back', () => {
    const sample = new Sample(64, 3, [immediately(), CANARY])
    for (let index = 0; index < 60; index++) sample.hear(index)
    const four = lowestOf(2, 4, 60)
    const first = Number(four[0]!.slice(4))
    sample.leave(first)
    assert.deepEqual(sample.lowest(), four.slice(1))
    sample.hear(first, {}, 1, { incarnation: 2 })
    assert.deepEqual(sample.lowest(), four.slice(1))
    sample.hear(first, {}, 1, { incarnation: 3, obeyed: 1 })
    assert.deepEqual(sample.lowest(), four.slice(0, 3))
  })

  it('S7: who they are counts as settled from when that last changed, and never while cut off', () => {
    const sample = new Sample(64, 3, [immediately(), CANARY])
    const settled = (now: number) => sample.panels.others(sample.entries[1]!, 'IntSet', now).panel(LOWEST).settledMs
    const [low, middle, high] = lowestOf(2, 60, 60).map((peer) => Number(peer.slice(4)))
    sample.hear(middle!)
    sample.hear(high!)
    assert.deepEqual([settled(1000), settled(9000)], [0, 8000])
    sample.hear(low!)
    assert.deepEqual([settled(10_000), settled(12_000)], [0, 2000])
    sample.hear(low!, { phase: 'warming' }, 2)
    assert.equal(settled(20_000), 10_000)
    sample.isCutOff = true
    assert.equal(settled(21_000), undefined)
    sample.isCutOff = false
    assert.equal(settled(22_000), 0)
  })
})

describe('panels of waves, domains and classes (SPEC O9)', () => {
  const names = (judged: readonly { peer: string }[]) => judged.map((one) => one.peer)
  const placed = (index: number) => hash53(`${hashOf(2)}/${nameOf(index)}`) / 2 ** 53
  const zoneOf = (index: number) => ['a', 'b', 'c', 'd'][index % 4]!

  it('O9: of a thousand peers in any order, a view of 32 keeps the lowest of each wave that others wait for', () => {
    const ends = [0.2, 0.6, 1]
    for (const seed of [1, 2, 3]) {
      const sample = new Sample(32, 10, [immediately(), waves(ends, { every: 0 })])
      for (const index of new Generator(seed).shuffle([...Array(1000).keys()])) sample.hear(index)
      const others = sample.panels.others(sample.entries[1]!, 'IntSet', 0)
      const all = lowestOf(2, 1000, 1000)
      assert.deepEqual(names(others.panel(LOWEST).judged), all.slice(0, 5))
      const second = all.filter((peer) => placed(Number(peer.slice(4))) >= 0.2)
      const filter: Filter = { by: 'place', from: 200_000, to: 600_000 }
      assert.deepEqual(names(others.panel(filter).judged), second.slice(0, 5))
      // Nobody waits for the last wave: the rest of the view is a sample of all.
      assert.equal(sample.view.size, 32)
    }
  })

  it('O9: by label the lowest of each value are kept, and everybody in the view is judged; a changed label counts', () => {
    const sample = new Sample(32, 8, [immediately(), domains({ by: 'zone', order: ['a', ['b', 'c']] })])
    for (const index of new Generator(5).shuffle([...Array(1000).keys()]))
      sample.hear(index, {}, 1, { labels: { zone: zoneOf(index) } })
    const others = sample.panels.others(sample.entries[1]!, 'IntSet', 0)
    const all = lowestOf(2, 1000, 1000)
    for (const values of [['a'], ['b', 'c']]) {
      const fitting = all.filter((peer) => values.includes(zoneOf(Number(peer.slice(4)))))
      const judged = names(others.panel({ by: 'label', label: 'zone', values }).judged)
      assert.deepEqual(judged.slice(0, 4), fitting.slice(0, 4))
      const known = [...sample.view.all()].filter(({ record }) => values.includes(record.labels['zone']!))
      assert.equal(judged.length, known.length)
    }
    const [first, second] = all.filter((peer) => zoneOf(Number(peer.slice(4))) === 'a')
    sample.hear(Number(first!.slice(4)), {}, 2, { labels: { zone: 'z' } })
    const judged = names(others.panel({ by: 'label', label: 'zone', values: ['a'] }).judged)
    assert.equal(judged[0], second)
  })

  it('O9: who hosts a class is held against the version of that class; who does not is none', () => {
    const sample = new Sample(64, 10, [immediately()])
    const base = testManifest(FLEET).classes[0]!
    const schedule = { when: after({ class: 'IntSet', version: 2 }), constraints: [] }
    const classes = [
      { ...base, from: 'IntSet', to: 'ColorSet' },
      { ...base, from: null, to: 'Client', schedule }
    ]
    const manifest = testManifest(FLEET, { version: 2, parent: hashOf(1), classes })
    const entry = { version: 2, hash: hashOf(2), parent: hashOf(1), manifest, bytes: new Uint8Array() }
    sample.log.add(entry)
    const two = { ...serving, version: 2, entry: hashOf(2).slice(0, 16), phase: 'idle' as const, target: 0 }
    for (let index = 0; index < 30; index++) {
      const objects: PeerRecord['objects'] =
        index % 3 === 0 ? { Client: serving } : { IntSet: index % 3 === 1 ? two : serving }
      sample.hear(index, {}, 1, { objects })
    }
    const others = sample.panels.others(entry, 'Client', 0)
    const { judged } = others.panel({ by: 'class', class: 'IntSet', version: 2 })
    assert.equal(judged.length, 10)
    for (const { peer, state } of judged) {
      const index = Number(peer.slice(4))
      assert.ok(index % 3 !== 0)
      assert.equal(state, index % 3 === 1 ? 'runs' : 'behind')
    }
    assert.deepEqual(others.panel({ by: 'class', class: 'Nobody', version: 2 }).judged, [])
  })

  it('O9: however many panels there are, no more is pinned than there is room for', () => {
    const when = all(domains({ by: 'zone', order: ['a', 'b', 'c', 'd'] }), waves([0.1, 0.5, 1], { every: 0 }))
    const sample = new Sample(40, 12, [immediately(), when, when, when, when, when])
    for (let index = 0; index < 1000; index++) sample.hear(index, {}, 1, { labels: { zone: zoneOf(index) } })
    const pinned = [...sample.view.all()].filter(({ record }) => sample.panels.has(record.peer))
    assert.ok(pinned.length <= 12, `${pinned.length} are pinned`)
    assert.equal(sample.view.size, 40)
  })

  it('S41: a record shows whether its peer has heard of the upgrade', () => {
    const sample = new Sample(64, 3, [immediately(), CANARY])
    const state = (version: number, counter: number) => {
      sample.hear(7, { reason: 'is busy' }, counter, { head: { version, hash: hashOf(version) } })
      return sample.panels.others(sample.entries[1]!, 'IntSet', 0).panel(LOWEST).judged[0]!.state
    }
    assert.deepEqual([state(1, 1), state(2, 2), state(3, 3)], ['behind', 'waits', 'waits'])
  })

  it('S43: of the own group all of the newest roster count, heard of or not, but not those excluded', () => {
    const sample = new Sample(64, 3, [immediately(), immediately()], 'g')
    const known = (): number => sample.panels.others(sample.entries[1]!, 'IntSet', 0).ready('group').known
    sample.hear(0, {}, 1, { group: 'g' })
    sample.hear(1, {}, 1, { group: 'g' })
    sample.hear(2, {}, 1, { group: 'other' })
    assert.equal(known(), 2)
    const said = { what: 'roster', group: 'g', number: 1, members: [0, 1, 3, 4].map(nameOf) }
    const body = { format: 1, fleet: FLEET, sequence: 2, note: '', ...said } as StatementBody
    sample.statements.add({ hash: hashOf(98), keys: ['key'], expires: 0, bytes: new Uint8Array(), body } as Statement)
    assert.equal(known(), 4)
    sample.exclude(4)
    assert.equal(known(), 3)
  })

  it('S43: who holds the upgrade ready', () => {
    const sample = new Sample(64, 3, [immediately(), immediately()])
    const two = { version: 2, entry: hashOf(2).slice(0, 16), target: 0, phase: 'idle' as const }
    const failed = [{ version: 2, reason: '' }]
    const ready = (object: Partial<ObjectRecord>, counter: number) => {
      sample.hear(7, object, counter)
      const { known, ready } = sample.panels.others(sample.entries[1]!, 'IntSet', 0).ready('sample')
      assert.equal(known, 1)
      return ready === 1
    }
    const cases: [Partial<ObjectRecord>, boolean][] = [
      [{ phase: 'idle', target: 0 }, false],
      [{ phase: 'fetching' }, false],
      [{ phase: 'waiting' }, true],
      [{ phase: 'transforming', serving: false }, true],
      [{ phase: 'waiting', failed }, false],
      [two, true],
      [{ ...two, serving: false, reason: 'it fails' }, false],
      [{ ...two, version: 3, entry: hashOf(3).slice(0, 16) }, true]
    ]
    cases.forEach(([object, expected], at) => {
      assert.equal(ready(object, at + 1), expected, JSON.stringify(object))
    })
  })
})
