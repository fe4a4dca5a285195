import assert from 'node:assert/strict'
import type { Effect } from '../../../src/overlay/events.ts'
import { all, any, custom, immediately, not } from '../../../src/schedule/combinators.ts'
import type { ScheduleFacts } from '../../../src/schedule/context.ts'
import type { Condition } from '../../../src/schedule/schedule.ts'
import { LonePeer, OBJECT } from './lone-peer.ts'

const MODULE = 'schedule.js'
const CODE: Condition = { ...custom('./schedule.ts'), module: MODULE } as Condition

/** A peer at version 1 whose next upgrade waits for what code says. */
class Asking {
  readonly peer = new LonePeer()
  readonly asked: Extract<Effect, { type: 'ask-schedule' }>[] = []

  constructor(when: Condition = CODE) {
    this.peer.installed()
    const { step } = this.peer
    this.peer.step = (event) => {
      const effects = step.call(this.peer, event)
      for (const effect of effects) if (effect.type === 'ask-schedule') this.asked.push(effect)
      return effects
    }
    this.peer.inject({ when, constraints: [] })
  }

  get facts(): ScheduleFacts {
    return this.asked.at(-1)!.facts
  }
  get reason(): string {
    return this.peer.peer.objects.get(OBJECT)!.reason
  }
  get begins(): boolean {
    return this.peer.commands.some(({ command }) => command === 'warm')
  }
  says(value: unknown): void {
    this.peer.step({ type: 'schedule-answer', question: this.asked.at(-1)!.question, value })
  }
  fails(failure: string): void {
    this.peer.step({ type: 'schedule-answer', question: this.asked.at(-1)!.question, failure })
  }
}

describe('questions to the code of custom schedules (SPEC S60 to S63)', () => {
  it('S60: it is asked once, with what the peer knows, and its word counts: go', () => {
    const asking = new Asking()
    assert.equal(asking.asked.length, 1)
    const { object, version, self, census, neighbours, group } = asking.facts
    assert.deepEqual({ object, version, neighbours, group }, { object: OBJECT, version: 2, neighbours: [], group: [] })
    assert.deepEqual([self.version, self.serving, census.known, census.run], [1, true, 1, 0])
    assert.equal(asking.asked[0]!.module, MODULE)
    assert.equal(asking.reason, 'schedule.js is asked')
    asking.says({ go: true })
    assert.ok(asking.begins)
  })

  it('S61: nothing polls: after a wait it is asked when what it sees has changed, not sooner than 5 s, and not for time', () => {
    const asking = new Asking()
    asking.says({ wait: 'it is too early' })
    assert.equal(asking.reason, 'schedule.js says: it is too early')
    asking.peer.passes(3_600_000)
    assert.equal(asking.asked.length, 1)
    // Others' records that say nothing of what it sees are no news either; a new version is, and so is an approval.
    asking.peer.state({ what: 'approve', target: asking.peer.world.entries[1]!.hash })
    asking.peer.passes(5_000)
    assert.equal(asking.asked.length, 2)
    assert.equal(asking.facts.approved, true)
    asking.says({ wait: 'I think about it' })
    asking.peer.hear('peer-n0000001')
    assert.equal(asking.asked.length, 2)
    asking.peer.passes(5_000)
    assert.equal(asking.asked.length, 2, 'a peer that hosts no such object changes nothing of it')
    asking.says({ go: true })
    assert.ok(!asking.begins, 'an answer that nobody asked for')
  })

  it('S61: it may name a time after which it wants to be asked again, at least 5 s', () => {
    const asking = new Asking()
    asking.says({ wait: 'a while', inMs: 60_000 })
    asking.peer.passes(59_999)
    assert.equal(asking.asked.length, 1)
    asking.peer.passes(1)
    assert.equal(asking.asked.length, 2)
    assert.equal(asking.reason, 'schedule.js says: a while', 'what it said last stands while it is asked')
    asking.says({ wait: 'at once', inMs: 0 })
    asking.peer.passes(4_999)
    assert.equal(asking.asked.length, 2)
    asking.peer.passes(1)
    assert.equal(asking.asked.length, 3)
    assert.notEqual(asking.asked[2]!.facts.seed, asking.asked[1]!.facts.seed)
  })

  it('S62: a failure is a wait that names it, asked again with back-off', () => {
    const asking = new Asking()
    for (const againMs of [10_000, 20_000, 40_000]) {
      const before = asking.asked.length
      asking.fails('it threw')
      assert.equal(asking.reason, `schedule.js failed: it threw; it is asked again ${againMs / 1000} s later`)
      asking.peer.passes(againMs - 1)
      assert.equal(asking.asked.length, before)
      asking.peer.passes(1)
      assert.equal(asking.asked.length, before + 1)
    }
    asking.says({ go: true })
    assert.ok(asking.begins)
  })

  for (const rubbish of [
    undefined,
    null,
    true,
    'go',
    { go: false },
    { go: 1 },
    { go: true, wait: 'both' },
    { wait: '' },
    { wait: 'x', inMs: -1 },
    { wait: 'x', inMs: Number.NaN },
    { wait: 'x', inMs: 1e300 },
    []
  ])
    it(`S62: ${JSON.stringify(rubbish)} is no answer`, () => {
      const asking = new Asking()
      asking.says(rubbish)
      assert.ok(!asking.begins)
      assert.match(asking.reason, /^schedule\.js failed: its answer is neither/)
    })

  it('S62: what is not known is not known of its opposite either', () => {
    const asking = new Asking(all(immediately(), not(CODE)))
    assert.ok(!asking.begins)
    asking.fails('it threw')
    assert.ok(!asking.begins)
    asking.peer.passes(10_000)
    asking.says({ wait: 'no' })
    assert.ok(asking.begins)
  })

  it('S62: however long it talks, what is said of it is short', () => {
    const asking = new Asking()
    asking.says({ wait: 'x'.repeat(100_000) })
    assert.ok(asking.reason.length < 300)
    asking.peer.passes(1)
    const failing = new Asking()
    failing.fails('y'.repeat(100_000))
    assert.ok(failing.reason.length < 300)
  })

  it('S60: constraints and statements stay over it; another branch may go without it', () => {
    const paused = new Asking()
    paused.peer.state({ what: 'pause', target: null })
    paused.says({ go: true })
    assert.ok(!paused.begins)
    assert.ok(new Asking(any(CODE, immediately())).begins)
  })

  it('S61: while one question is under way, another that is due makes nobody spin', () => {
    const other = { ...CODE, module: 'other.js' } as Condition
    const asking = new Asking(any(CODE, other))
    asking.says({ wait: 'no', inMs: 5_000 })
    assert.equal(asking.asked.at(-1)!.module, 'other.js')
    asking.peer.passes(6_000)
    const wakes = asking.peer.step({ type: 'wake' }).flatMap((one) => (one.type === 'wake' ? [one.at] : []))
    assert.ok(
      wakes.every((at) => at > asking.peer.now + 100),
      `woken ${wakes[0]! - asking.peer.now} ms later`
    )
    asking.says({ wait: 'no' })
    assert.deepEqual(
      asking.asked.map(({ module }) => module),
      [MODULE, 'other.js', MODULE]
    )
  })

  it('S61: a question that was under way when the process ended is asked anew', () => {
    const asking = new Asking()
    asking.peer.restart()
    asking.peer.answerAll('clean', 'start')
    assert.equal(asking.asked.length, 2)
    asking.says({ go: true })
    assert.ok(asking.begins)
  })
})
