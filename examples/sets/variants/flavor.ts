/** ColorSet → FlavorSet; versions as in the example. */
import spec from '../v3/spec.ts'
import { always, type Family, refusing } from './variant.ts'

const onlyPlain = { insertFlavor: (_colors: unknown, _flavors: unknown, _x: number, f: string) => f !== 'plain' }
const red = 'insertColor(1, red)@2'
const mint = 'insertFlavor(1, mint)@3'
const plain = 'insertFlavor(1, plain)@3'
const color = 'getColor(1)@2'
const sequence = (history: readonly string[], answers: string, must: string) =>
  ({ is: 'wrong', rule: 'sequence', history, answers, must }) as const

export default {
  upgrade: 'ColorSet → FlavorSet',
  from: 2,
  to: 3,
  shipped: {
    old: 'v2/color-set.ts',
    new: 'v3/flavor-set.ts',
    future: 'v3/future-flavor-set.ts',
    past: 'v3/past-color-set.ts',
    transform: 'v3/transform.ts'
  },
  spec,
  variants: [
    { design: 'delete intercepted on each side, colours go by the TF to the past SO', expected: { is: 'correct' } },
    {
      design: 'future: direct, refuses all flavours but plain, inserts blue if absent',
      future: 'variants/flavor/plain-only.ts',
      spec: refusing(spec, { before: onlyPlain }),
      expected: { is: 'correct' }
    },
    {
      design: 'the same without "if absent"',
      future: 'variants/flavor/without-if-absent.ts',
      spec: refusing(spec, { before: onlyPlain }),
      expected: sequence([red, plain, color], 'blue', 'red')
    },
    {
      design: 'future: direct, own table of flavours, refuses nothing',
      future: 'variants/flavor/own-table.ts',
      expected: sequence([mint, 'delete(1)@2', red, 'getFlavor(1)@3'], 'mint', 'plain')
    },
    {
      design: 'past: direct, no colours, refuses getColor',
      past: 'variants/flavor/past-no-colors.ts',
      transform: 'variants/flavor/transform-no-colors.ts',
      spec: refusing(spec, { after: { getColor: always } }),
      expected: { is: 'correct' }
    },
    {
      design: 'past: direct, tells colours from the table of the TF',
      past: 'variants/flavor/past-own-table.ts',
      expected: sequence([red, '*upgrade*', 'delete(1)@3', plain, color], 'red', 'blue')
    },
    {
      design: 'past: interceptor, the TF leaves it no colours',
      transform: 'variants/flavor/transform-no-colors.ts',
      expected: sequence([red, '*upgrade*', color], 'blue', 'red')
    }
  ]
} satisfies Family
