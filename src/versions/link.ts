/**
 * A link of a chain: the code of one version with its own state and its context (SPEC V1, V5, V8). The context is the
 * only way from the code to the chain.
 */
import { CallError } from '../errors.ts'
import type { Interface, MethodDeclaration } from '../upgrade/manifest.ts'
import { currentFrame } from './frame.ts'
import type { LinkRole } from './store.ts'
import type {
  CallTarget,
  Effect,
  GroupMember,
  HostedObject,
  HostedSimulation,
  KeyValueStore,
  SimulationContext,
  Value
} from './types.ts'

export interface LinkInit {
  version: number
  className: string
  role: LinkRole
  interface: Interface
  intercepts: readonly string[]
  /** Directory of the link's own files. */
  directory: string
  /** Makes the instance; null for `past: 'subtype'`: calls pass to the next link as they are. */
  construct: ((context: SimulationContext) => HostedObject) | null
}

/** What a link's code can do through its context. */
export interface LinkPorts {
  readonly peer: string
  readonly group: string | null
  callSelf(link: Link, method: string, args: Value[]): Promise<Value>
  callDelegate(link: Link, method: string, args: Value[]): Promise<Value>
  callOutward(link: Link, className: string, method: string, args: Value[], target: CallTarget): Promise<Value>
  members(): GroupMember[]
  log(message: string, fields: Record<string, Value>): void
}

type Methods = Record<string, (...args: Value[]) => Promise<Value>>

export class Link {
  readonly version: number
  readonly className: string
  readonly role: LinkRole
  readonly interface: Interface
  readonly intercepts: ReadonlySet<string>
  readonly space: KeyValueStore
  /** Next link toward the current object; null for the current object. */
  readonly delegate: Link | null
  /** Started links whose delegate this is: at most one past and one future. */
  dependents: Link[] = []
  readonly #init: LinkInit
  instance: HostedSimulation | null = null
  /** Why the link is not served, or null (SPEC V10). */
  fault: string | null = null

  constructor(init: LinkInit, space: KeyValueStore, delegate: Link | null) {
    this.#init = init
    this.version = init.version
    this.className = init.className
    this.role = init.role
    this.interface = init.interface
    this.intercepts = new Set(init.intercepts)
    this.space = space
    this.delegate = delegate
  }

  get title(): string {
    return `${this.className}@${this.version}`
  }

  /** The declaration of a method, or NoSuchMethod. */
  declared(method: string): MethodDeclaration {
    if (Object.hasOwn(this.interface.methods, method)) return this.interface.methods[method]!
    const known = Object.keys(this.interface.methods).join(', ')
    throw new CallError('NoSuchMethod', `${this.title} has no method ${method}; it has: ${known}`)
  }

  construct(ports: LinkPorts): void {
    const context = contextOf(this, this.#init.directory, ports)
    const instance = this.#init.construct === null ? passThrough(this, context) : this.#init.construct(context)
    const methods = instance as unknown as Record<string, unknown>
    for (const method of [...Object.keys(this.interface.methods), ...(this.intercepts.size > 0 ? ['intercept'] : [])]) {
      if (typeof methods[method] !== 'function') {
        throw new Error(`${this.title} declares ${method} but its code has no such method; implement it`)
      }
    }
    this.instance = instance
  }

  /** V14: whether what passes below this link can be told to links above it. */
  get emits(): boolean {
    if (this.role === 'current') return true
    if (this.#init.construct !== null) return typeof this.instance?.effects === 'function'
    // A subtype link can pass on what its own type has, too; what other mutators mean nobody has said.
    const { methods } = this.delegate!.interface
    return Object.keys(methods).every(
      (name) => methods[name]!.kind === 'observer' || Object.hasOwn(this.interface.methods, name)
    )
  }

  invoke(method: string, args: Value[]): Promise<Value> | Value {
    return (this.instance as unknown as Methods)[method]!(...args)
  }
}

/** Instance of a `subtype` link: every method is the next link's method of the same name. */
function passThrough(link: Link, context: SimulationContext<Methods>): HostedSimulation {
  const methods: Methods = {}
  for (const method of Object.keys(link.interface.methods)) {
    methods[method] = (...args) => context.delegate[method]!(...args)
  }
  // A mutator that this type does not have shows in no way that it could tell.
  const effects = (method: string, args: Value[]): Effect[] =>
    link.interface.methods[method]?.kind === 'mutator' ? [[method, ...args]] : []
  return { ...methods, effects } as unknown as HostedSimulation
}

/** An object whose every property is a method; not a thenable, so that it may be awaited and returned. */
function methodsOf(call: (method: string, args: Value[]) => Promise<Value>): Methods {
  const known: Methods = Object.create(null)
  return new Proxy(known, {
    get(_, name) {
      if (typeof name === 'symbol' || name === 'then') return undefined
      known[name] ??= (...args: Value[]) => call(name, args)
      return known[name]
    },
    set: () => false
  })
}

function contextOf(link: Link, directory: string, ports: LinkPorts): SimulationContext<Methods> {
  const context = {
    peer: ports.peer,
    group: ports.group,
    version: link.version,
    directory,
    state: guarded(link),
    get callId() {
      return currentFrame()?.operation.callId
    },
    self: methodsOf((method, args) => ports.callSelf(link, method, args)),
    members: () => ports.members(),
    call: (className: string, method: string, args: Value[], target: CallTarget = {}) =>
      ports.callOutward(link, className, method, args, target),
    log: (message: string, fields: Record<string, Value> = {}) => ports.log(message, { link: link.title, ...fields })
  }
  if (link.delegate === null) return context as unknown as SimulationContext<Methods>
  return Object.assign(context, {
    delegate: methodsOf((method, args) => ports.callDelegate(link, method, args))
  }) as SimulationContext<Methods>
}

/**
 * The link's part of the store. It is written only inside a mutator (or `start`, `initial`, `stop`) of the link: any
 * other write would be in nobody's transaction, or in somebody else's.
 */
function guarded(link: Link): KeyValueStore {
  const check = (key: string) => {
    const frame = currentFrame()
    if (frame === undefined || frame.link !== link || frame.permission === 'look') {
      const why = frame === undefined ? 'no call runs' : 'what runs is no mutator that holds the object'
      throw new Error(`${link.title} may not write ${key} now: ${why}; write inside a mutator that is not concurrent`)
    }
  }
  return {
    get: (key) => link.space.get(key),
    put: (key, value) => {
      check(key)
      link.space.put(key, value)
    },
    delete: (key) => {
      check(key)
      link.space.delete(key)
    },
    entries: (options) => link.space.entries(options)
  }
}
