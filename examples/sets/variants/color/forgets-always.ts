/** Forgets the colour on every insertion, also of an element that is there already. */
import type { StateWrite, Value } from '../../../../src/index.ts'
import FutureColorSet from '../../v2/future-color-set.ts'

export default class ForgetsAlways extends FutureColorSet {
  override async intercept(_method: string, [x]: Value[]): Promise<StateWrite[]> {
    return [{ delete: `color/${x}` }]
  }
}
