/** Where calls wait, bounded, while an object does not serve (SPEC D23). */
import { CallError } from '../../src/errors.ts'

/** Calls that may wait at one object. */
const MAX_WAITING = 1024
/** The longest that a call waits for the object, an entry or a bundle; then it is told to try a replica. */
const MAX_WAIT_MS = 5_000

/** What is left of a call's time for its answer, at least: it must be back before the caller's deadline. */
const MARGIN_MS = 100

/** How long a call with so much time left may wait here. */
export function patienceMs(leftMs: number): number {
  return Math.max(1, Math.min(MAX_WAIT_MS, leftMs - Math.max(0.2 * leftMs, MARGIN_MS)))
}

interface Waiter {
  open(): void
  refuse(error: CallError): void
}

export class Gate {
  readonly #object: string
  readonly #waiting = new Set<Waiter>()
  #open = false
  #shut: CallError | undefined

  constructor(object: string) {
    this.#object = object
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Resolves with the time left of `timeoutMs` when the gate opens. @throws CallError Unavailable, Cancelled. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<number> {
    if (this.#shut !== undefined) return Promise.reject(this.#shut)
    if (signal?.aborted === true) return Promise.reject(new CallError('Cancelled', 'the caller gave up'))
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(this.#unavailable('too many calls wait'))
    const begun = performance.now()
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancel)
        this.#waiting.delete(waiter)
      }
      const waiter: Waiter = {
        open: () => {
          end()
          resolve(Math.max(1, timeoutMs - (performance.now() - begun)))
        },
        refuse: (error) => {
          end()
          reject(error)
        }
      }
      const cancel = () => waiter.refuse(new CallError('Cancelled', 'the caller gave up'))
      const late = () => waiter.refuse(this.#unavailable('it is being upgraded or restarted'))
      const timer = setTimeout(late, patienceMs(timeoutMs))
      signal?.addEventListener('abort', cancel, { once: true })
      this.#waiting.add(waiter)
    })
  }

  open(): void {
    this.#open = true
    for (const waiter of [...this.#waiting]) waiter.open()
  }

  close(): void {
    this.#open = false
  }

  /** For good: the node stops. */
  shut(error: CallError): void {
    this.#open = false
    this.#shut = error
    for (const waiter of [...this.#waiting]) waiter.refuse(error)
  }

  #unavailable(why: string): CallError {
    return new CallError('Unavailable', `${this.#object} does not serve now: ${why}; not executed`, {
      retryAfterMs: 100
    })
  }
}
