import assert from 'node:assert/strict'
import { CallError } from '../../../src/errors.ts'
import { type DelegateCall, Guest, type GuestLink } from '../../../src/versions/guest.ts'
import type { SimulationContext, Value } from '../../../src/versions/types.ts'
import DirectColorSet from '../../fixtures/sets/direct-color-set.ts'
import FutureColorSet from '../../fixtures/sets/future-color-set.ts'
import IntSet from '../../fixtures/sets/int-set.ts'
import { interfaceOf } from '../../fixtures/sets/links.ts'
import { type Code, gate, link, world } from './chain-fixture.ts'

const DELEGATE = { version: 1, className: 'IntSet', interface: interfaceOf(IntSet) }

const linkOf = (code: Code, version: number): GuestLink => ({
  version,
  className: code.name,
  role: 'future',
  interface: interfaceOf(code),
  construct: (context: SimulationContext) => new code(context)
})

/** A guest over a delegate that a test plays. */
function lodged(links: GuestLink[], answer: (call: DelegateCall) => Promise<Value> | Value = () => true) {
  const asked: DelegateCall[] = []
  const components = {
    peer: 'peer00001',
    delegate: async (call: DelegateCall) => {
      asked.push(call)
      return answer(call)
    },
    log: () => undefined
  }
  const guest = new Guest(components, links, DELEGATE)
  let runs = 0
  const call = (method: string, ...args: Value[]) =>
    guest.call({ run: ++runs, method, args, callId: 'c', held: false, leftMs: () => 1000 })
  return { guest, asked, call }
}

/** What a class of one method does with its context. */
const doing = (kind: 'observer' | 'mutator', does: (context: SimulationContext<any>) => unknown): Code =>
  class Doing {
    static methods = { m: { kind, stateless: true } as const, plain: kind }
    context: SimulationContext
    constructor(context: SimulationContext) {
      this.context = context
    }
    m() {
      return does(this.context)
    }
    plain() {
      return does(this.context)
    }
  }

describe("SOs on the caller's node (SPEC G3, G4)", () => {
  it('G1: the same code over a remote delegate', async () => {
    const { call, asked } = lodged([linkOf(DirectColorSet, 2)], ({ args }) => args[0] === 1)
    assert.equal(await call('getColor', 1), 'blue')
    assert.equal(await call('getColor', 2), null)
    await call('insertColor', 3, 'blue')
    assert.deepEqual(asked.at(-1), { run: 3, method: 'insert', args: [3], timeoutMs: 1000 })
    await assert.rejects(call('insertColor', 3, 'red'), { name: 'Disallowed' })
    assert.equal(asked.length, 3)
  })

  it('G4: a second delegate call is refused before it is sent, and the call ends so, whatever its code says', async () => {
    const either = lodged([linkOf(DirectColorSet, 2)], () => false)
    await assert.rejects(either.call('either', 1, 2), { name: 'NotStateless' })
    assert.equal(either.asked.length, 1)
    const swallowing = doing('observer', async ({ delegate }) => {
      await delegate.contains(1)
      return await delegate.contains(2).catch(() => 'all is well')
    })
    const { call, asked } = lodged([linkOf(swallowing, 2)])
    await assert.rejects(call('m'), { name: 'NotStateless' })
    const unwaited = doing('observer', async ({ delegate }) => void [delegate.contains(1), delegate.contains(2)])
    await assert.rejects(lodged([linkOf(unwaited, 2)]).call('m'), { name: 'NotStateless' })
    assert.deepEqual(
      asked.map(({ args }) => args),
      [[1]]
    )
    assert.equal(await either.call('contains', 1), false, 'the next run has a call of its own')
  })

  it('G4: state, calls of others and of itself are refused', async () => {
    const forbidden: Parameters<typeof doing>[1][] = [
      ({ state }) => state.get('x'),
      ({ state }) => state.put('x', 1),
      ({ state }) => state.delete('x'),
      ({ state }) => [...state.entries()].length,
      ({ call }) => call('IntSet', 'contains', [1]),
      ({ self }) => self.m(),
      ({ state }) => {
        try {
          return state.get('x')
        } catch {
          return 'blue'
        }
      }
    ]
    for (const does of forbidden) {
      const { call, asked } = lodged([linkOf(doing('mutator', does), 2)])
      await assert.rejects(call('m'), { name: 'NotStateless' }, does.toString())
      assert.deepEqual(asked, [])
    }
    const kept = lodged([linkOf(FutureColorSet, 2)])
    await assert.rejects(kept.call('getColor', 1), { name: 'NotStateless' })
    assert.equal(await kept.call('contains', 1), true)
  })

  it('G4: observers call observers only; a timer that outlives its run calls nobody', async () => {
    const { call, asked } = lodged([
      linkOf(
        doing('observer', ({ delegate }) => delegate.insert(1)),
        2
      )
    ])
    await assert.rejects(call('m'), { name: 'ApplicationError', message: /mutator/ })
    const late = gate()
    const after = gate()
    let told: unknown
    const lingering = doing('observer', ({ delegate }) => {
      void late.opened
        .then(() => delegate.contains(1))
        .catch((error: unknown) => {
          told = error
          after.open()
        })
      return 'done'
    })
    const lingerer = lodged([linkOf(lingering, 2)])
    assert.equal(await lingerer.call('m'), 'done')
    late.open()
    await after.opened
    assert.match(String(told), /only while one of its own methods runs/)
    assert.deepEqual([...asked, ...lingerer.asked], [])
  })

  it('G1: SOs stack, each with one delegate call; below the top only stateless methods are run', async () => {
    const middle = class {
      static methods = { m: { kind: 'observer', stateless: true } as const, plain: 'observer' as const }
      context: SimulationContext<any>
      constructor(context: SimulationContext) {
        this.context = context
      }
      async m() {
        return [2, await this.context.delegate.contains(1)]
      }
      plain() {
        return this.m()
      }
    }
    const on = (method: string) => doing('observer', async ({ delegate }) => [3, await delegate[method]()])
    const { call, asked } = lodged([linkOf(middle, 2), linkOf(on('m'), 3)])
    assert.deepEqual(await call('m'), [3, [2, true]])
    const odd = lodged([linkOf(middle, 2), linkOf(on('plain'), 3)])
    await assert.rejects(odd.call('m'), { name: 'NotStateless', message: /not stateless/ })
    const subtype = {
      ...linkOf(
        doing('observer', () => null),
        2
      ),
      interface: DELEGATE.interface,
      construct: null
    }
    const passing = lodged([
      subtype,
      linkOf(
        doing('observer', ({ delegate }) => delegate.contains(7)),
        3
      )
    ])
    assert.equal(await passing.call('m'), true)
    assert.deepEqual([asked.length, odd.asked.length, passing.asked[0]?.args], [1, 0, [7]])
  })

  it('V6: whoever holds an object is not let in; what the code throws is the application’s, the delegate’s refusals pass', async () => {
    const refusing = (name: 'Disallowed' | 'Unavailable') => () => {
      throw new CallError(name, 'no')
    }
    const { guest } = lodged([linkOf(DirectColorSet, 2)])
    const held = { run: 1, method: 'contains', args: [1], callId: 'c', held: true, leftMs: () => 1 }
    await assert.rejects(guest.call(held), { name: 'WouldBlock' })
    await assert.rejects(lodged([linkOf(DirectColorSet, 2)], refusing('Disallowed')).call('contains', 1), {
      name: 'Disallowed'
    })
    await assert.rejects(lodged([linkOf(DirectColorSet, 2)], refusing('Unavailable')).call('contains', 1), {
      name: 'ApplicationError'
    })
    await assert.rejects(guest.call({ ...held, method: 'none', held: false }), { name: 'NoSuchMethod' })
  })

  it('G8: it is constructed, not started', async () => {
    const started: string[] = []
    const code = class {
      static methods = { m: { kind: 'observer', stateless: true } as const }
      context: SimulationContext
      constructor(context: SimulationContext) {
        this.context = context
      }
      start() {
        started.push('start')
      }
      initial() {
        started.push('initial')
      }
      m() {
        return [this.context.members().length, this.context.group, this.context.callId!]
      }
    }
    assert.deepEqual(await lodged([linkOf(code, 2)]).call('m'), [0, null, 'c'])
    assert.deepEqual(started, [])
    const greedy = class extends code {
      constructor(context: SimulationContext) {
        super(context)
        context.state.get('x')
      }
    }
    assert.throws(() => lodged([linkOf(greedy, 2)]))
  })
})

describe('delegate calls of guests at a chain (SPEC G5)', () => {
  const asGuest = (version: number, simulates: number, method: string, ...args: Value[]) => ({
    version,
    simulates,
    method,
    args,
    callId: 'c',
    held: false
  })

  it('G5: what simulates a version that is not served is executed; once it is served, it is not', async () => {
    const { chain, call } = await world([link(IntSet, 1, 'current')])
    await chain.call(asGuest(1, 2, 'insert', 1))
    await chain.add(link(FutureColorSet, 2, 'future'))
    await assert.rejects(chain.call(asGuest(1, 2, 'insert', 2)), { name: 'Misplaced', serves: [1, 2] })
    await assert.rejects(chain.call(asGuest(1, 3, 'insert', 2)), { name: 'Misplaced', serves: [1, 2] })
    assert.deepEqual(await call(1, 'all'), [1])
    await chain.call(asGuest(2, 3, 'insertColor', 3, 'red'))
    assert.equal(await call(2, 'getColor', 3), 'red')
  })

  it('G5: a concurrent observer, which holds no section, is looked at again when it has run', async () => {
    const slow = gate()
    class Free extends IntSet {
      static override methods = { ...IntSet.methods, look: { kind: 'observer', concurrent: true } } as any
      async look(wait: boolean) {
        if (wait) await slow.opened
        return this.all()
      }
    }
    const { chain, call } = await world([link(Free, 1, 'current')])
    assert.deepEqual(await chain.call(asGuest(1, 2, 'look', false)), [])
    const looking = chain.call(asGuest(1, 2, 'look', true))
    await chain.add(link(FutureColorSet, 2, 'future'))
    await call(2, 'insertColor', 1, 'red')
    slow.open()
    await assert.rejects(looking, { name: 'Misplaced', serves: [1, 2] })
  })

  it('G5: it is decided where the chain cannot change: a call that waits for the section sees what was added meanwhile', async () => {
    const slow = gate()
    class Slow extends FutureColorSet {
      async initial() {
        await slow.opened
      }
    }
    const { chain } = await world([link(IntSet, 1, 'current')])
    const adding = chain.add(link(Slow, 2, 'future'))
    const called = chain.call(asGuest(1, 2, 'contains', 1))
    slow.open()
    await adding
    await assert.rejects(called, { name: 'Misplaced' })
  })
})
