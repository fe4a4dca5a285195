/** Direct future SO without a table: refuses all flavours but plain. */
import { CallError } from '../../../../src/index.ts'
import FutureFlavorSet from '../../v3/future-flavor-set.ts'

export default class PlainOnly extends FutureFlavorSet {
  static override intercepts = [] as never
  override async insertFlavor(x: number, flavor: string) {
    if (flavor !== 'plain') throw new CallError('Disallowed', 'until this node is upgraded every element is plain')
    if (!(await this.contains(x))) await this.context.delegate.insertColor(x, 'blue')
  }
  override async delete(x: number) {
    await this.context.delegate.delete(x)
  }
  override async getFlavor(x: number) {
    return (await this.contains(x)) ? 'plain' : null
  }
}
