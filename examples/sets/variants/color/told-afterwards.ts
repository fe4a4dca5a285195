/**
 * Learns of an insertion only when it has happened. An interception comes before; so this one notes the call and looks
 * at the state when it runs next, and then the element is there, whether it was before or not.
 */
import type { StateWrite, Value } from '../../../../src/index.ts'
import ForgetsOnInsert from './forgets-on-insert.ts'

export default class ToldAfterwards extends ForgetsOnInsert {
  override async intercept(_method: string, [x]: Value[]): Promise<StateWrite[]> {
    return [...(await this.#late()), { put: [`told/${x}`, x] }]
  }
  override async insertColor(x: number, color: string) {
    for (const write of await this.#late()) if ('delete' in write) this.context.state.delete(write.delete)
    await super.insertColor(x, color)
  }
  /** What it makes of the insertions that it was told of. */
  async #late(): Promise<StateWrite[]> {
    const writes: StateWrite[] = []
    for (const [key, x] of this.context.state.entries({ prefix: 'told/' })) {
      writes.push({ delete: key })
      if (!(await this.contains(x as number))) writes.push({ delete: `color/${x}` })
    }
    return writes
  }
}
