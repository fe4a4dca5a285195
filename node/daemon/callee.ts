/**
 * Answers calls at this node's objects (SPEC D23, D24): finds the object that a caller means, makes the node fetch and
 * start what it lacks for a call from the future, and hands the call to the chain.
 */
import { CallError } from '../../src/errors.ts'
import type { Event } from '../../src/overlay/events.ts'
import type { Peer } from '../../src/overlay/peer.ts'
import { callersOf, mayCall } from '../../src/upgrade/access.ts'
import type { Value } from '../../src/versions/types.ts'
import type { Admittance } from './admittance.ts'
import { patienceMs } from './gate.ts'
import type { Hosting } from './hosting.ts'
import type { Moments } from './moments.ts'

/** How long a call waits for a future SO, at most, where the caller can host it itself: what is at hand starts within it (SPEC G6). */
const START_MS = 1_000

export interface ArrivingCall {
  class: string
  version: number
  /** First 16 hex digits of the entry's hash that the caller's version came with; undefined from outside the fleet. */
  entry?: string
  method: string
  args: Value[]
  callId: string
  held: boolean
  observersOnly: boolean
  timeoutMs: number
  /** The caller may host SOs of this object itself; it hears at once which versions are served (SPEC G6). */
  object?: string
  /** The version that a guest simulates with this call (SPEC G5). */
  simulates?: number
  /** The peer, or the client, that calls, the ticket that it showed, and the object whose code calls, as it says. */
  from: string
  ticket?: string | undefined
  by?: string
}

/** Calls of others answered here, by the version called and by what both ends ran at that moment (SPEC D27). */
export interface AnsweredCount {
  object: string
  version: number
  running: number
  /** What the caller's node ran; null: a client, or a peer that is not known to host the object. */
  caller: number | null
  count: number
}

type Known = NonNullable<ReturnType<Peer['resolve']>>

export interface CalleeInit {
  peer: Peer
  admittance: Admittance
  hosting: Hosting
  moments: Moments
  post(event: Event): void
}

export class Callee {
  readonly #init: CalleeInit
  readonly #answered = new Map<string, AnsweredCount>()
  /** Object and version → the hour in which the core was last told that it is called. */
  readonly #toldAt = new Map<string, number>()

  constructor(init: CalleeInit) {
    this.#init = init
  }

  answered(): AnsweredCount[] {
    return [...this.#answered.values()].map((one) => ({ ...one }))
  }

  /** `by`: the object of this node whose code calls. @throws CallError */
  async call(request: ArrivingCall, signal?: AbortSignal, by?: string): Promise<Value> {
    const deadline = performance.now() + request.timeoutMs
    const known = await this.#known(request, deadline, signal)
    const { object } = known
    check(known, request)
    this.#checkAccess(known, request)
    await this.#serves(object, request, deadline, signal)
    const caller = this.#init.peer.view.get(request.from)?.objects[object]?.version ?? null
    const call = {
      version: request.version,
      method: request.method,
      args: request.args,
      callId: request.callId,
      held: request.held,
      simulates: request.simulates,
      timeoutMs: Math.max(1, deadline - performance.now()),
      signal
    }
    const value = await this.#init.hosting.call(object, call, by)
    this.#tellCalled(object, request)
    this.#count(object, request, caller)
    return value
  }

  /** R7: once an hour; what a guest simulates at its caller is a call at that version. */
  #tellCalled(object: string, { version, simulates }: ArrivingCall): void {
    const hour = Math.floor(this.#init.peer.now / 3_600_000)
    for (const one of simulates === undefined ? [version] : [version, simulates]) {
      const key = `${object}/${one}`
      if (this.#toldAt.get(key) === hour) continue
      this.#toldAt.set(key, hour)
      this.#init.post({ type: 'called', object, version: one })
    }
  }

  /** Counted at the end: a call that waited for an upgrade was answered by the version that came after it. */
  #count(object: string, { from, version }: ArrivingCall, caller: number | null): void {
    const { peer } = this.#init
    if (from === peer.id) return
    const running = peer.objects.get(object)?.state.current?.version ?? 0
    const name = [object, version, running, caller].join('\n')
    const known = this.#answered.get(name)
    if (known === undefined) this.#answered.set(name, { object, version, running, caller, count: 1 })
    else known.count += 1
  }

  async #known(request: ArrivingCall, deadline: number, signal?: AbortSignal): Promise<Known> {
    const { peer, moments } = this.#init
    const resolve = () => peer.resolve(request.class, request.version)
    const waits = request.object === undefined
    const known =
      resolve() ?? (waits ? await moments.until(resolve, patienceMs(deadline - performance.now()), signal) : undefined)
    checkWanted(signal)
    if (known === undefined) {
      this.#checkPlace(request.object, request)
      const lineage = peer.log.schema.lineageOf(request.class)
      const versions =
        lineage === undefined ? [] : peer.log.schema.versions(lineage).map((one) => `${one.className} ${one.version}`)
      const classes = [...peer.objects.keys()].join(', ') || 'none'
      const mend = versions.length === 0 ? `classes known here: ${classes}` : `known here: ${versions.join(', ')}`
      throw new CallError('Unavailable', `class ${request.class} has no version ${request.version}; ${mend}`, {
        retryAfterMs: 500
      })
    }
    if (!peer.objects.has(known.object))
      throw new CallError('Unavailable', `this node hosts no ${request.class}`, { retryAfterMs: 5_000 })
    return known
  }

  /** A call from the future makes the node fetch and start what it lacks. */
  async #serves(object: string, request: ArrivingCall, deadline: number, signal?: AbortSignal): Promise<void> {
    const { peer, moments, post } = this.#init
    const { version } = request
    const hosted = peer.objects.get(object)!
    const reached = () => (hosted.record().highest >= version ? true : undefined)
    if (reached() === undefined) {
      post({ type: 'wanted', object, version })
      const waitMs = patienceMs(deadline - performance.now())
      const boundMs = request.object === undefined ? waitMs : this.#atHand(object) ? START_MS : 0
      await moments.until(reached, Math.min(waitMs, boundMs), signal)
      checkWanted(signal)
    }
    if (request.object === object) this.#checkPlace(object, request)
    this.#checkRetired(object, version)
    if (reached() !== undefined) return
    const { state } = hosted
    throw new CallError(
      'Unavailable',
      `${object} runs version ${state.current?.version ?? 'none'} here and does not simulate ${version} yet; not executed`,
      { retryAfterMs: 200 }
    )
  }

  /** Whether the code of the next version is here, so that its future SO may start in a moment. */
  #atHand(object: string): boolean {
    const { peer } = this.#init
    const next = peer.log.schema.next(object, peer.objects.get(object)?.record().highest ?? 0)
    return next !== undefined && next.upgrade.future !== null && peer.pieces.isReady(next.entry.manifest.bundle.sha256)
  }

  /** A8: by the list of the version that is called. */
  #checkAccess({ upgrade: { access, to } }: Known, { from, ticket, by, method }: ArrivingCall): void {
    if (access === undefined) return
    const { peer, admittance } = this.#init
    const { schema } = peer.log
    if (mayCall(access, method, admittance.identity(from, ticket, by), (name) => schema.lineageOf(name))) return
    const text = `${to}.${method} may be called by ${callersOf(access, method)} only, not by ${by ?? from}; not executed`
    throw new CallError('Forbidden', text)
  }

  /** G6: a caller that may host the SO itself hears what is served here instead. */
  #checkPlace(object: string | undefined, { version }: ArrivingCall): void {
    const record = object === undefined ? undefined : this.#init.peer.objects.get(object)?.record()
    if (record === undefined || record.version === 0 || (record.lowest <= version && version <= record.highest)) return
    const { lowest, highest } = record
    const text = `${object} serves versions ${lowest} to ${highest} here, not ${version}; not executed`
    throw new CallError('Misplaced', text, { serves: [lowest, highest] })
  }

  /** From the moment that a retirement is known here (R6): the chain may take a little to be rid of the SO. */
  #checkRetired(object: string, version: number): void {
    const { log, objects } = this.#init.peer
    const { state } = objects.get(object)!
    const { lowest } = objects.get(object)!.record()
    if (state.current === null || version >= lowest) return
    const oldest = log.schemaOf(state.current.entry).at(object, lowest)
    throw new CallError(
      'Retired',
      `version ${version} is retired; the oldest version served is ${oldest?.className ?? object}@${lowest}`
    )
  }
}

/** Throws if nobody waits for the call any more. */
function checkWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CallError('Cancelled', 'the caller gave up; not executed')
}

function check(known: Known, request: ArrivingCall): void {
  if (request.entry !== undefined && !known.entry.hash.startsWith(request.entry)) {
    throw new CallError('Unavailable', `version ${request.version} of the caller is of another branch of the log`, {
      retryAfterMs: 5_000
    })
  }
  const method = known.upgrade.interface.methods[request.method]
  if (method === undefined) {
    const names = Object.keys(known.upgrade.interface.methods).join(', ')
    throw new CallError(
      'NoSuchMethod',
      `${request.class} ${request.version} has no method ${request.method}; it has ${names}`
    )
  }
  if (request.observersOnly && method.kind !== 'observer') {
    throw new CallError(
      'NotCommitted',
      `the caller's upgrade is not committed: it may call observers only, ${request.method} is a mutator`
    )
  }
}
