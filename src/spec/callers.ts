/**
 * A node whose callers host the SOs themselves where these claim to be stateless (SPEC Q14, G): the same histories must
 * come out as when the node hosts them, and the claim must hold in every run.
 */

import type { Interface } from '../upgrade/manifest.ts'
import { Guest, type GuestLink } from '../versions/guest.ts'
import type { Value } from '../versions/types.ts'
import type { CheckedCode, Hooks, Stage, Subject } from './subject.ts'

const isStateless = (declared: Interface, method: string): boolean => declared.methods[method]?.stateless === true

/** Whether any method of the SOs may run on callers' nodes; of a subtype every one may (G2). */
export function claimsStateless({ future, past }: CheckedCode): boolean {
  if (past === 'subtype') return true
  return [future, past].some(
    (so) => so !== null && Object.values(so.interface.methods).some((method) => method.stateless === true)
  )
}

export class CallersStage implements Stage {
  readonly name = "on callers' nodes"
  readonly #code: CheckedCode
  readonly #inner: Stage

  constructor(code: CheckedCode, inner: Stage) {
    this.#code = code
    this.#inner = inner
  }

  async open(hooks?: Hooks): Promise<Subject> {
    return new CallersSubject(this.#code, await this.#inner.open(hooks))
  }
}

class CallersSubject implements Subject {
  readonly #code: CheckedCode
  readonly #inner: Subject
  #upgraded = false
  #runs = 0

  constructor(code: CheckedCode, inner: Subject) {
    this.#code = code
    this.#inner = inner
  }

  call(version: number, method: string, args: readonly Value[]): Promise<Value> {
    const { from, to, old, new: next, future, past } = this.#code
    if (!this.#upgraded && version === to && future !== null && isStateless(future.interface, method)) {
      const link = { version, className: next.className, role: 'future' as const, ...future }
      return this.#host(link, { version: from, ...old }, method, args)
    }
    const isHosted = past === 'subtype' || (past !== null && isStateless(past.interface, method))
    if (this.#upgraded && version === from && isHosted) {
      const so = past === 'subtype' ? { interface: old.interface, intercepts: [], construct: null } : past
      const link = { version, className: old.className, role: 'past' as const, ...so }
      return this.#host(link, { version: to, ...next }, method, args)
    }
    return this.#inner.call(version, method, args)
  }

  async #host(
    link: GuestLink,
    delegate: { version: number; className: string; interface: Interface },
    method: string,
    args: readonly Value[]
  ): Promise<Value> {
    const components = {
      peer: 'the-caller',
      delegate: (call: { method: string; args: Value[] }) => this.#inner.call(delegate.version, call.method, call.args),
      log: () => undefined
    }
    const run = ++this.#runs
    const leftMs = () => Number.POSITIVE_INFINITY
    const guest = new Guest(components, [link], delegate)
    return await guest.call({ run, method, args: [...args], callId: `guest-${run}`, held: false, leftMs })
  }

  simulate(): Promise<void> {
    return this.#inner.simulate()
  }
  async upgrade(interruptedAfter?: number): Promise<void> {
    await this.#inner.upgrade(interruptedAfter)
    this.#upgraded = true
  }
  restart(): Promise<void> {
    return this.#inner.restart()
  }
  close(): Promise<void> {
    return this.#inner.close()
  }
}
