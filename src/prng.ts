/**
 * The project's one source of pseudo-randomness (SPEC M2): sfc32, 128 bits of state, seeded with a number. The core is
 * handed a seed and draws everything from it, so that a whole simulated fleet follows from one number.
 * sfc32 passes PractRand and BigCrush; it is not for keys or nonces.
 */
export class Generator {
  #a: number
  #b: number
  #c: number
  #counter: number

  /** @param seed any safe integer; both halves count. @param stream separates generators that share a seed. */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0
    this.#b = Math.floor(seed / 0x1_0000_0000) | 0
    this.#c = stream | 0
    this.#counter = 1
    // The first outputs of close seeds resemble each other; fifteen rounds are what the designer of sfc32 asks for.
    for (let round = 0; round < 15; round++) this.bits()
  }

  /** Uniform in 0 … 2³² − 1. */
  bits(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** Uniform in [0, 1), with 32 bits: enough for delays and probabilities, and half the cost of 53. */
  fraction(): number {
    return this.bits() / 0x1_0000_0000
  }

  /** Uniform in 0 … bound − 1 without modulo bias. `bound` is 1 … 2³². */
  below(bound: number): number {
    if (!(bound >= 1 && bound <= 0x1_0000_0000)) throw new RangeError(`a bound is 1 to 2^32, not ${bound}`)
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound)
    let drawn = this.bits()
    while (drawn >= limit) drawn = this.bits()
    return drawn % bound
  }

  /** Uniform integer in least … most, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True with the given probability; draws nothing for 0 and 1, so that a fault switched off costs nothing. */
  chance(probability: number): boolean {
    if (probability <= 0) return false
    return probability >= 1 || this.fraction() < probability
  }

  /** One element of a non-empty list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  /** Fisher–Yates, in place: every order equally likely. Returns its argument. */
  shuffle<T>(list: T[]): T[] {
    for (let last = list.length - 1; last > 0; last--) {
      const chosen = this.below(last + 1)
      const kept = list[last]!
      list[last] = list[chosen]!
      list[chosen] = kept
    }
    return list
  }

  /** `count` different elements in random order (all of them if there are fewer); the list is left as it is. */
  sample<T>(list: readonly T[], count: number): T[] {
    const copy = list.slice()
    const taken = Math.min(count, copy.length)
    for (let index = 0; index < taken; index++) {
      const chosen = index + this.below(copy.length - index)
      const kept = copy[index]!
      copy[index] = copy[chosen]!
      copy[chosen] = kept
    }
    copy.length = taken
    return copy
  }

  /** A generator of its own stream, derived from this one's state. */
  fork(): Generator {
    return new Generator(this.bits() + (this.bits() >>> 11) * 0x1_0000_0000, this.bits())
  }
}
