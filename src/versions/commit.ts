/**
 * Group commit (SPEC V8): mutators that run in one turn share one transaction, and nobody hears of it before it is
 * durable. A group opens with its first mutator and is committed in the turn after, or as soon as the mutator that
 * runs then has ended: so no reply waits longer than one turn and one running mutator, and no clock is needed.
 */
import { CallError } from '../errors.ts'
import type { Section } from './section.ts'
import type { ChainStore } from './store.ts'

export interface CommitComponents {
  section: Section
  store: ChainStore
  /** Runs the callback in a later turn, after what is ready to run now. */
  defer(callback: () => void): void
  /** Makes durable what links keep outside of the store; undefined when there is nothing of the kind. */
  flush(): Promise<void> | undefined
  /** The store failed: what is in memory may be ahead of the disk, so the object must not go on. */
  fatal(error: Error): void
}

interface Group {
  settled: Promise<void>
  /** The flush and commit, once they have begun. */
  finishing: Promise<void> | null
  resolve: () => void
  reject: (error: Error) => void
}

export class GroupCommit {
  #components: CommitComponents
  #open: Group | null = null

  constructor(components: CommitComponents) {
    this.#components = components
  }

  /** Settles when everything that was changed so far is durable; undefined when it is. Rejects with OutcomeUnknown. */
  get pending(): Promise<void> | undefined {
    return this.#open?.settled
  }

  /** Called by a mutator that has just taken the section. */
  join(): void {
    if (this.#open !== null) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // A failed commit is reported by `fatal`; that nobody happens to wait for this group is no second failure.
    promise.catch(() => undefined)
    this.#components.store.begin()
    this.#open = { settled: promise, finishing: null, resolve, reject }
    this.#components.defer(() => void this.#commit())
  }

  async #commit(): Promise<void> {
    const { section } = this.#components
    const sealed = section.seal()
    if (sealed !== undefined) await sealed
    await this.finish()
    section.unseal()
  }

  /**
   * Commits what has ended, and settles with the group: nobody hears of a call whose link has not flushed. Called with
   * the section sealed, or closed after whoever ran was cut (its savepoints are rolled back).
   */
  async finish(): Promise<void> {
    const group = this.#open
    if (group === null) return
    group.finishing ??= this.#finish(group)
    await group.finishing
  }

  async #finish(group: Group): Promise<void> {
    const { store, flush } = this.#components
    try {
      const flushed = flush()
      if (flushed !== undefined) await flushed
      if (this.#open !== group) return // abandoned meanwhile
      store.commit()
    } catch (cause) {
      this.fail(cause)
      return
    }
    this.#open = null
    group.resolve()
  }

  /** The open group must not be committed: what it did is unknown to its callers, and the object stops. */
  fail(cause: unknown): void {
    const text = cause instanceof Error ? cause.message : String(cause)
    const error = new CallError('OutcomeUnknown', `the state could not be committed: ${text}; the object stops`, {
      cause
    })
    if (this.#open !== null) this.#open.finishing ??= Promise.resolve()
    this.#open?.reject(error)
    this.#components.fatal(error)
  }

  /** The process is to end as if it had crashed: what is not durable is lost. */
  abandon(error: Error): void {
    this.#open?.reject(error)
    this.#open = null
  }
}
