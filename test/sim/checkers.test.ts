import assert from 'node:assert/strict'
import { mayLead } from '../../sim/checkers.ts'
import { calmNetwork } from '../../sim/network.ts'
import { immediateSchedule, scenario } from '../../sim/scenario.ts'
import type { Result } from '../../sim/simulator.ts'
import type { Effect, HostCommand } from '../../src/overlay/events.ts'
import type { ObjectState } from '../../src/overlay/lifecycle.ts'
import { runDefective } from './standin.ts'

/** The defect is found, by the rule meant for it, and the report names what an engineer needs. */
function found(result: Result, rule: string, text: RegExp): void {
  const violation = result.violations.find((one) => one.rule === rule && text.test(one.text))
  const all = result.violations.map((one) => `${one.rule} ${one.text}`).join('\n')
  assert.ok(violation !== undefined, `no ${rule} with ${text}, but:\n${all}`)
  assert.match(violation.peer, /^P\d{7}$/)
  assert.ok(violation.history.length > 0)
}

const runs = (effects: Effect[], change: (command: HostCommand) => HostCommand[]): Effect[] =>
  effects.flatMap((effect) =>
    effect.type === 'run' ? change(effect.command).map((command): Effect => ({ type: 'run', command })) : [effect]
  )

describe('sim/checkers: each one finds a defect planted in the real peer', () => {
  it('the peer without a defect violates nothing', () => {
    assert.deepEqual(runDefective({}).violations, [])
  })

  it('M12: runs a version before its bundle was verified', () => {
    const result = runDefective({
      hears: (event) => event,
      alter: (effects) =>
        effects.map((effect) =>
          effect.type === 'unpack'
            ? {
                type: 'run',
                command: {
                  command: 'warm',
                  object: 'Thingv1',
                  attempt: 1,
                  version: effect.version,
                  past: [],
                  future: []
                }
              }
            : effect
        )
    })
    found(result, 'M12', /bundle it has not verified/)
  })

  it('M12: runs a version that nobody signed', () => {
    const result = runDefective({
      alter: (effects) =>
        runs(effects, (command) => [command.command === 'warm' ? { ...command, version: 99 } : command])
    })
    found(result, 'M12', /version 99, which nobody signed/)
  })

  it('M12: passes on what it has not verified', () => {
    const forged = new Uint8Array(9)
    const result = runDefective({
      alter: (effects) =>
        effects.map((effect) =>
          effect.type === 'send' && effect.message.kind === 'delta'
            ? { ...effect, message: { ...effect.message, records: [forged] } }
            : effect
        )
    })
    found(result, 'M12', /record that nobody signed/)
  })

  it('M13: transforms state that is still open', () => {
    const result = runDefective({
      alter: (effects, event) => {
        if (event.type === 'done' && event.command === 'drain') return effects
        return runs(effects, (command) =>
          command.command === 'drain'
            ? [
                {
                  command: 'transform',
                  object: command.object,
                  attempt: 2,
                  version: 2,
                  from: { attempt: 1, version: 1, future: [] }
                }
              ]
            : [command]
        )
      }
    })
    found(result, 'M13', /drain it first/)
  })

  it('M13: serves before the commit is durable', () => {
    const result = runDefective({
      alter: (effects) => {
        const serves = effects.filter((effect) => effect.type === 'run' && effect.command.command === 'serve')
        return [...serves, ...effects.filter((effect) => !serves.includes(effect))]
      }
    })
    found(result, 'M13', /the durable commit names attempt/)
  })

  it('M13: skips a step of the life cycle', () => {
    const result = runDefective({
      alter: (effects) =>
        effects.map((effect) => {
          if (effect.type !== 'persist') return effect
          const put = effect.put.filter(
            ([key, value]) => !key.startsWith('object/') || (value as ObjectState).phase.name !== 'transforming'
          )
          return { ...effect, put }
        })
    })
    found(result, 'M13', /from draining to proving|while draining/)
  })

  it('M13: uses an attempt twice', () => {
    const result = runDefective({
      alter: (effects) => runs(effects, (command) => ('attempt' in command ? [{ ...command, attempt: 1 }] : [command]))
    })
    found(result, 'M13', /used before/)
  })

  it('M14: deletes the directory that holds the acknowledged writes', () => {
    const result = runDefective({
      alter: (effects) =>
        runs(effects, (command) =>
          command.command === 'drain' ? [command, { command: 'clean', object: command.object, keep: 0 }] : [command]
        )
    })
    found(result, 'M13', /deletes the only whole state|not a whole state/)
  })

  it('M14: begins with an empty state where writes exist', () => {
    const result = runDefective(
      {
        alter: (effects) =>
          runs(effects, (command) => (command.command === 'transform' ? [{ ...command, from: null }] : [command]))
      },
      { writesPerSecond: 100 }
    )
    found(result, 'M14', /0 of \d+ acknowledged writes/)
  })

  it('M15: upgrades without asking its group', () => {
    const { actions } = scenario({ seed: 1, peers: 3 })
    const hasty = actions.map((action) =>
      action.what === 'upgrade' ? { ...action, schedule: immediateSchedule } : action
    )
    found(runDefective({}, { actions: hasty }), 'M15', /number 2 of its group/)
  })

  it('M15: a crashed member that had begun counts as down until it serves', () => {
    const { actions } = scenario({ seed: 1, peers: 3 })
    const hasty = actions.map((action) =>
      action.what === 'upgrade' ? { ...action, schedule: immediateSchedule } : action
    )
    const crashes = [1, 2].map((node) => ({ atMs: 20_420, what: 'crash' as const, node, downMs: 10_000 }))
    const result = runDefective({}, { actions: hasty, faults: crashes })
    assert.equal(result.groupDownMax, 3)
  })

  it('M16: keeps more records than its view may hold', () => {
    found(runDefective({ viewSize: 257 }), 'M16', /257 records, the bound is 256/)
  })

  it('M17: goes on talking when there is nothing to say', () => {
    const summary = {
      kind: 'summary',
      head: { version: 0, hash: '0'.repeat(64) },
      statements: '',
      records: '',
      census: ''
    } as const
    const result = runDefective(
      {
        alter: (effects, event) =>
          event.type === 'message' && event.message.kind === 'summary'
            ? [...effects, { type: 'send', to: event.from, message: summary }]
            : effects
      },
      { idleMs: 180_000, durationMs: 400_000, network: { ...calmNetwork, delayMs: 2000 } }
    )
    found(result, 'M17', /messages in the last idle minute/)
  })

  it('M18: what is stuck is named with its reason', () => {
    const result = runDefective({ hears: (event) => (event.type === 'unpacked' ? undefined : event) })
    assert.equal(result.converged, false)
    found(result, 'M18', /fetches the bundle of version \d: \d of 4 pieces/)
    assert.equal(result.stuck.length, 3)
  })

  it('M19: throws', () => {
    const result = runDefective({
      alter: (effects, event) => {
        if (event.type === 'done') throw new Error('a defect of ours')
        return effects
      }
    })
    found(result, 'M19', /a defect of ours/)
  })

  it('M23: sends what is no message', () => {
    const result = runDefective({
      alter: (effects) =>
        effects.map((effect) =>
          effect.type === 'send' && effect.message.kind === 'digest'
            ? { ...effect, message: { ...effect.message, room: 0.5 } }
            : effect
        )
    })
    found(result, 'M23', /a digest that is none: room/)
  })

  it('M22: leaves in the middle of an upgrade', () => {
    const result = runDefective({
      alter: (effects, event) =>
        event.type === 'done' && event.command === 'drain' ? [...effects, { type: 'left' }] : effects
    })
    found(result, 'M22', /while it is down for the upgrade/)
    found(result, 'M22', /with a permit in its hands/)
  })

  it('M13: a failure that the host did not report is no failure', () => {
    const result = runDefective({
      hears: (event) =>
        event.type === 'done' && event.command === 'prove' && event.version === 2
          ? { ...event, ok: false, reason: 'imagined' }
          : event
    })
    found(result, 'M13', /calls version 2 failed, its host does not/)
  })

  it('L: durable phases may pass only through phases that ask nothing of the host', () => {
    assert.ok(mayLead('idle', 'warming'))
    assert.ok(mayLead('waiting', 'waiting'))
    assert.ok(mayLead('returning', 'fetching'))
    assert.ok(!mayLead('idle', 'draining'))
    assert.ok(!mayLead('warming', 'proving'))
    assert.ok(!mayLead('transforming', 'idle'))
  })
})
