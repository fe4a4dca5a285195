/** IntSet of the model: insert, delete, contains; every element is a key of the store. */
import type { ObjectContext } from '../../../src/index.ts'

export const key = (x: number) => `element/${String(x).padStart(12, '0')}`

export default class IntSet {
  static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' } as const
  readonly context: ObjectContext
  constructor(context: ObjectContext) {
    this.context = context
  }
  insert(x: number) {
    this.context.state.put(key(x), x)
  }
  delete(x: number) {
    this.context.state.delete(key(x))
  }
  contains(x: number) {
    return this.context.state.get(key(x)) !== undefined
  }
}
