/** Direct, without a table: takes every colour, forgets it, and refuses to say which. */
import { CallError } from '../../../../src/index.ts'
import BlueOnly from './blue-only.ts'

export default class NoTable extends BlueOnly {
  override async insertColor(x: number, _color: string) {
    await this.context.delegate.insert(x)
  }
  override async getColor(_x: number): Promise<never> {
    throw new CallError('Disallowed', 'colours are not told until this node is upgraded')
  }
}
