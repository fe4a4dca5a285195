/** Interceptor of deletions only: that suffices, for who inserts an absent element comes after its deletion. */
import FutureColorSet from '../../v2/future-color-set.ts'

export default class ForgetsOnDelete extends FutureColorSet {
  static override intercepts = ['delete'] as never
}
