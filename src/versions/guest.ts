/**
 * SOs that run on the caller's node (SPEC G3, G4): links without state over a delegate of another node. Each method run
 * makes at most one delegate call; whatever else it tries is refused before it is sent, and the call ends as refused.
 */
import { CallError } from '../errors.ts'
import type { Interface } from '../upgrade/manifest.ts'
import { asCallError } from './execution.ts'
import { currentFrame, Frame, type Operation, operationOf, runFrame } from './frame.ts'
import { Link, type LinkInit, type LinkPorts } from './link.ts'
import type { KeyValueStore, Value } from './types.ts'

/** The one call of the remote delegate that a run makes; which object of which node, its host knows. */
export interface DelegateCall {
  run: number
  method: string
  args: Value[]
  timeoutMs: number
}

export interface GuestCall {
  /** Names the run to whoever makes its delegate call. */
  run: number
  method: string
  args: Value[]
  callId: string
  held: boolean
  /** Milliseconds until the caller gives up. */
  leftMs: () => number
}

export interface GuestComponents {
  peer: string
  delegate(call: DelegateCall): Promise<Value>
  log(message: string, fields: Record<string, Value>): void
}

export type GuestLink = Pick<LinkInit, 'version' | 'className' | 'interface' | 'construct'> & {
  role: 'past' | 'future'
}

/** Nothing can be made below a file. */
const NO_DIRECTORY = '/dev/null'

/** One call of a guest. */
interface Run {
  readonly number: number
  /** Something left this node. */
  sent: boolean
  /** What the code did that its claim excludes. */
  breach: CallError | undefined
}

export class Guest {
  readonly #components: GuestComponents
  readonly #remote: Link
  readonly #top: Link
  readonly #runs = new WeakMap<Operation, Run>()
  /** Method runs that have made their delegate call. */
  readonly #delegated = new WeakSet<Frame>()
  /** Links of `past: 'subtype'`: what has no code keeps nothing. */
  readonly #passing = new WeakSet<Link>()

  /** @param links nearest to the delegate first. Constructs them; what a constructor throws is thrown. */
  constructor(
    components: GuestComponents,
    links: readonly GuestLink[],
    delegate: { version: number; className: string; interface: Interface }
  ) {
    this.#components = components
    this.#remote = linkOf({ ...delegate, role: 'current', construct: null }, this.#space(), null)
    const ports = this.#ports()
    this.#top = links.reduce((below, init) => {
      const link = linkOf(init, this.#space(), below)
      if (init.construct === null) this.#passing.add(link)
      link.construct(ports)
      return link
    }, this.#remote)
  }

  /** A method of the version called. @throws CallError */
  async call({ run: number, method, args, callId, held, leftMs }: GuestCall): Promise<Value> {
    const link = this.#top
    const { concurrent } = link.declared(method)
    if (held && !concurrent)
      throw new CallError('WouldBlock', `${link.title}.${method} is not concurrent and the caller holds an object`)
    const run: Run = { number, sent: false, breach: undefined }
    const operation = operationOf(callId, leftMs)
    this.#runs.set(operation, run)
    try {
      const value = await this.#execute(link, method, args, operation, held)
      if (run.breach !== undefined) throw run.breach
      return value
    } catch (error) {
      throw run.breach ?? error
    }
  }

  async #execute(link: Link, method: string, args: Value[], operation: Operation, held: boolean): Promise<Value> {
    const { kind } = link.declared(method)
    const frame = new Frame(link, operation, kind === 'mutator' ? 'change' : 'look', false, held)
    try {
      return await runFrame(frame, () => link.invoke(method, args))
    } catch (error) {
      throw asCallError(error, link, method)
    }
  }

  async #callDelegate(link: Link, method: string, args: Value[]): Promise<Value> {
    const frame = currentFrame()
    if (frame === undefined || frame.link !== link)
      throw new Error(`${link.title} may call its delegate only while one of its own methods runs`)
    const delegate = link.delegate!
    const declared = delegate.declared(method)
    if (declared.kind === 'mutator' && frame.permission !== 'change')
      throw new Error(`${delegate.title}.${method} is a mutator; only a mutator of ${link.title} may call it`)
    if (this.#delegated.has(frame)) throw this.#breach(frame, `it made a second delegate call, ${method}`)
    if (delegate !== this.#remote && declared.stateless !== true && !this.#passing.has(delegate))
      throw this.#breach(frame, `it called ${delegate.title}.${method}, which is not stateless`)
    this.#delegated.add(frame)
    const { operation } = frame
    return frame.inOrder(async () => {
      if (delegate !== this.#remote) return this.#execute(delegate, method, args, operation, frame.held)
      const run = this.#runs.get(operation)!
      run.sent = true
      return this.#components.delegate({ run: run.number, method, args, timeoutMs: Math.max(0, operation.leftMs()) })
    })
  }

  /** G4: the call ends with this, whatever its code does now. */
  #breach(frame: Frame, what: string): CallError {
    const run = this.#runs.get(frame.operation)!
    const done = run.sent ? 'what it called before may have been executed' : 'nothing was executed'
    const text = `a method of ${frame.link.title}, run on its caller's node, broke its claim to be stateless: ${what}; ${done}`
    run.breach ??= new CallError('NotStateless', text)
    return run.breach
  }

  #refuse(what: string): never {
    const frame = currentFrame()
    if (frame === undefined) throw new Error(`a simulation object on its caller's node may not do this: ${what}`)
    throw this.#breach(frame, what)
  }

  #space(): KeyValueStore {
    const refuse = () => this.#refuse('it used its state')
    return { get: refuse, put: refuse, delete: refuse, entries: refuse }
  }

  #ports(): LinkPorts {
    const { peer, log } = this.#components
    return {
      peer,
      group: null,
      members: () => [],
      log,
      callDelegate: (link, method, args) => {
        const answer = this.#callDelegate(link, method, args)
        // The failure of a call that the code does not wait for is reported by the end of its run.
        answer.catch(() => undefined)
        return answer
      },
      callSelf: async () => this.#refuse('it called itself'),
      callOutward: async (_link, className) => this.#refuse(`it called ${className} of another node`)
    }
  }
}

type AnyLink = Pick<LinkInit, 'version' | 'className' | 'role' | 'interface' | 'construct'>

/** Interceptions are none of a guest's business: it has no state that could miss a call. */
const linkOf = (init: AnyLink, space: KeyValueStore, delegate: Link | null): Link =>
  new Link({ ...init, intercepts: [], directory: NO_DIRECTORY }, space, delegate)
