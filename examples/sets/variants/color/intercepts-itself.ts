/** Offers its own delegate calls to its own interception. The chain never does that; here the SO does it itself. */
import FutureColorSet from '../../v2/future-color-set.ts'

export default class InterceptsItself extends FutureColorSet {
  override async insertColor(x: number, color: string) {
    this.context.state.put(`color/${x}`, color)
    for (const write of await this.intercept('insert', [x]))
      if ('delete' in write) this.context.state.delete(write.delete)
    await this.context.delegate.insert(x)
  }
}
