/** A TF that maps anew, as if nobody had called the new version yet. */
import type { TransformContext } from '../../../../src/index.ts'
import transform from '../../v2/transform.ts'

export default (context: TransformContext) => transform({ ...context, future: null })
