import assert from 'node:assert/strict'
import type { Effect } from '../../../src/overlay/events.ts'
import { emptyObject } from '../../../src/overlay/lifecycle.ts'
import { onTheWay } from '../../../src/overlay/needs.ts'
import { after, manual } from '../../../src/schedule/combinators.ts'
import { LonePeer, OBJECT } from './lone-peer.ts'

const HOUR_MS = 3_600_000

/** A peer that has come to version 3, without past SOs, and knows of others. */
class OldHand {
  readonly peer = new LonePeer()
  readonly removed: string[] = []
  readonly denied: string[] = []

  constructor() {
    this.peer.past = false
    this.peer.installed()
    for (let version = 2; version <= 3; version++) {
      this.peer.inject()
      this.peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
    }
    this.peer.step({ type: 'connected', peer: 'peer-n' })
    this.peer.step({ type: 'message', from: 'peer-n', message: { kind: 'neighbour', what: 'ask', urgent: true } })
  }

  bundle(version: number): string {
    return this.peer.world.entries[version - 1]!.manifest.bundle.sha256
  }

  /** Others come to be known. */
  meet(count: number): void {
    for (let index = 0; index < count; index++) this.peer.hear(`peer-${String(index).padStart(4, '0')}`)
  }

  passes(ms: number): void {
    this.peer.now += ms
    for (const effect of this.peer.step({ type: 'wake' })) this.#note(effect)
  }

  #note(effect: Effect): void {
    if (effect.type === 'remove-bundle') this.removed.push(effect.bundle)
    if (effect.type === 'send' && effect.message.kind === 'have' && effect.message.pieces.every((byte) => byte === 0))
      this.denied.push(effect.message.bundle)
  }

  holds(version: number): boolean {
    return this.peer.peer.pieces.holdsAny(this.bundle(version))
  }
}

describe('who holds which bundle (SPEC B)', () => {
  it('B2: with two others every peer keeps everything', () => {
    const hand = new OldHand()
    hand.meet(2)
    for (let hour = 0; hour < 5; hour++) hand.passes(HOUR_MS)
    assert.deepEqual(hand.removed, [])
  })

  it('B2, B3, B5: of many peers it keeps few; the rest goes after the time to keep, and neighbours are told', () => {
    const hand = new OldHand()
    hand.meet(200)
    hand.passes(60_000)
    hand.passes(500_000)
    assert.deepEqual(hand.removed, [])
    hand.passes(160_000)
    assert.deepEqual(hand.removed.sort(), [hand.bundle(1), hand.bundle(2)].sort())
    assert.deepEqual(hand.denied.sort(), hand.removed)
    assert.deepEqual(
      [1, 2, 3].map((version) => hand.holds(version)),
      [false, false, true]
    )
    for (let hour = 0; hour < 5; hour++) hand.passes(HOUR_MS)
    assert.equal(hand.removed.length, 2)
  })

  it('B3: after a restart the time is counted anew, and what is on the disk still goes', () => {
    const hand = new OldHand()
    hand.meet(200)
    hand.passes(60_000)
    hand.passes(500_000)
    hand.peer.restart()
    hand.peer.answerAll('clean', 'start')
    hand.meet(200)
    hand.passes(60_000)
    hand.passes(500_000)
    assert.deepEqual(hand.removed, [])
    hand.passes(200_000)
    assert.equal(hand.removed.length, 2)
  })

  it('B1: what the way to the newest version needs stays, however long the schedule waits', () => {
    const hand = new OldHand()
    for (const when of [manual(), after({ delay: '1h' })]) hand.peer.inject({ when, constraints: [] })
    hand.meet(200)
    for (let hour = 0; hour < 5; hour++) hand.passes(HOUR_MS)
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((version) => hand.holds(version)),
      [false, false, true, true, true]
    )
    assert.equal(hand.peer.peer.objects.get(OBJECT)?.state.current?.version, 3)
  })

  it('B1, R3: who comes from another branch needs the past SOs that the chain brought beside its branch', () => {
    const peer = new LonePeer()
    peer.installed()
    for (let version = 2; version <= 3; version++) peer.inject({ when: manual(), constraints: [] })
    const { log } = peer.peer
    const current = { version: 2, entry: 'f'.repeat(64), attempt: 2 }
    const pastOf = (version: number) => (version === 3 ? [1, 2] : [1])
    const onBranch = { state: { ...emptyObject(OBJECT), current }, pastOf }
    const target = log.schema.at(OBJECT, 3)!
    assert.deepEqual(
      onTheWay(onBranch, target, log).map((one) => one.version),
      [2, 3]
    )
    assert.deepEqual(
      onTheWay({ ...onBranch, pastOf: () => [] }, target, log).map((one) => one.version),
      [3]
    )
  })

  it('B1: on the way past a replaced version only the past SO that came with it is needed', () => {
    const peer = new LonePeer()
    peer.installed()
    const second = peer.inject({ when: manual(), constraints: [] })
    peer.inject({ when: manual(), constraints: [] }, [second])
    const { log } = peer.peer
    const { state } = peer.peer.objects.get(OBJECT)!
    const needed = (...past: number[]) =>
      onTheWay({ state, pastOf: () => past }, log.schema.at(OBJECT, 3)!, log).map((one) => one.version)
    assert.deepEqual([needed(1, 2), needed(2), needed()], [[2, 3], [3], [3]])
  })

  it('B6: after a forget a keeper stops keeping, and who needs the bundle does not', () => {
    const hand = new OldHand()
    hand.meet(2)
    for (const version of [1, 3]) {
      hand.peer.state({ what: 'forget', target: hand.peer.world.entries[version - 1]!.hash })
    }
    hand.passes(601_000)
    assert.deepEqual(
      [1, 2, 3].map((version) => hand.holds(version)),
      [false, true, true]
    )
  })

  it('B4: what no neighbour holds is asked of those that should keep it, which are dialled', () => {
    const peer = new LonePeer()
    peer.past = false
    for (let index = 0; index < 20; index++) peer.hear(`peer-${String(index).padStart(4, '0')}`)
    peer.step({ type: 'connected', peer: 'peer-n' })
    peer.step({ type: 'message', from: 'peer-n', message: { kind: 'neighbour', what: 'ask', urgent: true } })
    const entry = peer.world.makeEntry({
      lineages: ['A'],
      schedule: { when: manual(), constraints: [] },
      pieces: 1,
      future: true,
      past: false
    })
    peer.step({ type: 'published', from: 'peer-n', topic: 'entry', bytes: entry.bytes })
    const keepers = [...Array(20).keys()]
      .map((index) => `peer-${String(index).padStart(4, '0')}`)
      .sort(
        (a, b) =>
          peer.place(`${entry.manifest.bundle.sha256}/${a}`) - peer.place(`${entry.manifest.bundle.sha256}/${b}`)
      )
      .slice(0, 8)
    const asked: string[] = []
    for (let minute = 0; minute < 60 && asked.length < 3; minute++) {
      peer.now += 60_000
      for (const effect of peer.step({ type: 'wake' })) {
        if (effect.type === 'connect' && keepers.includes(effect.peer))
          peer.step({ type: 'connected', peer: effect.peer })
        if (effect.type === 'send' && effect.message.kind === 'want' && effect.to !== 'peer-n') asked.push(effect.to)
      }
    }
    assert.ok(asked.length >= 3 && asked.every((one) => keepers.includes(one)), asked.join())
  })
})
