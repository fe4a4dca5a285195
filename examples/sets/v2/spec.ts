import { defineSpec } from '../../../src/spec/index.ts'
import { added, ColorSet, IntSet, removed, without } from '../models.ts'

export default defineSpec({
  old: IntSet,
  new: ColorSet,
  invariant: (set, colors) => set.length === Object.keys(colors).length && set.every((x) => x in colors),
  mapping: (set) => Object.fromEntries(set.map((x) => [x, 'blue'])),
  shadows: {
    old: { insertColor: (set, x, _color) => added(set, x), delete: removed },
    new: {
      insert: (colors, x) => (x in colors ? colors : { ...colors, [x]: 'blue' }),
      delete: (colors, x) => without(colors, x)
    }
  }
})
