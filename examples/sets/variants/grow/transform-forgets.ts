/** A TF that leaves nothing of the deleted elements to the past SO. */
import type { TransformContext } from '../../../../src/index.ts'
import { key } from '../../v1/int-set.ts'

export default function transform(context: TransformContext): void {
  for (const [, value] of context.old.state.entries({ prefix: 'element/' })) {
    const x = value as number
    if (context.future?.state.get(`deleted/${x}`) === undefined) context.new.state.put(key(x), x)
  }
}
