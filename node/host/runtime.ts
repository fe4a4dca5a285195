/**
 * One object at work: its links' code, its state, its chain (SPEC H2, H3). The child process and the inline form are
 * two ways to reach this class.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { contextOf, type ScheduleContext, type ScheduleFacts } from '../../src/schedule/context.ts'
import { Chain } from '../../src/versions/chain.ts'
import type { ChainCall, OutwardCall } from '../../src/versions/components.ts'
import { type DelegateCall, Guest, type GuestLink } from '../../src/versions/guest.ts'
import type { LinkInit } from '../../src/versions/link.ts'
import { CHAIN_SPACE, Marks, simulationSpace, spaceOf } from '../../src/versions/store.ts'
import type { GroupMember, HostedObject, SimulationContext, Value } from '../../src/versions/types.ts'
import type { GuestPlan, LinkPlan, ObjectPlan, Started } from './host.ts'
import { filesOf, State } from './state.ts'
import { makeDirectory, syncOne } from './sync.ts'

/** What the object's code can reach outside of its process. */
export interface RuntimeOutward {
  call(call: OutwardCall): Promise<Value>
  members(): GroupMember[]
  log(message: string, fields: Record<string, Value>): void
  faulty(version: number, reason: string): void
  /** The state cannot be written any more: the object must end. */
  fatal(error: Error): void
}

type Construct = (context: SimulationContext) => HostedObject
/** Puts something between a link's code and its context: checks do. */
export type Wrap = (construct: Construct, link: LinkPlan) => Construct

const asItIs: Wrap = (construct) => construct

export class ObjectRuntime {
  readonly #plan: ObjectPlan
  readonly #outward: RuntimeOutward
  readonly #code: Map<LinkPlan, Construct | null>
  readonly #wrap: Wrap
  #chain: Chain | null = null
  #state: State | null = null

  private constructor(plan: ObjectPlan, outward: RuntimeOutward, code: Map<LinkPlan, Construct | null>, wrap: Wrap) {
    this.#wrap = wrap
    this.#plan = plan
    this.#outward = outward
    this.#code = code
  }

  /** Imports the code of all links; touches no state. */
  static async warm(plan: ObjectPlan, outward: RuntimeOutward, wrap = asItIs): Promise<ObjectRuntime> {
    const code = new Map<LinkPlan, Construct | null>()
    for (const link of plan.links) code.set(link, link.module === null ? null : await importClass(link.module))
    return new ObjectRuntime(plan, outward, code, wrap)
  }

  async start(): Promise<Started> {
    const { attemptDirectory, links, peer, group } = this.#plan
    const state = new State(attemptDirectory)
    this.#state = state
    this.#settleFutures(state)
    const inits: LinkInit[] = []
    for (const link of links) inits.push(await this.#linkInit(link, this.#code.get(link)!))
    // The names of a new store and of `files` must be durable before anybody relies on what is in them.
    await syncOne(attemptDirectory)
    this.#chain = new Chain(
      {
        peer,
        group,
        store: state,
        outward: (call) => this.#outward.call(call),
        members: () => this.#outward.members(),
        log: (message, fields) => this.#outward.log(message, fields),
        faulty: (version, reason) => this.#outward.faulty(version, reason),
        fatal: (error) => this.#outward.fatal(error),
        defer: (callback) => setImmediate(callback),
        after: (ms, callback) => {
          const timer = setTimeout(callback, ms)
          return () => clearTimeout(timer)
        },
        newCallId: randomUUID
      },
      inits
    )
    await this.#chain.start()
    const marks = new Marks(state.space(CHAIN_SPACE))
    const current = this.#current
    return { stale: marks.started().filter((one) => one > current && marks.quarantined(one) !== null) }
  }

  async health(): Promise<void> {
    await this.#started.health()
  }

  serve(): void {
    this.#started.serve()
  }

  call(call: ChainCall): Promise<Value> {
    return this.#started.call(call)
  }

  async simulate(link: LinkPlan): Promise<void> {
    const construct = link.module === null ? null : await importClass(link.module)
    await this.#started.add(await this.#linkInit(link, construct))
  }

  /** R6, L15: takes SOs out, with their state. */
  async remove(versions: number[]): Promise<void> {
    await this.#started.remove(versions, (version) => {
      rmSync(filesOf(this.#plan.attemptDirectory, simulationSpace(version)), { recursive: true, force: true })
    })
  }

  /** SPEC H7: running calls end within the bound, the rest are cut; then state is closed. */
  async stop(boundMs: number): Promise<{ cut: number }> {
    let cut = 0
    if (this.#chain !== null) {
      const chain = this.#chain
      const bound = Promise.withResolvers<void>()
      const timer = setTimeout(bound.resolve, boundMs)
      await Promise.race([chain.drain(), bound.promise])
      clearTimeout(timer)
      cut = chain.cut()
      await chain.stop()
    }
    this.#state?.close()
    this.#state = null
    return { cut }
  }

  /** Ends as a killed process does: what is not committed is lost. */
  crash(error: Error): void {
    this.#chain?.crash(error)
    this.#state?.drop()
    this.#state = null
  }

  get #current(): number {
    return this.#plan.links.find((link) => link.role === 'current')!.version
  }

  get #started(): Chain {
    if (this.#chain === null) throw new Error('the object is not started')
    return this.#chain
  }

  async #linkInit(link: LinkPlan, construct: Construct | null): Promise<LinkInit> {
    const directory = filesOf(this.#plan.attemptDirectory, spaceOf(link.role, link.version))
    await makeDirectory(directory)
    return { ...link, directory, construct: construct === null ? null : this.#wrap(construct, link) }
  }

  /**
   * V10: a future SO that was started here and is not in the plan will miss calls from now on. Without state there is
   * nothing that could be stale: it may be started anew.
   */
  #settleFutures(state: State): void {
    const { links, attemptDirectory } = this.#plan
    const marks = new Marks(state.space(CHAIN_SPACE))
    const current = this.#current
    const planned = new Set(links.map((link) => link.version))
    state.begin()
    for (const version of marks.started()) {
      if (version <= current || planned.has(version) || marks.quarantined(version) !== null) continue
      const space = simulationSpace(version)
      const [entry] = state.space(space).entries({ limit: 1 })
      const files = filesOf(attemptDirectory, space)
      if (entry === undefined && (!existsSync(files) || readdirSync(files).length === 0)) marks.forget(version)
      else marks.quarantine(version, 'the object was served without it')
    }
    state.commit()
  }
}

/** The SOs of a guest, ready for calls (SPEC G8). */
export async function makeGuest(
  { peer, links, delegate }: GuestPlan,
  outward: { delegate(call: DelegateCall): Promise<Value>; log: RuntimeOutward['log'] }
): Promise<Guest> {
  const made: GuestLink[] = []
  for (const link of links)
    made.push({ ...link, construct: link.module === null ? null : await importClass(link.module) })
  return new Guest({ peer, ...outward }, made, delegate)
}

async function importClass(module: string): Promise<Construct> {
  const ClassOfLink: new (context: SimulationContext) => HostedObject = await importDefault(module)
  return (context) => new ClassOfLink(context)
}

/** What the code of a custom schedule answers, as it is. */
export async function ask(module: string, facts: ScheduleFacts): Promise<unknown> {
  const schedule: (context: ScheduleContext) => unknown = await importDefault(module)
  return await schedule(contextOf(facts))
}

/** The default export of a module, which must be a class or a function. */
export async function importDefault(module: string): Promise<any> {
  const { default: exported } = await import(pathToFileURL(module).href)
  if (typeof exported === 'function') return exported
  throw new Error(`${module} has no default export that is a class or function; export one`)
}
