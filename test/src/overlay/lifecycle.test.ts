import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  BEGUN,
  commit,
  emptyObject,
  enter,
  fail,
  MOST_INTERRUPTIONS,
  type ObjectState,
  type Phase,
  resume,
  TRANSITIONS
} from '../../../src/overlay/lifecycle.ts'
import { PHASES, type PhaseName } from '../../../src/overlay/record.ts'

const ENTRY = 'e'.repeat(64)

function phase(name: PhaseName, attempt: number): Phase {
  const step = { target: 2, entry: ENTRY, attempt }
  switch (name) {
    case 'idle':
      return { name }
    case 'fetching':
    case 'waiting':
      return { name, target: 2, entry: ENTRY }
    case 'returning':
      return { name, ...step, reason: 'it failed' }
    default:
      return { name, ...step }
  }
}

const running = (name: PhaseName = 'idle'): ObjectState => ({
  ...emptyObject('IntSet'),
  current: { version: 1, entry: 'a'.repeat(64), attempt: 1 },
  attempts: 2,
  futures: [2],
  phase: phase(name, 2)
})

describe('the life cycle (SPEC L)', () => {
  it('L7: what the table does not name is a defect', () => {
    for (const from of PHASES) {
      for (const to of PHASES) {
        const act = () => enter(running(from), phase(to, 3))
        if (TRANSITIONS[from].includes(to)) assert.equal(act().phase.name, to)
        else assert.throws(act, /illegal transition/)
      }
    }
  })

  it('L2: the commit alone changes what is current, and uses up the future SO', () => {
    const after = commit(running('proving'))
    assert.deepEqual(after.current, { version: 2, entry: ENTRY, attempt: 2 })
    assert.deepEqual(after.futures, [])
    for (const name of PHASES) if (name !== 'proving') assert.throws(() => commit(running(name)))
  })

  it('L4, L5: going back keeps the old version and remembers the entry that failed', () => {
    for (const name of PHASES.filter((one) => TRANSITIONS[one].includes('returning'))) {
      const after = fail(running(name), 'it broke', 1)
      assert.deepEqual(after.current, running().current)
      assert.deepEqual(after.failures, [{ version: 2, entry: ENTRY, reason: 'it broke', retries: 1 }])
    }
    assert.throws(() => fail(running('activating'), 'too late', 0), /illegal transition/)
  })

  it('L3, L4: a restart serves the old version before the drain and the new one after the commit, and goes on between', () => {
    for (const name of PHASES) {
      const { serve, state } = resume(running(name), 0)
      const between = name === 'draining' || name === 'transforming' || name === 'proving'
      assert.equal(serve, !between, name)
      if (between) assert.deepEqual(state.phase, { ...phase('transforming', 3) })
      assert.deepEqual(state.current, running().current)
    }
  })

  it('L20: what is cut short by restarts again and again has failed here, and the old version serves', () => {
    let state = running('draining')
    for (let restart = 1; restart < MOST_INTERRUPTIONS; restart++) {
      const resumption = resume(state, 0)
      assert.equal(resumption.serve, false)
      state = resumption.state
    }
    const last = resume(state, 7)
    assert.equal(last.serve, true)
    assert.equal(last.state.phase.name, 'returning')
    assert.deepEqual(last.state.current, running().current)
    assert.equal(last.state.failures[0]?.retries, 7)
    assert.equal(last.state.interruptions, 0)
  })

  it('property: attempt numbers grow over any legal history with restarts, and are never used twice', () => {
    const choices = fc.array(fc.tuple(fc.nat(), fc.boolean()), { maxLength: 60 })
    fc.assert(
      fc.property(choices, (steps) => {
        let state = emptyObject('IntSet')
        const used = new Set<number>()
        for (const [choice, crash] of steps) {
          if (crash) state = resume(state, 0).state
          const names = TRANSITIONS[state.phase.name]
          const name = names[choice % names.length]!
          const same =
            'attempt' in state.phase && name !== 'warming' && name !== 'transforming'
              ? state.phase.attempt
              : state.attempts + 1
          const before = state
          state = name === 'activating' ? commit(state) : enter(state, phase(name, same))
          assert.ok(state.attempts >= before.attempts)
          const fresh =
            'attempt' in state.phase &&
            (name === 'warming' || (name === 'transforming' && before.phase.name === 'transforming'))
          if (!fresh || !('attempt' in state.phase)) continue
          assert.ok(!used.has(state.phase.attempt), `attempt ${state.phase.attempt} twice`)
          used.add(state.phase.attempt)
        }
      })
    )
  })

  it('P9: the permit is kept in every phase in which the object does not serve', () => {
    assert.deepEqual([...BEGUN].sort(), ['activating', 'draining', 'proving', 'returning', 'transforming'])
  })
})
