/** A new object that goes on refusing what its future SO refused. */
import { CallError } from '../../../../src/index.ts'
import ColorSet from '../../v2/color-set.ts'

export default class RefusingColorSet extends ColorSet {
  override getColor(_x: number): never {
    throw new CallError('Disallowed', 'colours are not told')
  }
}
