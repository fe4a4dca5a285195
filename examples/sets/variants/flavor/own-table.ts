/** Direct future SO whose table hears nothing of deletions by callers of the old version. */
import FutureFlavorSet from '../../v3/future-flavor-set.ts'

export default class OwnTable extends FutureFlavorSet {
  static override intercepts = [] as never
}
