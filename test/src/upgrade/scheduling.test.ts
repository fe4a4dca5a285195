import assert from 'node:assert/strict'
import {
  after,
  all,
  any,
  byClass,
  byLabel,
  canary,
  deadline,
  domains,
  immediately,
  not,
  rolling,
  sequence,
  waves
} from '../../../src/schedule/combinators.ts'
import type { Condition } from '../../../src/schedule/schedule.ts'
import { canonicalText, encode, sha256 } from '../../../src/upgrade/canonical.ts'
import { addSignature, parseEntry, signEntry } from '../../../src/upgrade/entry.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { Manifest } from '../../../src/upgrade/manifest.ts'
import { checkSchedules } from '../../../src/upgrade/scheduling.ts'
import { LonePeer, OBJECT } from '../overlay/lone-peer.ts'
import { FAR, testFleet, testManifest } from './fleet.ts'

const { trust, release } = testFleet()

/** An entry as a later release signs it: this one would not. */
function signedLater(schedule: unknown): Uint8Array {
  const plain = JSON.parse(new TextDecoder().decode(signEntry(testManifest(trust.fleet), FAR, [])))
  plain.signed['x-upstart-upgrade'].classes[0].schedule = schedule
  const text = Buffer.from(canonicalText(plain.signed))
  const signatures = release.map((one) => ({ keyid: one.keyid, sig: Buffer.from(one.sign(text)).toString('hex') }))
  return encode({ signed: plain.signed, signatures: signatures.sort((x, y) => (x.keyid < y.keyid ? -1 : 1)) })
}

const TIDE = { kind: 'tide', low: { metres: 2 }, of: [{ kind: 'immediately' }] }
const freely = (when: unknown) => ({ when, constraints: [] })

describe('schedules of a later release (SPEC S45)', () => {
  const later: [string, unknown][] = [
    ['a condition', freely(TIDE)],
    ['a condition within others', freely({ kind: 'all', of: [{ kind: 'not', of: TIDE }, { kind: 'immediately' }] })],
    [
      'a constraint',
      { when: { kind: 'immediately' }, constraints: [{ kind: 'rolling', by: 'group', unavailable: 1 }, TIDE] }
    ],
    ['a known condition that says more', freely({ kind: 'immediately', gently: true })],
    [
      'a time zone that only its host knows',
      freely({ kind: 'window', cron: '0 2 * * *', timezone: 'Mars/Base', durationMs: 1000 })
    ]
  ]
  for (const [title, schedule] of later) {
    it(`${title}: the log takes the entry, byte for byte, under its own hash; nobody here signs it`, () => {
      const bytes = signedLater(schedule)
      const entry = trust.openEntry(bytes)
      assert.deepEqual(Buffer.from(entry.bytes), Buffer.from(bytes))
      assert.equal(entry.hash, sha256(canonicalText(JSON.parse(new TextDecoder().decode(bytes)).signed)))
      assert.equal(new UpgradeLog(trust.fleet).add(entry), 'added')
      assert.throws(() => addSignature(bytes, release[0]!), { name: 'UnknownStrategy' })
      assert.throws(() => checkSchedules(entry.manifest, []), { name: 'UnknownStrategy' })
    })
  }

  it('what is too deep, no plain data of integers, or no condition at all is refused', () => {
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { kind: 'tide', of: deep(levels - 1) })
    assert.doesNotThrow(() => parseEntry(signedLater(freely(deep(20)))))
    for (const when of [deep(40), { strategy: 'tide' }, 'tide', 7, null, [TIDE]])
      assert.throws(() => parseEntry(signedLater(freely(when))), { name: 'Malformed' }, JSON.stringify(when))
    // A frame stack must not be what bounds it.
    const list = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
    const text = new TextDecoder().decode(signedLater(freely({ kind: 'tide', low: 12_345_678 })))
    assert.throws(() => parseEntry(new TextEncoder().encode(text.replace('12345678', list))), { name: 'Malformed' })
    const share = new TextEncoder().encode(text.replace('12345678', '0.5'))
    assert.throws(() => parseEntry(share), { name: 'Malformed' })
    const many = Array(9).fill({ kind: 'tide' })
    assert.throws(() => parseEntry(signedLater({ when: TIDE, constraints: many })), { name: 'Malformed' })
  })

  /** Version 2 with a schedule as it was read, heard of by broadcast, and its bundle here. */
  function heard(schedule: unknown): LonePeer {
    const { schedule: read } = trust.openEntry(signedLater(schedule)).manifest.classes[0]!
    const peer = new LonePeer()
    peer.installed()
    const entry = peer.world.makeEntry({ lineages: ['A'], schedule: read, pieces: 1, future: false, past: true })
    peer.step({ type: 'published', from: 'peer-b', topic: 'entry', bytes: entry.bytes })
    peer.step({ type: 'unpacked', bundle: entry.manifest.bundle.sha256, ok: true, reason: '' })
    return peer
  }
  const reason = (peer: LonePeer) => peer.peer.objects.get(OBJECT)!.reason

  it('a condition that is not known holds, names the strategy and the mend, within `not` and `any` too', () => {
    for (const when of [TIDE, { kind: 'not', of: TIDE }, { kind: 'any', of: [TIDE, { kind: 'immediately' }] }]) {
      const peer = heard(freely(when))
      peer.passes(3_600_000)
      assert.match(reason(peer), /does not know the schedule "tide"; install a newer one/)
      assert.deepEqual(peer.commands, [])
      assert.equal(peer.record?.objects[OBJECT]?.why?.kind, 'unknown')
    }
  })

  it('`hasten` lets it go where a condition is not known, and never where a constraint is not', () => {
    const freed = heard(freely(TIDE))
    freed.state({ what: 'hasten', target: freed.world.entries[1]!.hash })
    assert.equal(freed.commands[0]?.command, 'warm')
    const held = heard({ when: { kind: 'immediately' }, constraints: [TIDE] })
    assert.match(reason(held), /does not know the schedule "tide"/)
    held.state({ what: 'hasten', target: held.world.entries[1]!.hash })
    held.passes(3_600_000)
    assert.deepEqual(held.commands, [])
  })

  it('an operator cannot inject it here', () => {
    const peer = new LonePeer()
    peer.installed()
    const { schedule } = trust.openEntry(signedLater(freely(TIDE))).manifest.classes[0]!
    const { bytes } = peer.world.makeEntry({ lineages: ['A'], schedule, pieces: 1, future: false, past: true })
    const answers = peer
      .step({ type: 'inject', request: 5, topic: 'entry', bytes, bundleHeld: true })
      .filter((effect) => effect.type === 'answer')
    assert.equal(answers[0]?.refusal, 'UnknownStrategy')
  })
})

describe('what schedules name of others (SPEC S46)', () => {
  const base = testManifest(trust.fleet).classes[0]!
  const upgrade = (from: string | null, to: string, when: Condition = immediately()) => ({
    ...base,
    from,
    to,
    schedule: { when, constraints: [rolling({ by: 'group', unavailable: 1 })] }
  })
  const version = (number: number, ...classes: Manifest['classes']): Manifest =>
    testManifest(trust.fleet, { version: number, classes })
  const first = version(1, upgrade(null, 'Server'), upgrade(null, 'Client'), upgrade(null, 'Other'))
  const second = version(2, upgrade('Server', 'Hall'))
  const check = (...classes: Manifest['classes']) => checkSchedules(version(3, ...classes), [first, second])
  const waitsFor = (name: string): Condition => after({ class: name, version: 3 })
  const servers = (number: number, name = 'Server') => after({ class: name, version: number, fraction: 0.9 })

  it('a class by any name of its lineage, at a version that it has', () => {
    check(
      upgrade('Hall', 'House'),
      upgrade('Client', 'Guest', all(servers(3), servers(3, 'Hall'), servers(3, 'House')))
    )
    check(upgrade('Client', 'Client', servers(2, 'Hall')))
    check(upgrade('Hall', 'House', servers(2)))
  })

  it('an unknown class or version is refused, and a version that is still to come', () => {
    for (const when of [
      servers(3, 'Nobody'),
      servers(3, 'Other'),
      servers(2, 'Client'),
      byClass({ Nobody: immediately() })
    ])
      assert.throws(() => check(upgrade('Client', 'Guest', when)), { name: 'UnknownClass' }, JSON.stringify(when))
    assert.throws(() => check(upgrade('Hall', 'House'), upgrade('Client', 'Guest', servers(4))), { name: 'Malformed' })
  })

  it('a cycle is refused: of one class, of two, of three; `byClass` waits only for what it means', () => {
    assert.throws(() => check(upgrade('Hall', 'House', servers(3, 'House'))), /House for House/)
    const toHouse = upgrade('Hall', 'House', servers(3, 'Client'))
    assert.throws(() => check(toHouse, upgrade('Client', 'Guest', waitsFor('House'))), {
      name: 'Malformed',
      message: /wait for each other/
    })
    assert.throws(
      () =>
        check(
          upgrade('Hall', 'House', waitsFor('Guest')),
          upgrade('Client', 'Guest', waitsFor('Other')),
          upgrade('Other', 'Other', waitsFor('House'))
        ),
      { name: 'Malformed', message: /wait for each other/ }
    )
    const shared = byClass({ Server: immediately() }, servers(3))
    check(upgrade('Hall', 'House', shared), upgrade('Client', 'Guest', shared))
    assert.throws(() => check(upgrade('Hall', 'House', byClass({ Client: immediately() }, servers(3)))), {
      name: 'Malformed'
    })
  })

  it('two orders of the same peers are refused: by place and by label, or two of labels; not where one is enough', () => {
    const zones = domains({ by: 'zone', order: ['a', 'b'] })
    const few = canary({ count: 1, soak: 0 })
    const check = (when: Condition) => checkSchedules(version(1, upgrade(null, 'Server', when)), [])
    const contrary = [
      all(few, zones),
      sequence(zones, waves([0.1, 1], { every: 0 })),
      all(zones, all(immediately(), sequence(domains({ by: 'zone', order: ['b', 'a'] })))),
      byClass({ Server: all(few, zones) }),
      all(byClass({ Server: few }, immediately()), zones)
    ]
    for (const when of contrary)
      assert.throws(() => check(when), { name: 'Malformed', message: /in two orders/ }, JSON.stringify(when))
    const sound = [
      all(few, waves([0.1, 1], { every: 0 })),
      all(zones, immediately(), zones),
      any(few, zones),
      all(few, deadline(zones, { after: '1h' })),
      all(few, not(zones)),
      byLabel('region', { eu: few, us: zones }),
      all(byClass({ Server: few }, zones), immediately())
    ]
    for (const when of sound) assert.doesNotThrow(() => check(when), JSON.stringify(when))
  })

  it('a cycle is refused where it is injected', () => {
    const peer = new LonePeer()
    peer.installed()
    const schedule = { when: after({ class: 'Av1', version: 2 }), constraints: [] }
    const { bytes } = peer.world.makeEntry({ lineages: ['A'], schedule, pieces: 1, future: false, past: true })
    const answers = peer
      .step({ type: 'inject', request: 5, topic: 'entry', bytes, bundleHeld: true })
      .filter((effect) => effect.type === 'answer')
    assert.equal(answers[0]?.refusal, 'Malformed')
  })

  it('more sets of others than views have room for are refused', () => {
    const many = Array.from({ length: 8 }, (_, at) => waves([0.01 * (at + 1), 0.1 + at * 0.1, 0.9, 1], { every: 0 }))
    const manifest = version(1, upgrade(null, 'Server', all(...many)))
    assert.throws(() => signEntry(manifest, FAR, []), { name: 'UnknownStrategy' })
  })
})
