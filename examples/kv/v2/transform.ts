/**
 * TF, version 1 → 2 (SPEC K17): streams the log file of a KV into the store of a KV2, remembered calls included, and
 * adds what the future SO kept. It reads each line once, holds one frame in memory, and depends on nothing but its
 * untouched inputs, so it may be stopped anywhere and run again from the start.
 */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { LinkState, TransformContext } from '../../../src/versions/types.ts'
import { FILE_NAME, type Line } from '../v1/file-cells.ts'
import { readFrames } from '../v1/log-file.ts'
import { cellOfFlat } from './cells.ts'
import { StoreCells } from './store-cells.ts'

export default async function transform(context: TransformContext): Promise<void> {
  const path = join(context.old.directory, FILE_NAME)
  if (existsSync(path)) await copyFlat(path, context)
  if (context.future) copyNamed(context.future, context.new)
  // Without a future SO there is nothing of other namespaces here, and the member fills itself with it (K6).
  context.progress(1)
}

async function copyFlat(path: string, context: TransformContext): Promise<void> {
  const { size } = await stat(path)
  const cells = new StoreCells(context.new.state, 'flat')
  for await (const { records, end } of readFrames(path)) {
    for (const line of records as Line[]) {
      // Later lines replace earlier ones, here as when the object starts.
      if ('cell' in line) cells.put(cellOfFlat(line.cell), line.row)
      else if ('reserved' in line) cells.reserve(line.reserved)
      else cells.join()
    }
    context.progress(end / size)
  }
}

function copyNamed(future: LinkState, to: LinkState): void {
  for (const [key, value] of future.state.entries({ prefix: 'named/' })) to.state.put(key, value)
}
