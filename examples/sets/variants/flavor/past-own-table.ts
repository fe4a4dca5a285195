/** Direct past SO that tells colours from the table that the TF left it. */
import PastColorSet from '../../v3/past-color-set.ts'

export default class PastOwnTable extends PastColorSet {
  static override intercepts = [] as never
}
