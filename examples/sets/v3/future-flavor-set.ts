/** FlavorSet on a ColorSet: keeps a table of flavours, and forgets that of an element that is deleted below it. */
import type { HostedSimulation, SimulationContext, StateWrite, Value } from '../../../src/index.ts'

export interface Colors {
  insertColor(x: number, color: string): Promise<void>
  delete(x: number): Promise<void>
  contains(x: number): Promise<boolean>
}

export default class FutureFlavorSet implements HostedSimulation {
  static methods = { insertFlavor: 'mutator', delete: 'mutator', contains: 'observer', getFlavor: 'observer' } as const
  static intercepts = ['delete'] as const
  readonly context: SimulationContext<Colors>
  constructor(context: SimulationContext<Colors>) {
    this.context = context
  }
  async insertFlavor(x: number, flavor: string) {
    this.context.state.put(`flavor/${x}`, flavor)
    if (!(await this.contains(x))) await this.context.delegate.insertColor(x, 'blue')
  }
  async delete(x: number) {
    this.context.state.delete(`flavor/${x}`)
    await this.context.delegate.delete(x)
  }
  contains(x: number) {
    return this.context.delegate.contains(x)
  }
  async getFlavor(x: number) {
    if (!(await this.contains(x))) return null
    return this.context.state.get(`flavor/${x}`) ?? 'plain'
  }
  intercept(_method: string, [x]: Value[]): StateWrite[] {
    return [{ delete: `flavor/${x}` }]
  }
}
