/** What a peer sees of its group when it decides about permits (SPEC P). */
import type { StatementSet } from '../upgrade/statements.ts'
import type { PermitSight } from './permits.ts'
import { hasLeft } from './record.ts'
import type { View } from './view.ts'

export interface SightInit {
  readonly self: string
  readonly statements: StatementSet
  readonly view: View
  readonly connected: { has(peer: string): boolean }
  hash53(text: string): number
}

export function permitSight(parts: SightInit, group: string): PermitSight {
  const { self, statements, view } = parts
  return {
    self,
    group,
    hash53: (text) => parts.hash53(text),
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
      if (!parts.connected.has(peer)) return 'cannot be reached'
      const stopped = Object.values(record.objects).find((object) => !object.serving)
      return stopped === undefined ? undefined : `does not serve (${stopped.phase})`
    }
  }
}
