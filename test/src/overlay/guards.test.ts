import assert from 'node:assert/strict'
import { hash53 } from '../../../sim/authority.ts'
import { type ObjectRecord, type PeerRecord, signedRecord } from '../../../src/overlay/record.ts'
import { EMPTY, elementOf, withElement } from '../../../src/overlay/sketch.ts'
import { View } from '../../../src/overlay/view.ts'
import { guard, notWhile } from '../../../src/schedule/combinators.ts'
import type { Condition, Constraint } from '../../../src/schedule/schedule.ts'
import { LonePeer, OBJECT } from './lone-peer.ts'

const object = (peer: LonePeer) => peer.peer.objects.get(OBJECT)!
const IMMEDIATELY: Condition = { kind: 'immediately' }
const names = (peer: LonePeer) => peer.commands.map(({ command }) => command)

/** A neighbour passes on what a peer that runs `version` says. */
function hear(peer: LonePeer, name: string, counter: number, shown: Partial<ObjectRecord>): void {
  const head = { version: 0, hash: peer.world.fleet }
  const version = shown.version ?? 1
  const runs: ObjectRecord = {
    version,
    entry: peer.world.entries[version - 1]!.hash.slice(0, 16),
    lowest: version,
    highest: version,
    phase: 'idle',
    target: 0,
    serving: true,
    reason: '',
    failed: [],
    ...shown
  }
  const known = { format: 1 as const, peer: name, incarnation: 1, counter, head, group: null, labels: {} }
  const record: PeerRecord = { ...known, addresses: [], objects: { [OBJECT]: runs }, permit: null }
  const bytes = peer.world.authorityOf(() => undefined).sealRecord(record)
  const delta = { kind: 'delta' as const, entries: [], statements: [], records: [bytes], more: false }
  peer.step({ type: 'message', from: 'peer-n', message: delta })
}
const failed = [{ version: 2, reason: 'no health' }]

/** Version 2 waits for an approval and has these constraints; two peers went back from it. */
function halted(constraints: Constraint[], when: Condition = { kind: 'manual' }) {
  const peer = new LonePeer()
  peer.installed()
  const entry = peer.inject({ when, constraints })
  hear(peer, 'peer-1', 1, { failed })
  hear(peer, 'peer-2', 1, { failed })
  return { peer, entry }
}
const careful = guard({ failedAbove: 0.1 })

describe('constraints and nothing overrides them (SPEC S5, S22)', () => {
  it('S22: a guard halts when conditions are met, and lifts itself when those that failed went on', () => {
    const { peer, entry } = halted([careful])
    peer.state({ what: 'approve', target: entry.hash })
    assert.match(object(peer).reason, /^halted: 2 of the peers known went back from it, of 2 that tried it/)
    hear(peer, 'peer-1', 2, { version: 2 })
    assert.deepEqual(names(peer), ['warm'])
  })

  it('S5: hasten, any, not and deadline do not pass a constraint', () => {
    const { peer, entry } = halted([careful])
    peer.state({ what: 'hasten', target: entry.hash })
    assert.match(object(peer).reason, /^halted/)
    const conditions: Condition[] = [
      { kind: 'any', of: [IMMEDIATELY, { kind: 'manual' }] },
      { kind: 'not', of: { kind: 'manual' } },
      { kind: 'any', of: [{ kind: 'manual' }, { kind: 'after', delayMs: 1000 }] },
      { kind: 'sequence', of: [IMMEDIATELY, { kind: 'not', of: { kind: 'never' } }] }
    ]
    for (const when of conditions)
      for (const constraint of [careful, notWhile({ kind: 'not', of: { kind: 'never' } })]) {
        const one = new LonePeer()
        one.installed()
        const second = one.inject({ when: { kind: 'all', of: [{ kind: 'manual' }, when] }, constraints: [constraint] })
        for (const name of ['peer-1', 'peer-2']) hear(one, name, 1, { failed })
        one.passes(10_000)
        one.state({ what: 'approve', target: second.hash })
        one.state({ what: 'hasten', target: second.hash })
        one.passes(10_000)
        assert.deepEqual(names(one), [])
        assert.match(object(one).reason, constraint === careful ? /^halted/ : /^must not begin while this holds/)
      }
  })

  it('S5: it is asked again after the new code was imported, before the object stops', () => {
    const { peer, entry } = halted([careful])
    hear(peer, 'peer-1', 2, { version: 2 })
    peer.state({ what: 'approve', target: entry.hash })
    hear(peer, 'peer-1', 3, { failed })
    peer.answer('warm')
    assert.deepEqual(names(peer), ['abandon'])
    assert.equal(object(peer).state.phase.name, 'waiting')
    assert.equal(object(peer).service, 'serving')
    peer.answer('abandon')
    assert.match(object(peer).reason, /^halted/)
    hear(peer, 'peer-2', 4, { version: 2 })
    peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
    assert.equal(peer.record?.objects[OBJECT]?.version, 2)
  })

  it('S10: a node without state takes the newest version that no guard halts', () => {
    const peer = new LonePeer()
    peer.inject({ when: { kind: 'manual' }, constraints: [] })
    const second = peer.inject({ when: { kind: 'manual' }, constraints: [careful] })
    for (const name of ['peer-1', 'peer-2']) hear(peer, name, 1, { failed })
    peer.state({ what: 'approve', target: peer.world.entries[0]!.hash })
    peer.state({ what: 'approve', target: second.hash })
    const [warm] = peer.commands
    assert.ok(warm?.command === 'warm' && warm.version === 1)
  })

  it('L16: who dies again and again by itself is shown as unhealthy until it has served for a minute', () => {
    const peer = new LonePeer()
    peer.installed()
    const crashes = () => peer.record?.objects[OBJECT]?.crashes
    const dies = (interrupted: boolean) => {
      peer.step({ type: 'died', object: OBJECT, attempt: 1, interrupted, reason: 'out of memory' })
      peer.passes(40_000)
      peer.answer('start')
    }
    dies(false)
    assert.equal(crashes(), undefined)
    dies(true)
    assert.equal(crashes(), undefined, 'a kill from outside says nothing of the version')
    dies(false)
    assert.equal(crashes(), 2)
    peer.passes(60_001)
    assert.equal(crashes(), undefined)
  })

  it('S22: who is unhealthy halts a guard; canaries and guards see the same', () => {
    const peer = new LonePeer()
    peer.installed()
    const entry = peer.inject({ when: { kind: 'manual' }, constraints: [guard({ unhealthyAbove: 0.4 })] })
    hear(peer, 'peer-1', 1, { version: 2, crashes: 3, reason: 'out of memory' })
    hear(peer, 'peer-2', 1, { version: 2, serving: false, reason: 'it does not answer' })
    hear(peer, 'peer-3', 1, { version: 2 })
    peer.state({ what: 'approve', target: entry.hash })
    assert.match(object(peer).reason, /^halted: 2 of the peers known run it in bad health, of 3 that run it/)
  })
})

describe('calls before and after an upgrade (SPEC S23, S24)', () => {
  const measured = (peer: LonePeer, attempt: number, calls: number, bad: number) =>
    peer.step({ type: 'measured', object: OBJECT, attempt, calls, failed: bad })
  const shown = (peer: LonePeer) => object(peer).record().calls

  it('S24: a record tells the calls at this version, and those before it, through a restart', () => {
    const peer = new LonePeer()
    peer.installed()
    measured(peer, 1, 128, 2)
    assert.equal(shown(peer), undefined, 'nothing came before it')
    peer.inject({ when: IMMEDIATELY, constraints: [guard({ worseThanBaseline: true })] })
    peer.answer('warm')
    measured(peer, 1, 200, 3)
    peer.answerAll('drain', 'transform', 'prove', 'serve', 'clean')
    assert.equal(shown(peer), undefined, 'nothing is known of the new version yet')
    measured(peer, 1, 500, 500)
    assert.equal(shown(peer), undefined, 'a late word of the process before')
    peer.restart()
    peer.answerAll('clean', 'start')
    measured(peer, 2, 128, 64)
    assert.deepEqual(shown(peer), { now: { calls: 128, failed: 64 }, before: { calls: 200, failed: 3 } })
    peer.inject()
    peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
    measured(peer, 3, 128, 64)
    assert.equal(shown(peer), undefined, 'no guard of this upgrade looks at it')
  })

  it('S23: a guard compares each peer with itself, and names those that got worse', () => {
    const peer = new LonePeer()
    peer.installed()
    const more = guard({ worseThanBaseline: { factor: 1, difference: 0.05 } })
    const entry = peer.inject({ when: { kind: 'manual' }, constraints: [more] })
    const rates = (now: number, before: number) => ({
      calls: { now: { calls: 1000, failed: now }, before: { calls: 1000, failed: before } }
    })
    // One that always fails much, and has more traffic now, makes nothing worse.
    hear(peer, 'peer-1', 1, { version: 2, ...rates(500, 500) })
    hear(peer, 'peer-2', 1, { version: 2, ...rates(200, 10) })
    hear(peer, 'peer-3', 1, { version: 2 })
    peer.state({ what: 'approve', target: entry.hash })
    const { reason } = object(peer)
    assert.match(reason, /^halted: of 2000 calls at the peers known 35 % fail with it; before it 26 % did/)
    assert.match(reason, /…peer-2: 200 of 1000 calls fail, 10 of 1000 did before$/)
    hear(peer, 'peer-2', 2, { version: 2, ...rates(12, 10) })
    assert.deepEqual(names(peer), ['warm'])
  })
})

describe('a record that lies (SPEC S23)', () => {
  it('S23: no peer outweighs the others with calls that nobody counted', () => {
    const peer = new LonePeer()
    peer.installed()
    const entry = peer.inject({ when: { kind: 'manual' }, constraints: [guard({ worseThanBaseline: true })] })
    const calls = (all: number, now: number, before: number) => ({
      calls: { now: { calls: all, failed: now }, before: { calls: all, failed: before } }
    })
    hear(peer, 'peer-1', 1, { version: 2, ...calls(4096, 2048, 10) })
    hear(peer, 'peer-2', 1, { version: 2, ...calls(4096, 2048, 10) })
    hear(peer, 'peer-liar', 1, { version: 2, ...calls(Number.MAX_SAFE_INTEGER, 0, 0) })
    peer.state({ what: 'approve', target: entry.hash })
    assert.match(object(peer).reason, /^halted: of 12288 calls at the peers known 33 % fail with it/)
  })
})

describe('the census as evidence (SPEC S22, O24)', () => {
  const sketchOf = (name: string, count: number) => {
    let sketch = EMPTY
    for (let index = 0; index < count; index++) sketch = withElement(sketch, elementOf(hash53(`${name}/${index}`)))
    return sketch
  }

  it('S22: who is halted by the census goes on when the census clears, though nothing else changes', () => {
    const peer = new LonePeer()
    peer.installed()
    const entry = peer.inject({ when: { kind: 'manual' }, constraints: [careful] })
    for (let index = 0; index < 300; index++) hear(peer, `peer-${index}`, 1, {})
    const counts = (sketches: { failed?: Uint8Array; run?: Uint8Array }) => {
      const line = { object: OBJECT, version: 2, entry: entry.hash.slice(0, 16), retries: 0, called: 0, ...sketches }
      const told = { kind: 'census' as const, epoch: 1, digest: 'other', lines: [line], before: [] }
      peer.step({ type: 'message', from: 'peer-n', message: { ...told, whole: true, answer: false } })
    }
    counts({ failed: sketchOf('bad', 60) })
    peer.state({ what: 'approve', target: entry.hash })
    assert.match(object(peer).reason, /^halted: \d+ of the fleet, by the census, went back from it/)
    // Its own record, which says so, is the last thing that changes in its view.
    peer.passes(1)
    assert.deepEqual(names(peer), [])
    counts({ run: sketchOf('good', 2000) })
    assert.deepEqual(names(peer), ['warm'])
  })
})

describe('the sample of a view (SPEC S22)', () => {
  it('S22: shares are told without the preference that a full view has for failures', () => {
    const limits = { view: 256, strangers: 256 }
    const around = { isKept: () => false, pins: [], lost: () => undefined }
    const view = new View({ group: null, self: 'self', limits, hash53, ...around })
    const tell = (index: number): void => {
      const bad = index % 20 === 0 ? [{ version: 2, reason: '' }] : []
      const objects = { A: { version: 2, failed: bad } }
      const record = { peer: `peer-${index}`, incarnation: 1, counter: 1, group: null, objects }
      view.put(signedRecord(record as unknown as PeerRecord, new Uint8Array(), hash53), 0)
    }
    for (let index = 0; index < 10_000; index++) tell(index)
    const share = (records: PeerRecord[]) =>
      records.filter((one) => one.objects.A!.failed.length > 0).length / records.length
    const all = share([...view.all()].map(({ record }) => record))
    const sampled = share([...view.sample()])
    assert.ok(all > 0.12, `${all} of the view failed`)
    assert.ok(sampled > 0.02 && sampled < 0.085, `${sampled} of the sample failed, of the fleet 0.05`)
  })
})
