import assert from 'node:assert/strict'
import { drawFaults } from '../../sim/faults.ts'
import { scenario } from '../../sim/scenario.ts'
import { type Result, run, type Simulator } from '../../sim/simulator.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import { Generator } from '../../src/prng.ts'

/** One line for each violation: what a person needs to run it again. */
const report = (results: readonly Result[]): string[] =>
  results.flatMap(({ seed, violations, stuck }) =>
    violations.map((one) =>
      [
        `node sim/main.ts --faults --seed ${seed}: ${one.rule} at ${one.atMs} ms, ${one.peer}: ${one.text}`,
        ...one.history,
        ...stuck.map(({ peer, why }) => `stuck ${peer}: ${why}`)
      ].join('\n    ')
    )
  )

describe('sim/simulator', () => {
  it('M1: one scenario gives one trace, another seed another', () => {
    for (const seed of [3, 4]) {
      const [first, second] = [run(drawFaults(seed).scenario), run(drawFaults(seed).scenario)]
      assert.deepEqual(second, first)
      assert.notEqual(run(drawFaults(seed + 10).scenario).trace, first.trace)
    }
  })

  it('M1: copying and remembering are only watched, never felt', () => {
    const fast = run(scenario({ seed: 5, peers: 12, strict: false, history: 0 }))
    assert.equal(run(scenario({ seed: 5, peers: 12 })).trace, fast.trace)
  })

  it('a calm fleet of 30 in groups of 3 upgrades, one of each group at a time', () => {
    const result = run(scenario({ seed: 1, peers: 30 }))
    assert.deepEqual(report([result]), [])
    assert.equal(result.converged, true)
    assert.equal(result.groupDownMax, 1)
    assert.deepEqual(result.alarms, {})
    assert.ok(result.informed.max > 0 && result.informed.max <= result.fetched.max)
    assert.ok(result.fetched.max <= result.upgraded.max && result.upgraded.max < 30_000)
    assert.ok(result.writes > 0)
  })

  it('M17: an idle fleet of 30 backs off to about a message a peer and minute', () => {
    // Nobody calls: a steady object's calls are told twice or thrice (S24), whenever it has had so many.
    const result = run(
      scenario({
        seed: 2,
        peers: 30,
        writesPerSecond: 0,
        idleMs: 600_000,
        durationMs: 1_200_000,
        limits: { keepMs: 30_000 }
      })
    )
    assert.deepEqual(report([result]), [])
    const [busy, ...rest] = result.messagesPerMinute
    const idle = rest.slice(3, -1)
    assert.ok(Math.max(...idle) < busy! / 20 && Math.max(...idle) < 4 * 30, `${result.messagesPerMinute}`)
  })

  it('O2: of 200 peers whose neighbours fill up none is left on an island', () => {
    // Seed 1 once left two peers with each other alone: everyone else refused them.
    const result = run(scenario({ seed: 1, peers: 200, groupSize: 0, strict: false, history: 4, durationMs: 120_000 }))
    assert.deepEqual(report([result]), [])
  })

  it('O2: halves of a fleet that filled up while a partition lasted find each other again', () => {
    const cells = Array.from({ length: 60 }, (_, index) => index % 2)
    const calm = scenario({ seed: 5, peers: 60, groupSize: 0, strict: false, history: 4, durationMs: 4 * 3_600_000 })
    const [install] = calm.actions
    const upgrade = { ...install!, atMs: 1_900_000 }
    const faults = [
      { atMs: 20_000, what: 'partition' as const, cells },
      { atMs: 1_800_000, what: 'heal' as const },
      { atMs: 1_810_000, what: 'stop' as const }
    ]
    const result = run({ ...calm, actions: [install!, upgrade], faults })
    assert.deepEqual(report([result]), [])
    assert.equal(result.converged, true)
  })

  for (const seed of [11, 12])
    it(`O10, O11, M21, seed ${seed}: a fleet larger than its views stays one through churn and a long partition, and forgets who went`, () => {
      const [peers, hourMs] = [100, 3_600_000]
      const random = new Generator(seed, 9)
      const limits = { view: 32, passive: 16, silentMs: hourMs }
      const base = { seed, peers, groupSize: 0, strict: false, history: 4, limits, writesPerSecond: 0.1 }
      const calm = scenario({ ...base, durationMs: 8 * hourMs, idleMs: 5 * hourMs })
      const [install] = calm.actions
      const churn = Array.from({ length: 60 }, () => ({
        atMs: random.between(30_000, 600_000),
        what: 'crash' as const,
        node: random.below(peers),
        downMs: random.pick([5000, 60_000, 300_000])
      }))
      const gone = random.sample([...Array(peers).keys()].slice(1), 12)
      const departures = gone.map((node) => ({ atMs: random.between(30_000, 600_000), what: 'depart' as const, node }))
      const cells = Array.from({ length: peers }, (_, index) => (index % 3 === 0 ? 1 : 0))
      const faults = [
        ...[...churn, ...departures].sort((a, b) => a.atMs - b.atMs),
        { atMs: 700_000, what: 'partition' as const, cells },
        { atMs: 4_000_000, what: 'heal' as const },
        { atMs: 4_001_000, what: 'stop' as const }
      ]
      const actions = [install!, { ...install!, atMs: 4_002_000 }]
      let fleet: Simulator | undefined
      const result = run({ ...calm, actions, faults }, { prepare: (simulator) => (fleet = simulator) })
      // M17, M18 and M21 are among the violations: quiet, whole, symmetric.
      assert.deepEqual(report([result]), [])
      const { known, neighbours } = result.overlay
      const shape = JSON.stringify(result.overlay)
      assert.ok(neighbours.least >= 4 && neighbours.most <= 14, shape)
      // As even as if each contact were drawn by chance: a deviation of about the root of the mean.
      assert.ok(known.least >= 1 && known.deviation < 2 * Math.sqrt(known.mean), shape)
      const departed = new Set(gone.map((node) => fleet!.machines[node]!.id))
      const remembered = fleet!.machines.flatMap(({ up, peer }) =>
        up ? [...(peer as Peer).view.all()].filter(({ record }) => departed.has(record.peer)) : []
      )
      const wandering = fleet!.machines.flatMap(({ up, peer }) =>
        up ? [...(peer as Peer).membership.passive.peers()].filter((one) => departed.has(one)) : []
      )
      assert.deepEqual([remembered.length, wandering.length], [0, 0])
    }).timeout(120_000)

  it('a peer that joins after the upgrade gets it', () => {
    const late = scenario({ seed: 7, peers: 12, lateShare: 0.3, lateMs: 60_000 })
    const result = run({ ...late, faults: [{ atMs: 65_000, what: 'stop' }] })
    assert.deepEqual(report([result]), [])
    assert.ok(result.endedAtMs > 60_000)
  })

  // A minute and more for hundreds: node sim/main.ts --faults --seeds.
  it('M11: 60 seeds with faults: safe at every event, and everything converges once faults stop', () => {
    const results = Array.from({ length: 60 }, (_, index) => run(drawFaults(index + 1).scenario))
    assert.deepEqual(report(results), [])
    assert.ok(results.some((result) => (result.alarms['UpgradeFailed'] ?? 0) > 0))
    assert.ok(results.some((result) => result.groupDownMax === 2))
  }).timeout(480_000)

  it('M11: seeds that once found a defect', () => {
    // 128, 171: a lost announcement was never repeated. 184: pieces later than their time-out were thrown away.
    // 239, 255: a small view dropped a member of the own group. 51: two dials at once.
    // 807: a member that had crashed never heard what a fellow, which left meanwhile, had given back.
    // 930106: an object that looked at two old upgrades in turn never took either's canaries for settled.
    // 71: who was excluded was waited for again once a roster without it was known.
    // 834: few heard a farewell, and forgot it. 20111: an empty object gives up and begins anew in one step.
    // 930163: of a panel's news few were told, and who waited for it, in a full view, was not answered.
    const seeds = [51, 71, 128, 171, 184, 239, 255, 807, 834, 20_111, 930_106, 930_163]
    const results = seeds.map((seed) => run(drawFaults(seed).scenario))
    assert.deepEqual(report(results), [])
  })
})
