import assert from 'node:assert/strict'
import { neededBundles } from '../../../src/overlay/needs.ts'
import { after, immediately, manual } from '../../../src/schedule/combinators.ts'
import type { Entry } from '../../../src/upgrade/manifest.ts'
import { LonePeer, OBJECT } from './lone-peer.ts'

const NEVER = { when: { kind: 'manual' as const }, constraints: [] }

/** A peer at version 1 that knows versions up to `newest`, which wait for an approval. */
function waiting(newest: number): LonePeer {
  const peer = new LonePeer()
  peer.installed()
  for (let version = 2; version <= newest; version++) peer.inject(NEVER)
  return peer
}

const object = (peer: LonePeer) => peer.record!.objects[OBJECT]!
const command = (peer: LonePeer, name: string): any => {
  const found = peer.commands.find((one) => one.command === name)
  assert.ok(found !== undefined, `${name} was not told, but ${peer.commands.map((one) => one.command).join()}`)
  return found
}
const approve = (peer: LonePeer, version: number) =>
  peer.state({ what: 'approve', target: peer.world.entries[version - 1]!.hash })

function dieThrice(peer: LonePeer, attempt: number): void {
  for (let death = 1; death <= 3; death++) {
    peer.step({ type: 'died', object: OBJECT, attempt, reason: 'it was killed' })
    peer.passes(60_000)
    if (death < 3) peer.answer('start')
  }
}

describe('future SOs of one object (SPEC L8, L14, L15)', () => {
  it('L8: a call three versions ahead makes the node start all of them, the lowest first', () => {
    const peer = waiting(4)
    peer.step({ type: 'wanted', object: OBJECT, version: 4 })
    for (const version of [2, 3, 4]) {
      assert.equal(command(peer, 'simulate').version, version)
      assert.equal(object(peer).highest, version - 1)
      peer.answer('simulate')
    }
    assert.deepEqual(peer.commands, [])
    assert.equal(object(peer).highest, 4)
  })

  it('L8: one that does not start ends the attempt; what is below it serves', () => {
    const peer = waiting(3)
    peer.step({ type: 'wanted', object: OBJECT, version: 3 })
    peer.answer('simulate')
    peer.answer('simulate', { ok: false, reason: 'it threw' })
    assert.equal(object(peer).highest, 2)
    peer.step({ type: 'wanted', object: OBJECT, version: 3 })
    assert.deepEqual(peer.commands, [])
  })

  it('L8: those above the new version go on above it, through a restart too', () => {
    const peer = waiting(3)
    peer.step({ type: 'wanted', object: OBJECT, version: 3 })
    peer.answerAll('simulate', 'simulate')
    approve(peer, 2)
    assert.deepEqual(command(peer, 'warm').future, [2, 3])
    peer.answerAll('warm', 'drain', 'transform')
    assert.deepEqual(command(peer, 'prove').future, [3])
    peer.answerAll('prove', 'serve', 'clean')
    assert.deepEqual([object(peer).lowest, object(peer).version, object(peer).highest], [1, 2, 3])
    peer.restart()
    assert.deepEqual(command(peer, 'start').future, [3])
  })

  it('L21: its upgrade says when it is started though nobody called; the time counts on through a restart', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.simulate = after({ delay: '10m' })
    peer.inject(NEVER)
    const why = () => peer.peer.objects.get(OBJECT)!.futureReason
    assert.equal(why(), 'the future SO of version 2: waits another 10m of 10m')
    for (let minute = 1; minute <= 5; minute++) peer.passes(60_000)
    peer.restart()
    peer.answerAll('clean', 'start')
    peer.passes(5 * 60_000 - 1)
    assert.deepEqual(peer.commands, [])
    peer.passes(1)
    assert.equal(command(peer, 'simulate').version, 2)
    peer.answer('simulate')
    assert.deepEqual([object(peer).version, object(peer).highest, why()], [1, 2, ''])
  })

  it('L21: no pause, abort or failure is passed by; a caller is served all the same', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.simulate = immediately()
    peer.state({ what: 'pause', target: null })
    peer.inject(NEVER)
    assert.deepEqual(peer.commands, [])
    assert.match(peer.peer.objects.get(OBJECT)!.futureReason, /^the future SO of version 2: paused by statement/)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate', { ok: false, reason: 'it threw' })
    peer.passes(60_000)
    assert.deepEqual(peer.commands, [], 'one that does not start is not started again and again')

    const other = new LonePeer()
    other.installed()
    other.simulate = manual()
    const entry = other.inject(NEVER)
    other.state({ what: 'abort', target: entry.hash })
    approve(other, 2)
    assert.deepEqual(other.commands, [])
  })

  it('L21: those of several versions are started in their order, each when its upgrade says so', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.simulate = after({ delay: '10m' })
    peer.inject(NEVER)
    peer.simulate = after({ delay: '1m' })
    peer.inject(NEVER)
    peer.passes(60_000)
    // Each rests on the one below, whatever that one's own time.
    assert.equal(command(peer, 'simulate').version, 2)
    peer.answer('simulate')
    assert.equal(command(peer, 'simulate').version, 3)
    peer.answer('simulate')
    assert.equal(object(peer).highest, 3)
  })

  it('L14: after three deaths it is started without them; with state they block the upgrade, and say so', () => {
    const peer = waiting(2)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    dieThrice(peer, 1)
    assert.deepEqual(command(peer, 'start').future, [])
    peer.answer('start', { ok: true, reason: '', stale: [2] })
    assert.ok(peer.alarms.includes('SimulationWithheld'))
    assert.equal(object(peer).highest, 1)
    approve(peer, 2)
    assert.deepEqual(peer.commands, [])
    assert.match(object(peer).reason, /^the future SO of version 2 missed calls; "upstart retry --discard-future"/)
    peer.restart()
    peer.answer('clean')
    assert.deepEqual(command(peer, 'start').future, [])
    peer.answer('start', { ok: true, reason: '', stale: [2] })
    assert.deepEqual(peer.commands, [])
  })

  it('L20: a full disk is no fault of theirs: however often the object dies of it, it is started with them', () => {
    const peer = waiting(2)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    for (let death = 1; death <= 12; death++) {
      peer.step({ type: 'died', object: OBJECT, attempt: 1, again: true, reason: 'the disk is full' })
      peer.passes(60_000)
      assert.deepEqual(command(peer, 'start').future, [2])
      if (death % 2 === 0) peer.answer('start', { ok: false, again: true, reason: 'the disk is full' })
      else peer.answer('start')
    }
    peer.passes(60_000)
    peer.answer('start')
    assert.equal(object(peer).highest, 2)
    assert.ok(!peer.alarms.includes('SimulationWithheld'))
  })

  it('MODEL: an SO without state is dropped, and the node upgrades', () => {
    const peer = waiting(2)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    dieThrice(peer, 1)
    peer.answer('start', { ok: true, reason: '', stale: [] })
    approve(peer, 2)
    assert.deepEqual(command(peer, 'warm').future, [])
  })

  it('L15: a retry that discards takes them out with their state; then they start anew, and the node upgrades', () => {
    const peer = waiting(3)
    peer.step({ type: 'wanted', object: OBJECT, version: 3 })
    peer.answerAll('simulate', 'simulate')
    const target = peer.world.entries[1]!.hash
    const discard = { what: 'retry' as const, target, discardFuture: true }
    // Stated before the quarantine, or for another peer, it lifts nothing.
    peer.state({ ...discard, peer: null })
    peer.step({ type: 'quarantined', object: OBJECT, version: 2, reason: 'its interception threw' })
    peer.state({ ...discard, peer: 'peer-b' })
    assert.deepEqual([peer.commands, object(peer).highest], [[], 1])
    approve(peer, 2)
    assert.match(object(peer).reason, /missed calls/)
    peer.state({ ...discard, peer: 'peer-a' })
    assert.deepEqual(command(peer, 'remove').versions, [2, 3])
    peer.answer('remove')
    assert.deepEqual(command(peer, 'warm').future, [])
  })

  it('L15: what is quarantined while another one is discarded stays, until another word', () => {
    const peer = waiting(3)
    peer.step({ type: 'wanted', object: OBJECT, version: 3 })
    peer.answerAll('simulate', 'simulate')
    peer.step({ type: 'quarantined', object: OBJECT, version: 3, reason: 'its interception threw' })
    const target = peer.world.entries[2]!.hash
    peer.state({ what: 'retry', target, discardFuture: true, peer: null })
    assert.deepEqual(command(peer, 'remove').versions, [3])
    peer.step({ type: 'quarantined', object: OBJECT, version: 2, reason: 'its interception threw, too' })
    peer.answer('remove')
    approve(peer, 2)
    assert.deepEqual(peer.commands, [])
    assert.match(object(peer).reason, /^the future SO of version 2 missed calls/)
    peer.state({ what: 'retry', target, discardFuture: true, peer: 'peer-a' })
    assert.deepEqual(command(peer, 'remove').versions, [2])
  })

  it('L15: one that could not be taken out is not tried for ever, and again after the next word', () => {
    const peer = waiting(2)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    peer.step({ type: 'quarantined', object: OBJECT, version: 2, reason: 'its interception threw' })
    const discard = { what: 'retry' as const, target: peer.world.entries[1]!.hash, discardFuture: true }
    peer.state({ ...discard, peer: null })
    peer.answer('remove', { ok: false, reason: 'the disk ails' })
    assert.ok(peer.alarms.includes('DiscardFailed'))
    assert.deepEqual(peer.commands, [])
    peer.state({ ...discard, peer: 'peer-a' })
    assert.deepEqual(command(peer, 'remove').versions, [2])
  })

  it('L15: a crash in the middle of it discards again', () => {
    const peer = waiting(2)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    peer.step({ type: 'quarantined', object: OBJECT, version: 2, reason: 'its interception threw' })
    peer.state({ what: 'retry', target: peer.world.entries[1]!.hash, discardFuture: true, peer: null })
    assert.ok(command(peer, 'remove'))
    peer.restart()
    peer.answer('clean')
    peer.answer('start', { ok: true, reason: '', stale: [2] })
    peer.answer('remove')
    approve(peer, 2)
    assert.deepEqual(command(peer, 'warm').future, [])
  })
})

describe('future SOs of a branch (SPEC T6, D24, R3)', () => {
  const ended = (peer: LonePeer, on: Entry, rival: Entry) => {
    const ways = [peer.world.entries[0]!, rival].map(({ hash }) => ({ entry: hash, transform: 'way.js' }))
    const classes = on.manifest.classes.map((one) => ({ ...one, from: one.to, ways }))
    const manifest = { ...on.manifest, version: 3, parent: on.hash, replaces: [on.hash, rival.hash], classes }
    peer.fork(on, { version: 3, parent: on.hash, hash: '3'.padStart(64, '0'), manifest })
  }
  function disputed(): { peer: LonePeer; left: Entry; right: Entry } {
    const peer = new LonePeer()
    peer.installed()
    const left = peer.inject(NEVER)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    return { peer, left, right: peer.fork(left) }
  }

  it('T6: one whose version is disputed since goes on, and is started again with its own code after a restart', () => {
    const { peer, left } = disputed()
    peer.passes(24 * 3_600_000)
    peer.restart()
    peer.answer('clean')
    assert.deepEqual(command(peer, 'start').future, [2])
    const { state } = peer.peer.objects.get(OBJECT)!
    assert.equal(peer.peer.log.schemaOf(state.simulated![2]!).at(OBJECT, 2)?.entry.hash, left.hash)
    assert.ok(neededBundles(peer.peer.log, peer.peer.objects.values()).has(left.manifest.bundle.sha256))
  })

  it('D24, R3: where the fork ends on the other branch it answers nobody, and an upgrade waits for the operator', () => {
    const { peer, left, right } = disputed()
    ended(peer, right, left)
    assert.equal(peer.peer.log.at(2)?.hash, right.hash)
    assert.ok(peer.alarms.includes('SimulationWithheld'))
    assert.equal(object(peer).highest, 1)
    const target = right.hash
    peer.state({ what: 'retry', target, discardFuture: true, peer: null })
    assert.deepEqual(command(peer, 'remove').versions, [2])
    peer.answer('remove')
    assert.deepEqual(peer.peer.objects.get(OBJECT)!.state.futures, [])
  })

  it('R3: where it ends on its own branch it goes on', () => {
    const { peer, left, right } = disputed()
    ended(peer, left, right)
    assert.equal(peer.peer.log.at(2)?.hash, left.hash)
    assert.equal(object(peer).highest, 2)
  })
})

describe('retirement (SPEC R6)', () => {
  /** At version 3, hosting past SOs of 1 and 2. */
  function third(): LonePeer {
    const peer = new LonePeer()
    peer.installed()
    for (const _ of [2, 3]) {
      peer.inject()
      peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
    }
    return peer
  }
  const retire = (peer: LonePeer, version: number) =>
    peer.state({ what: 'retire', target: peer.world.entries[version - 1]!.hash, callers: false })

  it('R6: a past SO is taken out of the running object with all below it, and is not started again', () => {
    const peer = third()
    assert.equal(object(peer).lowest, 1)
    retire(peer, 2)
    assert.deepEqual(command(peer, 'remove').versions, [1, 2])
    peer.answer('remove')
    assert.equal(object(peer).lowest, 3)
    peer.restart()
    assert.deepEqual(command(peer, 'start').past, [])
  })

  it('R6: one that is retired between warm and commit is taken out of the process that was warmed with it', () => {
    const peer = third()
    peer.inject()
    peer.answer('warm')
    assert.equal(command(peer, 'drain').command, 'drain')
    retire(peer, 1)
    peer.answerAll('drain', 'transform', 'prove', 'serve', 'clean')
    assert.deepEqual(command(peer, 'remove').versions, [1])
  })

  it('R6, D29: the object is not stopped for an upgrade while SOs are being taken out of it', () => {
    const peer = third()
    retire(peer, 1)
    peer.inject()
    assert.deepEqual(
      peer.commands.map((one) => one.command),
      ['remove']
    )
    assert.equal(object(peer).reason, 'past SOs are being taken out')
    peer.answer('remove')
    assert.ok(command(peer, 'warm'))
  })

  it('V10: that a past SO is quarantined is an alarm, too', () => {
    const peer = third()
    peer.step({ type: 'quarantined', object: OBJECT, version: 2, reason: 'its interception threw' })
    assert.ok(peer.alarms.includes('SimulationQuarantined'))
    assert.equal(object(peer).version, 3)
  })

  it('R6: the current object is never stopped by it; when the node upgrades, its past SO is not started', () => {
    const peer = third()
    retire(peer, 3)
    assert.deepEqual(command(peer, 'remove').versions, [1, 2])
    peer.answer('remove')
    assert.deepEqual([object(peer).version, object(peer).serving], [3, true])
    peer.inject()
    assert.deepEqual(command(peer, 'warm').past, [])
    peer.answerAll('warm', 'drain', 'transform')
    assert.deepEqual(command(peer, 'prove').past, [])
  })
})

describe('replaced versions (SPEC R1, R4)', () => {
  it('R4: on the way to a version that is replaced the node goes back without blame, and takes the other one', () => {
    const peer = new LonePeer()
    peer.installed()
    const second = peer.inject()
    peer.answerAll('warm', 'drain')
    peer.inject(undefined, [second])
    assert.equal(object(peer).target, 2)
    peer.answer('transform')
    assert.match(object(peer).reason, /^went back from version 2: it is replaced by version 3$/)
    assert.deepEqual(object(peer).failed, [])
    peer.answerAll('abandon', 'start')
    assert.equal(command(peer, 'warm').version, 3)
    peer.answerAll('clean', 'warm', 'drain', 'transform')
    assert.deepEqual(command(peer, 'prove').past, [1, 2])
  })

  it('R4: a node that is at the replaced version goes on from there', () => {
    const peer = new LonePeer()
    peer.installed()
    const second = peer.inject()
    peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
    peer.state({ what: 'abort', target: second.hash })
    assert.equal(object(peer).version, 2)
    peer.inject(undefined, [second])
    assert.equal(command(peer, 'warm').version, 3)
    peer.answerAll('warm', 'drain')
    assert.equal(command(peer, 'transform').from.version, 2)
  })

  it('R5: what callers wrote through the future SO of the replaced version reaches the TF', () => {
    const peer = new LonePeer()
    peer.installed()
    const second = peer.inject(NEVER)
    peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    peer.answer('simulate')
    peer.state({ what: 'abort', target: second.hash })
    peer.inject(undefined, [second])
    peer.answerAll('warm', 'drain')
    assert.deepEqual(command(peer, 'transform').from.future, [2])
    peer.answerAll('transform', 'prove', 'serve', 'clean')
    assert.deepEqual([object(peer).lowest, object(peer).version, object(peer).highest], [1, 3, 3])
  })
})
