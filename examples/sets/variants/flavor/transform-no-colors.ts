/** A TF that leaves no colours behind. */
import type { TransformContext } from '../../../../src/index.ts'
import { key } from '../../v1/int-set.ts'

export default function transform(context: TransformContext): void {
  for (const [, value] of context.old.state.entries({ prefix: 'element/' })) {
    const [x] = value as [number, string]
    context.new.state.put(key(x), [x, context.future?.state.get(`flavor/${x}`) ?? 'plain'])
  }
}
