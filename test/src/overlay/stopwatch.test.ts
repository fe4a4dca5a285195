import assert from 'node:assert/strict'
import { LonePeer, OBJECT } from './lone-peer.ts'

const HOUR_MS = 3_600_000
const names = (peer: LonePeer) => peer.commands.map(({ command }) => command)
const waits = (peer: LonePeer) => {
  peer.installed()
  peer.inject({ when: { kind: 'after', delayMs: HOUR_MS }, constraints: [] })
}

/** Time passes, and nothing happens but the wakes that the peer asks for. */
function passesBy(peer: LonePeer, ms: number): void {
  const end = peer.now + ms
  for (;;) {
    const [wake] = peer.step({ type: 'wake' }).flatMap((one) => (one.type === 'wake' ? [one.at] : []))
    if (wake === undefined || wake > end) break
    peer.now = Math.max(wake, peer.now + 1)
  }
  peer.now = end
}

describe('the time that a condition counts (SPEC S3, L12)', () => {
  it('S3: a restart loses at most five minutes of it, a second one as well', () => {
    const peer = new LonePeer()
    waits(peer)
    for (let life = 0; life < 3; life++) {
      passesBy(peer, 18 * 60_000)
      peer.restart()
      peer.answerAll('clean', 'start')
    }
    assert.deepEqual(names(peer), [])
    passesBy(peer, 6 * 60_000 + 3 * 5 * 60_000)
    peer.step({ type: 'wake' })
    assert.deepEqual(names(peer), ['warm'])
  })

  it('L12: who went back for what is not the fault of the version does not wait for all of it again', () => {
    const peer = new LonePeer()
    waits(peer)
    peer.passes(HOUR_MS)
    peer.answerAll('warm', 'drain')
    peer.answer('transform', { ok: false, again: true, reason: 'no space' })
    peer.answerAll('abandon', 'start', 'clean')
    peer.passes(29_000)
    assert.deepEqual(names(peer), [])
    peer.passes(1_000)
    assert.deepEqual(names(peer), ['warm'])
  })

  it('L5: a retry of what failed begins its schedule anew', () => {
    const peer = new LonePeer()
    waits(peer)
    const { hash } = peer.world.entries[1]!
    peer.passes(HOUR_MS)
    peer.answerAll('warm', 'drain')
    peer.answer('transform', { ok: false, reason: 'it throws' })
    peer.answerAll('abandon', 'start')
    peer.state({ what: 'retry', target: hash, peer: null })
    assert.match(peer.peer.objects.get(OBJECT)!.reason, /^waits another 60m/)
  })
})
