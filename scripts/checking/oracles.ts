/** Runs the check on every design of the examples and holds what it says against what is known of each. */
import { join } from 'node:path'
import { families } from '../../examples/sets/variants/index.ts'
import type { Family, Variant } from '../../examples/sets/variants/variant.ts'
import { load } from './modules.ts'
import { disagreements, EXTENTS, type Found, type Verdict, verdictOf } from './verdict.ts'

const SETS = join(import.meta.dirname, '../../examples/sets')

export interface Row {
  upgrade: string
  design: string
  expected: Variant['expected']
  found: Found | null
  /** Refusals that this design does not need, and those that only one that intercepts everything would not. */
  droppable: string[]
  needless: string[]
  coverage: Verdict['coverage']
  /** Empty if the check says what is known. */
  disagreements: string[]
}

export async function judgeDesign(family: Family, variant: Variant, extent: keyof typeof EXTENTS): Promise<Row> {
  const parts = { ...family.shipped, ...variant }
  const loaded = await load(SETS, family, parts, variant.spec ?? family.spec, variant.where)
  const verdict = await verdictOf(loaded, EXTENTS[extent][variant.where ?? 'memory'])
  return {
    upgrade: family.upgrade,
    design: variant.design,
    expected: variant.expected,
    found: verdict.found,
    droppable: verdict.droppable,
    needless: verdict.needless.filter((one) => !verdict.droppable.includes(one)),
    coverage: verdict.coverage,
    disagreements: disagreements(variant, verdict)
  }
}

export interface Speed {
  histories: number
  calls: number
  seconds: number
  /** Of the processor: what counts where others work on the same machine. */
  processorSeconds: number
}

/** The shipped IntSet → ColorSet: one element to 5 mutators, two to 4, the upgrade anywhere, all observers after every step. */
export async function exhaustShipped(): Promise<Speed> {
  const family = families[0]!
  const loaded = await load(SETS, family, family.shipped, family.spec)
  const [begin, used] = [performance.now(), process.cpuUsage()]
  const { found, coverage } = await verdictOf(loaded, EXTENTS.full.memory.slice(0, 2))
  if (found !== null) throw new Error(`the shipped upgrade is wrong: ${found.history.join('; ')}`)
  const { user, system } = process.cpuUsage(used)
  return { ...coverage, seconds: (performance.now() - begin) / 1e3, processorSeconds: (user + system) / 1e6 }
}
