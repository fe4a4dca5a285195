/** Past SO whose insert makes blue what has a colour already. */
import PastIntSet from '../../v2/past-int-set.ts'

export default class WithoutIfAbsent extends PastIntSet {
  override async insert(x: number) {
    await this.context.delegate.insertColor(x, 'blue')
  }
}
