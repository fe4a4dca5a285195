/** Past SO of which callers' nodes may run whatever makes one delegate call. */
import PastIntSet from '../../v2/past-int-set.ts'

export default class StatelessRest extends PastIntSet {
  static override methods = {
    insert: 'mutator',
    delete: { kind: 'mutator', stateless: true },
    contains: { kind: 'observer', stateless: true }
  } as never
}
