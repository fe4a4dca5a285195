/**
 * A group of kv members in one process: the real chain and the example's real code, over a network that passes copies,
 * can lose messages, and can lose members. A crashed member starts from what was durable, in a directory of its own, so
 * that nothing its dead code still does can reach its successor.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import KV from '../../../examples/kv/v1/kv.ts'
import FutureKV2 from '../../../examples/kv/v2/future-kv2.ts'
import KV2 from '../../../examples/kv/v2/kv2.ts'
import PastKV from '../../../examples/kv/v2/past-kv.ts'
import transform from '../../../examples/kv/v2/transform.ts'
import { CallError } from '../../../src/errors.ts'
import { Chain } from '../../../src/versions/chain.ts'
import type { OutwardCall } from '../../../src/versions/components.ts'
import type { LinkInit } from '../../../src/versions/link.ts'
import { CHAIN_SPACE, type LinkRole, Marks, spaceOf } from '../../../src/versions/store.ts'
import type { HostedObject, ObjectStatics, SimulationContext, Value } from '../../../src/versions/types.ts'
import { MemoryStore } from '../../src/versions/memory-store.ts'

type Code = ObjectStatics & { new (context: any): HostedObject }
export type Version = 1 | 2

/** Loses a message: the request is not executed, or its reply does not come back. */
export type Fate = 'passes' | 'request lost' | 'reply lost'

export class Fleet {
  readonly members: Member[]
  readonly root: string
  /** Fate of the next message between two different members. */
  fate: (from: string, to: string, method: string) => Fate = () => 'passes'
  /** Messages that were executed, by ⟨caller's version, version of the callee's object⟩. */
  readonly pairs = new Map<string, number>()
  calls = 0

  private constructor(root: string, size: number) {
    this.root = root
    this.members = Array.from({ length: size }, (_, i) => new Member(this, `member${i}`))
  }

  /** `size` members at v1, all serving and joined. */
  static async create(size = 3): Promise<Fleet> {
    const fleet = new Fleet(await mkdtemp(join(tmpdir(), 'kv-')), size)
    await Promise.all(fleet.members.map((member) => member.start()))
    await fleet.catchUp()
    return fleet
  }

  member(i: number): Member {
    return this.members[i % this.members.length]!
  }

  /** One round of every member that is up; those that cannot finish one yet are passed over. */
  async catchUp(version?: Version): Promise<void> {
    for (const member of this.members.filter((one) => one.up)) {
      await member.call(version ?? member.version, 'catchUp').catch((error) => {
        assert.ok(['ApplicationError', 'OutcomeUnknown', 'Unavailable'].includes(error.name), error)
      })
    }
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.down()
    await rm(this.root, { recursive: true, force: true })
  }

  async deliver(from: Member, call: OutwardCall): Promise<Value> {
    assert.ok(typeof call.to === 'object' && 'peer' in call.to)
    const { peer } = call.to
    const callee = this.members.find((member) => member.peer === peer)!
    assert.equal(call.class, call.version === 1 ? 'KV' : 'KV2')
    await new Promise((turn) => setImmediate(turn))
    const fate = this.fate(from.peer, peer, call.method)
    if (fate === 'request lost') throw new CallError('Unavailable', 'not delivered')
    const answer = await callee.receive(call)
    if (fate === 'reply lost') throw new CallError('OutcomeUnknown', 'the reply was lost')
    const pair = `${call.version}→${callee.version}`
    this.pairs.set(pair, (this.pairs.get(pair) ?? 0) + 1)
    return answer
  }
}

export class Member {
  readonly peer: string
  version: Version = 1
  up = false
  readonly #fleet: Fleet
  #store = new MemoryStore()
  #chain: Chain | null = null
  #directory: string
  #attempt = 0
  readonly #dead = new WeakSet<Chain>()
  #instances: HostedObject[] = []
  #simulating: Promise<void> | null = null

  constructor(fleet: Fleet, peer: string) {
    this.#fleet = fleet
    this.peer = peer
    this.#directory = this.#fresh()
  }

  get directory(): string {
    return join(this.#directory, 'object')
  }

  async start(): Promise<void> {
    assert.equal(this.#chain, null)
    await mkdir(this.directory, { recursive: true })
    const links: LinkInit[] =
      this.version === 1
        ? [this.#link(1, 'current', KV)]
        : [this.#link(1, 'past', PastKV), this.#link(2, 'current', KV2)]
    const started = new Marks(this.#store.space(CHAIN_SPACE)).isStarted(2)
    if (this.version === 1 && started) links.push(this.#link(2, 'future', FutureKV2))
    const chain = this.#newChain(links)
    await chain.start()
    await chain.health()
    chain.serve()
    this.#chain = chain
    this.#simulating = this.version === 1 && !started ? null : Promise.resolve()
    this.up = true
  }

  /** Ends in order: what runs is waited for. */
  async down(): Promise<void> {
    if (!this.#chain) return
    this.up = false
    const chain = this.#chain
    this.#chain = null
    // Nothing is added to a chain that stops.
    await this.#simulating
    await chain.drain()
    await chain.stop()
  }

  /** Ends as by a kill. With `emptyAt` its disk is lost as well, and the member that takes its place runs that version. */
  async crash({ emptyAt }: { emptyAt?: Version } = {}): Promise<void> {
    assert.ok(this.#chain)
    this.up = false
    const [chain, instances, directory] = [this.#chain, this.#instances, this.#directory]
    this.#chain = null
    this.#instances = []
    this.#directory = this.#fresh()
    // It dies before its disk is looked at: what it acknowledged meanwhile would be missing there.
    this.#dead.add(chain)
    chain.crash(new CallError('OutcomeUnknown', 'killed'))
    this.#store = emptyAt ? new MemoryStore() : this.#store.crash()
    if (emptyAt) this.version = emptyAt
    else await cp(directory, this.#directory, { recursive: true })
    for (const instance of instances) await instance.stop?.()
  }

  async upgrade(): Promise<void> {
    assert.equal(this.version, 1)
    await this.down()
    const store = new MemoryStore()
    const directory = this.#fresh()
    await mkdir(join(directory, 'object'), { recursive: true })
    const started = new Marks(this.#store.space(CHAIN_SPACE)).isStarted(2)
    const links = (role: LinkRole, version: number, from: MemoryStore, at: string) => {
      const name = spaceOf(role, version)
      return { directory: join(at, name), state: from.space(name) }
    }
    store.begin()
    await transform({
      from: 1,
      to: 2,
      peer: this.peer,
      group: 'g',
      old: links('current', 1, this.#store, this.#directory),
      future: started ? links('future', 2, this.#store, this.#directory) : null,
      new: links('current', 2, store, directory),
      past: links('past', 1, store, directory),
      skipped: [],
      progress: (fraction) => assert.ok(fraction >= 0 && fraction <= 1),
      log: () => undefined
    })
    store.commit()
    this.#store = store
    this.#directory = directory
    this.version = 2
    await this.start()
  }

  /** A client's call. */
  call(version: Version, method: string, args: Value[] = [], callId?: string): Promise<any> {
    const id = callId ?? `call${++this.#fleet.calls}`
    return this.receive({ version, method, args, callId: id, held: false })
  }

  async receive(call: { version: number; method: string; args: Value[]; callId: string; held: boolean }): Promise<any> {
    const chain = this.#chain
    if (!chain) throw new CallError('Unavailable', `${this.peer} is down`)
    if (call.version > this.version) {
      this.#simulating ??= chain.add(this.#link(2, 'future', FutureKV2))
      await this.#simulating
    }
    const { version, method, args, callId, held } = call
    return structuredClone(await chain.call({ version, method, args: structuredClone(args), callId, held }))
  }

  #fresh(): string {
    return join(this.#fleet.root, this.peer, String(this.#attempt++))
  }

  #link(version: Version, role: LinkRole, code: Code): LinkInit {
    const methods = Object.entries(code.methods).map(([name, input]) => [
      name,
      typeof input === 'string' ? { kind: input } : input
    ])
    return {
      version,
      className: version === 1 ? 'KV' : 'KV2',
      role,
      interface: { methods: Object.fromEntries(methods), calls: code.calls ?? {} },
      intercepts: [],
      directory: join(this.#directory, spaceOf(role, version)),
      construct: (context: SimulationContext) => {
        const instance = new code(context)
        this.#instances.push(instance)
        return instance
      }
    }
  }

  #newChain(links: LinkInit[]): Chain {
    const fleet = this.#fleet
    this.#instances = []
    const chain: Chain = new Chain(
      {
        peer: this.peer,
        group: 'g',
        store: this.#store,
        // The dead send nothing: what a killed process still does here stays here.
        outward: (call) => (this.#dead.has(chain) ? new Promise(() => {}) : fleet.deliver(this, structuredClone(call))),
        members: () => fleet.members.map((one) => ({ peer: one.peer, self: one === this, reachable: one.up })),
        log: () => undefined,
        faulty: (version, reason) => assert.fail(`SO ${version} is faulty: ${reason}`),
        fatal: (error) => assert.fail(error),
        defer: (callback) => setImmediate(callback),
        after: (ms, callback) => {
          const timer = setTimeout(callback, ms)
          return () => clearTimeout(timer)
        },
        newCallId: () => `own${++fleet.calls}`
      },
      links
    )
    return chain
  }
}
