/** FlavorSet of the model: elements with flavours. */
import type { ObjectContext } from '../../../src/index.ts'
import { key } from '../v1/int-set.ts'

export default class FlavorSet {
  static methods = {
    insertFlavor: 'mutator',
    delete: 'mutator',
    contains: 'observer',
    getFlavor: 'observer'
  } as const
  readonly context: ObjectContext
  constructor(context: ObjectContext) {
    this.context = context
  }
  insertFlavor(x: number, flavor: string) {
    this.context.state.put(key(x), [x, flavor])
  }
  delete(x: number) {
    this.context.state.delete(key(x))
  }
  contains(x: number) {
    return this.context.state.get(key(x)) !== undefined
  }
  getFlavor(x: number) {
    const element = this.context.state.get(key(x)) as [number, string] | undefined
    return element?.[1] ?? null
  }
}
