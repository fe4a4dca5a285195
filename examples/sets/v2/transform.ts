/** TF of IntSet → ColorSet: every element gets its colour from the future SO's table, else blue. */
import type { TransformContext } from '../../../src/index.ts'
import { key } from '../v1/int-set.ts'

export default function transform(context: TransformContext): void {
  const elements = [...context.old.state.entries({ prefix: 'element/' })]
  elements.forEach(([, x], index) => {
    const color = context.future?.state.get(`color/${x}`) ?? 'blue'
    context.new.state.put(key(x as number), [x, color])
    context.progress((index + 1) / elements.length)
  })
}
