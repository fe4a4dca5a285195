/**
 * What clients may read of the sets with an attribute of each version (test/fixtures/tower): what was acknowledged, and what
 * calls of unknown outcome may have done. One call at a time uses a key.
 */
interface Element {
  /** Whether it may be in the set, and whether it may be absent. */
  mayBe: boolean
  mayNotBe: boolean
  /** By version: the values that its attribute may have; its default where none is named. */
  attributes: Map<number, string[]>
  isUsed: boolean
}

export const standard = (version: number): string => `d${version}`

export class Elements {
  readonly #elements = new Map<string, Element>()
  readonly wrong = new Map<string, string>()
  acknowledged = 0
  inDoubt = 0

  get keys(): string[] {
    return [...this.#elements.keys()]
  }

  /**
   * Calls, as the only one that uses the key, and keeps in mind what came of it. A key is not used again after a call
   * whose outcome nobody knows: it may still happen.
   * @param call resolves to whether it is known to have been executed
   * @returns whether the key was free
   */
  async put(key: string, version: number, value: string, call: () => Promise<boolean>): Promise<boolean> {
    return await this.#alone(key, async (element) => {
      element.attributes.set(version, [...(element.attributes.get(version) ?? [standard(version)]), value])
      element.mayBe = true
      if (!(await call())) return false
      element.attributes.set(version, [value])
      element.mayNotBe = false
      return true
    })
  }

  async delete(key: string, call: () => Promise<boolean>): Promise<boolean> {
    return await this.#alone(key, async (element) => {
      element.mayNotBe = true
      if (!(await call())) return false
      element.mayBe = false
      element.attributes.clear()
      return true
    })
  }

  /** @param call resolves to what `get` answered, undefined where it failed */
  async get(key: string, version: number, call: () => Promise<string | null | undefined>): Promise<boolean> {
    const element = this.#of(key)
    if (element.isUsed) return false
    element.isUsed = true
    const found = await call()
    element.isUsed = false
    if (found !== undefined) this.#check(key, version, found)
    return true
  }

  /** For the last look: also keys in doubt. */
  expect(key: string, version: number, found: string | null): void {
    this.#check(key, version, found)
  }

  #check(key: string, version: number, found: string | null): void {
    const { mayBe, mayNotBe, attributes } = this.#of(key)
    const possible: (string | null)[] = mayNotBe ? [null] : []
    if (mayBe) possible.push(...(attributes.get(version) ?? [standard(version)]))
    if (possible.includes(found)) return
    this.wrong.set(key, `version ${version} read ${found} for ${key}, written was ${possible.join(' or ')}`)
  }

  async #alone(key: string, write: (element: Element) => Promise<boolean>): Promise<boolean> {
    const element = this.#of(key)
    if (element.isUsed) return false
    element.isUsed = true
    if (await write(element)) {
      element.isUsed = false
      this.acknowledged += 1
    } else this.inDoubt += 1
    return true
  }

  #of(key: string): Element {
    const element = this.#elements.get(key) ?? { mayBe: false, mayNotBe: true, attributes: new Map(), isUsed: false }
    this.#elements.set(key, element)
    return element
  }
}
