/** Examples with a defect planted in them, and the histories over one sequence of calls. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type cutAnywhere, shortened } from '../../src/spec/histories.ts'
import { type Bench, type CallStep, judge, observersOf, type Violation } from '../../src/spec/judge.ts'

export const ROOT = join(import.meta.dirname, '../..')

/** A copy of an example in which texts of one file were replaced. @param file its path inside the example */
export async function variantOf(
  example: string,
  directory: string,
  file: string,
  ...changes: readonly (readonly [from: string, to: string])[]
): Promise<string> {
  const copy = await mkdtemp(join(directory, 'variant-'))
  await cp(join(ROOT, 'examples', example), copy, { recursive: true })
  for (const entry of await readdir(copy, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const text = (await readFile(path, 'utf8')).replaceAll('../../../src/', `${ROOT}/src/`)
    const own = path === join(copy, file) ? changes : []
    for (const [from] of own) assert.ok(text.includes(from), `${file} has no ${from}`)
    await writeFile(
      path,
      own.reduce((left, [from, to]) => left.replace(from, to), text)
    )
  }
  return copy
}

/** The first violation of all histories that this weave makes of the calls, by the shortest of these. */
export async function judgeEach(
  bench: Bench,
  calls: readonly CallStep[],
  weave: typeof cutAnywhere
): Promise<Violation | undefined> {
  const observers = observersOf(bench.spec, 1)
  const weaving = weave(calls, bench)
  let wasHeld = false
  const held = (isHeld: boolean) => {
    wasHeld = isHeld
  }
  for (let next = weaving.next(); !next.done; next = weaving.next(wasHeld)) {
    wasHeld = false
    const violation = await judge(bench, next.value, { observers, held })
    if (violation !== undefined) return await shortened(bench, violation)
  }
  return undefined
}
