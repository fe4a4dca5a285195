/** What an object sees of the peer that hosts it (SPEC L). */
import type { ConstraintFacts } from '../schedule/constraints.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Chronicle } from './chronicle.ts'
import type { PeerLimits } from './events.ts'
import { type FactsInit, factsFor } from './facts.ts'
import type { Leaving } from './leaving.ts'
import type { HostedObject } from './object.ts'
import type { Outbox } from './outbox.ts'
import type { Pieces } from './pieces.ts'

export interface Surroundings {
  readonly self: string
  readonly labels: Readonly<Record<string, string>>
  readonly log: UpgradeLog
  readonly statements: StatementSet
  readonly pieces: Pieces
  readonly outbox: Outbox
  readonly chronicle: Chronicle
  readonly drainMs: number
  /** Whether this peer holds a permit that this object may begin with. */
  holdsPermit(object: string): boolean
  /** Why the permit is not there yet, and whom that is about. */
  sayPermit(unavailable: number): { sentence: string; peers: string[] }
  /** What the schedule of an upgrade of this object looks at. */
  facts(entry: Entry, object: string): ConstraintFacts
  /** This peer is on its way out of the fleet. */
  leaves(): boolean
  /** Another object of this peer is between warming and serving again. */
  othersBusy(object: string): boolean
}

interface Parts extends FactsInit {
  readonly log: UpgradeLog
  readonly pieces: Pieces
  readonly outbox: Outbox
  readonly chronicle: Chronicle
  readonly limits: PeerLimits
  readonly leaving: Leaving
  readonly objects: ReadonlyMap<string, HostedObject>
}

export function surroundingsOf(parts: Parts): Surroundings {
  const { init, log, statements, pieces, outbox, chronicle, limits, leaving, objects, permit } = parts
  return {
    self: init.peer,
    labels: init.labels,
    log,
    statements,
    pieces,
    outbox,
    chronicle,
    drainMs: limits.drainMs,
    holdsPermit: (object) => permit.isHeldFor(object),
    sayPermit: (unavailable) => permit.say(unavailable),
    facts: (entry, object) => factsFor(parts, entry, object),
    leaves: () => leaving.isOrdered,
    othersBusy: (name) => [...objects.values()].some((object) => object.state.object !== name && object.busy)
  }
}
