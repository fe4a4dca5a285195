/** What an object sees of the peer that hosts it (SPEC L). */
import type { ConstraintFacts } from '../schedule/constraints.ts'
import type { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import type { StatementSet } from '../upgrade/statements.ts'
import type { Chronicle } from './chronicle.ts'
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
  readonly init: { readonly allowed?: readonly string[] | undefined }
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
