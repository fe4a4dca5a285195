import assert from 'node:assert/strict'
import { PATIENCE_MS } from '../../../src/schedule/cohorts.ts'
import {
  after,
  byClass,
  domains,
  gradual,
  immediately,
  manual,
  not,
  random,
  sequence,
  signalled
} from '../../../src/schedule/combinators.ts'
import { SETTLE_MS, type Shown } from '../../../src/schedule/panel.ts'
import { type Condition, conditionSchema } from '../../../src/schedule/schedule.ts'
import { encode } from '../../../src/upgrade/canonical.ts'
import { Onlooker } from './onlooker.ts'

const HOUR_MS = 3_600_000
const onlooker = (condition: Condition, labels: Record<string, string> = {}): Onlooker => {
  const peer = new Onlooker(condition)
  peer.labels = labels
  return peer
}
const inZone = (zone: string, state: Shown = 'runs') => ({ labels: { zone }, state })

describe('domains (SPEC S41)', () => {
  const ZONES = domains({ by: 'zone', order: ['a', ['b', 'c'], 'd'], every: '1h' })

  it('S41: the first goes at once, each other when all known of those before it have run the version for the time', () => {
    assert.ok(
      onlooker(ZONES, { zone: 'a' })
        .seeAll([inZone('a', 'failed')])
        .goes(0)
    )
    const second = onlooker(ZONES, { zone: 'c' })
    second.seeAll([inZone('a'), inZone('a', 'waits'), inZone('b', 'waits')])
    assert.match(second.says(0), /^waits for domain zone=a: 1 of 2 run version 2; …other1 does not yet$/)
    second.seeAll([inZone('a'), inZone('a'), inZone('b', 'failed'), inZone('d', 'failed')])
    assert.equal(second.says(0), 'domain zone=a: 2 of 2 run version 2; soak: another 60m of 60m')
    assert.ok(!second.goes(HOUR_MS - 1) && second.goes(1))
    const last = onlooker(ZONES, { zone: 'd' }).seeAll([inZone('a'), inZone('b'), inZone('c', 'sick')])
    assert.match(last.says(0), /^waits for domain zone=b\|c: 1 of 2 run version 2; …other2 fails$/)
  })

  it('S41: without the label, or with another value, last of all', () => {
    for (const labels of [{}, { zone: 'z' }, { region: 'a' }] as Record<string, string>[]) {
      const peer = onlooker(ZONES, labels).seeAll([inZone('a'), inZone('b'), inZone('d', 'waits')])
      assert.match(peer.says(0), /^waits for domain zone=d: 0 of 1/)
      assert.match(peer.seeAll([inZone('a'), inZone('b'), inZone('d')]).says(0), /soak/)
      assert.ok(peer.goes(HOUR_MS))
    }
  })

  it('S41: whoever has heard of the upgrade is waited for without limit, who has not for an hour where half run', () => {
    const peer = onlooker(domains({ by: 'zone', order: ['a', 'b'] }), { zone: 'b' })
    peer.seeAll([inZone('a'), inZone('a', 'waits')])
    for (let hour = 0; hour < 100; hour++) assert.ok(!peer.goes(HOUR_MS))
    peer.seeAll([inZone('a'), inZone('a', 'behind')])
    assert.ok(!peer.goes(0) && !peer.goes(PATIENCE_MS - 1) && peer.goes(1))
    peer.seeAll([inZone('a'), inZone('a', 'behind'), inZone('a', 'waits')])
    assert.ok(!peer.goes(HOUR_MS), 'patience with one is none with the other')
  })

  it('S41: `success` of a domain is enough; a domain of nobody is passed over; knowledge settles first', () => {
    const most = onlooker(domains({ by: 'zone', order: ['a', 'b'], success: 0.5 }), { zone: 'b' })
    assert.ok(most.seeAll([inZone('a'), inZone('a', 'failed')]).goes(0))
    assert.ok(!most.seeAll([inZone('a'), inZone('a', 'failed'), inZone('a', 'failed')]).goes(0))
    const alone = onlooker(ZONES, { zone: 'd' })
    alone.settledMs = 0
    assert.match(alone.says(0), /makes sure that there are no others/)
    alone.settledMs = undefined
    assert.match(alone.says(0), /cut off/)
    alone.settledMs = SETTLE_MS
    assert.ok(alone.goes(0))
  })

  it('S41: where more than half of the own domain run it, who comes later does not soak again', () => {
    const peer = onlooker(ZONES, { zone: 'd' }).seeAll([inZone('a'), inZone('b'), inZone('d')])
    assert.ok(peer.goes(0))
    assert.ok(!peer.seeAll([inZone('a'), inZone('b'), inZone('d'), inZone('d', 'waits')]).goes(0))
    assert.ok(!peer.seeAll([inZone('a', 'failed'), inZone('b'), inZone('d')]).goes(0))
  })

  it('S1: no domain, an empty one, and a value that is named twice are refused', () => {
    for (const order of [[], [[]], ['a', 'a'], [['a', 'b'], 'b'], ['']])
      assert.throws(() => domains({ by: 'zone', order }), { name: 'Malformed' }, JSON.stringify(order))
    assert.throws(() => domains({ by: '', order: ['a'] }), { name: 'Malformed' })
    assert.throws(() => domains({ by: 'zone', order: Array.from({ length: 17 }, (_, at) => `z${at}`) }), {
      name: 'Malformed'
    })
    assert.doesNotThrow(() => encode(conditionSchema.parse(ZONES)))
  })
})

describe('after a class (SPEC S42)', () => {
  const servers = (...states: Shown[]) => states.map((state) => ({ class: 'Server', state }))

  it('S42: when so large a share of those that host it run its version', () => {
    const peer = onlooker(after({ class: 'Server', version: 7, fraction: 0.75 }))
    assert.match(peer.says(0), /^waits for class Server: no peer that hosts it is known$/)
    peer.seeAll(servers('runs', 'runs', 'waits', 'waits'))
    assert.match(peer.says(0), /^waits for class Server: 2 of 4 run version 7; …other2 does not yet$/)
    assert.ok(!peer.goes(100 * HOUR_MS))
    assert.ok(peer.seeAll(servers('runs', 'runs', 'runs', 'waits')).goes(0))
    assert.ok(peer.seeAll(servers('runs', 'runs', 'runs', 'failed')).goes(0))
    assert.match(peer.seeAll(servers('runs', 'runs', 'failed', 'failed')).says(0), /…other2 went back$/)
  })

  it('S42: all of them, where no share is named; once they do it stays so in a sequence', () => {
    const peer = onlooker(sequence(after({ class: 'Server', version: 7 }), manual()))
    assert.match(peer.seeAll(servers('runs', 'waits')).says(0), /^step 1 of 2: waits for class/)
    assert.match(peer.seeAll(servers('runs', 'runs')).says(0), /^step 2 of 2/)
    assert.match(peer.seeAll(servers('failed')).says(0), /^step 2 of 2/)
  })

  it('S1: a share outside of 0 to 1, a version that is none and a name that is none are refused', () => {
    for (const fraction of [0, -0.5, 1.1, Number.NaN])
      assert.throws(() => after({ class: 'Server', version: 2, fraction }), { name: 'Malformed' })
    for (const version of [0, 1.5, -1]) assert.throws(() => after({ class: 'Server', version }), { name: 'Malformed' })
    assert.throws(() => after({ class: 'no name', version: 1 }), { name: 'Malformed' })
  })
})

describe('signals (SPEC S43)', () => {
  it('S43: when so many hold it ready; met once it stays met, through restarts', () => {
    const peer = onlooker(signalled({ fraction: 0.75, of: 'neighbours' }))
    peer.signals = { known: 10, ready: 7 }
    assert.equal(peer.says(0), '7 of 10 of neighbours and itself hold it ready; 8 must')
    peer.signals = { known: 10, ready: 8 }
    peer.settledMs = 0
    assert.match(peer.says(0), /makes sure/)
    peer.settledMs = undefined
    assert.match(peer.says(0), /cut off/)
    peer.settledMs = SETTLE_MS
    assert.ok(peer.goes(0))
    peer.signals = { known: 10, ready: 0 }
    assert.ok(peer.goes(0))
  })

  it('S43: what is not known for sure is neither yes nor no', () => {
    const peer = onlooker(not(signalled({ fraction: 0.5 })))
    peer.signals = { known: 10, ready: 10 }
    peer.settledMs = 0
    assert.ok(!peer.goes(0))
    peer.signals = { known: 10, ready: 1 }
    assert.ok(!peer.goes(0), 'those that it does not know may be ready')
    peer.settledMs = undefined
    assert.ok(!peer.goes(0))
    peer.settledMs = SETTLE_MS
    assert.ok(peer.goes(0))
  })

  it('S21: a peer that knows nobody yet does not take its ignorance for an answer', () => {
    const conditions = [
      after({ class: 'Server', version: 2 }),
      domains({ by: 'zone', order: ['a'] }),
      signalled({ fraction: 0.5 })
    ]
    for (const condition of conditions)
      for (const settledMs of [undefined, SETTLE_MS - 1]) {
        const peer = onlooker(not(condition), { zone: 'b' })
        peer.settledMs = settledMs
        for (const seen of [[], [{ class: 'Server', labels: { zone: 'a' }, state: 'waits' as const }]]) {
          peer.seeAll(seen)
          const verdict = peer.after(0)
          assert.ok(!verdict.go && verdict.unsure === true, condition.kind)
          assert.equal(verdict.inMs, settledMs === undefined ? undefined : 1)
        }
      }
  })

  it('S1: a share outside of 0 to 1, or of nobody there is, is refused', () => {
    for (const fraction of [0, 2]) assert.throws(() => signalled({ fraction }), { name: 'Malformed' })
    assert.throws(() => signalled({ fraction: 0.5, of: 'friends' as 'group' }), { name: 'Malformed' })
  })
})

describe('random and by class (SPEC S44)', () => {
  it('S44: a time is drawn once and kept', () => {
    const peer = onlooker(random({ within: '1h' }))
    peer.drawn = 0.25
    assert.match(peer.says(0), /^its turn, drawn at random within 60m, comes in 15m$/)
    peer.drawn = 0.9
    assert.ok(!peer.goes(HOUR_MS / 4 - 1))
    assert.ok(!peer.goes(0))
    assert.ok(peer.goes(1))
    assert.throws(() => random({ within: 0 }), { name: 'Malformed' })
  })

  it('S44: two of one schedule are drawn apart, and each upgrade anew', () => {
    const two = onlooker({ kind: 'any', of: [random({ within: '1h' }), gradual({ over: '1h' })] })
    two.drawn = 0.5
    assert.ok(two.goes(0), 'gradual places this peer first')
    assert.equal(two.progress['/0/drawn'], HOUR_MS / 2)
    two.progress = {}
    two.drawn = 0.1
    two.after(0)
    assert.equal(two.progress['/0/drawn'], HOUR_MS / 10)
  })

  it('S44: each class has its own condition, by any of its names, with time of its own', () => {
    const condition = byClass({ Server: immediately(), Client: after({ delay: '1h' }) }, manual())
    const asked = (...classes: string[]) => {
      const peer = onlooker(condition)
      peer.classes = classes
      return peer
    }
    assert.ok(asked('Old', 'Server').goes(0))
    assert.match(asked('Thing').says(0), /approval/)
    const client = asked('Client')
    assert.ok(!client.goes(0) && !client.goes(HOUR_MS - 1) && client.goes(1))
    assert.throws(() => byClass({}), { name: 'Malformed' })
    assert.doesNotThrow(() => encode(conditionSchema.parse(condition)))
    assert.throws(() => byClass({ toString: immediately() }), { name: 'Malformed' })
    assert.match(asked('toString').says(0), /approval/)
  })
})
