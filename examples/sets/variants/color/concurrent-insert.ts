/** Past SO that lets other mutators run between the two delegate calls of its insert. */
import PastIntSet from '../../v2/past-int-set.ts'

export default class ConcurrentInsert extends PastIntSet {
  static override methods = { ...PastIntSet.methods, insert: { kind: 'mutator', concurrent: true } } as never
}
