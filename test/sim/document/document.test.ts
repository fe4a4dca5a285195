/** Scenario files (SPEC M28): what is wrong is named with its place, and what is right becomes plain data. */
import assert from 'node:assert/strict'
import { compile } from '../../../sim/document/compile.ts'
import { overrideOf, ScenarioText } from '../../../sim/document/document.ts'
import type { Enclosed } from '../../../sim/document/enclosed.ts'
import { fitting } from '../../../sim/document/files.ts'
import { labelsOf, placeOf } from '../../../sim/places.ts'
import type { Action, Scenario } from '../../../sim/scenario.ts'
import { canary, gradual, rolling, sequence, waves } from '../../../src/schedule/combinators.ts'

const NOTHING: Enclosed = { upgrades: {}, rehearsals: {} }

function scenarioOf(yaml: string, enclosed = NOTHING, seed = 1): Scenario {
  const text = new ScenarioText('x.yaml', yaml)
  const document = text.document()
  return fitting({ name: 'x', text, document, enclosed }, () => compile(document, enclosed, seed))
}

const upgradesOf = ({ actions }: Scenario) =>
  actions.filter((one): one is Extract<Action, { what: 'upgrade' }> => one.what === 'upgrade')

describe('sim/document', () => {
  const wrong: [string, string, RegExp][] = [
    ['no YAML', 'a: [', /^x\.yaml: line 1, column 5: /],
    ['a field told twice', 'peers: 3\npeers: 4', /^x\.yaml: line 2, column 1: /],
    ['no map', '- 3', /^x\.yaml: line 1, column 1: the scenario: fields are needed/],
    [
      'an unknown field',
      'peers: 3\nnetwork:\n  los: 3',
      /line 3, column 3: network\.los: there is no field "los" here; there are delay, /
    ],
    ['a share above one', 'network:\n  loss: 200%', /line 2, column 3: network\.loss: a share is at most 1/],
    [
      'a wrong unit',
      'start: 3 years',
      /line 1, column 1: start: "3 years" is no duration: write a number and ms, s, m, h or d/
    ],
    [
      'a wrong unit in a list',
      'faults:\n  - at: 3s\n    what: crash\n    down: 3x',
      /line 4, column 5: faults\.0\.down: write a duration/
    ],
    [
      'an unknown fault',
      'faults:\n  - at: 3s\n    what: crsh',
      /line 3, column 5: faults\.0\.what: a fault has "at", and "what": crash, /
    ],
    [
      'a missing field',
      'upgrades:\n  - transform: { least: 3s }',
      /line 2, column 5: upgrades\.0\.transform\.p50: nothing is no duration/
    ],
    ['no such topology', 'topology: rndom', /line 1, column 1: topology: a topology is random, /],
    [
      'no such condition',
      'upgrades: [{ schedule: { all: [immediatly] } }]',
      /line 1, column 32: upgrades\.0\.schedule\.all\.0: "immediatly" is no condition; there are after, all, /
    ],
    [
      'a bad argument',
      'upgrades:\n  - schedule:\n      sequence:\n        - canary: { fraction: 5, soak: 1h }',
      /line 4, column 11: upgrades\.0\.schedule\.sequence\.0\.canary: canary: a fraction lies between 0 and 1/
    ],
    [
      'no such schedule',
      'schedules: { calm: immediately }\nupgrades: [{ schedule: fast }]',
      /line 2, column 14: upgrades\.0\.schedule: there is no schedule "fast"; under "schedules" there are: calm/
    ],
    [
      'a version that is not made',
      'operator: [{ at: 1m, do: abort, version: 9 }]',
      /operator\.0\.version: there are versions 1 to 2/
    ],
    [
      'an approval that nobody gives',
      'upgrades: [{ schedule: { sequence: [manual, { gradual: { over: 1h } }] } }]',
      /operator: the schedule of version 2 waits for an approval \(manual\); say when somebody does: operator: \[\{ at: 10m, do: approve, version: 2 \}\]/
    ],
    ['a hold of nobody', 'operator: [{ at: 1m, do: hold, for: 1h }]', /operator\.0\.do: a hold names a "node", labels/],
    [
      'a release of nothing',
      'operator: [{ at: 1m, do: release }]',
      /operator\.0\.do: there is no pause or hold before/
    ],
    [
      'an exclusion without groups',
      'groups: { size: 0 }\noperator: [{ at: 1m, do: exclude, node: 2, roster: 2 }]',
      /operator\.0\.do: there is no such group/
    ],
    [
      'a peer that is not there',
      'peers: 3\nfaults: [{ at: 1s, what: kill, nodes: [3] }]',
      /line 2, column 32: faults\.0\.nodes: peer 3: peers are 0 to 2/
    ],
    [
      'labels that nobody has',
      'faults: [{ at: 1s, what: kill, where: { rack: a } }]',
      /faults\.0\.where: no peer has these labels/
    ],
    [
      'a gap in the latencies',
      'topology: { kind: regions, shares: { a: 1, b: 1 }, latency: { a: { a: 1ms } } }',
      /topology\.latency\.a: the latency between a and b is missing/
    ]
  ]
  for (const [what, yaml, expected] of wrong) {
    it(`M28: ${what} is refused with its place and the mend`, () => {
      assert.throws(
        () => scenarioOf(yaml),
        (error: Error) => {
          assert.equal(error.name, 'Malformed')
          assert.match(error.message, expected)
          return true
        }
      )
    })
  }

  it('M28: what a flag says is refused in its own words', () => {
    const text = new ScenarioText('x.yaml', 'peers: 4', [overrideOf('--set', 'network.loss', '3')])
    assert.throws(() => text.document(), /^Malformed: --set network\.loss=3: network\.loss: a share is at most 1/)
  })

  it('M28: an alias that unfolds to gigabytes is refused', () => {
    const bomb = [
      'a: &a [1,1,1,1,1,1,1,1,1,1]',
      ...'bcdefgh'.split('').map((name, index) => `${name}: &${name} [${`*${'abcdefg'[index]},`.repeat(10)}1]`)
    ]
    assert.throws(() => new ScenarioText('x.yaml', bomb.join('\n')), /alias/)
  })

  it('M28: the empty file is a calm fleet of 30, and equal seeds give equal scenarios', () => {
    const calm = scenarioOf('')
    assert.deepEqual([calm.peers, calm.groupSize, calm.unavailable, upgradesOf(calm).length], [30, 3, 1, 2])
    assert.deepEqual(scenarioOf('churn: { stay: 1m, until: 9m }'), scenarioOf('churn: { stay: 1m, until: 9m }'))
    assert.notDeepEqual(
      scenarioOf('churn: { stay: 1m, until: 9m }').faults,
      scenarioOf('churn: { stay: 1m, until: 9m }', NOTHING, 2).faults
    )
  })

  it('M28: a schedule in YAML is what its combinators make, whatever way it is written', () => {
    const wanted = sequence(
      canary({ fraction: 0.05, soak: '1h' }),
      waves([0.1, 1], { every: '10m' }),
      gradual({ over: '1h' })
    )
    const written =
      '{ sequence: [{ canary: { fraction: 0.05, soak: 1h } }, { waves: [[0.1, 1], { every: 10m }] }, { gradual: { over: 1h } }] }'
    const [, plain] = upgradesOf(scenarioOf(`upgrades: [{ schedule: ${written} }]`))
    assert.deepEqual(plain!.schedule, { when: wanted, constraints: [rolling({ by: 'group', unavailable: 1 })] })
    const [, named] = upgradesOf(
      scenarioOf(`schedules: { slow: { when: ${written}, constraints: [] } }\nupgrades: [{ schedule: slow }]`)
    )
    assert.deepEqual(named!.schedule, { when: wanted, constraints: [] })
    const [, packed] = upgradesOf(
      scenarioOf(`upgrades: [{ schedule: ${JSON.stringify({ when: wanted, constraints: [] })} }]`)
    )
    assert.deepEqual(packed!.schedule, { when: wanted, constraints: [] })
  })

  it('M15: what the schedules allow is what is held against the groups', () => {
    assert.equal(scenarioOf('groups: { size: 5, unavailable: 2 }').unavailable, 2)
    assert.equal(
      scenarioOf('upgrades: [{ schedule: { when: immediately, constraints: [] } }]').unavailable,
      Number.POSITIVE_INFINITY
    )
  })

  it('M28: quantities, regions, labels and lines arrive in the units of the simulator', () => {
    const one = scenarioOf(`
peers: 2000
groups: { size: 0 }
labels: { tier: { web: 3, db: 1 } }
topology: { kind: regions, shares: { eu: 75%, us: 25% }, latency: { eu: { eu: 5ms, us: 0.04s }, us: { us: 6ms } } }
bandwidth: [{ where: { tier: db }, up: 1Gbit/s, down: 80MB/s }, { up: 8Mbit/s, down: 1MB/s }]
upgrades: [{ bundle: 1.5MiB, transform: { least: 1s, p50: 2s, p95: 1m, most: 2m }, at: 1.5m }]
`)
    assert.deepEqual(one.places?.delaysMs, [
      [5, 40],
      [40, 6]
    ])
    assert.deepEqual(
      one.bandwidth.map((line) => [line.upBytesPerMs, line.downBytesPerMs]),
      [
        [125_000, 80_000],
        [1000, 1000]
      ]
    )
    const [, upgrade] = upgradesOf(one)
    assert.deepEqual([upgrade!.atMs, upgrade!.pieces, upgrade!.pieceBytes], [90_000, 6, 262_144])
    assert.deepEqual(upgrade!.effort?.times?.transform, [
      [0, 1000],
      [0.5, 2000],
      [0.95, 60_000],
      [1, 120_000]
    ])
    const nodes = Array.from({ length: 2000 }, (_, node) => labelsOf(one, node))
    const european = nodes.filter((labels, node) => labels['region'] === 'eu' && placeOf(one, node) === 0).length
    assert.ok(Math.abs(european - 1500) < 100, `${european} of 2000 are in a region of 75%`)
    const web = nodes.filter((labels) => labels['tier'] === 'web').length
    assert.ok(Math.abs(web - 1500) < 100, `${web} of 2000 have a label of 3 in 4`)
  })

  it('M60: processors arrive with what each thing takes of one; without them computing costs no time', () => {
    const written =
      'processors: { count: 2, receive: 0.5ms, storeKib: 0.01ms, steps: { message piece: 3ms }, host: { warm: 1s } }'
    const { processors } = scenarioOf(written)
    assert.equal(processors?.count, 2)
    assert.deepEqual([processors.receiveMs, processors.storeKibMs, processors.sendMs], [0.5, 0.01, 0])
    assert.deepEqual([processors.steps, processors.host], [{ 'message piece': 3 }, { warm: 1000 }])
    assert.equal(scenarioOf('peers: 3').processors, null)
  })

  it('M28: faults choose their peers by label, share and count; a partition heals', () => {
    const { faults } = scenarioOf(`
peers: 40
labels: { rack: { a: 1, b: 1 } }
faults:
  - { at: 1m, over: 10s, what: crash, share: 25%, down: [1s, 2s] }
  - { at: 2m, what: partition, where: { rack: a }, for: 30s }
  - { at: 3m, what: skew, count: 2, by: -5m }
  - { at: 2m, what: load, nodes: [3], calls: 500, for: 1m }
  - { at: 2m, what: lock, nodes: [4], for: 1m }
  - { at: 4m, what: slow, nodes: [7], factor: 3, for: 1m }
`)
    const crashes = faults.filter((one) => one.what === 'crash')
    assert.equal(crashes.length, 10)
    assert.ok(
      crashes.every((one) => one.atMs >= 60_000 && one.atMs < 70_000 && one.downMs >= 1000 && one.downMs <= 2000)
    )
    const partition = faults.find((one) => one.what === 'partition')
    const sides = new Set(partition?.cells)
    assert.deepEqual([partition?.cells.length, sides.size], [40, 2])
    const loads = faults.filter((one) => one.what === 'load')
    assert.deepEqual(
      loads.map((one) => [one.atMs, one.perSecond]),
      [
        [120_000, 500],
        [180_000, 0]
      ]
    )
    assert.deepEqual(
      faults.filter((one) => one.what === 'lock').map((one) => [one.node, one.forMs]),
      [[4, 60_000]]
    )
    assert.ok(faults.some((one) => one.what === 'heal' && one.atMs === 150_000))
    assert.deepEqual(
      faults.filter((one) => one.what === 'skew').map((one) => one.skewMs),
      [-300_000, -300_000]
    )
    assert.deepEqual(
      faults.filter((one) => one.what === 'slow').map((one) => [one.atMs, one.factor]),
      [
        [240_000, 3],
        [300_000, 1]
      ]
    )
  })

  it('M28: the operator speaks of versions, the scenario of actions', () => {
    const { actions } = scenarioOf(`
upgrades: [{ broken: true }, { replaces: 2, at: 5m }]
operator:
  - { at: 1m, do: pause, version: 2, for: 1m }
  - { at: 90s, do: resume }
  - { at: 2m, do: abort, version: 2 }
`)
    const abort = actions.find((one) => one.what === 'abort')
    assert.equal((actions[abort!.upgrade] as { broken?: number }).broken, 1)
    const resume = actions.find((one) => one.what === 'resume')
    assert.equal(actions[resume!.pause]!.what, 'pause')
    assert.equal(upgradesOf({ actions } as Scenario)[2]!.replaces, abort!.upgrade)
  })

  it('M28: the operator approves, hastens, holds, retries, excludes, forgets and rotates', () => {
    const { actions } = scenarioOf(`
peers: 6
groups: { size: 3, unavailable: 1 }
upgrades: [{ schedule: manual }]
operator:
  - { at: 1m, do: approve, version: 2 }
  - { at: 2m, do: hold, node: 1, for: 1h }
  - { at: 3m, do: release }
  - { at: 4m, do: hold, where: { tier: web }, class: A, version: 2, for: 1h }
  - { at: 5m, do: hasten, version: 2 }
  - { at: 6m, do: retry, version: 2, node: 4, discardFuture: true }
  - { at: 7m, do: exclude, node: 5, roster: 1 }
  - { at: 8m, do: forget, version: 1 }
  - { at: 9m, do: rotate }
`)
    const said = actions.slice(actions.findLastIndex((one) => one.what === 'roster') + 1)
    const held = said[1]!
    assert.deepEqual(
      said.map(({ atMs: _, ...rest }) => rest),
      [
        { what: 'approve', upgrade: 1 },
        { what: 'pause', version: null, lastsMs: 3_600_000, of: { peer: 'P0000001' } },
        { what: 'resume', pause: actions.indexOf(held) },
        { what: 'pause', version: 2, lastsMs: 3_600_000, of: { labels: { tier: 'web' }, class: 'A' } },
        { what: 'hasten', upgrade: 1 },
        { what: 'retry', upgrade: 1, peer: 4, discardFuture: true },
        { what: 'exclude', node: 5, group: 1, roster: 1 },
        { what: 'forget', upgrade: 0 },
        { what: 'rotate' }
      ]
    )
  })
})
