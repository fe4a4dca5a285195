/** GrowSet on an IntSet: remembers what was deleted below it; the TF left it what was deleted before the upgrade. */
import type { HostedSimulation, SimulationContext, StateWrite, Value } from '../../../../src/index.ts'

export interface Ints {
  insert(x: number): Promise<void>
  contains(x: number): Promise<boolean>
}

export default class PastGrowSet implements HostedSimulation {
  static methods = { insert: 'mutator', contains: 'observer' } as const
  static intercepts: readonly string[] = ['delete']
  readonly context: SimulationContext<Ints>
  constructor(context: SimulationContext<Ints>) {
    this.context = context
  }
  insert(x: number) {
    return this.context.delegate.insert(x)
  }
  async contains(x: number) {
    return this.context.state.get(`deleted/${x}`) !== undefined || (await this.context.delegate.contains(x))
  }
  async intercept(_method: string, [x]: Value[]): Promise<StateWrite[]> {
    const isThere = await this.context.delegate.contains(x as number)
    return isThere ? [{ put: [`deleted/${x}`, x] }] : []
  }
}
