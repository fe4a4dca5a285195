/** IntSet on a ColorSet, direct: needs no state of its own. */
import type { SimulationContext } from '../../../src/index.ts'

interface Delegate {
  insertColor(x: number, color: string): Promise<void>
  delete(x: number): Promise<void>
  contains(x: number): Promise<boolean>
}

export default class PastIntSet {
  static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' } as const
  readonly context: SimulationContext<Delegate>
  constructor(context: SimulationContext<Delegate>) {
    this.context = context
  }
  async insert(x: number) {
    if (!(await this.contains(x))) await this.context.delegate.insertColor(x, 'blue')
  }
  delete(x: number) {
    return this.context.delegate.delete(x)
  }
  contains(x: number) {
    return this.context.delegate.contains(x)
  }
}
