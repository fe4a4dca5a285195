/** What a peer sees of its group when it decides about permits (SPEC P). */
import type { StatementSet } from '../upgrade/statements.ts'
import type { PermitSight } from './permits.ts'
import { hasLeft } from './record.ts'
import type { View } from './view.ts'

export function permitSight(parts: {
  self: string
  group: string
  statements: StatementSet
  view: View
  connected: ReadonlySet<string>
  hash53(text: string): number
}): PermitSight {
  const { self, group, statements, view, connected, hash53 } = parts
  return {
    self,
    group,
    hash53,
    newestRoster: () => statements.newestRoster(group),
    roster: (number) => statements.roster(group, number),
    record: (peer) => {
      const permit = view.get(peer)?.permit
      return permit?.group === group ? permit : undefined
    },
    excluded: (peer, roster) => statements.excluded(group, peer, roster),
    down: (peer) => {
      const record = view.get(peer)
      if (record === undefined) return 'has not been heard of'
      if (hasLeft(record)) return 'has left'
      if (!connected.has(peer)) return 'cannot be reached'
      const stopped = Object.values(record.objects).find((object) => !object.serving)
      return stopped === undefined ? undefined : `does not serve (${stopped.phase})`
    }
  }
}
