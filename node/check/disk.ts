/**
 * A node under check with a real state directory (SPEC Q5): the runtime that hosted processes use, in this process. For
 * code that keeps files; slower than in memory by far.
 */
import { access, constants, mkdtemp, readdir, readFile, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { hooked } from '../../src/spec/hooks.ts'
import { same } from '../../src/spec/plain.ts'
import { type Hooks, RerunDiffers, type Stage, type Subject } from '../../src/spec/subject.ts'
import type { Needs } from '../../src/upgrade/needs.ts'
import { simulationSpace } from '../../src/versions/store.ts'
import type { Value } from '../../src/versions/types.ts'
import type { LinkPlan, TransformPlan } from '../host/host.ts'
import { ObjectRuntime, type RuntimeOutward } from '../host/runtime.ts'
import { State } from '../host/state.ts'
import { Transform } from '../host/transform.ts'
import { Life } from './life.ts'
import { isRepeatable, persist } from './persist.ts'

/** The links of both versions, and the TF. */
export interface DiskCode {
  old: LinkPlan
  new: LinkPlan
  future: LinkPlan | null
  past: LinkPlan | null
  transform: string | null
  needs?: Needs | undefined
}

const PEER = 'the-node-under-check'
const STOP_MS = 1_000
/** Of a call whose files are in memory: none works longer. */
const PATIENCE_MS = 25

/** The links of a node that has upgraded or not, with its future SO if that was started. */
export function linksOf({ old, new: next, past, future }: DiskCode, upgraded: boolean, simulated: boolean): LinkPlan[] {
  if (upgraded) return past === null ? [next] : [past, next]
  return simulated && future !== null ? [old, future] : [old]
}

export class DiskStage implements Stage {
  readonly name = 'on a disk'
  readonly #code: DiskCode

  constructor(code: DiskCode) {
    this.#code = code
  }

  async open(hooks: Hooks = {}): Promise<Subject> {
    const subject = new DiskSubject(this.#code, await mkdtemp(join(await place(), 'upstart-check-')), hooks)
    await subject.begin()
    return subject
  }

  patience(): Promise<void> {
    return setTimeout(PATIENCE_MS)
  }
}

/** Room that a file system in memory must have for states of small histories. */
const ROOM_BYTES = 256 * 1024 * 1024

/** A check kills processes, not machines: memory keeps files as well as a disk does, and need not be synced. */
async function place(): Promise<string> {
  const memory = '/dev/shm'
  try {
    await access(memory, constants.W_OK)
    const { bavail, bsize } = await statfs(memory)
    return bavail * bsize >= ROOM_BYTES ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}

class DiskSubject implements Subject {
  readonly #code: DiskCode
  readonly #directory: string
  readonly #hooks: Hooks
  /** Null after an upgrade that failed. */
  #runtime: ObjectRuntime | null = null
  #life: Life
  #attempt = 1
  #upgraded = false
  #simulated = false
  #calls = 0

  constructor(code: DiskCode, directory: string, hooks: Hooks) {
    this.#code = code
    this.#directory = directory
    this.#hooks = hooks
    this.#life = new Life(hooks)
  }

  begin(): Promise<void> {
    return this.#start()
  }

  call(version: number, method: string, args: readonly Value[]): Promise<Value> {
    this.#calls += 1
    const call = { version, method, args: [...args], callId: `call-${this.#calls}`, held: false }
    const life = this.#life
    // Whoever was killed with its callee asks nobody again.
    const isAllowed = () => this.#life === life && isRepeatable(this.#code, version, method)
    return persist(isAllowed, () => life.run(() => this.#running.call(call)))
  }

  async simulate(): Promise<void> {
    const { future } = this.#code
    if (this.#simulated || this.#upgraded || future === null) return
    await this.#life.run(() => this.#running.simulate(future))
    this.#simulated = true
  }

  async upgrade(interruptedAfter?: number): Promise<void> {
    await this.#stop()
    const made = await this.#transformed()
    if (interruptedAfter !== undefined) {
      const again = await this.#transformed()
      if (!same(await this.#contents(made), await this.#contents(again)))
        throw new RerunDiffers('the TF made another state when it was run again')
    }
    this.#attempt = made
    this.#upgraded = true
    await this.#start()
  }

  async restart(): Promise<void> {
    const over = this.#life.end()
    this.#running.crash(new Error('the check killed it'))
    this.#runtime = null
    await over
    await this.#start()
  }

  async close(): Promise<void> {
    await this.#stop()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const links = linksOf(this.#code, this.#upgraded, this.#simulated)
    const plan = { object: 'checked', peer: PEER, group: null, attemptDirectory: this.#at(this.#attempt), links }
    const runtime = await ObjectRuntime.warm(plan, outward, (construct, link) =>
      hooked(construct, link.interface, this.#hooks)
    )
    this.#life = new Life(this.#hooks)
    await this.#life.run(() => runtime.start())
    runtime.serve()
    this.#runtime = runtime
  }

  async #stop(): Promise<void> {
    const runtime = this.#runtime
    this.#runtime = null
    if (runtime !== null) await this.#life.run(() => runtime.stop(STOP_MS))
    await this.#life.end()
  }

  get #running(): ObjectRuntime {
    if (this.#runtime === null) throw new Error('the node does not run')
    return this.#runtime
  }

  /** @returns the attempt that the TF made */
  async #transformed(): Promise<number> {
    const { old, new: next, transform } = this.#code
    const made = this.#attempt + 1
    const free = (await readdir(this.#directory)).map(Number)
    const attempt = Math.max(made, ...free.map((one) => one + 1))
    const plan: TransformPlan = {
      object: 'checked',
      peer: PEER,
      group: null,
      module: transform,
      from: old.version,
      to: next.version,
      skipped: [],
      carried: [],
      futures: this.#simulated ? [next.version] : [],
      oldDirectory: this.#at(this.#attempt),
      newDirectory: this.#at(attempt)
    }
    const running = await Transform.warm(plan, { log: () => undefined, progress: () => undefined })
    await running.run(0)
    return attempt
  }

  /** All that an attempt holds: the store's parts, and files by their paths. */
  async #contents(attempt: number): Promise<Map<string, unknown>> {
    const contents = new Map<string, unknown>()
    const directory = this.#at(attempt)
    const state = new State(directory)
    for (const space of ['object', simulationSpace(this.#code.old.version)])
      contents.set(space, [...state.space(space).entries()])
    state.close()
    const files = join(directory, 'files')
    for (const entry of await readdir(files, { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name)
      contents.set(path.slice(files.length), entry.isFile() ? new Uint8Array(await readFile(path)) : 'directory')
    }
    return contents
  }

  #at(attempt: number): string {
    return join(this.#directory, String(attempt))
  }
}

const outward: RuntimeOutward = {
  call: (call) => Promise.reject(new Error(`the check is one node; it called ${call.class}.${call.method}`)),
  members: () => [],
  log: () => undefined,
  faulty: () => undefined,
  fatal: (error) => {
    throw error
  }
}
