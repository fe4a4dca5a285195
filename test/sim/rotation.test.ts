/** How a root spreads: by anti-entropy alone, from neighbour to neighbour (SPEC O27). */
import assert from 'node:assert/strict'
import { scenario } from '../../sim/scenario.ts'
import { run, type Simulator } from '../../sim/simulator.ts'
import { defective } from './standin.ts'

const ROTATED_MS = 300_000

function rotated(peers: number): { heardMs: number[]; violations: unknown[]; stuck: unknown[] } {
  let simulator: Simulator | undefined
  const heard = new Map<string, number>()
  const makePeer = defective({
    alter: (effects, _event, { peer }) => {
      const isHeard = effects.some((one) => one.type === 'persist' && one.put.some(([key]) => key.startsWith('root/')))
      if (isHeard) heard.set(peer, simulator!.kernel.now)
      return effects
    }
  })
  const upgrade = { what: 'upgrade', pieces: 1, future: false, past: true } as const
  const schedule = { when: { kind: 'immediately' as const }, constraints: [] }
  const calm = scenario({
    seed: 1,
    peers,
    groupSize: 0,
    // Long after the last upgrade: rounds are as rare as they get.
    actions: [
      { atMs: 1500, ...upgrade, schedule },
      { atMs: ROTATED_MS, what: 'rotate' },
      { atMs: ROTATED_MS + 30_000, ...upgrade, schedule }
    ],
    writesPerSecond: 1,
    durationMs: 3_600_000
  })
  const result = run(calm, {
    makePeer,
    prepare: (made) => {
      simulator = made
    }
  })
  const first = Math.min(...heard.values())
  const heardMs = [...heard.values()].map((at) => at - first).sort((a, b) => a - b)
  return { heardMs, violations: result.violations, stuck: result.stuck }
}

describe('sim: a rotation of the root', () => {
  it('O27: reaches every peer of an idle fleet within a second, and what new keys sign comes after it', () => {
    const { heardMs, violations, stuck } = rotated(80)
    assert.deepEqual([violations, stuck], [[], []])
    assert.equal(heardMs.length, 80)
    assert(heardMs.at(-1)! < 1_000, `the last one heard after ${heardMs.at(-1)} ms`)
  })
})
