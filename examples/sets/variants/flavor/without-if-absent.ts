/** Makes blue what has a colour already. */
import { CallError } from '../../../../src/index.ts'
import PlainOnly from './plain-only.ts'

export default class WithoutIfAbsent extends PlainOnly {
  override async insertFlavor(x: number, flavor: string) {
    if (flavor !== 'plain') throw new CallError('Disallowed', 'until this node is upgraded every element is plain')
    await this.context.delegate.insertColor(x, 'blue')
  }
}
