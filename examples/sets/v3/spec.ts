import { defineSpec } from '../../../src/spec/index.ts'
import { ColorSet, FlavorSet, without } from '../models.ts'

const elements = (set: object): string => Object.keys(set).sort().join()

export default defineSpec({
  old: ColorSet,
  new: FlavorSet,
  invariant: (colors, flavors) => elements(colors) === elements(flavors),
  mapping: (colors) => Object.fromEntries(Object.keys(colors).map((x) => [x, 'plain'])),
  shadows: {
    old: {
      insertFlavor: (colors, x, _flavor) => (x in colors ? colors : { ...colors, [x]: 'blue' }),
      delete: (colors, x) => without(colors, x)
    },
    new: {
      insertColor: (flavors, x, _color) => (x in flavors ? flavors : { ...flavors, [x]: 'plain' }),
      delete: (flavors, x) => without(flavors, x)
    }
  }
})
