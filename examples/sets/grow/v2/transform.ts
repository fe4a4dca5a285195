/** TF of GrowSet → IntSet: what callers of the new version deleted goes to the past SO, the rest to the new object. */
import type { TransformContext } from '../../../../src/index.ts'
import { key } from '../../v1/int-set.ts'

export default function transform(context: TransformContext): void {
  const elements = [...context.old.state.entries({ prefix: 'element/' })]
  elements.forEach(([, value], index) => {
    const x = value as number
    if (context.future?.state.get(`deleted/${x}`) === undefined) context.new.state.put(key(x), x)
    else context.past.state.put(`deleted/${x}`, x)
    context.progress((index + 1) / elements.length)
  })
}
