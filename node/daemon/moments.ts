/** Waiting, bounded, for something that the core may bring about: looked at after each of its steps. */
interface Waiter {
  look(): boolean
  end(): void
}

export class Moments {
  readonly #waiting = new Set<Waiter>()

  /** Resolves with the first defined value of `look`, or with undefined after `boundMs` or when the signal says so. */
  until<T>(look: () => T | undefined, boundMs: number, signal?: AbortSignal): Promise<T | undefined> {
    if (signal?.aborted) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.end(), boundMs)
      const abort = () => waiter.end()
      const rest = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
      const waiter: Waiter = {
        look: () => {
          const found = look()
          if (found === undefined) return false
          rest()
          resolve(found)
          return true
        },
        end: () => {
          rest()
          this.#waiting.delete(waiter)
          resolve(undefined)
        }
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.add(waiter)
    })
  }

  /** After each step of the core. */
  settled(): void {
    for (const waiter of this.#waiting) if (waiter.look()) this.#waiting.delete(waiter)
  }

  close(): void {
    for (const waiter of [...this.#waiting]) waiter.end()
  }
}
