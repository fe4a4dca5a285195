/** What every form of a host must do for SOs of its node's calls (SPEC G); a part of the contract. */
import assert from 'node:assert/strict'
import type { GuestPlan, LinkPlan } from '../../../node/host/host.ts'
import { CallError } from '../../../src/errors.ts'
import type { DelegateCall } from '../../../src/versions/guest.ts'
import type { Value } from '../../../src/versions/types.ts'
import type { Surroundings } from './contract.ts'
import { links, moduleOf } from './fixture.ts'

export function guests(now: () => Surroundings): void {
  const plan = (...placed: LinkPlan[]): GuestPlan => ({
    object: 'IntSet',
    peer: 'peer00001',
    links: placed as GuestPlan['links'],
    delegate: { version: 1, className: 'IntSet', interface: links.intSet.interface }
  })
  const visit = (run: number, method: string, ...args: Value[]) => ({
    run,
    method,
    args,
    callId: 'c',
    held: false,
    timeoutMs: 10_000
  })

  it("G1 G4 a guest's methods run over the delegate that the daemon reaches; a second delegate call is not sent", async () => {
    const { host, world } = now()
    const asked: DelegateCall[] = []
    const delegate = async (call: DelegateCall): Promise<Value> => {
      asked.push(call)
      if (call.method === 'delete') throw new CallError('Disallowed', 'not that one')
      return call.method === 'all' ? [1, 2] : call.args[0] === 1
    }
    const guest = await host.warmGuest(plan(links.directColorSet), { delegate, log: world.log })
    assert.equal(await guest.call(visit(1, 'getColor', 1)), 'blue')
    assert.deepEqual(await guest.call(visit(2, 'all')), [
      [1, 'blue'],
      [2, 'blue']
    ])
    await assert.rejects(guest.call(visit(3, 'delete', 1)), { name: 'Disallowed' })
    await assert.rejects(guest.call(visit(4, 'either', 3, 4)), { name: 'NotStateless' })
    await assert.rejects(guest.call(visit(5, 'keep', 1)), { name: 'NotStateless' })
    assert.deepEqual(
      asked.map(({ run, method }) => [run, method]),
      [
        [1, 'contains'],
        [2, 'all'],
        [3, 'delete'],
        [4, 'contains']
      ]
    )
    await guest.kill()
    assert.match(await guest.ended, /told to end/)
    await assert.rejects(guest.call(visit(6, 'all')), { name: 'Unavailable' })
  })

  it('G5 G7 deadline and cancellation end a visit at once; a kill leaves what was sent unknown', async () => {
    const { host, world } = now()
    const reached = Promise.withResolvers<void>()
    const delegate = ({ run }: DelegateCall): Promise<Value> => {
      if (run === 3) reached.resolve()
      return new Promise(() => undefined)
    }
    const guest = await host.warmGuest(plan(links.directColorSet), { delegate, log: world.log })
    await assert.rejects(guest.call({ ...visit(1, 'contains', 1), timeoutMs: 20 }), { name: 'DeadlineExceeded' })
    const controller = new AbortController()
    const given = guest.call({ ...visit(2, 'contains', 1), signal: controller.signal })
    controller.abort()
    await assert.rejects(given, { name: 'Cancelled' })
    const lost = guest.call(visit(3, 'contains', 1))
    await reached.promise
    const [, outcome] = await Promise.allSettled([guest.kill(), lost])
    assert.equal(outcome.status === 'rejected' && outcome.reason.name, 'OutcomeUnknown')
  })

  it('G5 an object says which versions it serves to a guest that need not be any more', async () => {
    const { serve } = now()
    const object = await serve(1, links.intSet)
    const call = {
      version: 1,
      method: 'contains',
      args: [1],
      callId: 'c',
      held: false,
      timeoutMs: 10_000,
      simulates: 2
    }
    assert.equal(await object.call(call), false)
    await object.simulate(links.futureColorSet)
    await assert.rejects(object.call(call), { name: 'Misplaced', serves: [1, 2] })
  })

  it('G8 code that does not import makes no guest', async () => {
    const { host, world } = now()
    const broken = { ...links.directColorSet, module: moduleOf('host/throws') }
    await assert.rejects(
      host.warmGuest(plan(broken), { delegate: async () => null, log: world.log }),
      /this module throws/
    )
  })
}
