/**
 * Routes a call to a peer that can serve it (SPEC N12 to N14): itself, one that hosts the class, or the member of a
 * group that a key chooses; retries elsewhere what was certainly not executed, with the same id, until the deadline.
 */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { CallError } from '../../src/errors.ts'
import { hash53 } from '../../src/upgrade/seal.ts'
import type { CallRequest, CallTarget, Value } from '../../src/versions/types.ts'
import type { CallOptions } from './caller.ts'
import { checkedCall, MAX_CALL_ID_LENGTH } from './frames.ts'
import type { CallMessage, Calls, IncomingCall, Serve } from './session.ts'

/** A peer that may serve a call, as the directory knows it; its record may be old. */
export interface Candidate {
  peer: string
  addresses: string[]
  serving: boolean
  /** Lowest and highest version served. */
  serves: readonly [low: number, high: number]
}

export interface RouterInit {
  /** Own peer id, for the way without a network; null in a program that is no peer. */
  self: string | null
  calls: Calls
  /** Executes calls at this node's own objects. */
  local?: ServeHere
  /** One attempt at another peer. @default as it is, by `calls` */
  attempt?(candidate: Candidate, message: CallMessage, options: CallOptions): Promise<Value>
  reachable(peer: string): boolean
  /** Who may serve this: the peer named, members of the group, or all that host the class; own node included. */
  candidates(className: string, version: number, to: NonNullable<CallTarget['to']>): Candidate[]
  /** Whether the method is declared idempotent. @default never */
  idempotent?(className: string, version: number, method: string): boolean
  /** First 16 hex digits of the entry that the version stands for here. */
  entry?(className: string, version: number): string | undefined
}

/** `by`: the object of this node whose code calls. */
export type ServeHere = (call: IncomingCall, by: string | undefined) => Promise<Value>

/** What code that calls is at the moment, as opposed to what it asks for. */
export interface CallMarks {
  /** Stable id where the caller names none: derived from the call that makes this one. It says nothing about who recognises it. */
  callId?: string
  /** It holds an object: only concurrent methods may be called. */
  held?: boolean
  /** Its upgrade is not committed: only observers may be called. */
  observersOnly?: boolean
  /** The object of this node whose code it is: it is not let wait for itself (SPEC D23). */
  by?: string
}

export interface CallCount {
  class: string
  version: number
  method: string
  /** `ok`, or the name of the error. */
  outcome: string
  count: number
}

export interface Router {
  /** Rejects with CallError. */
  call(request: CallRequest, marks?: CallMarks): Promise<Value>
  /** Calls made since the start, by what was called and how it ended. */
  counts(): CallCount[]
}

const DEFAULT_TIMEOUT_MS = 10_000
const FIRST_BACKOFF_MS = 50
const MAX_BACKOFF_MS = 1_000
/** A try with less time than this would most likely turn "not executed" into "nobody knows". */
const LEAST_TRY_MS = 50
/** Names come from callers: beyond this many the rest is counted together. */
const MAX_COUNTED = 1_000

export function createRouter(init: RouterInit): Router {
  return new CallRouter(init)
}

/** One call with everything that its attempts share. */
interface Errand {
  readonly request: CallRequest
  readonly to: NonNullable<CallTarget['to']>
  readonly message: CallMessage
  readonly by: string | undefined
  readonly repeatable: boolean
  readonly deadline: number
  readonly timeoutMs: number
  /** An attempt that may have been executed: whatever fails later, this is what is known. */
  uncertain: CallError | undefined
  last: CallError | undefined
}

class CallRouter implements Router {
  readonly #init: RouterInit
  readonly #ids = randomUUID()
  readonly #counted = new Map<string, CallCount>()
  #lastId = 0
  #turn = 0

  constructor(init: RouterInit) {
    this.#init = init
  }

  async call(request: CallRequest, marks: CallMarks = {}): Promise<Value> {
    const { class: className, version, method } = request
    try {
      const value = await this.#pursue(this.#errand(request, marks))
      this.#count(className, version, method, 'ok')
      return value
    } catch (error) {
      this.#count(className, version, method, error instanceof Error ? error.name : 'ApplicationError')
      throw error
    }
  }

  counts(): CallCount[] {
    return [...this.#counted.values()].map((one) => ({ ...one }))
  }

  #errand(request: CallRequest, marks: CallMarks): Errand {
    const { class: className, version, method, args, id, timeoutMs = DEFAULT_TIMEOUT_MS } = request
    this.#lastId += 1
    const entry = this.#init.entry?.(className, version)
    const message = checkedCall({
      class: className,
      version,
      ...(entry === undefined ? {} : { entry }),
      method,
      args,
      callId: id ?? (marks.callId === undefined ? `${this.#ids}.${this.#lastId}` : bounded(marks.callId)),
      held: marks.held ?? false,
      timeoutMs: Math.floor(timeoutMs),
      observersOnly: marks.observersOnly ?? false,
      ...(marks.by === undefined ? {} : { by: marks.by })
    })
    const repeatable = id !== undefined || this.#init.idempotent?.(className, version, method) === true
    const deadline = performance.now() + timeoutMs
    return {
      request,
      to: request.to ?? 'any',
      message,
      by: marks.by,
      repeatable,
      deadline,
      timeoutMs,
      uncertain: undefined,
      last: undefined
    }
  }

  /** Rounds over all candidates, with back-off between them, until one answers or the time is over. */
  async #pursue(errand: Errand): Promise<Value> {
    const { signal } = errand.request
    for (let backoffMs = FIRST_BACKOFF_MS; ; backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS)) {
      const hint = { retryMs: Number.POSITIVE_INFINITY }
      for (const candidate of this.#ordered(errand)) {
        const answer = await this.#try(errand, candidate, hint)
        if (answer !== undefined) return answer.value
      }
      const leftMs = errand.deadline - performance.now()
      const pauseMs = Math.max(backoffMs, Number.isFinite(hint.retryMs) ? hint.retryMs : 0) * (0.75 + Math.random() / 2)
      if (leftMs - pauseMs < LEAST_TRY_MS) throw this.#expired(errand)
      try {
        await delay(pauseMs, undefined, { signal })
      } catch {
        throw errand.uncertain ?? new CallError('Cancelled', `${named(errand)}: cancelled by its caller; not executed`)
      }
    }
  }

  /** The answer, or undefined where another candidate may be tried. */
  async #try(errand: Errand, candidate: Candidate, hint: { retryMs: number }): Promise<{ value: Value } | undefined> {
    // A call whose outcome is unknown goes to the same peer once more: it is the one that can recognise the id.
    for (let again = true; ; again = false) {
      const timeoutMs = Math.floor(errand.deadline - performance.now())
      if (timeoutMs <= 0) throw this.#expired(errand)
      try {
        return { value: await this.#attempt(errand, candidate, timeoutMs) }
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        // Whoever says Misplaced without being asked (G6) has not executed it either.
        if (error.name === 'Unavailable' || error.name === 'Misplaced') {
          errand.last = error
          hint.retryMs = Math.min(hint.retryMs, error.retryAfterMs ?? 0)
          return undefined
        }
        // N14: this attempt was not executed, or went wrong; the earlier one may have been executed all the same.
        if (error.name !== 'OutcomeUnknown') throw errand.uncertain === undefined ? error : unknown(errand, error)
        errand.uncertain = error
        if (!errand.repeatable) throw error
        if (!again) return undefined
      }
    }
  }

  #attempt(errand: Errand, candidate: Candidate, timeoutMs: number): Promise<Value> {
    const { signal } = errand.request
    const message = { ...errand.message, timeoutMs }
    if (candidate.peer === this.#init.self && this.#init.local !== undefined) {
      const { local } = this.#init
      return callHere((call) => local(call, errand.by), candidate.peer, message, timeoutMs, signal)
    }
    const { attempt, calls } = this.#init
    const options = { timeoutMs, signal }
    return attempt?.(candidate, message, options) ?? calls.call(candidate.peer, candidate.addresses, message, options)
  }

  /** Best first: serving that version, then (by key) the one that the key chooses, else the nearest and least busy. */
  #ordered(errand: Errand): Candidate[] {
    const { to, request } = errand
    const { self, reachable, calls } = this.#init
    const found = this.#init.candidates(request.class, request.version, to)
    const key = typeof to === 'object' && 'group' in to ? to.key : undefined
    const turn = this.#turn++
    const ranked = found.map((candidate, index) => {
      const { peer, serving, serves } = candidate
      const fits = serves[0] <= request.version && request.version <= serves[1]
      const near = peer === self ? 0 : reachable(peer) ? 1 : 2
      const rank = [serving ? (fits ? 0 : 1) : 2]
      if (key === undefined) rank.push(near, calls.inFlight(peer), (index + turn) % found.length)
      else rank.push(-hash53(`${key}\n${peer}`))
      return { candidate, rank }
    })
    ranked.sort((one, other) => compare(one.rank, other.rank))
    if (found.length === 0) {
      const whom = typeof to === 'string' ? 'peer' : 'group' in to ? `member of group ${to.group}` : `peer ${to.peer}`
      errand.last = new CallError('Unavailable', `${named(errand)}: no ${whom} is known that hosts it`)
    }
    return ranked.map(({ candidate }) => candidate)
  }

  #expired(errand: Errand): CallError {
    const { uncertain, last, timeoutMs } = errand
    if (uncertain !== undefined) return uncertain
    if (last === undefined)
      return new CallError('DeadlineExceeded', `${named(errand)}: not executed within ${timeoutMs} ms`)
    const options = last.retryAfterMs === undefined ? {} : { retryAfterMs: last.retryAfterMs }
    return new CallError('Unavailable', `${last.message} (tried for ${timeoutMs} ms)`, { ...options, cause: last })
  }

  #count(className: string, version: number, method: string, outcome: string): void {
    const name = [className, version, method, outcome].join('\n')
    const known = this.#counted.get(name)
    if (known !== undefined) known.count += 1
    else if (this.#counted.size < MAX_COUNTED || method === '…')
      this.#counted.set(name, { class: className, version, method, outcome, count: 1 })
    else this.#count('…', 0, '…', outcome)
  }
}

/** An id that grew with the depth of nested calls; a retry shortens it to the same. */
const bounded = (id: string): string =>
  id.length <= MAX_CALL_ID_LENGTH ? id : createHash('sha256').update(id).digest('hex')

function unknown({ uncertain }: Errand, later: CallError): CallError {
  return new CallError('OutcomeUnknown', `${uncertain?.message}; a later try: ${later.name}: ${later.message}`, {
    cause: later
  })
}

const named = ({ request }: Errand): string => `${request.class}.${request.method}@${request.version}`

function compare(one: number[], other: number[]): number {
  for (const [index, value] of one.entries()) if (value !== other[index]) return value - other[index]!
  return 0
}

/** A call at this node's own object: no network, but the same deadline, cancellation and errors. */
async function callHere(
  local: Serve,
  self: string,
  message: CallMessage,
  timeoutMs: number,
  signal?: AbortSignal
): Promise<Value> {
  const what = `${message.class}.${message.method}@${message.version} here`
  const controller = new AbortController()
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = (error: CallError): void => {
    controller.abort(error)
    reject(error)
  }
  const expire = (): void => end(new CallError('DeadlineExceeded', `${what}: no answer within ${timeoutMs} ms`))
  const cancel = (): void => end(new CallError('Cancelled', `${what}: cancelled by its caller`))
  const timer = setTimeout(expire, timeoutMs)
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    if (signal?.aborted) throw new CallError('Cancelled', `${what}: cancelled by its caller`)
    return await Promise.race([local({ ...message, from: self, signal: controller.signal }), ended])
  } catch (error) {
    if (error instanceof CallError) throw error
    throw new CallError('ApplicationError', `${what}: ${(error as Error).message}`, { cause: error })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', cancel)
  }
}
