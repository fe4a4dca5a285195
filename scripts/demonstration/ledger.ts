/**
 * What the clients know of each key (SPEC X2): the value last acknowledged, and those of writes since then whose outcome is not
 * known. One operation at a time uses a key, so what a read may answer is exactly this, at whatever version it reads.
 */
export type Held = string | null

export class Ledger {
  /** Acknowledged first, then those in doubt. */
  readonly #possible = new Map<string, Held[]>()
  readonly #used = new Set<string>()
  readonly #wrong = new Map<string, string>()

  get size(): number {
    return this.#possible.size
  }

  get keys(): string[] {
    return [...this.#possible.keys()]
  }

  /** Keys whose acknowledged write was not found by a read, with what was found. */
  get wrong(): ReadonlyMap<string, string> {
    return this.#wrong
  }

  /** Runs `use` as the only one that uses the key; undefined where another one does. */
  async alone<Result>(key: string, use: () => Promise<Result>): Promise<Result | undefined> {
    if (this.#used.has(key)) return undefined
    this.#used.add(key)
    try {
      return await use()
    } finally {
      this.#used.delete(key)
    }
  }

  /** Before a write is sent: from now on it may have happened. */
  intend(key: string, value: Held): void {
    this.#possible.set(key, [...(this.#possible.get(key) ?? [null]), value])
  }

  acknowledge(key: string, value: Held): void {
    this.#possible.set(key, [value])
  }

  /** Whether a read may have found this. @param where who read, for the report */
  check(key: string, found: Held, where: string): boolean {
    const possible = this.#possible.get(key) ?? [null]
    if (possible.includes(found)) return true
    const wanted = possible.map((one) => JSON.stringify(one)).join(' or ')
    this.#wrong.set(key, `${where} read ${JSON.stringify(found)} for ${key}, written was ${wanted}`)
    return false
  }
}
