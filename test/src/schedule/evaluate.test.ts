import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  after,
  all,
  any,
  at,
  byLabel,
  canary,
  deadline,
  gradual,
  immediately,
  manual,
  never,
  not,
  sequence,
  where,
  window
} from '../../../src/schedule/combinators.ts'
import { evaluate, type Facts, type Progress } from '../../../src/schedule/evaluate.ts'
import { type Condition, conditionSchema, constraintSchema } from '../../../src/schedule/schedule.ts'

const others = (): never => assert.fail('no condition here looks at others')
const NOON = Date.parse('2026-11-23T12:00:00Z')
const FACTS: Facts = {
  opinion: () => assert.fail('no condition here is of code'),
  approved: false,
  others,
  now: NOON,
  labels: { region: 'eu' },
  place: () => 0.5,
  draw: () => 0.5,
  clockDoubt: () => undefined,
  isQuiet: () => undefined,
  locks: [],
  classes: () => ['Thing']
}

/** Evaluates at each of the given distances, restarting (time that passed is unknown: 0) where the distance is null. */
function run(condition: Condition, distances: (number | null)[]): boolean[] {
  let progress: Progress = {}
  return distances.map((distance) => {
    const verdict = evaluate(condition, progress, distance ?? 0, FACTS)
    progress = verdict.progress
    return verdict.go
  })
}

describe('schedules (SPEC S)', () => {
  it('S2: immediately goes', () => assert.deepEqual(run(immediately(), [0]), [true]))

  it('S3: after counts from its first evaluation, whatever passed before', () => {
    assert.deepEqual(run(after({ delay: '10s' }), [99_999, 9_999, 1]), [false, false, true])
  })

  it('S3: a restart neither loses nor adds time', () => {
    assert.deepEqual(run(after({ delay: '10s' }), [0, 6_000, null, null, 3_999, 1]), [
      false,
      false,
      false,
      false,
      false,
      true
    ])
  })

  it('S4: a step of a sequence begins when the one before has come true', () => {
    const condition = sequence(after({ delay: '10s' }), after({ delay: '5s' }))
    assert.deepEqual(run(condition, [0, 10_000, 4_999, 1]), [false, false, false, true])
  })

  it('S4: all runs its times side by side', () => {
    assert.deepEqual(run(all(after({ delay: '10s' }), after({ delay: '5s' })), [0, 5_000, 5_000]), [false, false, true])
  })

  it('S6: manual waits for an approval, without a time, and a step after it begins with it', () => {
    const condition = sequence(manual(), after({ delay: '5s' }))
    const first = evaluate(condition, {}, 0, FACTS)
    assert.ok(!first.go && first.inMs === undefined && /approval/.test(first.reason.sentence))
    const second = evaluate(condition, first.progress, 60_000, { ...FACTS, approved: true })
    assert.ok(!second.go && second.inMs === 5_000)
    assert.ok(evaluate(condition, second.progress, 5_000, { ...FACTS, approved: true }).go)
  })

  it('S2: waiting names what it waits for, and for how long', () => {
    const verdict = evaluate(sequence(immediately(), after({ delay: '10m' })), {}, 0, FACTS)
    assert.ok(!verdict.go)
    assert.equal(verdict.inMs, 600_000)
    assert.equal(verdict.reason.kind, 'after')
    assert.match(verdict.reason.sentence, /step 2 of 2/)
  })

  const leaf = fc.oneof(
    fc.constant<Condition>({ kind: 'immediately' }),
    fc.integer({ min: 0, max: 1000 }).map((delayMs): Condition => ({ kind: 'after', delayMs }))
  )
  const condition = fc.letrec<{ one: Condition }>((tie) => ({
    one: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.record({ kind: fc.constant('any' as const), of: fc.array(tie('one'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ kind: fc.constant('all' as const), of: fc.array(tie('one'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ kind: fc.constant('sequence' as const), of: fc.array(tie('one'), { minLength: 1, maxLength: 3 }) })
    )
  })).one

  /** The least time after which a condition made of these kinds comes true. */
  const dueMs = (one: Condition): number => {
    switch (one.kind) {
      case 'immediately':
        return 0
      case 'any':
        return Math.min(...one.of.map(dueMs))
      case 'after':
        return one.delayMs
      case 'all':
        return Math.max(...one.of.map(dueMs))
      case 'sequence':
        return one.of.reduce((sum, step) => sum + dueMs(step), 0)
      default:
        return assert.fail(`no ${one.kind} is drawn`)
    }
  }

  it('S2: evaluated again at the times it names, any condition goes exactly when it is due, and stays so', () => {
    fc.assert(
      fc.property(condition, (one) => {
        let progress: Progress = {}
        let at = 0
        let passed = 0
        for (let turn = 0; turn < 200; turn++) {
          const verdict = evaluate(one, progress, passed, FACTS)
          progress = verdict.progress
          assert.equal(verdict.go, at >= dueMs(one))
          if (verdict.go) return assert.ok(evaluate(one, progress, 5, FACTS).go)
          assert.ok(verdict.inMs !== undefined && verdict.inMs > 0)
          passed = verdict.inMs
          at += passed
        }
        assert.fail('it never came true')
      })
    )
  })

  const verdictAt = (condition: Condition, time: string, facts: Partial<Facts> = {}) =>
    evaluate(condition, {}, 0, { ...FACTS, ...facts, now: Date.parse(time) })

  it('S11: at is one moment for all; never is never; where is for labels', () => {
    const time = at('2026-11-23T12:10:00Z')
    const early = verdictAt(time, '2026-11-23T12:00:00Z')
    assert.ok(
      !early.go && early.inMs === 600_000 && /waits for 2026-11-23T12:10:00Z, in 10m/.test(early.reason.sentence)
    )
    assert.ok(verdictAt(time, '2026-11-23T12:10:00Z').go)
    assert.equal(evaluate(never(), {}, 1e9, FACTS).go, false)
    assert.ok(evaluate(where({ region: ['us', 'eu'] }), {}, 0, FACTS).go)
    const other = evaluate(where({ region: 'us' }), {}, 0, FACTS)
    assert.ok(!other.go && /is for peers with region=us; this one has eu/.test(other.reason.sentence))
    assert.ok(!evaluate(where({ rack: '7' }), {}, 0, FACTS).go)
  })

  it('S11: gradual gives each node its own moment, evenly or ever faster', () => {
    const shares = { even: [0.25, 0.5, 0.75], growing: [0.6776, 0.837, 0.932] }
    for (const shape of ['even', 'growing'] as const) {
      for (const [index, place] of [0.25, 0.5, 0.75].entries()) {
        const verdict = evaluate(gradual({ over: '1h', shape }), {}, 0, { ...FACTS, place: () => place })
        assert.ok(!verdict.go)
        assert.ok(Math.abs(verdict.inMs! / 3_600_000 - shares[shape][index]!) < 0.001, `${shape} ${verdict.inMs}`)
      }
    }
    assert.ok(evaluate(gradual({ over: '1h' }), {}, 0, { ...FACTS, place: () => 0 }).go)
    const salts = new Set<string>()
    const place = (salt: string) => salts.add(salt).size / 10
    evaluate(any(gradual({ over: '1h' }), gradual({ over: '1h' })), {}, 0, { ...FACTS, place })
    assert.equal(salts.size, 2, 'two conditions give a node two moments')
  })

  it('S12: a window opens when its cron says, in its zone, through the change of the clocks, and closes', () => {
    const night = window({ cron: '0 2 * * *', duration: '2h', timezone: 'Europe/Berlin' })
    const before = verdictAt(night, '2026-11-24T00:30:00Z')
    assert.ok(!before.go && before.inMs === 1_800_000)
    assert.match(before.reason.sentence, /opens at 2026-11-24T01:00:00Z, in 30m/)
    const open = verdictAt(night, '2026-11-24T01:00:00Z')
    assert.ok(open.go && open.forMs === 7_200_000)
    assert.ok(verdictAt(night, '2026-11-24T02:59:59Z').go)
    assert.ok(!verdictAt(night, '2026-11-24T03:00:00Z').go)
    // In summer the same hour is another one of UTC.
    assert.ok(verdictAt(night, '2026-07-01T00:30:00Z').go)
    assert.ok(!verdictAt(night, '2026-07-01T02:30:00Z').go)
  })

  it('S13: any, not, deadline and byLabel are made of the others', () => {
    const night = window({ cron: '0 2 * * *', duration: '2h' })
    const closed = verdictAt(not(night), '2026-11-24T02:30:00Z')
    assert.ok(!closed.go && closed.inMs === 5_400_000)
    const free = verdictAt(not(night), '2026-11-24T01:30:00Z')
    assert.ok(free.go && free.forMs === 1_800_000)
    const either = evaluate(any(manual(), after({ delay: '1h' })), {}, 0, FACTS)
    assert.ok(!either.go && either.inMs === 3_600_000)
    assert.match(either.reason.sentence, /any of these: waits for an approval; waits another 60m/)
    assert.deepEqual(run(deadline(manual(), { after: '1h' }), [0, 3_599_999, 1]), [false, false, true])
    const regions = byLabel('region', { eu: manual(), us: immediately() }, never())
    assert.equal(evaluate(regions, {}, 0, FACTS).go, false)
    assert.ok(evaluate(regions, {}, 0, { ...FACTS, approved: true }).go)
    assert.ok(evaluate(regions, {}, 0, { ...FACTS, labels: { region: 'us' } }).go)
    assert.equal(evaluate(regions, {}, 0, { ...FACTS, labels: {}, approved: true }).go, false)
    assert.ok(evaluate(byLabel('region', { eu: manual() }, immediately()), {}, 0, { ...FACTS, labels: {} }).go)
  })

  it('S1: a refusal says what is wrong, and how to write it', () => {
    const said = (condition: unknown) => conditionSchema.safeParse(condition).error!.issues[0]!.message
    assert.match(said({ kind: 'blueGreen' }), /^there is no condition "blueGreen"; there are waves, domains, .*manual/)
    assert.match(said({ kind: 'not', of: { kind: 'someday' } }), /no condition "someday"/)
    const zone = { cron: '0 2 * * *', duration: '1h', timezone: 'Europe/Berlni' } as const
    assert.throws(() => window(zone), { message: /^window: there is no time zone "Europe\/Berlni"; name one like / })
    assert.throws(() => window({ cron: '61 * * * *', duration: '1h' }), {
      message: /the cron expression "61 \* \* \* \*" is wrong: Invalid value for minute: 61; write minute, hour, /
    })
    assert.throws(() => canary({ soak: '1h' } as never), { message: /^canary: name whom: / })
    const [issue] = constraintSchema.safeParse({ kind: 'roling' }).error!.issues
    assert.match(issue!.message, /no constraint "roling"; there are rolling, notWhile, guard/)
  })

  it('S1: what cannot be meant is refused where it is written, and where it is read', () => {
    for (const wrong of [
      () => at('tomorrow'),
      () => window({ cron: '61 * * * *', duration: '1h' }),
      () => window({ cron: '0 2 30 2 *', duration: '1h' }),
      () => window({ cron: '0 2 * * *', duration: '1h', timezone: 'Mars/Base' }),
      () => gradual({ over: 0 })
    ])
      assert.throws(wrong, { name: 'Malformed' })
    const kinds: unknown[] = [
      { kind: 'window', cron: 'x', timezone: 'UTC', durationMs: 3_600_000 },
      { kind: 'window', cron: '0 2 * * *', timezone: 'Mars/Base', durationMs: 3_600_000 },
      { kind: 'where', labels: {} },
      { kind: 'gradual', overMs: 0, shape: 'even' },
      { kind: 'not', of: { kind: 'someday' } }
    ]
    for (const one of kinds) assert.equal(conditionSchema.safeParse(one).success, false, JSON.stringify(one))
    for (const one of [not(never()), any(window({ cron: '0 2 * * 1-5', duration: '1h' }), gradual({ over: '2d' }))])
      assert.deepEqual(conditionSchema.parse(JSON.parse(JSON.stringify(one))), one)
  })
})
