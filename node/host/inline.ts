/**
 * The host that runs hosted code inside the program itself: for embedding, for the check of upgrades, and for tests.
 * It shares everything with the child form but the process: code that hangs or exhausts memory takes the program with
 * it, and a kill only forgets.
 */
import { CallError } from '../../src/errors.ts'
import type { ScheduleFacts } from '../../src/schedule/context.ts'
import type { Value } from '../../src/versions/types.ts'
import { decode } from '../network/cbor.ts'
import { frameOf, PREFIX_BYTES } from '../network/frames.ts'
import { asCallError } from './conversation.ts'
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
import { HOST_DEFAULTS, type HostOptions } from './options.ts'
import { checkPatience, countdown, patient, within } from './patience.ts'
import { ask, importDefault, makeGuest, ObjectRuntime } from './runtime.ts'
import { makeDirectory } from './sync.ts'
import { Transform } from './transform.ts'

export type InlineHostOptions = Omit<HostOptions, 'directory' | 'compiledDirectory' | 'sandbox' | 'codeDirectories'>
type Settings = typeof HOST_DEFAULTS

export class InlineHost implements Host {
  readonly #settings: Settings
  readonly #running = new Set<InlineObject>()

  constructor(options: InlineHostOptions = {}) {
    this.#settings = { ...HOST_DEFAULTS, ...options }
  }

  async warm(plan: ObjectPlan, outward: Outward): Promise<ObjectProcess> {
    await makeDirectory(plan.attemptDirectory)
    const object = await InlineObject.warm(plan, outward, this.#settings)
    this.#running.add(object)
    void object.ended.then(() => this.#running.delete(object))
    return object
  }

  async warmTransform(plan: TransformPlan, log: Outward['log'] = () => undefined): Promise<TransformProcess> {
    let report: (fraction: number) => void = () => undefined
    const killed = Promise.withResolvers<never>()
    // The rejection is reported by `run`, if it is under way.
    killed.promise.catch(() => undefined)
    const transform = await Transform.warm(plan, { log, progress: (fraction) => report(fraction) })
    return {
      run: (progress) => {
        report = progress
        return Promise.race([transform.run(this.#settings.reserveBytes), killed.promise])
      },
      kill: async () => killed.reject(new Error('the transform was told to end'))
    }
  }

  async warmGuest(plan: GuestPlan, outward: GuestOutward): Promise<GuestProcess> {
    const { maxFrameBytes } = this.#settings
    const guest = await makeGuest(plan, {
      delegate: async (call) => copied(await outward.delegate(copied(call, maxFrameBytes)), maxFrameBytes),
      log: (message, fields) => outward.log(message, fields)
    })
    const { promise: ended, resolve: end } = Promise.withResolvers<string>()
    let over = false
    return {
      ended,
      call: async (visit) => {
        checkPatience(visit)
        if (over) throw new CallError('Unavailable', "the guest's process ended", { retryAfterMs: 500 })
        const { run, method, callId, held, timeoutMs } = visit
        const args = copied(visit.args, maxFrameBytes)
        const answer = guest.call({ run, method, args, callId, held, leftMs: countdown(timeoutMs) })
        const gone = ended.then((reason) => {
          throw new CallError('OutcomeUnknown', `the guest's process ended during the call: ${reason}`)
        })
        // Whoever gave up is told by `patient`; of the two promises the other one is reported by nobody else.
        gone.catch(() => undefined)
        return patient(
          visit,
          Promise.race([answer.then((value) => copied(value, maxFrameBytes)), gone]),
          () => undefined
        )
      },
      kill: async () => {
        over = true
        end('it was told to end')
      }
    }
  }

  ask(module: string, facts: ScheduleFacts): Promise<unknown> {
    const { askTimeoutMs } = this.#settings
    return within(ask(module, facts), askTimeoutMs, () => new Error(`no answer within ${askTimeoutMs} ms`))
  }

  async probe(module: string): Promise<void> {
    await importDefault(module)
  }

  async endSurvivors(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((object) => object.kill()))
  }
}

class InlineObject implements ObjectProcess {
  readonly ended: Promise<string>
  readonly #settings: Settings
  readonly #runtime: ObjectRuntime
  readonly #end: (reason: string) => void
  #serving = false
  #over = false

  static async warm(plan: ObjectPlan, outward: Outward, settings: Settings): Promise<InlineObject> {
    let fatal: (error: Error) => void = () => undefined
    const gone = new AbortController()
    const runtime = await ObjectRuntime.warm(plan, {
      call: (call) => outward.call({ ...call, signal: gone.signal }),
      members: () => outward.members(),
      log: (message, fields) => outward.log(message, fields),
      faulty: (version, reason) => outward.faulty?.(version, reason),
      fatal: (error) => fatal(error)
    })
    const object = new InlineObject(runtime, settings)
    fatal = (error) => object.#crash(error.message)
    void object.ended.then(() => gone.abort())
    return object
  }

  private constructor(runtime: ObjectRuntime, settings: Settings) {
    this.#runtime = runtime
    this.#settings = settings
    const { promise, resolve } = Promise.withResolvers<string>()
    this.ended = promise
    this.#end = resolve
  }

  start(): Promise<Started> {
    return this.#bounded('start', this.#settings.startTimeoutMs, this.#runtime.start())
  }

  health(): Promise<void> {
    return this.#bounded('health', this.#settings.healthTimeoutMs, this.#runtime.health())
  }

  serve(): void {
    this.#serving = true
    this.#runtime.serve()
  }

  async call(call: HostCall): Promise<Value> {
    const { version, method, callId, held, timeoutMs, simulates } = call
    if (!this.#serving) throw new CallError('Unavailable', 'the object does not serve now', { retryAfterMs: 500 })
    checkPatience(call)
    const ticket = { cancelled: false }
    const { maxFrameBytes } = this.#settings
    const args = copied(call.args, maxFrameBytes)
    const mark = simulates === undefined ? {} : { simulates }
    const answer = this.#runtime
      .call({ version, method, args, callId, held, ticket, leftMs: countdown(timeoutMs), ...mark })
      .then((value) => copied(value, maxFrameBytes))
    return patient(call, answer, () => {
      ticket.cancelled = true
    })
  }

  async simulate(link: LinkPlan): Promise<void> {
    await this.#bounded('simulate', this.#settings.startTimeoutMs, this.#runtime.simulate(link))
  }

  async remove(versions: number[]): Promise<void> {
    await this.#bounded('remove', this.#settings.startTimeoutMs, this.#runtime.remove(versions))
  }

  async stop(boundMs: number): Promise<{ cut: number }> {
    this.#serving = false
    if (this.#over) return { cut: 0 }
    this.#over = true
    const stopped = await this.#runtime.stop(boundMs)
    this.#end('it was told to stop')
    return stopped
  }

  async kill(): Promise<void> {
    this.#crash('it was told to end')
  }

  #crash(reason: string): void {
    this.#serving = false
    if (this.#over) return
    this.#over = true
    this.#runtime.crash(new CallError('OutcomeUnknown', `the object ended during the call: ${reason}`))
    this.#end(reason)
  }

  #bounded<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
    return within(work, timeoutMs, () => new Error(`no answer to ${what} within ${timeoutMs} ms`))
  }
}

/** What a pipe would make of it: caller and object share nothing that either may change, and the bound is the same. */
function copied<V>(value: V, maxFrameBytes: number): V {
  try {
    return decode(frameOf(value, maxFrameBytes).subarray(PREFIX_BYTES)) as V
  } catch (error) {
    throw asCallError(error as Error)
  }
}
