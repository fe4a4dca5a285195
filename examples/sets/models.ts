/** The types of the method's own examples, as models: what their methods mean, whatever code implements them. */
import { alike, defineType, oneOf } from '../../src/spec/index.ts'

export const element = alike(1, 2)
export const color = oneOf('blue', 'red')
export const flavor = oneOf('plain', 'mint')

const sorted = (elements: Iterable<number>): number[] => [...new Set(elements)].sort((a, b) => a - b)
export const added = (set: readonly number[], x: number): number[] => sorted([...set, x])
export const removed = (set: readonly number[], x: number): number[] => set.filter((one) => one !== x)

export const IntSet = defineType({
  initial: [] as number[],
  methods: ({ observer, mutator }) => ({
    insert: mutator([element], added),
    delete: mutator([element], removed),
    contains: observer([element], (set, x) => set.includes(x))
  })
})

/** Element → colour. */
export type Colors = Readonly<Record<number, string>>
/** Element → flavour. */
export type Flavors = Readonly<Record<number, string>>
export function without<Value>(pairs: Readonly<Record<number, Value>>, x: number): Readonly<Record<number, Value>> {
  return Object.fromEntries(Object.entries(pairs).filter(([one]) => Number(one) !== x))
}

export const ColorSet = defineType({
  initial: {} as Colors,
  methods: ({ observer, mutator }) => ({
    insertColor: mutator([element, color], (set, x, c) => ({ ...set, [x]: c })),
    delete: mutator([element], (set, x) => without(set, x)),
    contains: observer([element], (set, x) => x in set),
    getColor: observer([element], (set, x) => set[x] ?? null)
  })
})

export const FlavorSet = defineType({
  initial: {} as Flavors,
  methods: ({ observer, mutator }) => ({
    insertFlavor: mutator([element, flavor], (set, x, f) => ({ ...set, [x]: f })),
    delete: mutator([element], (set, x) => without(set, x)),
    contains: observer([element], (set, x) => x in set),
    getFlavor: observer([element], (set, x) => set[x] ?? null)
  })
})

/** A set that never shrinks. */
export const GrowSet = defineType({
  initial: [] as number[],
  methods: ({ observer, mutator }) => ({
    insert: mutator([element], added),
    contains: observer([element], (set, x) => set.includes(x))
  })
})
