/** ColorSet of the model: elements with colours. */
import type { ObjectContext } from '../../../src/index.ts'
import { key } from '../v1/int-set.ts'

export default class ColorSet {
  static methods = {
    insertColor: 'mutator',
    delete: 'mutator',
    contains: 'observer',
    getColor: 'observer'
  } as const
  readonly context: ObjectContext
  constructor(context: ObjectContext) {
    this.context = context
  }
  insertColor(x: number, color: string) {
    this.context.state.put(key(x), [x, color])
  }
  delete(x: number) {
    this.context.state.delete(key(x))
  }
  contains(x: number) {
    return this.context.state.get(key(x)) !== undefined
  }
  getColor(x: number) {
    const element = this.context.state.get(key(x)) as [number, string] | undefined
    return element?.[1] ?? null
  }
}
