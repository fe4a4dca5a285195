/**
 * Takes what an operator injects (SPEC D25): an entry is accepted only when its bundle is whole, verified and durable
 * here; until then the operator is told which pieces are missing.
 */
import { Refusal } from '../../src/errors.ts'
import type { Roots } from '../../src/overlay/roots.ts'
import type { BundleTable } from '../../src/upgrade/manifest.ts'
import type { Bundles } from '../bundles/bundles.ts'
import type { EntryAnswer } from '../network/control.ts'
import type { Driver } from './driver.ts'

/** Upgrades whose pieces may be on their way at once. */
const MAX_PENDING = 4

export class Injection {
  readonly #roots: Roots
  readonly #bundles: Bundles
  readonly #driver: Driver
  /** Tables of entries that the core would accept, whose pieces may come. */
  readonly #pending = new Map<string, BundleTable>()

  constructor(roots: Roots, bundles: Bundles, driver: Driver) {
    this.#roots = roots
    this.#bundles = bundles
    this.#driver = driver
  }

  /** @throws Refusal */
  async entry(bytes: Uint8Array): Promise<EntryAnswer> {
    const table = this.#roots.trust.openEntry(bytes).manifest.bundle
    const need = missing(table, this.#bundles.has(table.sha256))
    if (need.length > 0) {
      await this.#wouldAccept(bytes)
      if (!this.#pending.has(table.sha256) && this.#pending.size >= MAX_PENDING)
        this.#pending.delete(this.#pending.keys().next().value!)
      this.#pending.set(table.sha256, table)
      return { need }
    }
    await this.#bundles.unpack(table)
    const accepted = await this.#driver.inject('entry', bytes, true)
    this.#pending.delete(table.sha256)
    return { accepted }
  }

  /** Resolves when the piece is durable. @throws Refusal */
  async piece(bundle: string, index: number, bytes: Uint8Array): Promise<void> {
    const table = this.#pending.get(bundle)
    if (table === undefined)
      throw new Refusal(
        'WrongBundle',
        `no entry that names bundle ${bundle.slice(0, 12)} was injected before its pieces; inject the entry first`
      )
    if (index >= table.pieces.length)
      throw new Refusal(
        'WrongBundle',
        `bundle ${bundle.slice(0, 12)} has ${table.pieces.length} pieces, not a piece ${index}`
      )
    const stored = await this.#bundles.store(table, index, bytes)
    if (!stored)
      throw new Refusal(
        'WrongBundle',
        `piece ${index} of bundle ${bundle.slice(0, 12)} does not have the hash that the entry names; the upgrade file is damaged, copy or pack it again`
      )
  }

  /** @throws Refusal */
  async statement(bytes: Uint8Array): Promise<string> {
    return await this.#driver.inject('statement', bytes, true)
  }

  /** Everything but the bundle is judged before a byte of it is stored. */
  async #wouldAccept(bytes: Uint8Array): Promise<void> {
    try {
      await this.#driver.inject('entry', bytes, false)
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'WrongBundle') throw error
    }
  }
}

function missing(table: BundleTable, held: Uint8Array): number[] {
  const need: number[] = []
  for (let index = 0; index < table.pieces.length; index++) {
    if ((((held[index >> 3] ?? 0) >> (index & 7)) & 1) === 0) need.push(index)
  }
  return need
}
