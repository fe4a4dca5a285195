/** Direct future SO that remembers deletions and hears nothing of insertions by callers of the old version. */
import FutureIntSet from '../../grow/v2/future-int-set.ts'

export default class OwnTable extends FutureIntSet {
  static override intercepts = []
}
