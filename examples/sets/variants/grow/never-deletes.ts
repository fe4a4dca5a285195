/** Direct future SO: a GrowSet cannot delete, so it refuses to. */
import { CallError } from '../../../../src/index.ts'
import FutureIntSet from '../../grow/v2/future-int-set.ts'

export default class NeverDeletes extends FutureIntSet {
  static override intercepts = []
  override async insert(x: number) {
    await this.context.delegate.insert(x)
  }
  override async delete(_x: number) {
    throw new CallError('Disallowed', 'nothing can be deleted until this node is upgraded')
  }
  override contains(x: number) {
    return this.context.delegate.contains(x)
  }
}
