/** The host whose objects, transforms and probes run in processes of their own (SPEC H1, H2). */
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { CallError } from '../../src/errors.ts'
import { nameSchema, versionSchema } from '../../src/names.ts'
import type { ScheduleFacts } from '../../src/schedule/context.ts'
import { granted, type Needs } from '../../src/upgrade/needs.ts'
import type { Value } from '../../src/versions/types.ts'
import { type Handlers, MAX_ERROR_LENGTH } from './conversation.ts'
import type {
  GuestOutward,
  GuestPlan,
  GuestProcess,
  Host,
  HostCall,
  LinkPlan,
  ObjectPlan,
  ObjectProcess,
  Outward,
  Started,
  TransformPlan,
  TransformProcess
} from './host.ts'
import { type Log, throttled } from './lines.ts'
import { HOST_DEFAULTS, type HostOptions } from './options.ts'
import { checkPatience, patient, within } from './patience.ts'
import { HostedProcess, type Settings } from './process.ts'
import { bubblewrap, type Reach } from './sandbox.ts'
import { ProcessRecords } from './survivors.ts'
import { makeDirectory } from './sync.ts'

/** How soon a change of a group's members reaches the object, at the latest. */
const MEMBERS_MS = 500
const RETRY_AFTER_MS = 500
const MIB = 1024 * 1024
/** Code that only says go or wait needs little. */
const ASK_RESIDENT_BYTES = 256 * MIB
const ASK_FRAME_BYTES = MIB

/** What hosted code may ask for. The code is verified, not trusted: its messages are checked like a stranger's. */
const outwardCallSchema = z.strictObject({
  class: nameSchema,
  version: versionSchema,
  method: nameSchema,
  args: z.array(z.custom<Value>()),
  to: z.union([
    z.literal('any'),
    z.strictObject({ peer: z.string().max(200) }),
    z.strictObject({ group: z.string().max(200), key: z.string().max(10_000).optional() })
  ]),
  callId: z.string().max(1000),
  held: z.boolean(),
  timeoutMs: z.number().min(0).max(3_600_000),
  observersOnly: z.boolean()
})

const startedSchema = z.strictObject({ stale: z.array(versionSchema).max(1000) })

const delegateCallSchema = z.strictObject({
  run: z.int(),
  method: nameSchema,
  args: z.array(z.custom<Value>()),
  timeoutMs: z.number().min(0)
})

/** What a process has beside what all have. */
interface Places {
  writable: string[]
  readable: string[]
  needs?: Needs | undefined
}

const NOTHING: Reach = { writable: [], readable: [], network: false }

export class ChildHost implements Host {
  readonly #settings: Settings
  readonly #records: ProcessRecords
  readonly #running = new Set<HostedProcess>()
  #closed = false
  /** Confined processes only read compiled code, or one could write into another's; this program's own is put there first. */
  #compiled: Promise<void> | null = null

  constructor(options: HostOptions) {
    this.#settings = { ...HOST_DEFAULTS, compiledDirectory: join(options.directory, 'compiled'), ...options }
    this.#records = new ProcessRecords(join(options.directory, 'processes'))
  }

  async warm(plan: ObjectPlan, outward: Outward): Promise<ObjectProcess> {
    // The sandbox binds what exists when the process starts.
    await makeDirectory(plan.attemptDirectory)
    const log = throttled((message, fields) => outward.log(message, fields))
    const current = plan.links.find((link) => link.role === 'current')
    const role = ['object', plan.object, String(current?.version)]
    const gone = new AbortController()
    const { links, needs } = plan
    const places = { writable: [plan.attemptDirectory], readable: modulesOf(links), needs }
    const hosted = await this.#start(role, places, log, {
      outward: ([request]) => outward.call({ ...outwardCallSchema.parse(request), signal: gone.signal }),
      log: ([message, fields]) => log(String(message), fields),
      faulty: ([version, reason]) => outward.faulty?.(Number(version), brief(reason)),
      fatal: ([reason, isFull]) => void hosted.kill(brief(reason), isFull === true)
    })
    void hosted.ended.then(() => gone.abort())
    await this.#ready(hosted, 'warm', plan)
    return new ChildObject(hosted, plan, outward, this.#settings, (module) => this.probe(module))
  }

  async warmTransform(plan: TransformPlan, log: Log = () => undefined): Promise<TransformProcess> {
    const { newDirectory, oldDirectory, module, needs } = plan
    await makeDirectory(newDirectory)
    let report: (fraction: number) => void = () => undefined
    const said = throttled(log)
    // The directory above is synced at the end, so it must be visible.
    const readable = [dirname(newDirectory), oldDirectory, ...(module === null ? [] : [dirname(module)])]
    const role = ['transform', plan.object, String(plan.to)]
    const hosted = await this.#start(role, { writable: [newDirectory], readable, needs }, said, {
      progress: ([fraction]) => report(Number(fraction)),
      log: ([message, fields]) => said(String(message), fields)
    })
    await this.#ready(hosted, 'warm-transform', plan)
    return {
      run: async (progress) => {
        report = progress
        try {
          await hosted.conversation.request('transform', this.#settings.reserveBytes).answer
        } finally {
          await hosted.kill('the transform is over')
        }
      },
      kill: () => hosted.kill('it was told to end')
    }
  }

  async warmGuest(plan: GuestPlan, outward: GuestOutward): Promise<GuestProcess> {
    const log = throttled((message, fields) => outward.log(message, fields))
    const role = ['guest', plan.object, String(plan.links.at(-1)?.version)]
    const hosted = await this.#start(role, { writable: [], readable: modulesOf(plan.links) }, log, {
      delegate: ([call]) => outward.delegate(delegateCallSchema.parse(call)),
      log: ([message, fields]) => log(String(message), fields)
    })
    await this.#ready(hosted, 'warm-guest', plan)
    const { conversation, ended } = hosted
    return {
      ended,
      call: async (visit) => {
        checkPatience(visit)
        const { run, method, args, callId, held, timeoutMs } = visit
        const request = conversation.request('visit', run, method, args, callId, held, timeoutMs)
        return await patient(visit, request.answer, (error) => void request.forget(error))
      },
      kill: () => hosted.kill('it was told to end')
    }
  }

  async ask(module: string, facts: ScheduleFacts): Promise<unknown> {
    const { askTimeoutMs } = this.#settings
    const settings = { ...this.#settings, maxResidentBytes: ASK_RESIDENT_BYTES, maxFrameBytes: ASK_FRAME_BYTES }
    const places = { writable: [], readable: [dirname(module)] }
    const hosted = await this.#start(['schedule'], places, () => undefined, {}, settings)
    try {
      const late = () => new Error(`no answer within ${askTimeoutMs} ms`)
      return await within(hosted.conversation.request('ask', module, facts).answer, askTimeoutMs, late)
    } finally {
      await hosted.kill('the question is over')
    }
  }

  async probe(module: string): Promise<void> {
    const places = { writable: [], readable: [dirname(module)] }
    const hosted = await this.#start(['probe'], places, () => undefined, {})
    try {
      await this.#ready(hosted, 'probe', module)
    } finally {
      await hosted.kill('the probe is over')
    }
  }

  endSurvivors(): Promise<number> {
    return this.#records.end()
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#running].map((hosted) => hosted.kill('the host was closed')))
  }

  async #start(role: string[], places: Places, log: Log, handlers: Handlers, settings = this.#settings) {
    const confined = settings.sandbox !== 'none' && bubblewrap() !== null
    if (confined) {
      this.#compiled ??= this.#compile()
      await this.#compiled
    }
    const { network, files } = granted(places.needs, settings.allowed)
    const own = [...(confined ? [settings.compiledDirectory] : []), ...settings.codeDirectories]
    const readable = [...own, ...places.readable, ...files]
    return this.#track(role, settings, { writable: places.writable, readable, network }, log, handlers)
  }

  async #compile(): Promise<void> {
    const hosted = await this.#track(['compile'], { ...this.#settings, sandbox: 'none' }, NOTHING, () => undefined, {})
    try {
      await this.#ready(hosted, 'compile', null)
    } finally {
      await hosted.kill('the code is compiled')
    }
  }

  async #track(role: string[], settings: Settings, confinement: Reach, log: Log, handlers: Handlers) {
    const records = this.#records
    const hosted = await HostedProcess.start({ role, settings, records, confinement, handlers, log })
    // A process that was starting when the host was closed has nobody left who would end it.
    if (this.#closed) {
      await hosted.kill('the host was closed')
      throw new Error('the host was closed')
    }
    this.#running.add(hosted)
    void hosted.ended.then(() => this.#running.delete(hosted))
    return hosted
  }

  /** The first request: the code is imported, in bounded time. A process that fails it is ended. */
  async #ready(hosted: HostedProcess, kind: string, argument: unknown): Promise<void> {
    const { warmTimeoutMs } = this.#settings
    try {
      const late = () => new Error(`its code was not imported within ${warmTimeoutMs} ms`)
      await within(hosted.conversation.request(kind, argument).answer, warmTimeoutMs, late)
    } catch (error) {
      await hosted.kill(`${kind} failed`)
      throw error
    }
  }
}

const brief = (reason: unknown): string => String(reason).slice(0, MAX_ERROR_LENGTH)

function modulesOf(links: LinkPlan[]): string[] {
  return links.flatMap((link) => (link.module === null ? [] : [dirname(link.module)]))
}

class ChildObject implements ObjectProcess {
  readonly ended: Promise<string>
  readonly #hosted: HostedProcess
  readonly #plan: ObjectPlan
  readonly #outward: Outward
  readonly #settings: Settings
  readonly #probe: (module: string) => Promise<void>
  #serving = false
  #calls = 0

  constructor(
    hosted: HostedProcess,
    plan: ObjectPlan,
    outward: Outward,
    settings: Settings,
    probe: (module: string) => Promise<void>
  ) {
    this.#hosted = hosted
    this.#plan = plan
    this.#outward = outward
    this.#settings = settings
    this.#probe = probe
    this.ended = hosted.ended
    this.#tellMembers()
  }

  get interrupted(): boolean {
    return this.#hosted.interrupted
  }
  get lackedSpace(): boolean {
    return this.#hosted.lackedSpace
  }

  async start(): Promise<Started> {
    return startedSchema.parse(await this.#ask(this.#settings.startTimeoutMs, 'start'))
  }

  async health(): Promise<void> {
    await this.#ask(this.#settings.healthTimeoutMs, 'health')
  }

  serve(): void {
    this.#serving = true
    this.#hosted.conversation.notify('serve')
  }

  async call(call: HostCall): Promise<Value> {
    const { version, method, args, callId, held, timeoutMs, simulates = null } = call
    if (!this.#serving)
      throw new CallError('Unavailable', `${this.#plan.object} does not serve now`, { retryAfterMs: RETRY_AFTER_MS })
    checkPatience(call)
    const { conversation } = this.#hosted
    const request = conversation.request('call', version, method, args, callId, held, timeoutMs, simulates)
    this.#calls += 1
    try {
      return await patient(call, request.answer, (error) => {
        if (request.forget(error)) conversation.notify('cancel', request.id)
      })
    } finally {
      this.#calls -= 1
    }
  }

  async simulate(link: LinkPlan): Promise<void> {
    if (link.module !== null) await this.#probe(link.module)
    await this.#ask(this.#settings.startTimeoutMs, 'simulate', link)
  }

  async remove(versions: number[]): Promise<void> {
    await this.#ask(this.#settings.startTimeoutMs, 'remove', versions)
  }

  async stop(boundMs: number): Promise<{ cut: number }> {
    this.#serving = false
    const { conversation } = this.#hosted
    const bound = boundMs + this.#settings.stopGraceMs
    try {
      const late = () => new Error(`it did not stop within ${bound} ms`)
      return (await within(conversation.request('stop', boundMs).answer, bound, late)) as { cut: number }
    } catch (error) {
      // It is ended all the same; the calls that it takes with it are cut.
      this.#outward.log('stop failed', { reason: (error as Error).message })
      return { cut: this.#calls }
    } finally {
      await this.#hosted.kill('it was told to stop')
    }
  }

  kill(): Promise<void> {
    this.#serving = false
    return this.#hosted.kill('it was told to end')
  }

  async #ask(timeoutMs: number, kind: string, ...args: unknown[]): Promise<unknown> {
    const late = () => new Error(`${this.#plan.object}: no answer to ${kind} within ${timeoutMs} ms`)
    return await within(this.#hosted.conversation.request(kind, ...args).answer, timeoutMs, late)
  }

  #tellMembers(): void {
    let told = ''
    const tell = () => {
      const members = this.#outward.members()
      const text = JSON.stringify(members)
      if (text === told) return
      told = text
      this.#hosted.conversation.notify('members', members)
    }
    tell()
    const timer = setInterval(tell, MEMBERS_MS)
    timer.unref()
    void this.ended.then(() => clearInterval(timer))
  }
}
