/**
 * A node in memory (SPEC Q5): the production chain over a store that forgets, on a crash, what was not committed. Fast
 * enough for every history; only for code that keeps its state in the host's store.
 */
import { Chain } from '../versions/chain.ts'
import type { LinkInit } from '../versions/link.ts'
import { CHAIN_SPACE, type LinkRole, Marks, simulationSpace, spaceOf } from '../versions/store.ts'
import type { KeyValueStore, LinkState, SimulationContext, TransformContext, Value } from '../versions/types.ts'
import { hooked } from './hooks.ts'
import { MemoryStore } from './memory-store.ts'
import { same } from './plain.ts'
import { type CheckedCode, type Hooks, NeedsDirectory, RerunDiffers, type Stage, type Subject } from './subject.ts'

export interface MemorySurroundings {
  /** Runs the callback in a later turn, after what is ready to run now. */
  defer(callback: () => void): void
}

export class MemoryStage implements Stage {
  readonly name = 'in memory'
  readonly #codes: readonly CheckedCode[]
  readonly #around: MemorySurroundings

  /** @param codes one class upgrade, or several that follow each other: then futures and pasts stack */
  constructor(codes: CheckedCode | readonly CheckedCode[], around: MemorySurroundings) {
    this.#codes = 'from' in codes ? [codes] : codes
    this.#around = around
  }

  async open(hooks: Hooks = {}): Promise<Subject> {
    const subject = new MemorySubject(this.#codes, this.#around, hooks)
    await subject.begin()
    return subject
  }
}

class MemorySubject implements Subject {
  readonly #codes: readonly CheckedCode[]
  readonly #around: MemorySurroundings
  readonly #hooks: Hooks
  #store = new MemoryStore()
  #chain!: Chain
  /** Upgrades done, and future SOs started above the current object. */
  #upgrades = 0
  #futures = 0
  #calls = 0

  constructor(codes: readonly CheckedCode[], around: MemorySurroundings, hooks: Hooks) {
    this.#codes = codes
    this.#around = around
    this.#hooks = hooks
  }

  begin(): Promise<void> {
    return this.#start()
  }

  call(version: number, method: string, args: readonly Value[]): Promise<Value> {
    this.#calls += 1
    return this.#chain.call({ version, method, args: [...args], callId: `call-${this.#calls}`, held: false })
  }

  async simulate(): Promise<void> {
    const next = this.#codes[this.#upgrades + this.#futures]
    if (next === undefined || next.future === null) return
    await this.#chain.add(this.#futureLink(next))
    this.#futures += 1
  }

  async upgrade(interruptedAfter?: number): Promise<void> {
    await this.#chain.drain()
    await this.#chain.stop()
    const fresh = await this.#transformed()
    if (interruptedAfter !== undefined) await this.#rerun(fresh, interruptedAfter)
    this.#store = fresh
    this.#upgrades += 1
    this.#futures = Math.max(0, this.#futures - 1)
    await this.#start()
  }

  /** H8: a TF is run again from its untouched input, and must make the same. */
  async #rerun(made: MemoryStore, writes: number): Promise<void> {
    let left = writes
    const interrupt = () => {
      if (left-- === 0) throw new Interruption('the check interrupted the TF')
    }
    await this.#transformed(interrupt).catch((error: unknown) => {
      if (!(error instanceof Interruption)) throw error
    })
    const again = await this.#transformed()
    if (!same(again.contents(), made.contents()))
      throw new RerunDiffers('the TF made another state when it was run again after an interruption')
  }

  async restart(): Promise<void> {
    this.#chain.crash(new Error('the check killed it'))
    this.#store = this.#store.crash()
    await this.#start()
  }

  async close(): Promise<void> {
    await this.#chain.drain()
    await this.#chain.stop()
  }

  /** What the TF makes of the state; the old state stays as it is, so that it can be run again. */
  async #transformed(wrote?: () => void): Promise<MemoryStore> {
    const { transform, from, to } = this.#codes[this.#upgrades]!
    const old = this.#store.copy()
    // What it reads is a copy of its own: it may write there, too.
    old.begin()
    const fresh = new MemoryStore()
    fresh.begin()
    const [kept, marks] = [new Marks(old.space(CHAIN_SPACE)), new Marks(fresh.space(CHAIN_SPACE))]
    for (const version of kept.started()) {
      if (version === to) continue
      fresh.adopt(old, simulationSpace(version))
      marks.start(version)
    }
    if (transform === null) fresh.adopt(old, 'object')
    else {
      const context: TransformContext = {
        from,
        to,
        peer: PEER,
        group: null,
        old: linkState(old.space('object')),
        future: kept.isStarted(to) ? linkState(old.space(simulationSpace(to))) : null,
        new: linkState(watched(fresh.space('object'), wrote)),
        past: linkState(watched(fresh.space(simulationSpace(from)), wrote)),
        skipped: [],
        progress: () => undefined,
        log: () => undefined
      }
      await transform(context)
      marks.start(from)
    }
    fresh.commit()
    return fresh
  }

  async #start(): Promise<void> {
    const { defer } = this.#around
    this.#chain = new Chain(
      {
        peer: PEER,
        group: null,
        store: this.#store,
        outward: (call) => Promise.reject(new Error(`the check is one node; it called ${call.class}.${call.method}`)),
        members: () => [],
        log: () => undefined,
        faulty: () => undefined,
        fatal: (error) => {
          throw error
        },
        defer,
        after: () => () => undefined,
        newCallId: () => `own-${++this.#calls}`
      },
      this.#links()
    )
    await this.#chain.start()
    this.#chain.serve()
  }

  /** The current object, past SOs below it as far as there are some, and the future SOs that were started. */
  #links(): LinkInit[] {
    const [first, last] = [this.#codes[0]!, this.#codes[this.#upgrades - 1]]
    const { className, ...current } = last === undefined ? first.old : last.new
    const links = [this.#link('current', last?.to ?? first.from, className, { ...current, intercepts: [] })]
    for (const { from, old, past } of this.#codes.slice(0, this.#upgrades).toReversed()) {
      if (past === null) break
      const subtype = { interface: old.interface, intercepts: [], construct: null }
      links.unshift(this.#link('past', from, old.className, past === 'subtype' ? subtype : past))
    }
    const futures = this.#codes.slice(this.#upgrades, this.#upgrades + this.#futures)
    return [...links, ...futures.map((code) => this.#futureLink(code))]
  }

  #futureLink({ to, new: next, future }: CheckedCode): LinkInit {
    return this.#link('future', to, next.className, future!)
  }

  #link(
    role: LinkRole,
    version: number,
    className: string,
    code: Pick<LinkInit, 'interface' | 'intercepts' | 'construct'>
  ): LinkInit {
    const { interface: declared, intercepts, construct } = code
    return {
      version,
      className,
      role,
      interface: declared,
      intercepts,
      directory: spaceOf(role, version),
      construct:
        construct === null ? null : hooked((context) => construct(withoutFiles(context)), declared, this.#hooks)
    }
  }
}

const withoutFiles = (context: SimulationContext): SimulationContext =>
  Object.create(context, { directory: { get: needsDirectory } })

class Interruption extends Error {}

const PEER = 'the-node-under-check'

function needsDirectory(): never {
  throw new NeedsDirectory('this code keeps files; in memory there are none')
}

const linkState = (state: KeyValueStore): LinkState =>
  Object.defineProperty({ state } as LinkState & { directory: string }, 'directory', { get: needsDirectory })

function watched(state: KeyValueStore, wrote: (() => void) | undefined): KeyValueStore {
  if (wrote === undefined) return state
  return {
    get: (key) => state.get(key),
    entries: (options) => state.entries(options),
    put: (key, value) => {
      wrote()
      state.put(key, value)
    },
    delete: (key) => {
      wrote()
      state.delete(key)
    }
  }
}
