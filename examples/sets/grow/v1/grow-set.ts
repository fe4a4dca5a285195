/** GrowSet of the model: a set that never shrinks. */
import type { ObjectContext } from '../../../../src/index.ts'
import { key } from '../../v1/int-set.ts'

export default class GrowSet {
  static methods = { insert: 'mutator', contains: 'observer' } as const
  readonly context: ObjectContext
  constructor(context: ObjectContext) {
    this.context = context
  }
  insert(x: number) {
    this.context.state.put(key(x), x)
  }
  contains(x: number) {
    return this.context.state.get(key(x)) !== undefined
  }
}
