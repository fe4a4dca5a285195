import assert from 'node:assert/strict'
import { Clock } from '../../../src/overlay/clock.ts'
import type { Effect } from '../../../src/overlay/events.ts'
import { lock, quiet } from '../../../src/schedule/combinators.ts'
import { LonePeer, OBJECT } from './lone-peer.ts'

const MINUTE = 60_000
const reason = (peer: LonePeer) => peer.peer.objects.get(OBJECT)!.reason
const names = (peer: LonePeer) => peer.commands.map(({ command }) => command)
const answers = (effects: Effect[]) => effects.flatMap((one) => (one.type === 'answer' ? [one] : []))
const hold = (peer: LonePeer, name: string, forMs: number) =>
  answers(peer.step({ type: 'lock', request: 5, name, reason: 'a backup runs', forMs }))[0]!

describe('the clock of a peer (SPEC S27)', () => {
  const heard = (...aheadMs: number[]) => {
    const clock = new Clock({ isNeighbour: (peer) => !peer.startsWith('stranger') })
    for (const [index, ahead] of aheadMs.entries()) clock.note(`peer-${index}`, 1_000_000 + ahead, 1_000_000)
    return clock
  }

  it('S27: it is doubted when it is more than five minutes from the median of three neighbours or more', () => {
    assert.equal(heard(6 * MINUTE, 6 * MINUTE).doubt(), undefined)
    const behind = heard(6 * MINUTE, 6 * MINUTE, 0)
    assert.equal(
      behind.doubt(),
      'the clock of this peer is 6m behind those of 3 neighbours; set it right and restart this peer'
    )
    assert.match(heard(-9 * MINUTE, -8 * MINUTE, -8 * MINUTE, 0).doubt()!, /8m ahead of those of 4/)
    assert.equal(heard(0, 0, 9 * MINUTE).doubt(), undefined)
    assert.equal(heard(5 * MINUTE, 5 * MINUTE, 5 * MINUTE).doubt(), undefined)
  })

  it('S27: a doubt that comes or goes is a change, that which stays is none', () => {
    const clock = heard(9 * MINUTE, 9 * MINUTE)
    assert.equal(clock.changes, 0)
    clock.note('peer-2', 1_000_000 + 9 * MINUTE, 1_000_000)
    clock.note('peer-3', 1_000_000 + 9 * MINUTE, 1_000_000)
    assert.equal(clock.changes, 1)
    for (const peer of ['peer-0', 'peer-1', 'peer-2']) clock.note(peer, 1_000_000, 1_000_000)
    assert.equal(clock.changes, 2)
  })

  it('S27: only neighbours count, for as long as they are connected', () => {
    const wrong = heard(9 * MINUTE, 9 * MINUTE)
    wrong.note('stranger', 1_000_000 + 9 * MINUTE, 1_000_000)
    wrong.note('peer-7', undefined, 1_000_000)
    assert.equal(wrong.doubt(), undefined)
    wrong.note('peer-8', 1_000_000 + 9 * MINUTE, 1_000_000)
    assert.ok(wrong.doubt() !== undefined)
    wrong.forget('peer-0')
    assert.equal(wrong.doubt(), undefined)
  })
})

describe('locks of local programs (SPEC S26)', () => {
  it('S26: a lock holds an upgrade whose schedule asks, through restarts, until it is released', () => {
    const peer = new LonePeer()
    peer.installed()
    assert.equal(hold(peer, 'backup', 3_600_000).ok, true)
    peer.inject({ when: lock({ timeout: '2h' }), constraints: [] })
    assert.equal(reason(peer), 'is held by lock "backup" (a backup runs), for another 2h at most')
    peer.restart()
    peer.answerAll('clean', 'start')
    assert.match(reason(peer), /^is held by lock "backup"/)
    const [unknown] = answers(peer.step({ type: 'unlock', request: 6, name: 'other' }))
    assert.ok(unknown?.ok === false && unknown.refusal === 'Usage' && /held: backup/.test(unknown.text))
    assert.equal(answers(peer.step({ type: 'unlock', request: 7, name: 'backup' }))[0]?.ok, true)
    assert.deepEqual(names(peer), ['warm'])
  })

  it('S26: each ends by itself, and the upgrade goes on then without another event', () => {
    const peer = new LonePeer()
    peer.installed()
    hold(peer, 'backup', 600_000)
    const effects = peer.step({ type: 'wake' })
    peer.inject({ when: lock({ timeout: '2h' }), constraints: [] })
    assert.ok(effects.every((one) => one.type !== 'wake' || one.at <= peer.now + 600_000))
    peer.passes(599_000)
    assert.deepEqual(names(peer), [])
    peer.passes(1_001)
    assert.deepEqual(names(peer), ['warm'])
    assert.deepEqual(peer.peer.locks, [])
  })

  it('S26: they are few, and one that is taken again is renewed', () => {
    const peer = new LonePeer()
    for (let index = 0; index < 16; index++) assert.equal(hold(peer, `lock-${index}`, 1000).ok, true)
    const refused = hold(peer, 'one more', 1000)
    assert.ok(!refused.ok && refused.refusal === 'Usage')
    assert.equal(hold(peer, 'lock-3', 5000).ok, true)
    peer.passes(1001)
    assert.deepEqual(
      peer.peer.locks.map(({ name }) => name),
      ['lock-3']
    )
  })
})

describe('the load of a node (SPEC S25)', () => {
  it('S25: it is watched while a schedule looks at it, and no longer', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.inject({ when: quiet({ loadBelow: 5, for: '1m' }), constraints: [] })
    assert.deepEqual(peer.watched, [5])
    assert.equal(reason(peer), 'measures its load')
    peer.step({ type: 'load', below: 5, quiet: false })
    assert.match(reason(peer), /^waits until it answers fewer than 5 calls/)
    peer.step({ type: 'load', below: 5, quiet: true })
    peer.passes(30_000)
    peer.step({ type: 'load', below: 5, quiet: false })
    peer.step({ type: 'load', below: 5, quiet: true })
    peer.passes(59_999)
    assert.deepEqual(names(peer), [])
    peer.passes(1)
    assert.deepEqual(names(peer), ['warm'])
    peer.step({ type: 'load', below: 5, quiet: false })
    peer.answer('warm')
    assert.deepEqual(names(peer), ['abandon'], 'the load rose while the new code was imported')
    peer.answer('abandon')
    peer.step({ type: 'load', below: 5, quiet: true })
    peer.passes(60_000)
    peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
    peer.now += 601_000
    peer.step({ type: 'wake' })
    assert.deepEqual(peer.watched, [])
  })

  it('S25: who waits for the load hears of it however long that takes, though nothing else happens', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.inject({ when: quiet({ loadBelow: 5, for: '1m' }), constraints: [] })
    peer.step({ type: 'load', below: 5, quiet: false })
    // Only the wakes that the peer asks for.
    const end = peer.now + 3 * 3_600_000
    let at = peer.now
    const hear = (effects: Effect[]) => {
      for (const one of effects) if (one.type === 'wake') at = one.at
    }
    hear(peer.step({ type: 'wake' }))
    for (let wakes = 0; at < end && wakes < 1000; wakes++) {
      peer.now = Math.max(at, peer.now + 1)
      hear(peer.step({ type: 'wake' }))
      assert.deepEqual(peer.watched, [5])
    }
    peer.step({ type: 'load', below: 5, quiet: true })
    peer.passes(60_000)
    assert.deepEqual(names(peer), ['warm'])
  })
})
