/** Waiting, bounded, for something that the core may bring about: looked at after each of its steps. */
interface Waiter {
  look(): boolean
  end(): void
}

export class Moments {
  readonly #waiting = new Set<Waiter>()

  /** Resolves with the first defined value of `look`, or with undefined after `boundMs`. */
  until<T>(look: () => T | undefined, boundMs: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => waiter.end(), boundMs)
      const waiter: Waiter = {
        look: () => {
          const found = look()
          if (found === undefined) return false
          clearTimeout(timer)
          resolve(found)
          return true
        },
        end: () => {
          clearTimeout(timer)
          this.#waiting.delete(waiter)
          resolve(undefined)
        }
      }
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
