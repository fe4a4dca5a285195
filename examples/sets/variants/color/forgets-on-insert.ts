/** Interceptor of insertions only: whoever finds the element absent makes it blue. */
import FutureColorSet from '../../v2/future-color-set.ts'

export default class ForgetsOnInsert extends FutureColorSet {
  static override intercepts = ['insert'] as never
}
