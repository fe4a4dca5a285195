/** Chains over the memory store, as the tests of this directory build them. */
import { CallError } from '../../../src/errors.ts'
import { Chain } from '../../../src/versions/chain.ts'
import type { OutwardCall } from '../../../src/versions/components.ts'
import type { LinkInit } from '../../../src/versions/link.ts'
import type { LinkRole } from '../../../src/versions/store.ts'
import type { HostedObject, ObjectStatics, SimulationContext, Value } from '../../../src/versions/types.ts'
import { interceptsOf, interfaceOf } from '../../fixtures/sets/links.ts'
import { MemoryStore } from './memory-store.ts'

export type Code = ObjectStatics & { name: string; intercepts?: readonly string[]; new (context: any): HostedObject }

export function link(code: Code, version: number, role: LinkRole): LinkInit {
  return {
    version,
    className: code.name,
    role,
    interface: interfaceOf(code),
    intercepts: interceptsOf(code),
    directory: '/nowhere',
    construct: (context: SimulationContext) => new code(context)
  }
}

/** A link of `past: 'subtype'` with the interface of `code`. */
export function subtype(code: Code, version: number): LinkInit {
  return { ...link(code, version, 'past'), intercepts: [], construct: null }
}

export interface World {
  chain: Chain
  store: MemoryStore
  /** Calls at a version, as from outside. */
  call(version: number, method: string, ...args: Value[]): Promise<any>
  outward: OutwardCall[]
  faults: [number, string][]
  fatal: Error[]
  /** What the chain wants to be told later; time passes only when a test says so. */
  timers: Set<{ ms: number; callback: () => void }>
  /** Lets the time of every timer pass; resolves with the milliseconds. */
  pass(): number
}

export async function world(links: LinkInit[], options: { store?: MemoryStore; serve?: boolean } = {}): Promise<World> {
  const store = options.store ?? new MemoryStore()
  const outward: OutwardCall[] = []
  const faults: [number, string][] = []
  const fatal: Error[] = []
  const timers: World['timers'] = new Set()
  const pass = () => {
    const due = [...timers]
    timers.clear()
    for (const { callback } of due) callback()
    return Math.max(0, ...due.map(({ ms }) => ms))
  }
  let calls = 0
  const chain = new Chain(
    {
      peer: 'peer00001',
      group: null,
      store,
      outward: async (call) => {
        outward.push(call)
        if (call.observersOnly && call.method === 'change') throw new CallError('NotCommitted', 'not committed')
        return 'answer'
      },
      members: () => [],
      log: () => undefined,
      faulty: (version, reason) => faults.push([version, reason]),
      fatal: (error) => fatal.push(error),
      defer: (callback) => setImmediate(callback),
      after: (ms, callback) => {
        const timer = { ms, callback }
        timers.add(timer)
        return () => timers.delete(timer)
      },
      newCallId: () => `own-${++calls}`
    },
    links
  )
  await chain.start()
  if (options.serve !== false) chain.serve()
  const call = (version: number, method: string, ...args: Value[]) =>
    chain.call({ version, method, args, callId: `call-${++calls}`, held: false })
  return { chain, store, call, outward, faults, fatal, timers, pass }
}

/** A promise that a test opens when it likes. */
export function gate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

/** Lets everything that is ready run. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((next) => setImmediate(next))
}
