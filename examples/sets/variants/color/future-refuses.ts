/** Future SO that refuses everything. */
import { CallError } from '../../../../src/index.ts'
import FutureColorSet from '../../v2/future-color-set.ts'

const refuse = async (): Promise<never> => {
  throw new CallError('Disallowed', 'not before this node is upgraded')
}

export default class FutureRefuses extends FutureColorSet {
  static override intercepts = [] as never
  override insertColor = refuse
  override delete = refuse
  override contains = refuse
  override getColor = refuse
}
