import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Measures } from '../../../node/daemon/measures.ts'
import { CallError } from '../../../src/errors.ts'
import { CHUNK_MS } from '../../../src/overlay/call-rate.ts'
import type { Event } from '../../../src/overlay/events.ts'
import { FIXTURES, LiveFleet, until } from './live-fleet.ts'

describe('what a daemon measures of calls (SPEC S24, S25)', () => {
  const measuring = () => {
    const told: Event[] = []
    const clock = { now: 0 }
    const measures = new Measures({ tell: (event) => told.push(event), now: () => clock.now })
    const calls = (count: number, error?: unknown) => {
      for (let call = 0; call < count; call++) measures.ended('A', 1, error)
    }
    return { told, clock, measures, calls }
  }

  it('S24: faults of the object count, refusals and faults of callers do not, nor calls that nobody waits for', () => {
    const { told, clock, measures, calls } = measuring()
    for (const name of ['ApplicationError', 'OutcomeUnknown', 'Unavailable', 'DeadlineExceeded'] as const)
      calls(10, new CallError(name, ''))
    calls(10, new Error('not even a call error'))
    for (const name of ['Disallowed', 'NoSuchMethod', 'Retired', 'WouldBlock', 'PayloadTooLarge'] as const)
      calls(10, new CallError(name, ''))
    calls(1000, new CallError('Cancelled', ''))
    clock.now = CHUNK_MS
    calls(100)
    assert.deepEqual(told, [{ type: 'measured', object: 'A', attempt: 1, calls: 128, failed: 50 }])
    measures.stops('A', 1)
    assert.deepEqual(told.slice(1), [{ type: 'measured', object: 'A', attempt: 1, calls: 200, failed: 50 }])
    measures.stops('A', 2)
    assert.equal(told.length, 2, 'of the next attempt nothing is known')
  })

  it('S25: the load is told when ten seconds were measured, and when it crosses a threshold that is watched', () => {
    const { told, measures, calls } = measuring()
    const seconds = (count: number, perSecond: number) => {
      for (let second = 0; second < count; second++) {
        calls(perSecond)
        measures.second()
      }
    }
    calls(500)
    measures.watchLoad([5, 50])
    seconds(9, 20)
    assert.deepEqual(told, [])
    seconds(1, 20)
    const [low, high] = [
      (quiet: boolean) => ({ type: 'load', below: 5, quiet }),
      (quiet: boolean) => ({ type: 'load', below: 50, quiet })
    ]
    assert.deepEqual(told.splice(0), [low!(false), high!(true)])
    seconds(10, 4)
    assert.deepEqual(told, [], 'four a second are too near to five for one that was busy')
    seconds(10, 3)
    assert.deepEqual(told.splice(0), [low!(true)])
    seconds(10, 4)
    assert.deepEqual(told, [])
    seconds(10, 5)
    assert.deepEqual(told.splice(0), [low!(false)])
    measures.watchLoad([])
    seconds(30, 0)
    assert.deepEqual(told, [])
    measures.close()
  })
})

describe('calls that fail, in the record of a real peer (SPEC S24)', function () {
  this.timeout(90_000)
  let fleet: LiveFleet
  beforeEach(async () => {
    fleet = await LiveFleet.create()
  })
  afterEach(async () => await fleet.close())

  it('S24: a neighbour hears how many failed before an upgrade and how many do since', async () => {
    const [busy, other] = [await fleet.embed('busy', null), await fleet.embed('other', null)]
    const client = await fleet.client()
    await client.injectUpgrade(await fleet.pack('', await fleet.variant('v1', 'v1', [])))
    const seen = () => other.status().peers.find(({ peer }) => peer === busy.id)?.objects['IntSet']
    await until('version 1 serves', () => seen()?.serving === true)
    const call = (name: string, version: number, method: string, ...args: number[]) =>
      client.call({ class: name, version, method, args, to: { peer: busy.id } }).catch((error: CallError) => {
        assert.equal(error.name, 'ApplicationError')
      })
    for (let count = 0; count < 40; count++) await call('IntSet', 1, 'insert', count)
    const second = await fleet.variant('v2', 'v2', [
      ['immediately }', 'guard, immediately }'],
      ['constraints: []', 'constraints: [guard({ worseThanBaseline: true })]']
    ])
    const faulty =
      "class Faulty extends ColorSet { getColor(x) { if (x === 99) throw new Error('no colour'); return null } }"
    const colours = join(FIXTURES, '../sets/color-set.ts')
    await writeFile(join(second, 'object.ts'), `import ColorSet from '${colours}'\nexport default ${faulty}\n`)
    await client.injectUpgrade(await fleet.pack('', second))
    await until('version 2 serves', () => seen()?.version === 2 && seen()?.serving === true, 40_000, seen)
    await until(
      'its figures are told',
      async () => {
        for (let count = 0; count < 40; count++) await call('ColorSet', 2, 'getColor', count % 4 === 0 ? 99 : count)
        return seen()?.calls !== undefined
      },
      60_000,
      seen
    )
    const { now, before } = seen()!.calls!
    assert.equal(before!.failed, 0)
    assert.ok(before!.calls >= 40 && before!.calls < 60, `${before!.calls} calls before`)
    const share = now!.failed / now!.calls
    assert.ok(now!.calls >= 128 && share > 0.2 && share < 0.3, `${now!.failed} of ${now!.calls}`)
  })
})
