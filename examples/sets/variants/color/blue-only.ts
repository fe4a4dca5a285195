/** Direct, without a table: serves what an IntSet can say, and refuses all colours but blue. */
import { CallError } from '../../../../src/index.ts'
import FutureColorSet from '../../v2/future-color-set.ts'

export default class BlueOnly extends FutureColorSet {
  static override intercepts = [] as never
  override async insertColor(x: number, color: string) {
    if (color !== 'blue') throw new CallError('Disallowed', 'until this node is upgraded every element is blue')
    await this.context.delegate.insert(x)
  }
  override async delete(x: number) {
    await this.context.delegate.delete(x)
  }
  override async getColor(x: number): Promise<string | null> {
    return (await this.contains(x)) ? 'blue' : null
  }
}
