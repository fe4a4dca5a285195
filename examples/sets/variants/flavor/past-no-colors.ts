/** Direct past SO without colours: refuses to tell them. */
import { CallError } from '../../../../src/index.ts'
import PastColorSet from '../../v3/past-color-set.ts'

export default class PastNoColors extends PastColorSet {
  static override intercepts = [] as never
  override async insertColor(x: number, _color: string) {
    if (!(await this.contains(x))) await this.context.delegate.insertFlavor(x, 'plain')
  }
  override async delete(x: number) {
    await this.context.delegate.delete(x)
  }
  override async getColor(_x: number): Promise<never> {
    throw new CallError('Disallowed', 'this set has no colours any more')
  }
}
