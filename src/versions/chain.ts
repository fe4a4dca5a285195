/**
 * The chain of one object (SPEC V): past SOs, the current object, future SOs, each knowing only its neighbour toward
 * the current object. A call at version x goes to link x.
 */
import { CallError } from '../errors.ts'
import { GroupCommit } from './commit.ts'
import type { ChainCall, ChainComponents } from './components.ts'
import { type Caller, Execution, textOf } from './execution.ts'
import { currentFrame, Frame, type Operation, operationOf, runFrame } from './frame.ts'
import { Link, type LinkInit, type LinkPorts } from './link.ts'
import { checkPlacement } from './placement.ts'
import { type Hold, Section } from './section.ts'
import { CHAIN_SPACE, Marks, simulationSpace, spaceOf } from './store.ts'
import type { CallTarget, Value } from './types.ts'

/** Hint that goes with `Unavailable`: about the time a node needs to fetch a small bundle or to change over. */
export const RETRY_AFTER_MS = 500
/** Bound on an outward call whose author named none; no call outlives the one that makes it. */
export const OUTWARD_TIMEOUT_MS = 10_000

type Phase = 'new' | 'proving' | 'serving' | 'draining' | 'stopped'

export class Chain {
  readonly #components: ChainComponents
  readonly #section = new Section()
  readonly #marks: Marks
  readonly #commits: GroupCommit
  readonly #execution: Execution
  readonly #ports: LinkPorts
  /** Ascending by version. */
  #links: Link[] = []
  #phase: Phase = 'new'
  #failure: Error | null = null
  readonly #operations = new Map<Operation, (error: Error) => void>()
  #idle: (() => void) | null = null
  /** Quarantines to be marked when the running operation has ended, whether it succeeds or not. */
  #condemned: Link[] = []

  constructor(components: ChainComponents, links: LinkInit[]) {
    this.#components = components
    const { store, peer, group, members, log, defer, after } = components
    this.#marks = new Marks(store.space(CHAIN_SPACE))
    this.#commits = new GroupCommit({
      section: this.#section,
      store,
      defer,
      flush: () => this.#flush(),
      fatal: (error) => this.#fail(error)
    })
    this.#execution = new Execution({ store, after, quarantine: (link, reason) => this.#condemn(link, reason) })
    this.#ports = {
      peer,
      group,
      members,
      log,
      callSelf: (link, method, args) => this.#callSelf(link, method, args),
      callDelegate: (link, method, args) => this.#callDelegate(link, method, args),
      callOutward: (link, className, method, args, target) => this.#callOutward(link, className, method, args, target)
    }
    this.#links = this.#assemble(links)
  }

  /** Constructs and starts every link, the current object first. A future SO that fails does not fail the object. */
  async start(): Promise<void> {
    const current = this.#links.findIndex((link) => link.role === 'current')
    const order = [...this.#links.slice(0, current + 1).reverse(), ...this.#links.slice(current + 1)]
    await this.#setUp(async (operation) => {
      for (const link of order) {
        link.fault = this.#marks.quarantined(link.version)
        if (link.fault !== null) continue
        if (link.delegate?.fault != null)
          this.#condemn(link, `it rests on ${link.delegate.title}: ${link.delegate.fault}`)
        else if (link.role !== 'future') await this.#startLink(link, operation)
        else
          await this.#startLink(link, operation).catch((error) =>
            this.#condemn(link, `it did not start: ${textOf(error)}`)
          )
      }
    })
    this.#phase = 'proving'
  }

  /** From now on calls are accepted and outward mutators allowed: the object is committed (SPEC V11). */
  serve(): void {
    this.#phase = 'serving'
  }

  /** Throws what a link's `health` throws. Takes no section, so a long mutator is no illness. */
  async health(): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    for (const link of this.#links) {
      if (link.fault !== null) continue
      const frame = new Frame(link, operationOf(), 'look', false, true)
      try {
        await runFrame(frame, () => link.instance!.health?.())
      } catch (error) {
        throw new Error(`${link.title} is not well: ${textOf(error)}`, { cause: error })
      }
    }
  }

  /** Puts a future SO on top of the running chain; its `initial` runs inside the section (SPEC V9). */
  async add(init: LinkInit): Promise<void> {
    await this.#setUp(async (operation) => {
      const present = this.#links.find((link) => link.version === init.version)
      if (present !== undefined && present.fault === null) return
      const rest = this.#links.filter((link) => link !== present)
      const top = rest.at(-1)!
      if (init.role !== 'future' || init.version < top.version) {
        throw new Error(`${init.className}@${init.version} cannot be put on top of ${top.title}`)
      }
      const link = new Link(init, this.#space(init), top)
      const fault = this.#marks.quarantined(init.version) ?? top.fault
      if (fault !== null) throw unavailable(`${link.title} is not served here: ${fault}`)
      await this.#startLink(link, operation)
      this.#links = [...rest, link]
    })
  }

  /**
   * Takes SOs out, with their state (SPEC R6, L15): the lowest past ones or the highest future ones, or what is left of
   * some that the object was started without. `erase` removes the files of one; a crash meanwhile leaves what is
   * quarantined, or what no start loads any more.
   */
  async remove(versions: readonly number[], erase: (version: number) => void): Promise<void> {
    const { store } = this.#components
    await this.#setUp(async (operation) => {
      const gone = this.#links.filter((link) => versions.includes(link.version) && link.role !== 'current')
      const rest = this.#links.filter((link) => !gone.includes(link))
      const orphan = rest.find((link) => link.delegate !== null && gone.includes(link.delegate))
      if (orphan !== undefined) throw new Error(`${orphan.title} rests on what is to be removed; remove it, too`)
      for (const link of gone) await this.#stopLink(link, operation)
      this.#links = rest
      // Calls that wait for the section have chosen their link already: they must not run on what has stopped.
      for (const link of gone) link.fault = 'it was taken out'
      for (const link of rest) link.dependents = link.dependents.filter((one) => !gone.includes(one))
      const current = rest.find((link) => link.role === 'current')!.version
      for (const version of versions.filter((one) => one !== current)) {
        erase(version)
        const space = store.space(simulationSpace(version))
        for (const [key] of space.entries()) space.delete(key)
        this.#marks.forget(version)
      }
    })
  }

  async #stopLink(link: Link, operation: Operation): Promise<void> {
    const stop = link.fault === null ? link.instance?.stop : undefined
    if (stop === undefined) return
    await runFrame(new Frame(link, operation, 'set-up', true, true), () => stop.call(link.instance)).catch((error) =>
      this.#components.log('stop failed', { link: link.title, error: textOf(error) })
    )
  }

  async call(call: ChainCall): Promise<Value> {
    if (this.#phase !== 'serving') throw this.#refusal()
    const link = this.#at(call.version)
    return this.#operate(operationOf(call.callId, call.leftMs), (operation) =>
      this.#enter(link, call.method, call.args, { operation, held: call.held, origin: null }, call)
    )
  }

  /** Takes no more calls; resolves when those it took have ended. */
  drain(): Promise<void> {
    this.#phase = 'draining'
    if (this.#operations.size === 0) return Promise.resolve()
    return new Promise((idle) => {
      this.#idle = idle
    })
  }

  /**
   * Cuts what still runs: its writes are undone, its callers hear OutcomeUnknown (Unavailable where it had only
   * waited). What had ended is committed by `stop`, and answered then. Answers how many were cut,
   * those that had only waited not counted.
   */
  cut(): number {
    const running = [...this.#operations].filter(([operation]) => operation.stage !== 'ended')
    for (const [operation] of running) this.#sever(operation)
    this.#section.close(this.#refusal())
    for (const [operation, refuse] of running) {
      refuse(
        operation.stage === 'waiting'
          ? this.#refusal()
          : new CallError('OutcomeUnknown', 'the object was stopped before the call had ended')
      )
    }
    return running.filter(([{ stage }]) => stage === 'running').length
  }

  /** Commits what has ended, lets every link stop, the outermost first, and commits again. Called after `drain` or `cut`. */
  async stop(): Promise<void> {
    const started = this.#phase !== 'new'
    this.#phase = 'stopped'
    this.#section.close(this.#refusal())
    await this.#commits.finish()
    if (!started || this.#failure !== null) return
    const { store } = this.#components
    store.begin()
    for (const link of [...this.#links].reverse()) await this.#stopLink(link, running())
    await this.#flush()
    store.commit()
  }

  /** As if the process had died: nothing is committed any more, nobody waits any more. */
  crash(error: Error): void {
    this.#phase = 'stopped'
    this.#failure = error
    this.#section.close(this.#refusal())
    this.#commits.abandon(error)
    for (const [operation, refuse] of this.#operations) {
      operation.cut = true
      refuse(operation.stage === 'waiting' ? this.#refusal() : error)
    }
  }

  // Links

  #assemble(inits: LinkInit[]): Link[] {
    const sorted = [...inits].sort((a, b) => a.version - b.version)
    const current = sorted.findIndex((init) => init.role === 'current')
    const sound = sorted.every((init, i) => init.role === (i < current ? 'past' : i === current ? 'current' : 'future'))
    if (current < 0 || !sound) throw new Error('a chain has one current link, past ones below it and future ones above')
    const links = new Map<number, Link>()
    const make = (i: number, delegate: number | null) =>
      links.set(i, new Link(sorted[i]!, this.#space(sorted[i]!), delegate === null ? null : links.get(delegate)!))
    make(current, null)
    for (let i = current - 1; i >= 0; i--) make(i, i + 1)
    for (let i = current + 1; i < sorted.length; i++) make(i, i - 1)
    return sorted.map((_, i) => links.get(i)!)
  }

  #space(init: LinkInit) {
    return this.#components.store.space(spaceOf(init.role, init.version))
  }

  /** Runs set-up code alone on the object, in one transaction that is durable on return. Whoever stops waits for it, or cuts it. */
  async #setUp(code: (operation: Operation) => Promise<void>): Promise<void> {
    await this.#operate(operationOf(), (operation) =>
      this.#inside('exclusive', { operation, held: false }, () => {
        operation.stage = 'running'
        return code(operation)
      })
    )
  }

  async #startLink(link: Link, operation: Operation): Promise<void> {
    await this.#execution.undoable(operation, async () => {
      link.construct(this.#ports)
      if (link.intercepts.size > 0 && link.delegate?.emits === false)
        throw new Error(`${link.delegate.title} emits no effects, so ${link.title} would miss calls that pass below it`)
      const frame = () => new Frame(link, operation, 'set-up', true, true)
      await runFrame(frame(), () => link.instance!.start?.())
      if (link.role === 'current' || this.#marks.isStarted(link.version)) return
      await runFrame(frame(), () => link.instance!.initial?.())
      this.#marks.start(link.version)
    })
    link.delegate?.dependents.push(link)
  }

  /** V10: the link, and what rests on it, is served no more. Runs inside the section. */
  #condemn(link: Link, reason: string): void {
    link.fault = reason
    this.#condemned.push(link)
    for (const above of link.dependents) {
      if (above.fault === null) this.#condemn(above, `it rests on ${link.title}: ${reason}`)
    }
  }

  /**
   * Outside of the operation's savepoint, inside its transaction: the mark stays when the call fails, and is durable
   * before anyone hears of the call. An SO that never started here has no state to distrust; it may be tried again.
   */
  #markCondemned(): void {
    for (const link of this.#condemned.splice(0)) {
      const reason = link.fault!
      try {
        if (this.#marks.isStarted(link.version)) this.#marks.quarantine(link.version, reason)
      } catch (error) {
        // Without the mark a restart would trust the SO: nothing of this group may become durable.
        this.#commits.fail(error)
        return
      }
      this.#components.log('simulation object is not served any more', { link: link.title, reason })
      this.#commits.pending?.then(
        () => this.#components.faulty(link.version, reason),
        () => undefined // the failed commit is reported by `fatal`
      )
    }
  }

  #flush(): Promise<void> | undefined {
    const links = this.#links.filter((link) => link.fault === null && link.instance?.flush !== undefined)
    if (links.length === 0) return undefined
    return (async () => {
      for (const link of links) await link.instance!.flush!()
    })()
  }

  #fail(error: Error): void {
    this.#failure = error
    this.#phase = 'stopped'
    this.#section.close(this.#refusal())
    this.#components.fatal(error)
  }

  // Dispatch

  /** V2: the link that speaks version x is the newest one not above x; above the highest nothing is known. */
  #at(version: number): Link {
    const lowest = this.#links[0]!
    const highest = this.#links.at(-1)!
    if (version > highest.version) {
      throw unavailable(`version ${version} is not served here yet; the newest is ${highest.title}`)
    }
    const link = this.#links.findLast((one) => one.version <= version)
    if (link !== undefined) return link
    throw new CallError('Retired', `version ${version} is retired; the oldest version served is ${lowest.title}`)
  }

  #operate<T>(operation: Operation, code: (operation: Operation) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#operations.set(operation, reject)
    const end = () => {
      this.#operations.delete(operation)
      if (this.#operations.size === 0) this.#idle?.()
    }
    code(operation).then(
      (value) => {
        end()
        resolve(value)
      },
      (error) => {
        end()
        reject(error)
      }
    )
    return promise
  }

  /** Enters a link from outside of the section. */
  async #enter(
    link: Link,
    method: string,
    args: Value[],
    caller: Caller,
    { ticket, simulates }: Pick<ChainCall, 'ticket' | 'simulates'> = {}
  ) {
    const { kind, concurrent } = link.declared(method)
    if (!concurrent && caller.held) {
      throw new CallError('WouldBlock', `${link.title}.${method} is not concurrent and the caller holds an object`)
    }
    const hold = concurrent ? null : kind === 'mutator' ? 'exclusive' : 'shared'
    return this.#inside(hold, caller, async () => {
      if (link.fault !== null) throw unavailable(`${link.title} is not served here: ${link.fault}`)
      if (ticket?.cancelled) throw new CallError('Cancelled', 'given up before it was executed')
      const checked = () => simulates !== undefined && checkPlacement(this.#links, link.version, simulates)
      checked()
      caller.operation.stage = 'running'
      const value = await this.#execution.run(link, method, args, caller, hold !== null)
      // G5: without the section the chain may have changed meanwhile. What only looked is as if it had not run.
      if (hold === null && kind === 'observer') checked()
      return value
    })
  }

  /** Takes the section, runs the code, and waits until what it did or saw is durable. */
  async #inside<T>(
    hold: Hold | null,
    { operation, held }: Pick<Caller, 'operation' | 'held'>,
    code: () => Promise<T>
  ): Promise<T> {
    const outermost = operation.stage === 'waiting'
    const taken = hold === null ? undefined : this.#section.take(hold)
    if (taken !== undefined) await taken
    let pending: Promise<void> | undefined
    try {
      if (operation.cut) throw new CallError('Cancelled', 'cut before it was executed')
      if (hold === 'exclusive') this.#commits.join()
      return await code()
    } finally {
      if (hold === 'exclusive') this.#markCondemned()
      if (outermost) operation.stage = 'ended'
      pending = this.#commits.pending
      if (hold !== null) this.#section.release(hold)
      // V8: this call, or one that it has seen, is not durable yet. A caller that holds an object must not wait: the
      // commit may be waiting for that very caller.
      if (pending !== undefined && !held) await pending
    }
  }

  // What a link's code calls

  async #callSelf(link: Link, method: string, args: Value[]): Promise<Value> {
    const frame = currentFrame()
    if (frame !== undefined) {
      return this.#enter(link, method, args, { operation: frame.operation, held: frame.held, origin: null })
    }
    if (this.#phase !== 'serving') throw this.#refusal()
    return this.#operate(operationOf(), (operation) =>
      this.#enter(link, method, args, { operation, held: false, origin: null })
    )
  }

  async #callDelegate(link: Link, method: string, args: Value[]): Promise<Value> {
    const frame = currentFrame()
    const delegate = link.delegate!
    if (frame === undefined || frame.link !== link) {
      throw new Error(`${link.title} may call its delegate only while one of its own methods runs`)
    }
    const { kind, concurrent } = delegate.declared(method)
    const caller: Caller = { operation: frame.operation, held: frame.held, origin: link }
    if (concurrent) return this.#execution.run(delegate, method, args, caller, false)
    if (!frame.holds) return this.#enter(delegate, method, args, caller)
    if (kind === 'mutator' && frame.permission !== 'change') {
      throw new Error(`${delegate.title}.${method} is a mutator; only a mutator of ${link.title} may call it`)
    }
    return frame.inOrder(() => this.#execution.run(delegate, method, args, caller, true))
  }

  async #callOutward(link: Link, className: string, method: string, args: Value[], target: CallTarget): Promise<Value> {
    if (!Object.hasOwn(link.interface.calls, className)) {
      throw new Error(`${link.title} does not declare that it calls ${className}; name its version in static calls`)
    }
    const frame = currentFrame()
    // V8: what the code has seen may not be durable yet; nobody else may hear of it before. (Whoever holds cannot wait.)
    if (frame?.held !== true) await this.#commits.pending
    const { signal } = target
    if (signal?.aborted) throw new CallError('Cancelled', 'given up before it was sent')
    const operation = frame?.operation
    const timeoutMs = Math.min(target.timeoutMs ?? OUTWARD_TIMEOUT_MS, operation?.leftMs() ?? Number.POSITIVE_INFINITY)
    if (timeoutMs <= 0) throw new CallError('DeadlineExceeded', 'the time of the running call is over; it was not sent')
    const derived =
      operation?.callId === undefined ? this.#components.newCallId() : `${operation.callId}.${++operation.outward}`
    const answer = this.#components.outward({
      class: className,
      version: link.interface.calls[className]!,
      method,
      args,
      to: target.to ?? 'any',
      callId: target.id ?? derived,
      held: frame?.held ?? false,
      timeoutMs,
      observersOnly: this.#phase === 'new' || this.#phase === 'proving'
    })
    return signal === undefined ? answer : abortable(answer, signal)
  }

  #refusal(): CallError {
    if (this.#phase === 'new' || this.#phase === 'proving') return unavailable('the object does not serve yet')
    return unavailable(
      this.#failure === null ? 'the object is stopping' : `the object failed: ${this.#failure.message}`
    )
  }

  #sever(operation: Operation): void {
    operation.cut = true
    for (; operation.depth > 0; operation.depth -= 1) this.#components.store.rollback()
  }
}

function running(): Operation {
  return { ...operationOf(), stage: 'running' }
}

function unavailable(message: string): CallError {
  return new CallError('Unavailable', message, { retryAfterMs: RETRY_AFTER_MS })
}

function abortable(answer: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new CallError('Cancelled', 'given up while it ran; it may have been executed'))
    signal.addEventListener('abort', abort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
