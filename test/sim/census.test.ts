/** The census of a simulated fleet that no peer knows the whole of (SPEC O21 to O24, M17). */
import assert from 'node:assert/strict'
import { immediateSchedule, scenario } from '../../sim/scenario.ts'
import { type RunOptions, run, type Simulator } from '../../sim/simulator.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import { gradual } from '../../src/schedule/combinators.ts'

const MINUTE = 60_000
const PEERS = 120

const rms = (errors: readonly number[]): number =>
  Math.sqrt(errors.reduce((total, error) => total + error ** 2, 0) / errors.length)

describe('the census of a simulated fleet (SPEC O21 to O24)', () => {
  it('120 peers with views of 24: each comes within 5 % of who runs what, and some minutes behind while they go on', () => {
    let fleet: Simulator | undefined
    // All times a quarter of what they are by default.
    const limits = { view: 24, censusMs: 15_000, censusLargeMs: 2.5 * MINUTE, epochMs: 22.5 * MINUTE }
    const base = { seed: 5, peers: PEERS, groupSize: 0, strict: false, history: 4, limits, writesPerSecond: 0 }
    const calm = scenario({ ...base, durationMs: 180 * MINUTE, idleMs: 60 * MINUTE })
    const [install] = calm.actions
    const when = gradual({ over: '30m' })
    const actions = [
      install!,
      { ...install!, atMs: 5 * MINUTE, schedule: { ...immediateSchedule, when } } as typeof install & object
    ]
    /** Mean error over peers and versions, of those that read anything, at some moments. */
    const looks: { at: number; whole: number; error: number }[] = []
    const look = () => {
      const { machines, kernel, world } = fleet!
      const truth = [1, 2].map(
        (version) => machines.filter(({ host }) => host.servedVersion('Thingv1') === version).length
      )
      const peers = machines.flatMap(({ up, peer }) => (up ? [peer as Peer] : []))
      const readings = peers.map((peer) =>
        [1, 2].map((version) => peer.census.read(world.entries[version - 1]!, 'Thingv1', peer.now))
      )
      const whole = readings.filter(([first]) => first !== undefined)
      const errors = whole.flatMap((pair) => pair.map((one, at) => (one!.run - truth[at]!) / PEERS))
      looks.push({ at: kernel.now, whole: whole.length, error: rms(errors) })
    }
    const options: RunOptions = {
      prepare: (simulator) => {
        fleet = simulator
        for (const machine of simulator.machines.slice(0, 1)) {
          const { step } = machine
          let next = 10 * MINUTE
          machine.step = (event) => {
            if (simulator.kernel.now >= next && simulator.world.entries.length === 2) {
              next = simulator.kernel.now + 4 * MINUTE
              look()
            }
            return step.call(machine, event)
          }
        }
      }
    }
    const result = run({ ...calm, actions }, options)
    assert.deepEqual(result.violations, [])
    look()
    const said = JSON.stringify(looks)
    assert.ok(looks.length > 6 && looks.every(({ whole }) => whole >= PEERS * 0.99), said)
    // While nodes go on, what is heard is some minutes old, in each of which four percent of them went on.
    assert.ok(Math.max(...looks.map(({ error }) => error)) <= 0.2, said)
    assert.ok(Math.max(...looks.slice(-8).map(({ error }) => error)) <= 0.05, said)
  }).timeout(120_000)
})
