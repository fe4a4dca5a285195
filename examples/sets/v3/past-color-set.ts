/** ColorSet on a FlavorSet: the TF left it the table of colours; it forgets that of an element that is deleted below it. */
import type { HostedSimulation, SimulationContext, StateWrite, Value } from '../../../src/index.ts'

export interface Flavors {
  insertFlavor(x: number, flavor: string): Promise<void>
  delete(x: number): Promise<void>
  contains(x: number): Promise<boolean>
}

export default class PastColorSet implements HostedSimulation {
  static methods = { insertColor: 'mutator', delete: 'mutator', contains: 'observer', getColor: 'observer' } as const
  static intercepts = ['delete'] as const
  readonly context: SimulationContext<Flavors>
  constructor(context: SimulationContext<Flavors>) {
    this.context = context
  }
  async insertColor(x: number, color: string) {
    this.context.state.put(`color/${x}`, color)
    if (!(await this.contains(x))) await this.context.delegate.insertFlavor(x, 'plain')
  }
  async delete(x: number) {
    this.context.state.delete(`color/${x}`)
    await this.context.delegate.delete(x)
  }
  contains(x: number) {
    return this.context.delegate.contains(x)
  }
  async getColor(x: number) {
    if (!(await this.contains(x))) return null
    return this.context.state.get(`color/${x}`) ?? 'blue'
  }
  intercept(_method: string, [x]: Value[]): StateWrite[] {
    return [{ delete: `color/${x}` }]
  }
}
