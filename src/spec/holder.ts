/** Holds a call back at one of its points, while another one runs or the process is killed (SPEC Q8). */

/** Turns after which a call that has not ended is taken to wait for the one that is held. */
const PATIENCE_TURNS = 100

export class Holder {
  /** Points until the one at which it is held; undefined: none is to be held. */
  #left: number | undefined
  #arrived: (isHeld: boolean) => void = () => undefined
  #release: () => void = () => undefined

  /** @returns `held`: whether the call came to that point, or ended before; `answer` of the call */
  hold<T>(heldAt: number, begin: () => Promise<T>): { held: Promise<boolean>; answer: Promise<T> } {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#left = heldAt
    this.#arrived = resolve
    const answer = begin()
    const end = () => {
      this.#left = undefined
      return false
    }
    return { held: Promise.race([promise, answer.then(end, end)]), answer }
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

  /** Lets the held call go on when another has ended, or cannot end before. */
  async beside<T>(call: Promise<T>): Promise<T> {
    let ended = false
    const noted = call.finally(() => {
      ended = true
    })
    for (let turn = 0; turn < PATIENCE_TURNS && !ended; turn++) await undefined
    this.#left = undefined
    this.#release()
    return await noted
  }

  /** The process of the held call is gone: its code never goes on, not even with an error. */
  kill(): void {
    this.#left = undefined
    this.#release = () => undefined
  }
}
