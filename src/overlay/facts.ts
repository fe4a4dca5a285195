/** What the schedule of an upgrade looks at, as this peer sees it (SPEC S). */
import type { Facts } from '../schedule/evaluate.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Canaries } from './canaries.ts'

export interface FactsInit {
  readonly self: string
  readonly labels: Readonly<Record<string, string>>
  readonly statements: StatementSet
  readonly canaries: Canaries
  now(): number
  hash53(text: string): number
}

/** Made at each evaluation; what costs more than a look-up is a function, asked for only where a condition names it. */
export function factsFor(init: FactsInit, entry: Entry, object: string): Facts {
  return {
    approved: init.statements.approved(entry.hash),
    now: init.now(),
    labels: init.labels,
    place: (salt) => init.hash53(`${entry.hash} ${init.self} ${salt}`) / 2 ** 53,
    canaries: () => init.canaries.facts(entry, object, init.now())
  }
}
