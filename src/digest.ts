/**
 * A digest of a set that is kept up by adding and removing members' hashes: equal sets, equal digests, whatever the
 * order. Sums are taken modulo 2⁵², so that every intermediate value is exact in a double.
 */
const MODULUS = 2 ** 52

export class SetDigest {
  #sum = 0

  add(hash: number): void {
    this.#sum = (this.#sum + (hash % MODULUS)) % MODULUS
  }

  remove(hash: number): void {
    this.#sum = (this.#sum - (hash % MODULUS) + MODULUS) % MODULUS
  }

  get text(): string {
    return this.#sum.toString(16)
  }
}
