/**
 * The parts of one peer, and what they see of each other. Each part names what it needs in a narrow interface of its own;
 * this is one object that fits them all, since a closure for each of them would be most of what an idle peer takes.
 */

import { Generator } from '../prng.ts'
import type { ConstraintFacts } from '../schedule/constraints.ts'
import { SmallMap } from '../small.ts'
import { UpgradeLog } from '../upgrade/log.ts'
import type { Entry } from '../upgrade/manifest.ts'
import { StatementSet } from '../upgrade/statements.ts'
import { type Admission, EVERYBODY, TicketAdmission } from './admission.ts'
import { AntiEntropy } from './antientropy.ts'
import { Census } from './census.ts'
import { Chronicle } from './chronicle.ts'
import { type Authority, DEFAULT_LIMITS, type PeerInit, type PeerLimits } from './events.ts'
import { factsFor } from './facts.ts'
import { Guards } from './guards.ts'
import { Keepers } from './keepers.ts'
import { Laggards } from './laggards.ts'
import { Learning } from './learning.ts'
import { Leaving } from './leaving.ts'
import { Locality } from './locality.ts'
import { Membership } from './membership.ts'
import type { HostedObject } from './object.ts'
import { Outbox } from './outbox.ts'
import { OwnPermit } from './own-permit.ts'
import { OwnRecord } from './own-record.ts'
import { Panels } from './panels.ts'
import type { Pieces } from './pieces.ts'
import { Questions } from './questions.ts'
import type { PeerRecord } from './record.ts'
import { Roots } from './roots.ts'
import type { Surroundings } from './surroundings.ts'
import { Telling } from './telling.ts'
import { Turns } from './turns.ts'
import { type Pins, View } from './view.ts'

export class Parts implements Surroundings {
  readonly init: PeerInit
  readonly limits: PeerLimits
  readonly authority: Authority
  readonly generator: Generator
  readonly hash53: (text: string) => number
  readonly outbox = new Outbox(this)
  readonly objects = new SmallMap<string, HostedObject>()
  readonly log: UpgradeLog
  readonly statements: StatementSet
  readonly roots: Roots
  readonly chronicle: Chronicle
  readonly panels: Panels
  readonly laggards: Laggards
  readonly pins: readonly Pins[]
  readonly view: View
  readonly locality: Locality
  readonly leaving: Leaving
  readonly ownRecord: OwnRecord
  readonly membership: Membership
  readonly admission: Admission
  readonly keepers: Keepers
  readonly census: Census
  readonly antiEntropy: AntiEntropy
  readonly learning: Learning
  readonly guards: Guards
  readonly questions: Questions
  readonly permit: OwnPermit
  readonly telling: Telling
  readonly turns: Turns
  /** Where this peer can be dialled. */
  addresses: readonly string[]
  /** Time of the step that is under way, ms. */
  time = 0

  /** @param snapshot what earlier steps persisted: key → plain value. */
  constructor(init: PeerInit, authority: Authority, snapshot: ReadonlyMap<string, unknown>) {
    this.init = init
    this.limits = limitsOf(init)
    this.addresses = init.addresses
    this.authority = authority
    this.hash53 = (text) => authority.hash53(text)
    this.generator = new Generator(init.seed)
    this.log = new UpgradeLog(authority.fleet, authority.logs)
    this.statements = new StatementSet(this.hash53)
    this.roots = new Roots(this)
    this.chronicle = new Chronicle(this, snapshot)
    this.panels = new Panels(this)
    this.laggards = new Laggards(this)
    this.pins = [this.panels, this.laggards]
    this.view = new View(this)
    this.locality = new Locality(this, snapshot.get('locks'))
    this.leaving = new Leaving(this, snapshot.get('left'))
    this.ownRecord = new OwnRecord(this, snapshot.get('peer'))
    this.membership = new Membership(this, snapshot.get('contacts'))
    this.admission = this.roots.trust.isPrivate ? new TicketAdmission(this) : EVERYBODY
    this.keepers = new Keepers(this)
    this.census = new Census(this.self, this.hash53, this)
    this.antiEntropy = new AntiEntropy(this)
    this.learning = new Learning(this)
    this.guards = new Guards(this)
    this.questions = new Questions(this)
    this.permit = new OwnPermit(this, snapshot.get('permit'))
    this.telling = new Telling(this)
    this.turns = new Turns(this)
  }

  get self(): string {
    return this.init.peer
  }
  get group(): string | null {
    return this.init.group
  }
  get labels(): Readonly<Record<string, string>> {
    return this.init.labels
  }
  get pieces(): Pieces {
    return this.keepers.pieces
  }
  get connected(): { has(peer: string): boolean } {
    return this.membership.neighbours.connected
  }
  now(): number {
    return this.time
  }

  isNeighbour(peer: string): boolean {
    return this.membership.neighbours.has(peer)
  }
  isCutOff(): boolean {
    return this.membership.isCutOff
  }
  /** Records that the view keeps whatever else there is. */
  isKept({ peer, group }: PeerRecord): boolean {
    if (this.isNeighbour(peer)) return true
    return this.init.group !== null && group === this.init.group && this.membership.mayBeFellow(peer)
  }
  /** A peer that was known has gone for good. */
  lost(): void {
    this.census.lost(this.time)
  }
  /** Whether an object here waits for what others show: their records are wanted sooner than for the sample's sake. */
  awaitsOthers(): boolean {
    for (const object of this.objects.values()) if (object.awaitsOthers) return true
    return false
  }
  /** Makes the own record say what is so now. */
  freshen(): void {
    this.ownRecord.seal(this.time)
  }

  // ---- what objects see

  get drainMs(): number {
    return this.limits.drainMs
  }
  facts(entry: Entry, object: string): ConstraintFacts {
    return factsFor(this, entry, object)
  }
  holdsPermit(object: string): boolean {
    return this.permit.isHeldFor(object)
  }
  sayPermit(unavailable: number): { sentence: string; peers: string[] } {
    return this.permit.say(unavailable)
  }
  leaves(): boolean {
    return this.leaving.isOrdered
  }
  othersBusy(name: string): boolean {
    for (const object of this.objects.values()) if (object.state.object !== name && object.busy) return true
    return false
  }
}

/** Peers of one configuration share it: a simulated fleet has one. */
const LIMITS = new WeakMap<object, PeerLimits>()

function limitsOf({ limits }: PeerInit): PeerLimits {
  if (limits === undefined) return DEFAULT_LIMITS
  let found = LIMITS.get(limits)
  if (found === undefined) {
    found = { ...DEFAULT_LIMITS, ...limits }
    LIMITS.set(limits, found)
  }
  return found
}
