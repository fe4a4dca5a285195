/** Direct past SO that refuses contains only of what is not there now: it may have been. */
import { CallError } from '../../../../src/index.ts'
import PastPassesThrough from './past-passes-through.ts'

export default class PastTellsPresent extends PastPassesThrough {
  override async contains(x: number) {
    if (await this.context.delegate.contains(x)) return true
    throw new CallError('Disallowed', 'whether it was inserted before is not known any more')
  }
}
