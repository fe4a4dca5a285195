/**
 * IntSet on a GrowSet, which cannot delete: remembers what is in the GrowSet and deleted all the same, until somebody
 * inserts it again, at whatever version.
 */
import type { HostedSimulation, SimulationContext, StateWrite, Value } from '../../../../src/index.ts'

export interface Grows {
  insert(x: number): Promise<void>
  contains(x: number): Promise<boolean>
}

export default class FutureIntSet implements HostedSimulation {
  static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' } as const
  static intercepts: readonly string[] = ['insert']
  readonly context: SimulationContext<Grows>
  constructor(context: SimulationContext<Grows>) {
    this.context = context
  }
  async insert(x: number) {
    this.context.state.delete(`deleted/${x}`)
    await this.context.delegate.insert(x)
  }
  async delete(x: number) {
    if (await this.context.delegate.contains(x)) this.context.state.put(`deleted/${x}`, x)
  }
  async contains(x: number) {
    return this.context.state.get(`deleted/${x}`) === undefined && (await this.context.delegate.contains(x))
  }
  intercept(_method: string, [x]: Value[]): StateWrite[] {
    return [{ delete: `deleted/${x}` }]
  }
}
