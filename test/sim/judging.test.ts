/** Conditions that look at other peers, on a simulated fleet of sixty (SPEC S41 to S44). */
import assert from 'node:assert/strict'
import { type Action, type Fault, type Scenario, scenario } from '../../sim/scenario.ts'
import { run, type Simulator } from '../../sim/simulator.ts'
import { after, byClass, domains, gradual, random, signalled } from '../../src/schedule/combinators.ts'
import type { Condition } from '../../src/schedule/schedule.ts'

const PEERS = 60
const INJECTED_MS = 30_000
const MINUTE = 60_000

interface Roll {
  /** By object: when each node set out for version 2, and when it served it, ms of virtual time. */
  begun: Map<string, Map<number, number>>
  served: Map<string, Map<number, number>>
  reasons: string[]
}

function roll(when: Condition, fields: Partial<Scenario> = {}, upgrading: Partial<Action> = {}): Roll {
  const calm = scenario({
    seed: 5,
    peers: PEERS,
    groupSize: 0,
    regions: ['eu', 'us', 'asia'],
    strict: false,
    history: 0,
    ...fields
  })
  const [install] = calm.actions
  const upgrade = { ...install!, atMs: INJECTED_MS, schedule: { when, constraints: [] }, ...upgrading } as Action
  const found: Roll = { begun: new Map(), served: new Map(), reasons: [] }
  const note = (times: Map<string, Map<number, number>>, object: string, node: number, now: number) => {
    const known = times.get(object) ?? new Map<number, number>()
    times.set(object, known)
    if (!known.has(node)) known.set(node, now)
  }
  const one = { ...calm, writesPerSecond: 0, durationMs: 60 * MINUTE, actions: [install!, upgrade], ...fields }
  let simulator: Simulator | undefined
  const result = run(one, {
    prepare: (made) => {
      simulator = made
      for (const machine of made.machines) {
        const { serving, host } = machine
        const perform = host.run
        host.run = (command) => {
          if (command.command === 'warm' && command.version === 2)
            note(found.begun, command.object, machine.index, made.kernel.now)
          perform.call(host, command)
        }
        machine.serving = (object, version) => {
          if (version === 2) note(found.served, object, machine.index, made.kernel.now)
          serving.call(machine, object, version)
        }
      }
    }
  })
  assert.deepEqual(
    result.violations.filter((violation) => violation.rule !== 'M18'),
    []
  )
  for (const { record } of simulator!.machines)
    found.reasons.push(...Object.values(record?.objects ?? {}).map((object) => object.reason))
  return found
}

const of = (times: Map<string, Map<number, number>>, object: string): [node: number, time: number][] => [
  ...(times.get(object) ?? [])
]
const regionOf = (node: number): string => ['eu', 'us', 'asia'][node % 3]!

describe('conditions on other peers on a simulated fleet of sixty (SPEC S41 to S44)', function () {
  this.timeout(120_000)

  it('S41: one region after another; nobody sets out before all of the one before have served for the time', () => {
    const order = ['asia', 'eu', 'us']
    const rolled = roll(domains({ by: 'region', order, every: '2m' }))
    assert.equal(rolled.served.get('Thingv1')?.size, PEERS)
    for (const [before, own] of [
      ['asia', 'eu'],
      ['eu', 'us']
    ] as const) {
      const served = of(rolled.served, 'Thingv1').filter(([node]) => regionOf(node) === before)
      const begun = of(rolled.begun, 'Thingv1').filter(([node]) => regionOf(node) === own)
      const [last, first] = [Math.max(...served.map((one) => one[1])), Math.min(...begun.map((one) => one[1]))]
      assert.ok(first >= last + 2 * MINUTE, `${own} from ${first}, ${before} until ${last}`)
    }
  })

  it('S41: a big flip, half the fleet and then the other; one that fails in the first half stops the second', () => {
    const halves = domains({ by: 'region', order: [['eu', 'us'], 'asia'] })
    const flip = roll(halves)
    const [first, second] = [true, false].map((isFirst) =>
      of(flip.begun, 'Thingv1').filter(([node]) => (regionOf(node) !== 'asia') === isFirst)
    )
    assert.deepEqual([first!.length, second!.length], [40, 20])
    assert.ok(Math.max(...first!.map((one) => one[1])) < Math.min(...second!.map((one) => one[1])))
    const broken = roll(halves, { idleMs: 2 * MINUTE }, { broken: 0.1 })
    assert.equal(of(broken.begun, 'Thingv1').filter(([node]) => regionOf(node) === 'asia').length, 0)
    assert.ok(broken.served.get('Thingv1')!.size >= 25)
    const told = broken.reasons.filter((one) => /^waits for domain region=eu\|us: .*went back/.test(one))
    assert.equal(told.length, 20)
  })

  it('S41: a domain is waited for that has a peer which is down and has not heard of it, for an hour', () => {
    const faults: Fault[] = [{ atMs: INJECTED_MS - 5_000, what: 'crash', node: 0, downMs: 100 * MINUTE }]
    const condition = domains({ by: 'region', order: ['eu', 'us', 'asia'] })
    const before = roll(condition, { faults, durationMs: 110 * MINUTE })
    const first = Math.min(
      ...of(before.begun, 'Thingv1').flatMap(([node, at]) => (regionOf(node) === 'us' ? [at] : []))
    )
    assert.ok(first >= 60 * MINUTE && first < 63 * MINUTE, `${first}`)
  })

  it('S42, S44: servers before clients, by one schedule for both classes', () => {
    const clients = after({ class: 'Serverv1', version: 2, fraction: 0.9 })
    const when = byClass({ Serverv2: gradual({ over: '10m' }) }, clients)
    const rolled = roll(when, { lineages: ['Client', 'Server'] })
    assert.deepEqual([rolled.served.get('Serverv1')?.size, rolled.served.get('Clientv1')?.size], [PEERS, PEERS])
    const served = of(rolled.served, 'Serverv1').map((one) => one[1])
    const begun = Math.min(...of(rolled.begun, 'Clientv1').map((one) => one[1]))
    const done = served.filter((time) => time <= begun).length
    assert.ok(done >= 0.9 * PEERS, `the first client sets out when ${done} servers run it`)
    assert.ok(done < PEERS, 'and does not wait for all')
  })

  it('S43: nobody sets out before so many hold it ready, then all do, though some are gone again', () => {
    const faults: Fault[] = []
    for (let node = 0; node < 24; node++)
      faults.push({ atMs: INJECTED_MS - 5_000, what: 'crash', node, downMs: 10 * MINUTE + node * 5_000 })
    for (const among of ['sample', 'neighbours'] as const) {
      const rolled = roll(signalled({ fraction: 0.9, of: among }), { faults })
      const begun = [...rolled.begun.get('Thingv1')!.values()]
      assert.equal(rolled.served.get('Thingv1')?.size, PEERS)
      if (among === 'sample') assert.ok(Math.min(...begun) > 10 * MINUTE, `${Math.min(...begun)}`)
      else assert.ok(begun.some((time) => time > 10 * MINUTE))
    }
  })

  it('S44: random spreads over the time, otherwise each time, and is kept by who restarts', () => {
    const faults: Fault[] = Array.from({ length: PEERS }, (_, node) => ({
      atMs: 2 * MINUTE,
      what: 'crash',
      node,
      downMs: 1000
    }))
    const [calm, other, shaken] = [{}, { seed: 6 }, { faults }].map((fields) => {
      const times = of(roll(random({ within: '20m' }), fields).served, 'Thingv1')
      assert.equal(times.length, PEERS)
      for (const half of [0, 1]) {
        const from = INJECTED_MS + half * 10 * MINUTE
        const count = times.filter(([, time]) => time >= from && time < from + 10 * MINUTE + 30_000).length
        assert.ok(count >= 18 && count <= 42, `${count} in half ${half}`)
      }
      return new Map(times)
    })
    const differs = [...calm!].filter(([node, time]) => Math.abs(other!.get(node)! - time) > MINUTE)
    assert.ok(differs.length > PEERS / 2)
    const kept = [...calm!].filter(([node, time]) => Math.abs(shaken!.get(node)! - time) < 2 * MINUTE)
    assert.ok(kept.length >= PEERS * 0.9, `${kept.length} kept their time`)
  })
})
