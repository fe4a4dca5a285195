import assert from 'node:assert/strict'
import { pino } from 'pino'
import type { Bundles } from '../../../node/bundles/bundles.ts'
import { Driver } from '../../../node/daemon/driver.ts'
import type { Network } from '../../../node/network/network.ts'
import type { Store } from '../../../node/store/store.ts'
import { Refusal } from '../../../src/errors.ts'
import type { Effect, Event } from '../../../src/overlay/events.ts'
import type { Peer } from '../../../src/overlay/peer.ts'

const MESSAGE = { kind: 'want', bundle: '0'.repeat(64), index: 0 } as const

/** A driver whose core answers as told, with a record of what left it. */
function driven(step: (event: Event) => Effect[], commit: Store['commit']) {
  const left: string[] = []
  const failed = Promise.withResolvers<unknown>()
  const driver = new Driver({
    peer: { step } as unknown as Peer,
    store: { commit } as Store,
    network: { send: (to: string) => void left.push(to) } as unknown as Network,
    bundles: {} as Bundles,
    run: (command) => left.push(command.command),
    watchLoad: () => undefined,
    ask: async (_, module) => ({ wait: module }),
    settled: () => left.push('settled'),
    left: () => left.push('left'),
    failed: (error) => failed.resolve(error),
    log: pino({ level: 'silent' })
  })
  return { driver, left, failed: failed.promise }
}

const persist: Effect = { type: 'persist', put: [['key', 1]], delete: [] }
const send: Effect = { type: 'send', to: 'peer-b', message: MESSAGE }

describe('the loop around the core (SPEC D20)', () => {
  it('E1, E2: nothing leaves when the commit fails, and nothing happens afterwards', async () => {
    let steps = 0
    const step = () => {
      steps += 1
      return [send, persist, send]
    }
    const commit = () => {
      throw new Refusal('NoSpace', 'no space left')
    }
    const { driver, left, failed } = driven(step, commit)
    const injected = driver.inject('entry', new Uint8Array(1), true)
    assert.equal(((await failed) as Refusal).code, 'NoSpace')
    await assert.rejects(injected, { code: 'Unreachable' })
    driver.post({ type: 'wake' })
    await assert.rejects(driver.inject('entry', new Uint8Array(1), true), { code: 'Unreachable' })
    await new Promise(setImmediate)
    assert.deepEqual([steps, left], [1, []])
  })

  it('a defect of the core ends the loop as well', async () => {
    const { driver, left, failed } = driven(
      () => {
        throw new Error('illegal transition')
      },
      () => assert.fail('nothing is to be written')
    )
    driver.post({ type: 'wake' })
    assert.match(String(await failed), /illegal transition/)
    assert.deepEqual(left, [])
  })

  it('D20: events that wait together share one commit, before anything of them leaves', async () => {
    const order: string[] = []
    const settled = Promise.withResolvers<void>()
    const { driver, left } = driven(
      () => [persist, send],
      (change) => {
        order.push(`${change.put.length} written, ${left.length} left`)
        setImmediate(settled.resolve)
      }
    )
    driver.post({ type: 'wake' })
    driver.post({ type: 'wake' })
    await settled.promise
    assert.deepEqual([order, left], [['1 written, 0 left'], ['peer-b', 'peer-b', 'settled']])
  })
})
