/** Holds a call back at one of its points, while another one runs or the process is killed (SPEC Q8). */

/** Turns after which a call that has not ended is taken to wait for the one that is held. */
const PATIENCE_TURNS = 100

async function someTurns(): Promise<void> {
  for (let turn = 0; turn < PATIENCE_TURNS; turn++) await undefined
}

export class Holder {
  /** Points until the one at which it is held; undefined: none is to be held. */
  #left: number | undefined
  #arrived: (isHeld: boolean) => void = () => undefined
  #release: () => void = () => undefined
  #isKilled = false

  /**
   * @param end what comes at that point
   * @returns `held`: whether the call came to that point, or ended before; `answer` of the call
   */
  hold<T>(
    heldAt: number,
    end: 'waits' | 'killed',
    begin: () => Promise<T>
  ): { held: Promise<boolean>; answer: Promise<T> } {
    this.#isKilled = end === 'killed'
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#left = heldAt
    this.#arrived = resolve
    const answer = begin()
    const ended = () => {
      this.#left = undefined
      return false
    }
    return { held: Promise.race([promise, answer.then(ended, ended)]), answer }
  }

  point(): Promise<void> | undefined {
    if (this.#left === undefined) return undefined
    if (this.#left > 0) {
      this.#left -= 1
      return undefined
    }
    this.#left = undefined
    return new Promise((resolve) => {
      this.#release = resolve
      this.#arrived(true)
    })
  }

  /** The point of code that cannot wait: it can be killed there, and is in nobody's way otherwise. */
  isKilled(): boolean {
    if (this.#left === undefined || !this.#isKilled) return false
    this.#left -= 1
    if (this.#left >= 0) return false
    this.#left = undefined
    this.#arrived(true)
    return true
  }

  /** Lets the held call go on when another has ended, or cannot end before. */
  async beside<T>(call: Promise<T>, patience = someTurns): Promise<T> {
    const ended = call.then(
      () => undefined,
      () => undefined
    )
    await Promise.race([ended, patience()])
    this.#left = undefined
    this.#release()
    return await call
  }

  /** The process of the held call is gone: its code never goes on, not even with an error. */
  kill(): void {
    this.#left = undefined
    this.#release = () => undefined
  }
}
