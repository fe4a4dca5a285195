import assert from 'node:assert/strict'
import type { Effect } from '../../../src/overlay/events.ts'
import type { Message } from '../../../src/overlay/messages.ts'
import { LonePeer } from './lone-peer.ts'

const hasEnded = (effects: Effect[]): boolean => effects.some(({ type }) => type === 'left')

describe('leaving (SPEC O12)', () => {
  /** Whether the process is told to end in the second after the farewell. */
  const endsBy = (lone: LonePeer): boolean => {
    lone.now += 1000
    return hasEnded(lone.step({ type: 'wake' }))
  }

  it('O12: says farewell in its record, then ends; started again it is back', () => {
    const lone = new LonePeer()
    lone.installed()
    const before = lone.record
    lone.state({ what: 'leave', peer: 'peer-other' })
    assert.equal(lone.peer.leaving, undefined)
    lone.state({ what: 'leave', peer: 'peer-a' })
    assert.equal(lone.record?.left, true)
    assert.ok(lone.record!.counter > before!.counter)
    assert.ok(endsBy(lone))
    lone.restart()
    assert.equal(lone.record?.left, undefined)
    assert.ok(lone.record!.incarnation > before!.incarnation)
    assert.equal(lone.peer.leaving, undefined)
    lone.answerAll('clean', 'start')
    assert.equal(lone.peer.objects.get('Av1')?.service, 'serving')
  })

  it('O12: a crash after the farewell: it leaves in the next life', () => {
    const lone = new LonePeer()
    lone.installed()
    lone.state({ what: 'leave', peer: 'peer-a' })
    lone.restart()
    assert.equal(lone.record?.left, true)
    assert.ok(endsBy(lone))
  })

  it('O12: what has begun is finished first, and nothing is begun', () => {
    const lone = new LonePeer()
    lone.installed()
    lone.inject()
    lone.answerAll('warm')
    lone.state({ what: 'leave', peer: 'peer-a' })
    assert.match(lone.peer.leaving ?? '', /finishes what Av1 has begun/)
    assert.ok(!endsBy(lone))
    lone.answerAll('drain', 'transform', 'prove')
    assert.equal(lone.record?.left, undefined)
    lone.answerAll('serve')
    assert.equal(lone.record?.left, true)
    assert.equal(lone.record?.objects['Av1']?.version, 2)
    assert.ok(endsBy(lone))
  })

  it('O12: an upgrade that has not stopped the object is dropped', () => {
    const lone = new LonePeer()
    lone.installed()
    lone.inject()
    lone.state({ what: 'leave', peer: 'peer-a' })
    lone.answerAll('warm', 'abandon')
    assert.equal(lone.record?.left, true)
    assert.equal(lone.record?.objects['Av1']?.version, 1)
  })

  it('O12: it waits until a neighbour that stays has the newest bundle, too', () => {
    const lone = new LonePeer()
    const { sha256 } = lone.installed().manifest.bundle
    const hears = (from: string, message: Message) => lone.step({ type: 'message', from, message })
    for (const from of ['peer-m', 'peer-n']) {
      lone.step({ type: 'connected', peer: from })
      hears(from, { kind: 'neighbour', what: 'ask', urgent: true })
    }
    const have: Message = { kind: 'have', bundle: sha256, pieces: new Uint8Array([1]) }
    lone.state({ what: 'leave', peer: 'peer-m' })
    lone.state({ what: 'leave', peer: 'peer-a' })
    hears('peer-m', have)
    assert.match(lone.peer.leaving ?? '', /hands on the bundle of version 1, which no neighbour is known to hold/)
    assert.equal(lone.record?.left, undefined)
    hears('peer-n', have)
    assert.equal(lone.record?.left, true)
    assert.ok(endsBy(lone))
  })

  it('O12: a neighbour that is ordered to leave is told at once what is held here', () => {
    const lone = new LonePeer()
    const { sha256 } = lone.installed().manifest.bundle
    for (const peer of ['peer-m', 'peer-n']) {
      lone.step({ type: 'connected', peer })
      lone.step({ type: 'message', from: peer, message: { kind: 'neighbour', what: 'ask', urgent: true } })
      const have: Message = { kind: 'have', bundle: sha256, pieces: new Uint8Array([1]) }
      lone.step({ type: 'message', from: peer, message: have })
    }
    const body = { what: 'leave' as const, peer: 'peer-m', format: 1 as const, fleet: lone.world.fleet }
    const { bytes } = lone.world.makeStatement({ ...body, sequence: 5, note: '' }, lone.now + 1e9)
    const effects = lone.step({ type: 'inject', request: 9, topic: 'statement', bytes, bundleHeld: true })
    const told = effects.flatMap((one) => (one.type === 'send' && one.message.kind === 'have' ? [one.to] : []))
    assert.deepEqual(told, ['peer-m'])
  })

  it('O12: it takes no more upgrades from operators', () => {
    const lone = new LonePeer()
    lone.installed()
    lone.state({ what: 'leave', peer: 'peer-a' })
    const entry = lone.world.makeEntry({
      lineages: ['A'],
      schedule: { when: { kind: 'immediately' }, constraints: [] },
      pieces: 1,
      future: true,
      past: true
    })
    const effects = lone.step({ type: 'inject', request: 7, topic: 'entry', bytes: entry.bytes, bundleHeld: true })
    const answer = effects.find((effect) => effect.type === 'answer')
    assert.deepEqual([answer?.ok, answer?.refusal], [false, 'Unreachable'])
    assert.equal(lone.peer.log.head.version, 1)
  })
})
