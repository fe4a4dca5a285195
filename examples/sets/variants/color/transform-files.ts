/** TF of a FileIntSet with a FileTable, if one was started. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TransformContext } from '../../../../src/index.ts'
import { key } from '../../v1/int-set.ts'

export default function transform({ old, future, new: next }: TransformContext): void {
  for (const x of readdirSync(old.directory)) {
    const path = future === null ? undefined : join(future.directory, x)
    const color = path !== undefined && existsSync(path) ? readFileSync(path, 'utf8') : 'blue'
    next.state.put(key(Number(x)), [Number(x), color])
  }
}
