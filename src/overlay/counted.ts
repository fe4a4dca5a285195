/** What one peer adds to the counts of a roll-out: of its record, so that everybody counts alike (SPEC O21). */
import type { UpgradeLog } from '../upgrade/log.ts'
import type { ObjectRecord } from './record.ts'

/** `run`: it is the current version. `simulate`: calls at it are answered by a future SO. `failed`: it went back from it. */
export const COUNTED = ['run', 'simulate', 'failed'] as const
export type Counted = (typeof COUNTED)[number]

export interface Count {
  object: string
  version: number
  /** Hash of the entry, its first 16 digits as in records. */
  entry: string
  what: Counted
}

export function countedIn(
  record: { objects: Readonly<Record<string, ObjectRecord>>; left?: boolean | undefined },
  log: UpgradeLog
): Count[] {
  if (record.left === true) return []
  const counts: Count[] = []
  for (const [object, { version, entry, highest, failed }] of Object.entries(record.objects)) {
    if (version > 0) counts.push({ object, version, entry, what: 'run' })
    for (const one of log.schema.versions(object)) {
      const of = { object, version: one.version, entry: one.entry.hash.slice(0, 16) }
      if (one.version <= version) continue
      if (version > 0 && one.version <= highest) counts.push({ ...of, what: 'simulate' })
      if (failed.some((failure) => failure.version === one.version)) counts.push({ ...of, what: 'failed' })
    }
  }
  // Held by every peer: no longer than it has to be.
  return counts.slice()
}
