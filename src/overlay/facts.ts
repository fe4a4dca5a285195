/** What the schedule of an upgrade looks at, as this peer sees it (SPEC S). */
import type { Generator } from '../prng.ts'
import type { ConstraintFacts } from '../schedule/constraints.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { PeerInit } from './events.ts'
import type { Guards } from './guards.ts'
import type { Locality } from './locality.ts'
import type { OwnPermit } from './own-permit.ts'
import type { Panels } from './panels.ts'
import type { Questions } from './questions.ts'

export interface FactsInit {
  readonly init: PeerInit
  readonly statements: StatementSet
  readonly log: UpgradeLog
  readonly panels: Panels
  readonly guards: Guards
  readonly questions: Questions
  readonly permit: OwnPermit
  readonly locality: Locality
  readonly generator: Generator
  now(): number
  hash53(text: string): number
}

/** Made at each evaluation; what costs more than a look-up is a function, asked for only where a condition names it. */
export function factsFor(parts: FactsInit, entry: Entry, object: string): ConstraintFacts {
  return {
    approved: parts.statements.approved(entry.hash),
    now: parts.now(),
    labels: parts.init.labels,
    place: (salt) => parts.hash53(`${entry.hash} ${parts.init.peer} ${salt}`) / 2 ** 53,
    draw: () => parts.generator.fraction(),
    classes: () =>
      parts.log
        .schemaOf(entry.hash)
        .versions(object)
        .map((one) => one.className),
    clockDoubt: () => parts.locality.clock.doubt(),
    isQuiet: (below) => parts.locality.load.isQuiet(below, parts.now()),
    locks: parts.locality.locks(parts.now()),
    opinion: (module) => parts.questions.opinion(entry, object, module, parts.now()),
    others: () => parts.panels.others(entry, object, parts.now()),
    evidence: () => parts.guards.evidence(entry, object),
    fellows: () => parts.permit.fellows()
  }
}
