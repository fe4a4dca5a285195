/** Direct past SO that refuses contains. */
import { CallError } from '../../../../src/index.ts'
import PastPassesThrough from './past-passes-through.ts'

export default class PastNeverTells extends PastPassesThrough {
  override async contains(_x: number): Promise<never> {
    throw new CallError('Disallowed', 'what was inserted is not known any more')
  }
}
