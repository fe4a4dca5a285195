/** Its table lives in memory only. */
import type { StateWrite, Value } from '../../../../src/index.ts'
import FutureColorSet from '../../v2/future-color-set.ts'

export default class VolatileTable extends FutureColorSet {
  readonly #colors = new Map<number, string>()
  override async insertColor(x: number, color: string) {
    this.#colors.set(x, color)
    await this.context.delegate.insert(x)
  }
  override async delete(x: number) {
    this.#colors.delete(x)
    await this.context.delegate.delete(x)
  }
  override async getColor(x: number) {
    return (await this.contains(x)) ? (this.#colors.get(x) ?? 'blue') : null
  }
  override async intercept(method: string, [x]: Value[]): Promise<StateWrite[]> {
    if (method === 'delete' || !(await this.contains(x as number))) this.#colors.delete(x as number)
    return []
  }
}
