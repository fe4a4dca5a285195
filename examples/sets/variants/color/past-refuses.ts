/** Past SO that refuses everything. */
import { CallError } from '../../../../src/index.ts'
import PastIntSet from '../../v2/past-int-set.ts'

const refuse = async (): Promise<never> => {
  throw new CallError('Disallowed', 'not any more')
}

export default class PastRefuses extends PastIntSet {
  override insert = refuse
  override delete = refuse
  override contains = refuse
}
