import assert from 'node:assert/strict'
import { MOST_INTERRUPTIONS } from '../../../src/overlay/lifecycle.ts'
import { LonePeer, OBJECT } from './lone-peer.ts'

const names = (peer: LonePeer) => peer.commands.map((one) => one.command)
const object = (peer: LonePeer) => peer.peer.objects.get(OBJECT)

describe('what is broadcast (SPEC O4)', () => {
  it('an entry whose parent was missed makes the peer ask whoever passed it on, once', () => {
    const peer = new LonePeer()
    peer.step({ type: 'connected', peer: 'peer-b' })
    const freely = { when: { kind: 'immediately' as const }, constraints: [] }
    const make = () => peer.world.makeEntry({ lineages: ['A'], schedule: freely, pieces: 1, future: true, past: true })
    make()
    const { bytes } = make()
    const hear = () => peer.step({ type: 'published', from: 'peer-b', topic: 'entry', bytes })
    const asks = () => hear().filter((effect) => effect.type === 'send' && effect.message.kind === 'digest').length
    assert.deepEqual([asks(), asks()], [1, 0])
  })
})

describe('progress of a schedule (SPEC S3)', () => {
  it('is written when it begins and every five minutes while it grows, and not for ever', () => {
    const peer = new LonePeer()
    peer.installed()
    const common = { format: 1 as const, fleet: peer.world.fleet, sequence: 1, note: '' }
    const { bytes } = peer.world.makeStatement({ ...common, what: 'pause', target: null }, peer.now + 1e9)
    peer.step({ type: 'inject', request: 2, topic: 'statement', bytes, bundleHeld: true })
    peer.inject({ when: { kind: 'after', delayMs: 3_000_000 }, constraints: [] })
    const writes = (minutes: number): number => {
      let count = 0
      for (let second = 0; second < 60 * minutes; second++) {
        peer.now += 1000
        count += peer.step({ type: 'wake' }).filter((effect) => effect.type === 'persist').length
      }
      return count
    }
    const growing = writes(51)
    assert.ok(growing >= 9 && growing <= 11, `${growing} writes in fifty minutes`)
    assert.equal(writes(60), 0)
    assert.deepEqual(names(peer), [])
  })
})

describe('one object of a peer (SPEC L)', () => {
  it('L4: an object that dies between its commit and its first call is restarted', () => {
    const peer = new LonePeer()
    peer.inject()
    peer.answerAll('warm', 'transform', 'prove')
    // The host takes the process into service and sees its end before the completion of `serve` is told.
    peer.step({ type: 'died', object: OBJECT, attempt: 1, reason: 'it was killed' })
    peer.answer('serve')
    assert.equal(peer.record?.objects[OBJECT]?.serving, false)
    peer.passes(60_000)
    peer.answerAll('start', 'clean')
    assert.equal(peer.record?.objects[OBJECT]?.serving, true)
    assert.equal(object(peer)?.state.phase.name, 'idle')
  })

  it('T6: an object on a branch that the fleet disputes serves on, and after a restart', () => {
    const peer = new LonePeer()
    peer.fork(peer.installed())
    assert.deepEqual(peer.alarms, ['Fork'])
    assert.equal(peer.peer.resolve('Av1', 1)?.entry.hash, object(peer)?.state.current?.entry)
    peer.restart()
    assert.deepEqual(names(peer), ['clean', 'start'])
    peer.answerAll('clean', 'start')
    assert.equal(peer.record?.objects[OBJECT]?.serving, true)
  })

  it('R3: what ended a fork is known after a restart, though it replaces a version as high as its own', () => {
    const peer = new LonePeer()
    peer.installed()
    const never = { when: { kind: 'manual' as const }, constraints: [] }
    const [left, deep] = [peer.inject(never), peer.inject(never)]
    const right = peer.fork(left)
    const replaces = [left.hash, right.hash, deep.hash]
    const ways = [peer.world.entries[0]!, left, deep].map(({ hash }) => ({ entry: hash, transform: 'way.js' }))
    const classes = deep.manifest.classes.map((one) => ({ ...one, ways }))
    // Of the same version as `deep`, and first by its hash.
    const end = { parent: right.hash, hash: '1'.padStart(64, '0') }
    peer.fork(deep, { ...end, manifest: { ...deep.manifest, parent: right.hash, replaces, classes } })
    assert.equal(peer.peer.log.head.hash, end.hash)
    peer.restart()
    assert.equal(peer.peer.log.head.hash, end.hash)
  })

  for (const [when, before] of [
    ['before the old object stops', []],
    ['in the middle of the transform', ['warm', 'drain']]
  ] as const) {
    it(`L12: for want of space ${when} the node goes back, remembers no failure, and tries again later`, () => {
      const peer = new LonePeer()
      peer.installed()
      peer.inject()
      peer.answerAll(...before)
      const noSpace = { ok: false, again: true, reason: 'the transform needs 9 bytes, 1 is free' }
      peer.answer(before.length === 0 ? 'warm' : 'transform', noSpace)
      peer.answerAll('abandon')
      if (before.length > 0) peer.answerAll('start', 'clean')
      assert.equal(peer.record?.objects[OBJECT]?.serving, true)
      assert.deepEqual(peer.record?.objects[OBJECT]?.failed, [])
      assert.match(object(peer)!.reason, /1 is free/)
      assert.deepEqual(names(peer), [])
      peer.passes(31_000)
      peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve')
      assert.equal(peer.record?.objects[OBJECT]?.version, 2)
    })
  }

  it('L2: a daemon that dies between the commit and the first call goes on with the new version, and with that alone', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.inject()
    peer.answerAll('warm', 'drain', 'transform', 'prove')
    assert.equal(object(peer)?.state.phase.name, 'activating')
    peer.restart()
    const [clean, start] = peer.commands
    assert.ok(clean?.command === 'clean' && start?.command === 'start')
    assert.deepEqual([clean.keep, start.attempt, start.version], [2, 2, 2])
    peer.answerAll('clean', 'start', 'clean')
    assert.deepEqual([peer.record?.objects[OBJECT]?.version, object(peer)?.state.phase.name], [2, 'idle'])
  })

  for (const victim of ['daemon', 'object'] as const) {
    it(`L3: fetching: the ${victim} dies, and the old version serves while the bundle is fetched`, () => {
      const peer = new LonePeer()
      peer.installed()
      const freely = { when: { kind: 'immediately' as const }, constraints: [] }
      const { bytes, manifest } = peer.world.makeEntry({
        lineages: ['A'],
        schedule: freely,
        pieces: 1,
        future: true,
        past: true
      })
      peer.step({ type: 'published', from: 'peer-b', topic: 'entry', bytes })
      assert.equal(object(peer)?.state.phase.name, 'fetching')
      if (victim === 'daemon') {
        peer.restart()
        peer.answerAll('clean', 'start')
      } else {
        peer.step({ type: 'died', object: OBJECT, attempt: 1, interrupted: true, reason: 'it was killed' })
        peer.passes(1_000)
        peer.answer('start')
      }
      const { serving, version, phase } = peer.record!.objects[OBJECT]!
      assert.deepEqual([serving, version, phase], [true, 1, 'fetching'])
      peer.step({ type: 'inject', request: 3, topic: 'entry', bytes, bundleHeld: true })
      peer.step({ type: 'unpacked', bundle: manifest.bundle.sha256, ok: true, reason: '' })
      peer.answerAll('warm', 'drain', 'transform', 'prove', 'serve', 'clean')
      assert.equal(peer.record?.objects[OBJECT]?.version, 2)
    })
  }

  for (const [command, before, after] of [
    ['warm', [], ['abandon', 'warm']],
    ['transform', ['warm', 'drain'], ['abandon', 'transform']],
    ['prove', ['warm', 'drain', 'transform'], ['abandon', 'transform']]
  ] as const) {
    it(`L20: a ${command} whose process is killed from outside is done again at once, but not for ever`, () => {
      const peer = new LonePeer()
      peer.installed()
      peer.inject()
      peer.answerAll(...before)
      const attempts = new Set<number>()
      const interrupt = () => {
        if (command === 'prove' && peer.commands[0]?.command === 'transform') peer.answer('transform')
        const [next] = peer.commands
        attempts.add(next !== undefined && 'attempt' in next ? next.attempt : 0)
        peer.answer(command, { ok: false, interrupted: true, reason: 'it was killed by SIGKILL' })
      }
      for (let time = 1; time < MOST_INTERRUPTIONS; time++) {
        interrupt()
        assert.deepEqual(names(peer), after)
        assert.deepEqual(peer.record?.objects[OBJECT]?.failed, [])
        peer.answer('abandon')
      }
      interrupt()
      assert.equal(attempts.size, MOST_INTERRUPTIONS, 'every attempt is a fresh one')
      peer.answer('abandon')
      if (command !== 'warm') peer.answerAll('start', 'clean')
      const { version, serving, failed } = peer.record!.objects[OBJECT]!
      assert.deepEqual([version, serving, failed[0]?.version], [1, true, 2])
    })
  }

  it('L20: after an interruption the upgrade ends as if there had been none', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.inject()
    peer.answerAll('warm', 'drain')
    peer.answer('transform', { ok: false, interrupted: true, reason: 'it was killed by SIGKILL' })
    peer.answerAll('abandon', 'transform', 'prove', 'serve', 'clean')
    assert.equal(peer.record?.objects[OBJECT]?.version, 2)
    assert.equal(object(peer)?.state.interruptions, 0)
    assert.ok(peer.alarms.includes('UpgradeInterrupted'))
  })

  it('L20: a future SO whose start was killed from outside is started again by the next call', () => {
    const peer = new LonePeer()
    peer.installed()
    peer.inject({ when: { kind: 'manual' }, constraints: [] })
    const want = () => peer.step({ type: 'wanted', object: OBJECT, version: 2 })
    want()
    peer.answer('simulate', { ok: false, interrupted: true, reason: 'it was killed by SIGKILL' })
    want()
    peer.step({ type: 'died', object: OBJECT, attempt: 1, interrupted: true, reason: 'it was killed by SIGKILL' })
    peer.passes(1_000)
    peer.answer('simulate', { ok: false, interrupted: true, reason: 'it was killed by SIGKILL' })
    peer.answer('start')
    want()
    peer.answer('simulate')
    assert.equal(peer.record?.objects[OBJECT]?.highest, 2)
  })

  it('S14: hasten lets an upgrade go whatever its conditions; a pause of this peer stays', () => {
    const peer = new LonePeer()
    peer.installed()
    const entry = peer.inject({ when: { kind: 'never' }, constraints: [] })
    assert.match(object(peer)!.reason, /never/)
    peer.state({ what: 'pause', target: null, of: { peer: 'peer-a' } })
    peer.state({ what: 'pause', target: null, of: { peer: 'peer-b' } })
    peer.state({ what: 'hasten', target: entry.hash })
    assert.match(object(peer)!.reason, /^paused by statement/)
    assert.deepEqual(names(peer), [])
    peer.state({ what: 'resume', lifts: peer.world.statements[0]!.hash })
    assert.deepEqual(names(peer), ['warm'])
  })

  it('S5: what waits for a permit gives its wish back when its window closes', () => {
    const peer = new LonePeer()
    peer.installed()
    const minute = new Date(peer.now).getUTCMinutes()
    const hour = new Date(peer.now).getUTCHours()
    const when = { kind: 'window' as const, cron: `${minute} ${hour} * * *`, timezone: 'UTC', durationMs: 600_000 }
    peer.inject({ when, constraints: [{ kind: 'rolling', by: 'group', unavailable: 1 }] })
    assert.match(object(peer)!.reason, /has no group/)
    peer.passes(700_000)
    assert.match(object(peer)!.reason, /waits for its window/)
  })
})
