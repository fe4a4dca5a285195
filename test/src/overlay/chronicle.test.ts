/** What happened, as one peer saw it, over restarts (SPEC O26, O20). */
import assert from 'node:assert/strict'
import { LonePeer, OBJECT } from './lone-peer.ts'

describe('overlay/chronicle (SPEC O26)', () => {
  it('when it first heard of entries and statements, also after a restart', () => {
    const lone = new LonePeer()
    const at = lone.now
    const entry = lone.installed()
    lone.passes(60_000)
    lone.state({ what: 'pause', target: null })
    const [pause] = [...lone.peer.statements.all()]
    const heard = () => [entry.hash, pause!.hash].map((hash) => lone.peer.chronicle.heardAt(hash))
    assert.deepEqual(heard(), [at, at + 60_000])
    lone.passes(60_000)
    lone.restart()
    assert.deepEqual(heard(), [at, at + 60_000], 'what is read from the disk is not heard anew')
  })

  it('how upgrades went: from, to, how long in each phase, and why it went back', () => {
    const lone = new LonePeer()
    lone.installed()
    lone.inject()
    lone.passes(100)
    lone.answer('warm')
    lone.passes(20)
    lone.answer('drain')
    lone.passes(3_000)
    lone.answer('transform', { ok: false, reason: 'the TF threw' })
    const [first, second] = lone.peer.chronicle.upgrades
    assert.deepEqual([first!.from, first!.version, first!.result], [0, 1, 'upgraded'])
    assert.deepEqual([second!.from, second!.version, second!.result, second!.reason], [1, 2, 'failed', 'the TF threw'])
    const { warming, draining, transforming } = second!.phases
    assert.deepEqual([warming, draining, transforming], [100, 20, 3_000])
    lone.restart()
    assert.deepEqual(lone.peer.chronicle.upgrades, [first, second])
  })

  it('it is bounded: the newest 64 that were heard of, and the last 32 upgrades', () => {
    const lone = new LonePeer()
    lone.installed()
    for (let index = 0; index < 80; index++) lone.state({ what: 'leave', peer: `peer-other-${index}` })
    assert.equal([...lone.durable.keys()].filter((key) => key.startsWith('heard/')).length, 64)
    const [oldest] = [...lone.peer.statements.all()]
    assert.equal(lone.peer.chronicle.heardAt(oldest!.hash), undefined)
  })

  it('O20: the record says since when it waits, why, and by which statement', () => {
    const lone = new LonePeer()
    lone.installed()
    lone.state({ what: 'pause', target: null })
    const [pause] = [...lone.peer.statements.all()]
    lone.inject()
    const since = Math.floor(lone.now / 1000)
    const { why, phase } = lone.record!.objects[OBJECT]!
    assert.deepEqual(
      [phase, why, lone.record!.objects[OBJECT]!.since],
      ['waiting', { kind: 'pause', peers: [], statement: pause!.hash }, since]
    )
    const { counter } = lone.record!
    lone.passes(3_600_000)
    assert.equal(lone.record!.counter, counter, 'waiting on makes no new record')
    lone.state({ what: 'resume', lifts: pause!.hash })
    assert.equal(lone.record!.objects[OBJECT]!.phase, 'warming')
    assert.equal(lone.record!.objects[OBJECT]!.since, since + 3600)
  })
})
