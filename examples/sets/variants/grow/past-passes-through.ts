/** Direct past SO: says of a set that never shrinks what the new one says. */
import PastGrowSet from '../../grow/v2/past-grow-set.ts'

export default class PastPassesThrough extends PastGrowSet {
  static override intercepts = []
  override contains(x: number) {
    return this.context.delegate.contains(x)
  }
}
