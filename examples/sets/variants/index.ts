/** All designs of the examples, by class upgrade. */
import color from './color.ts'
import flavor from './flavor.ts'
import grow from './grow.ts'
import type { Family } from './variant.ts'

export const families: readonly Family[] = [color, flavor, grow]
