/** Who hears what a peer signals (SPEC O5, S43). */
import assert from 'node:assert/strict'
import { World } from '../../../sim/authority.ts'
import { immediateSchedule } from '../../../sim/scenario.ts'
import type { ObjectRecord } from '../../../src/overlay/record.ts'
import { Signals } from '../../../src/overlay/signals.ts'
import { signalled } from '../../../src/schedule/combinators.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'

describe('overlay/signals (SPEC O5)', () => {
  it('O5: what a peer signals moves when it comes to hold a counted upgrade ready, and with no other', () => {
    const world = new World(1, true)
    const log = new UpgradeLog(world.fleet)
    const upgrade = { lineages: ['A'], pieces: 1, future: true, past: true }
    const counted = { when: signalled({ fraction: 0.5, of: 'neighbours' }), constraints: [] }
    for (const schedule of [immediateSchedule, immediateSchedule, counted])
      log.add(world.makeEntry({ ...upgrade, schedule }))
    const signals = new Signals(log)
    const at = (version: number, phase: ObjectRecord['phase'], target: number) =>
      signals.moved({
        head: log.head,
        objects: {
          Av1: {
            version,
            entry: log.at(version)!.hash.slice(0, 16),
            phase,
            target,
            serving: true,
            failed: [],
            reason: ''
          }
        } as unknown as Record<string, ObjectRecord>
      })
    assert.equal(at(1, 'waiting', 2), false, 'nobody counts who holds version 2 ready')
    assert.equal(at(2, 'idle', 0), false)
    assert.equal(at(2, 'fetching', 3), false)
    assert.equal(at(2, 'waiting', 3), true)
    assert.equal(at(2, 'waiting', 3), false)
    assert.equal(at(3, 'idle', 0), false, 'it is past it')
  })
})
