/**
 * The section of an object: who may run beside whom (SPEC V3). Mutators run one at a time over the whole chain;
 * observers run side by side with each other, never beside a mutator. First come, first served, so nobody starves:
 * an observer that comes after a waiting mutator waits behind it.
 */

export type Hold = 'shared' | 'exclusive'

interface Waiter {
  hold: Hold
  admit: () => void
  refuse: (error: Error) => void
}

export class Section {
  #waiting: Waiter[] = []
  #sealing: (() => void) | null = null
  #shared = 0
  /** A mutator runs, or a commit has sealed the section. */
  #exclusive = false
  #closed: Error | null = null

  /** Resolves when held; undefined when it was free at once, so that an idle object costs no turn. */
  take(hold: Hold): Promise<void> | undefined {
    if (this.#closed !== null) throw this.#closed
    if (this.#waiting.length === 0 && this.#admissible(hold)) {
      this.#admit(hold)
      return undefined
    }
    return new Promise<void>((admit, refuse) => {
      this.#waiting.push({ hold, admit, refuse })
    })
  }

  release(hold: Hold): void {
    if (hold === 'shared') this.#shared -= 1
    else this.#exclusive = false
    this.#advance()
  }

  /**
   * Keeps mutators out for a commit, before every waiter, but beside observers that already run: a slow observer must
   * not delay the replies of mutators that have ended. At most one at a time.
   */
  seal(): Promise<void> | undefined {
    if (!this.#exclusive) {
      this.#exclusive = true
      return undefined
    }
    return new Promise<void>((sealed) => {
      this.#sealing = sealed
    })
  }

  unseal(): void {
    this.release('exclusive')
  }

  /** Whoever waits, or comes later, is refused with `error`: it has not been executed. */
  close(error: Error): void {
    this.#closed = error
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error)
  }

  #admissible(hold: Hold): boolean {
    return !this.#exclusive && (hold === 'shared' || this.#shared === 0)
  }

  #admit(hold: Hold): void {
    if (hold === 'shared') this.#shared += 1
    else this.#exclusive = true
  }

  #advance(): void {
    if (this.#sealing !== null && !this.#exclusive) {
      const sealed = this.#sealing
      this.#sealing = null
      this.#exclusive = true
      sealed()
    }
    for (let first = this.#waiting[0]; first !== undefined && this.#admissible(first.hold); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#admit(first.hold)
      first.admit()
    }
  }
}
