/**
 * ColorSet on an IntSet: keeps a table of colours, forgets a colour when its element is deleted, or inserted while
 * absent, below it (the interceptor of the model's table that is correct and refuses nothing).
 */
import type { Effect, HostedSimulation, SimulationContext, StateWrite, Value } from '../../../src/index.ts'
import type IntSet from '../v1/int-set.ts'

type Delegate = { [M in 'insert' | 'delete' | 'contains']: (x: number) => Promise<Awaited<ReturnType<IntSet[M]>>> }

export default class FutureColorSet implements HostedSimulation {
  static methods = { insertColor: 'mutator', delete: 'mutator', contains: 'observer', getColor: 'observer' } as const
  static intercepts = ['insert', 'delete'] as const
  readonly context: SimulationContext<Delegate>
  constructor(context: SimulationContext<Delegate>) {
    this.context = context
  }
  async insertColor(x: number, color: string) {
    this.context.state.put(`color/${x}`, color)
    await this.context.delegate.insert(x)
  }
  async delete(x: number) {
    this.context.state.delete(`color/${x}`)
    await this.context.delegate.delete(x)
  }
  contains(x: number) {
    return this.context.delegate.contains(x)
  }
  async getColor(x: number) {
    if (!(await this.context.delegate.contains(x))) return null
    return this.context.state.get(`color/${x}`) ?? 'blue'
  }
  async intercept(method: string, [x]: Value[]): Promise<StateWrite[]> {
    if (method === 'insert' && (await this.context.delegate.contains(x as number))) return []
    return [{ delete: `color/${x}` }]
  }
  /** For SOs of later versions, which stack on this one. */
  async effects(method: string, [x]: Value[]): Promise<Effect[]> {
    if (method === 'delete') return [['delete', x]]
    return (await this.contains(x as number)) ? [] : [['insertColor', x, 'blue']]
  }
}
