/** Breaks the shipped code of the sets and runs the check on it. */
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { families } from '../../examples/sets/variants/index.ts'
import type { Family } from '../../examples/sets/variants/variant.ts'
import { simulateAnywhere, upgradeAnywhere } from '../../src/spec/histories.ts'
import { load } from './modules.ts'
import type { Mutant } from './mutants.ts'
import { EXTENTS, type Found, type Pass, verdictOf } from './verdict.ts'

const ROOT = join(import.meta.dirname, '../..')
/** One element for long, then two: some faults mix up elements. */
const PASSES: readonly Pass[] = [
  [upgradeAnywhere, { mutators: 2 }],
  ...EXTENTS.short.memory,
  [upgradeAnywhere, { mutators: 3 }],
  [simulateAnywhere, { mutators: 2 }]
]

export interface Tried {
  mutant: Mutant
  found: Found | null
}

/** @throws if the text to be replaced is not there once */
export async function tryMutant(mutant: Mutant, passes = PASSES): Promise<Tried> {
  const family = familyOf(mutant)
  // A tree of its own, so that no module is taken for its original.
  const directory = await mkdtemp(join(tmpdir(), 'upstart-mutant-'))
  try {
    await writeFile(join(directory, 'package.json'), '{ "type": "module" }')
    await symlink(join(ROOT, 'src'), join(directory, 'src'))
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    const sets = join(directory, 'examples/sets')
    for (const part of (await readdir(join(ROOT, 'examples/sets'))).filter((one) => one !== 'variants'))
      await cp(join(ROOT, 'examples/sets', part), join(sets, part), { recursive: true })
    const path = join(sets, mutant.file)
    const parts = (await readFile(path, 'utf8')).split(mutant.from)
    if (parts.length !== 2)
      throw new Error(`${mutant.file} (${mutant.what}): ${mutant.from} is there ${parts.length - 1} times, not once`)
    await writeFile(path, parts.join(mutant.to))
    const loaded = await load(sets, family, family.shipped, family.spec)
    return { mutant, found: (await verdictOf(loaded, passes, { effects: true })).found }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function familyOf({ file }: Mutant): Family {
  const family = families.find(({ shipped }) => Object.values(shipped).includes(file))
  if (family === undefined) throw new Error(`${file} belongs to no upgrade of the examples`)
  return family
}

/** Whether the check and what is known disagree, either way. */
export const isMissed = ({ mutant, found }: Tried): boolean => (found === null) !== (mutant.same !== undefined)

/** One row of the table in docs/check.md. */
export function rowOf({ mutant, found }: Tried): string[] {
  const { file, what, same } = mutant
  const history = found === null ? '' : `${found.history.join('; ')} = ${found.answers || 'another state'}`
  const by = found === null ? `nothing: ${same ?? 'MISSED'}` : `${found.rule}: ${history}`
  return [file, what, by].map((cell) => cell.replaceAll('||', 'beside'))
}
