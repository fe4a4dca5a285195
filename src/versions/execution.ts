/**
 * How one method of one link is executed (SPEC V5, V7, V8, V10): inside a savepoint, offered to interceptors before,
 * their writes applied with its own, all of it or nothing. Links above an interceptor learn of it by effects (V14).
 */
import { CallError, type CallErrorName } from '../errors.ts'
import { Frame, type Operation, runFrame } from './frame.ts'
import type { Link } from './link.ts'
import type { ChainStore } from './store.ts'
import type { Effect, StateWrite, Value } from './types.ts'

/**
 * An interception holds the object: one that does not end in time has failed. Time is counted in ticks, so that a
 * process that stood still as a whole has lost one of them only.
 */
const INTERCEPTION_TICKS = 10
const TICK_MS = 1000

/** Who calls a method of a link. */
export interface Caller {
  operation: Operation
  held: boolean
  /** The link whose code makes the call: it is not offered its own calls. Null for calls from outside. */
  origin: Link | null
}

export interface ExecutionComponents {
  store: ChainStore
  /** The SO's code broke its contract: it is served no more, durably (SPEC V10). */
  quarantine(link: Link, reason: string): void
  after(ms: number, callback: () => void): () => void
}

export class Execution {
  #components: ExecutionComponents
  constructor(components: ExecutionComponents) {
    this.#components = components
  }

  /** `holds`: the operation holds the section in the mode that the method needs. */
  async run(link: Link, method: string, args: Value[], caller: Caller, holds: boolean): Promise<Value> {
    const { kind, concurrent } = link.declared(method)
    const changes = kind === 'mutator' && concurrent !== true
    const frame = new Frame(link, caller.operation, changes ? 'change' : 'look', holds, holds || caller.held)
    const code = () => runFrame(frame, () => link.invoke(method, args))
    try {
      return changes ? await this.#change(link, method, args, caller, code) : await code()
    } catch (error) {
      throw asCallError(error, link, method)
    }
  }

  async #change(link: Link, method: string, args: Value[], caller: Caller, code: () => Promise<Value>) {
    return this.undoable(caller.operation, async () => {
      const offered = await this.#offer(link, method, args, caller)
      const result = await code()
      for (const [interceptor, writes] of offered) this.#apply(interceptor, writes)
      return result
    })
  }

  /** Runs `code` in a savepoint of its own: what it wrote is undone when it throws (SPEC V7). */
  async undoable<T>(operation: Operation, code: () => Promise<T>): Promise<T> {
    const { store } = this.#components
    store.savepoint()
    operation.depth += 1
    let result: T
    try {
      result = await code()
    } catch (error) {
      // The savepoints of a cut operation are closed already.
      if (!operation.cut) {
        operation.depth -= 1
        store.rollback()
      }
      throw error
    }
    if (operation.cut) throw new CallError('OutcomeUnknown', 'the object was stopped before the call had ended')
    operation.depth -= 1
    store.release()
    return result
  }

  /** V7, V14: who learns of a mutator looks at it before it is executed, and says what will be written. */
  async #offer(link: Link, method: string, args: Value[], caller: Caller): Promise<Offered[]> {
    const offered: Offered[] = []
    for (const above of link.dependents) {
      if (above === caller.origin || above.fault !== null) continue
      const event = { method, args, isCall: link.role !== 'current' }
      await this.#offerTo(above, event, caller.operation, offered)
    }
    return offered
  }

  /** A mutator of the link's delegate: called there, or an effect in that version's words of one that passed below. */
  async #offerTo(link: Link, event: Offer, operation: Operation, offered: Offered[]): Promise<void> {
    const { method, args } = event
    const frame = () => new Frame(link, operation, 'look', true, true)
    // A copy: whatever the code does to the arguments, the call is the same.
    const copy = () => structuredClone(args)
    if (link.intercepts.has(method)) {
      try {
        const writes = await this.#inTime(frame(), () => link.instance!.intercept!(method, copy()))
        if (writes.length > 0) offered.push([link, writes])
      } catch (error) {
        if (event.isCall && nameOf(error) === 'Disallowed') throw error
        return this.#components.quarantine(link, `its interception of ${method} failed: ${textOf(error)}`)
      }
    }
    if (!isHeard(link)) return
    let effects: Effect[]
    try {
      effects = checkedEffects(link, await this.#inTime(frame(), () => link.instance!.effects!(method, copy())))
    } catch (error) {
      return this.#components.quarantine(link, `what ${method} means at its version it did not say: ${textOf(error)}`)
    }
    for (const [effect, ...values] of effects) {
      for (const above of link.dependents) {
        if (above.fault !== null) continue
        await this.#offerTo(above, { method: effect, args: values, isCall: false }, operation, offered)
      }
    }
  }

  /** Runs the code of an interception; when it does not end in time it is left behind, and may do nothing any more. */
  #inTime<T>(frame: Frame, code: () => Promise<T> | T): Promise<T> {
    return new Promise((resolve, reject) => {
      let ticks = 0
      const tick = () => {
        ticks += 1
        if (ticks <= INTERCEPTION_TICKS) {
          cancel = this.#components.after(TICK_MS, tick)
          return
        }
        frame.ended = true
        reject(new Error(`it did not end within ${INTERCEPTION_TICKS * TICK_MS} ms`))
      }
      let cancel = () => {}
      tick()
      runFrame(frame, code)
        .then(resolve, reject)
        .finally(() => cancel())
    })
  }

  #apply(interceptor: Link, writes: StateWrite[]): void {
    try {
      for (const write of writes) {
        if ('put' in write) interceptor.space.put(...write.put)
        else interceptor.space.delete(write.delete)
      }
    } catch (error) {
      this.#components.quarantine(interceptor, `a write of its interception was refused: ${textOf(error)}`)
    }
  }
}

/** An interceptor, and what it will write if the call succeeds. */
type Offered = [Link, StateWrite[]]

interface Offer {
  method: string
  args: Value[]
  /** It was called at an SO, which interceptors may refuse; what passed below it they may not. */
  isCall: boolean
}

/** Whether somebody above the link wants to know what passes below it. */
export function isHeard(link: Link): boolean {
  return link.dependents.some((above) => above.fault === null && (above.intercepts.size > 0 || isHeard(above)))
}

function checkedEffects(link: Link, effects: Effect[]): Effect[] {
  const odd = effects.find(([method]) => link.interface.methods[method]?.kind !== 'mutator')
  if (odd !== undefined) throw new Error(`${String(odd[0])} is no mutator of ${link.title}`)
  return effects
}

/** Names that mean the same to the caller of this object as to the code that met them. */
const PASSED_ON: ReadonlySet<string> = new Set<CallErrorName>(['WouldBlock', 'NotCommitted', 'OutcomeUnknown'])

/**
 * What a caller hears of an error that a link's code threw. Errors of the code's own calls do not pass as they are:
 * that some callee was `Unavailable` or `Retired` does not mean that this one is.
 */
export function asCallError(error: unknown, link: Link, method: string): CallError {
  const name = nameOf(error)
  const passed = PASSED_ON.has(name) || (name === 'Disallowed' && link.role !== 'current')
  if (passed) return error instanceof CallError ? error : new CallError(name as CallErrorName, textOf(error))
  if (error instanceof CallError && name === 'ApplicationError') return error
  const label = name === '' || name === 'Error' ? '' : `${name}: `
  return new CallError('ApplicationError', `${link.title}.${method}: ${label}${textOf(error)}`, { cause: error })
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
