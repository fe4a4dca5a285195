/**
 * SPEC K7, K8, K14: whatever clients at both versions do at whatever members, while members are upgraded, crash, come
 * back, lose their disk, and messages are lost, each key behaves as one register: nothing acknowledged is lost or stale.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Register } from '../../../examples/kv/protocol/register.ts'
import { Generator } from '../../../src/prng.ts'
import { Fleet, type Version } from './fleet.ts'
import { explain, type Operation } from './history.ts'

type Kind = 'get' | 'put' | 'delete' | 'cas'
interface Action {
  kind: Kind
  version: Version
  member: number
  key: number
  /** Called again with the same id, at this member and version, whatever the first call said. */
  again: { member: number; version: Version } | null
}
interface Attempt {
  /** none: certainly not executed. */
  outcome: 'done' | 'none' | 'unknown'
  result: any
  calledAt: number
  repliedAt: number
}
type Event = { kind: 'none' | 'upgrade' | 'crash' | 'down' | 'up' | 'wipe' | 'catch up'; member: number }

const version = fc.constantFrom<Version>(1, 2)
const member = fc.nat({ max: 2 })
const action: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom<Kind>('get', 'put', 'delete', 'cas', 'cas'),
  version,
  member,
  key: fc.nat({ max: 2 }),
  again: fc.option(fc.record({ member, version }), { freq: 3 })
})
const event: fc.Arbitrary<Event> = fc.record({
  kind: fc.constantFrom<Event['kind']>('none', 'upgrade', 'upgrade', 'crash', 'down', 'up', 'wipe', 'catch up'),
  member
})
const step = fc.record({ actions: fc.array(action, { minLength: 1, maxLength: 5 }), event })

/** The last key is one of a namespace that v1 does not know. */
const KEYS = [
  ['default', 'a'],
  ['default', 'b'],
  ['blue', 'a']
] as const

class Run {
  readonly fleet: Fleet
  readonly history: Operation[][] = KEYS.map(() => [])
  readonly versions = new Map<string, string>()
  readonly unexpected: string[] = []
  #tick = 0
  #writes = 0

  constructor(fleet: Fleet) {
    this.fleet = fleet
  }

  async act(one: Action): Promise<void> {
    const [namespace, key] = KEYS[one.key]!
    const flat = namespace === 'default'
    const version = flat ? one.version : 2
    const value = `v${++this.#writes}`
    const id = `id${this.#writes}`
    // What the client last heard of the key: sometimes stale, as it should be.
    const known = [...this.versions].filter(([, at]) => at.startsWith(`${one.key}:`)).at(-1)
    const expected = this.#writes % 3 === 0 ? undefined : known
    const kind = one.kind === 'put' && !flat ? 'cas' : one.kind === 'cas' && version === 1 ? 'put' : one.kind
    const call = (at: Version, m: number): Promise<any> => {
      const callee = this.fleet.member(m)
      switch (kind) {
        case 'get':
          return at === 1 ? callee.call(1, 'get', [key], id) : callee.call(2, 'get', [namespace, key], id)
        case 'put':
          return callee.call(1, 'put', [key, value], id)
        case 'delete':
          return at === 1 ? callee.call(1, 'delete', [key], id) : callee.call(2, 'remove', [namespace, key], id)
        case 'cas':
          return callee.call(
            2,
            'compareAndSet',
            [namespace, key, expected ? expected[1].slice(2) : null, value, {}],
            id
          )
      }
    }
    const note = (attempt: Attempt) => this.#note(one.key, kind, value, expected?.[0] ?? null, attempt)
    const first = await this.#attempt(() => call(version, one.member))
    if (!one.again || kind === 'get') return note(first)
    const at = kind === 'put' ? 1 : kind === 'cas' || !flat ? 2 : one.again.version
    const second = await this.#attempt(() => call(at, one.again!.member))
    if (first.outcome === 'done' && !(kind === 'cas' && !first.result.ok)) {
      // It took effect: the retry has to be answered alike, and to do nothing.
      if (second.outcome === 'done' && JSON.stringify(first.result) !== JSON.stringify(second.result)) {
        this.unexpected.push(`${kind} ${id}: ${JSON.stringify(first.result)}, then ${JSON.stringify(second.result)}`)
      }
      return note(first)
    }
    if (first.outcome === 'done') {
      note(first)
      return note(second)
    }
    // Whatever the first one did by the time of the second one's answer, that answer is about both.
    if (second.outcome === 'none') return note(first)
    note({ ...second, calledAt: first.outcome === 'none' ? second.calledAt : first.calledAt })
  }

  #note(key: number, kind: Kind, value: string, expected: string | null, attempt: Attempt): void {
    const { outcome, result, calledAt, repliedAt } = attempt
    if (outcome === 'none') return
    const seen = kind === 'get' ? (typeof result === 'object' ? (result?.value ?? null) : result) : undefined
    if (result?.version) this.#learn(key, result.value ?? value, result.version)
    if (result?.current) this.#learn(key, result.current.value, result.current.version)
    const what = `${kind} ${value} if ${expected}: called ${calledAt}, ${JSON.stringify(result)} at ${repliedAt}`
    const apply = (now: string | null): { value: string | null } | undefined => {
      if (kind === 'get') return outcome === 'unknown' || now === seen ? { value: now } : undefined
      if (kind === 'put') return { value }
      if (kind === 'delete') return outcome === 'unknown' || result === (now !== null) ? { value: null } : undefined
      if (outcome === 'unknown') return { value: now === expected ? value : now }
      if (result.ok) return now === expected ? { value } : undefined
      return now !== expected && now === (result.current?.value ?? null) ? { value: now } : undefined
    }
    this.history[key]!.push({ what, calledAt, repliedAt, apply })
  }

  #learn(key: number, value: string, version: string): void {
    const before = this.versions.get(value)
    if (before !== undefined && before !== `${key}:${version}`) this.unexpected.push(`${value} has two versions`)
    this.versions.set(value, `${key}:${version}`)
  }

  async #attempt(call: () => Promise<any>): Promise<Attempt> {
    const calledAt = ++this.#tick
    const never = Number.POSITIVE_INFINITY
    try {
      const result = await call()
      return { outcome: 'done', result, calledAt, repliedAt: ++this.#tick }
    } catch (error: any) {
      // The host names the code's own `Unavailable` an ApplicationError.
      const name = error.name === 'ApplicationError' ? (error.cause?.name ?? error.name) : error.name
      if (name === 'Unavailable') return { outcome: 'none', result: undefined, calledAt, repliedAt: never }
      if (name !== 'OutcomeUnknown') this.unexpected.push(`${name}: ${error.message}`)
      return { outcome: 'unknown', result: undefined, calledAt, repliedAt: never }
    }
  }

  async happen({ kind, member }: Event): Promise<void> {
    const one = this.fleet.member(member)
    const othersUp = this.fleet.members.every((other) => other === one || other.up)
    if (kind === 'upgrade' && one.up && one.version === 1 && othersUp) await one.upgrade()
    else if (kind === 'down' && one.up && othersUp) await one.down()
    else if (kind === 'crash' && one.up) {
      await one.crash()
      await one.start()
    } else if (kind === 'up' && !one.up) await one.start()
    else if (kind === 'catch up') await this.fleet.catchUp()
    else if (kind === 'wipe' && one.up && othersUp) {
      await one.crash({ emptyAt: one.version })
      await one.start()
      // One lost disk at a time: the next fault comes when this member holds again what it held, in both spaces (the
      // named one is there before anybody is upgraded: the future SOs').
      for (const version of [1, 2] as const) {
        for (let tries = 0; !(await one.call(version, 'catchUp').catch(() => null)); tries++) assert.ok(tries < 100)
      }
    }
  }
}

const check = (lossRate: number) =>
  fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), fc.nat(), async (steps, seed) => {
    const fleet = await Fleet.create()
    try {
      const prng = new Generator(seed)
      fleet.fate = () => {
        const dice = prng.fraction()
        return dice < lossRate / 2 ? 'request lost' : dice < lossRate ? 'reply lost' : 'passes'
      }
      const run = new Run(fleet)
      for (const { actions, event } of steps) {
        await Promise.all([...actions.map((one) => run.act(one)), run.happen(event)])
      }
      fleet.fate = () => 'passes'
      for (const one of fleet.members) if (!one.up) await one.start()
      await fleet.catchUp(2)
      for (const one of fleet.members) {
        for (const [key, [namespace]] of KEYS.entries()) {
          const get = { kind: 'get', member: fleet.members.indexOf(one), key, again: null } as const
          await run.act({ ...get, version: 2 })
          if (namespace === 'default') await run.act({ ...get, version: 1 })
        }
      }
      assert.deepEqual(run.unexpected, [])
      for (const [key, operations] of run.history.entries()) {
        assert.ok(
          explain(operations),
          `no order explains ${KEYS[key]}:\n${operations.map((one) => one.what).join('\n')}`
        )
      }
    } finally {
      await fleet.close()
    }
  })

describe('examples/kv, any history', () => {
  const { patienceMs } = Register
  before(() => {
    Register.patienceMs = 250
  })
  after(() => {
    Register.patienceMs = patienceMs
  })
  const runs = Number(process.env['KV_RUNS'] ?? 40)

  it('K7, K8: each key is one register through upgrades, crashes and lost disks', async function () {
    this.timeout(120_000 + runs * 1000)
    await fc.assert(check(0), { numRuns: runs, endOnFailure: true })
  })
  it('K7, K8: and while messages are lost', async function () {
    this.timeout(120_000 + runs * 1000)
    await fc.assert(check(0.15), { numRuns: runs, endOnFailure: true })
  })
})
