/** TF of ColorSet → FlavorSet: flavours come from the future SO's table, else plain; colours go to the past SO. */
import type { TransformContext } from '../../../src/index.ts'
import { key } from '../v1/int-set.ts'

export default function transform(context: TransformContext): void {
  const elements = [...context.old.state.entries({ prefix: 'element/' })]
  elements.forEach(([, value], index) => {
    const [x, color] = value as [number, string]
    const flavor = context.future?.state.get(`flavor/${x}`) ?? 'plain'
    context.new.state.put(key(x), [x, flavor])
    context.past.state.put(`color/${x}`, color)
    context.progress((index + 1) / elements.length)
  })
}
