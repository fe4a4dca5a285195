/** What a caller means by a class and a version. */
import type { UpgradeLog } from '../upgrade/log.ts'
import type { LineageVersion } from '../upgrade/schema.ts'
import type { HostedObject } from './object.ts'

/** `object`: the lineage. */
export type Resolved = LineageVersion & { object: string }

/** By the chain, or by a branch that an object here runs: it stays in service (T6). */
export function resolveClass(
  log: UpgradeLog,
  objects: Iterable<HostedObject>,
  className: string,
  version: number
): Resolved | undefined {
  const found = log.schema.find(className, version)
  if (found !== undefined || log.fork.length === 0) return found
  for (const { state } of objects) {
    const branch = state.current === null ? undefined : log.schemaOf(state.current.entry)
    const known = branch?.find(className, version)
    if (known !== undefined) return known
  }
  return undefined
}
