/** Past SO that claims that callers' nodes may run its insert, although that makes two delegate calls. */
import PastIntSet from '../../v2/past-int-set.ts'

export default class StatelessInsert extends PastIntSet {
  static override methods = { ...PastIntSet.methods, insert: { kind: 'mutator', stateless: true } } as never
}
