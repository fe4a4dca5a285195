import assert from 'node:assert/strict'
import { EPOCH_MS } from '../../sim/machine.ts'
import { addressOf, peerName } from '../../sim/names.ts'
import { type Scenario, scenario } from '../../sim/scenario.ts'
import type { MakePeer } from '../../sim/simulated.ts'
import { run, type Simulator } from '../../sim/simulator.ts'
import type { Effect, Event } from '../../src/overlay/events.ts'
import { Script } from './standin.ts'

const MESSAGE = { kind: 'want', bundle: '0'.repeat(64), index: 0 } as const
const send = (to: number): Effect => ({ type: 'send', to: peerName(to), message: MESSAGE })
const put = (key: string, value: unknown): Effect => ({ type: 'persist', put: [[key, value]], delete: [] })

/** Two scripted peers; the first life of each begins at once, and 0 dials 1. */
function play(
  answers: (event: Event, now: number, node: number, snapshot: ReadonlyMap<string, unknown>) => Effect[],
  changes: Partial<Scenario> = {}
): { scripts: Script[]; simulator: Simulator } {
  const scripts: Script[] = []
  const makePeer: MakePeer = (init, _, snapshot) => {
    const node = Number(init.peer.slice(1))
    const script = new Script((event, now) => {
      const dial: Effect[] =
        event.type === 'boot' && node === 0 ? [{ type: 'connect', peer: peerName(1), addresses: [addressOf(1)] }] : []
      return [...dial, ...answers(event, now, node, snapshot)]
    })
    scripts.push(script)
    return script
  }
  let kept: Simulator | undefined
  const quiet = scenario({
    seed: 3,
    peers: 2,
    groupSize: 0,
    bootstrap: 1,
    startMs: 0,
    actions: [],
    writesPerSecond: 0,
    durationMs: 20_000,
    ...changes
  })
  run(quiet, {
    makePeer,
    prepare: (simulator) => {
      kept = simulator
    }
  })
  return { scripts, simulator: kept! }
}

const heard = (script: Script | undefined, type: Event['type']): number =>
  script?.heard.filter((event) => event.type === type).length ?? 0

describe('sim/machine', () => {
  it('M7, E1: nothing of a step leaves before its persist is durable', () => {
    const slow = { disk: { syncMs: [5000, 5000] as const, storeMs: [1, 1] as const } }
    const sends = (event: Event, node: number) => event.type === 'connected' && node === 0
    const at: number[] = []
    play((event, now, node) => {
      if (event.type === 'message') at.push(now - EPOCH_MS)
      return sends(event, node) ? [send(1), put('a', 1), send(1)] : []
    }, slow)
    assert.equal(at.length, 2)
    assert.ok(at[0]! < 100 && at[1]! >= 5000, `${at}`)
  })

  it('M7, E3: later steps never overtake: their effects wait behind an earlier persist', () => {
    const slow = { disk: { syncMs: [5000, 5000] as const, storeMs: [1, 1] as const } }
    const at: number[] = []
    const woken: number[] = []
    play((event, now, node) => {
      if (event.type === 'message') at.push(now - EPOCH_MS)
      if (node === 0 && event.type === 'connected') return [{ type: 'wake', at: now + 100 }, put('a', 1)]
      if (node === 0 && event.type === 'wake') {
        woken.push(now - EPOCH_MS)
        return [send(1)]
      }
      return []
    }, slow)
    assert.ok(woken.length === 1 && woken[0]! < 1000)
    assert.ok(at.length === 1 && at[0]! >= 5000, `${at}`)
  })

  it('M7, E2: a crash before the sync loses the persist and what waited for it', () => {
    const snapshots: string[] = []
    let messages = 0
    for (let seed = 1; seed <= 20; seed++) {
      play(
        (event, now, node, snapshot) => {
          const first = now - EPOCH_MS < 2000
          if (event.type === 'boot' && node === 0) snapshots.push([...snapshot.keys()].join())
          if (event.type === 'message') messages++
          return event.type === 'connected' && node === 0 && first ? [put('a', 1), send(1)] : []
        },
        {
          seed,
          disk: { syncMs: [5000, 5000], storeMs: [1, 1] },
          faults: [{ atMs: 2000, what: 'crash', node: 0, downMs: 10_000 }]
        }
      )
    }
    assert.equal(messages, 0)
    const lives = snapshots.filter((keys) => keys === 'a').length
    assert.ok(
      lives > 2 && lives < 18,
      `the sync under way was finished by the disk in ${lives} of 20 runs: both happen`
    )
  })

  it('M9: a new life has the durable snapshot, a new seed, and hears nothing meant for the last one', () => {
    const { scripts } = play(
      (event, now, node) => {
        if (event.type === 'boot' && node === 0) return [put('a', { list: [1] }), { type: 'wake', at: now + 5000 }]
        return []
      },
      { faults: [{ atMs: 1000, what: 'crash', node: 0, downMs: 500 }] }
    )
    assert.equal(scripts.length, 3)
    assert.equal(heard(scripts[2], 'boot'), 1)
    assert.equal(heard(scripts[2], 'wake'), 1)
    assert.equal(heard(scripts[0], 'wake') + heard(scripts[1], 'wake'), 0)
    assert.equal(
      scripts.reduce((sum, script) => sum + heard(script, 'disconnected'), 0),
      1
    )
  })

  it('M9: what is persisted is a copy: later changes of the peer do not reach the disk', () => {
    const value = { list: [1] }
    let restored: unknown
    play(
      (event, _, node, snapshot) => {
        if (node !== 0) return []
        if (event.type === 'connected') value.list.push(2)
        if (event.type === 'boot' && snapshot.size > 0) restored = snapshot.get('a')
        return event.type === 'boot' && snapshot.size === 0 ? [put('a', value)] : []
      },
      { faults: [{ atMs: 1000, what: 'crash', node: 0, downMs: 500 }] }
    )
    assert.ok(value.list.length > 1)
    assert.deepEqual(restored, { list: [1] })
  })

  it('M7: the last wake counts, and comes at its time of the peer’s own clock', () => {
    const at: number[] = []
    play(
      (event, now, node) => {
        if (node !== 0) return []
        if (event.type === 'wake') at.push(now - EPOCH_MS)
        if (event.type === 'boot')
          return [
            { type: 'wake', at: now + 100 },
            { type: 'wake', at: now + 9000 }
          ]
        return []
      },
      { faults: [{ atMs: 1000, what: 'skew', node: 0, skewMs: 4000 }] }
    )
    assert.equal(at.length, 1)
    assert.ok(Math.abs(at[0]! - 9000) < 10, `${at}`)
  })

  it('M7: now does not go backwards when the clock is set back', () => {
    let last = 0
    let steps = 0
    play(
      (event, now) => {
        assert.ok(now >= last - 1 || event.type === 'boot')
        steps++
        last = Math.max(last, now)
        return event.type === 'wake' || event.type === 'boot' ? [{ type: 'wake', at: now + 500 }] : []
      },
      { faults: [0, 1].map((node) => ({ atMs: 5000, what: 'skew' as const, node, skewMs: -3000 })) }
    )
    assert.ok(steps > 20)
  })
})
