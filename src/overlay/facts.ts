/** What the schedule of an upgrade looks at, as this peer sees it (SPEC S). */
import type { Facts } from '../schedule/evaluate.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Canaries } from './canaries.ts'
import type { PeerInit } from './events.ts'

export interface FactsInit {
  readonly init: PeerInit
  readonly statements: StatementSet
  readonly canaries: Canaries
  now(): number
  hash53(text: string): number
}

/** Made at each evaluation; what costs more than a look-up is a function, asked for only where a condition names it. */
export function factsFor(parts: FactsInit, entry: Entry, object: string): Facts {
  return {
    approved: parts.statements.approved(entry.hash),
    now: parts.now(),
    labels: parts.init.labels,
    place: (salt) => parts.hash53(`${entry.hash} ${parts.init.peer} ${salt}`) / 2 ** 53,
    canaries: () => parts.canaries.facts(entry, object, parts.now())
  }
}
