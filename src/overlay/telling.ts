/** Who hears of what is new about this peer, and when (SPEC O5, O21). */
import type { UpgradeLog } from '../upgrade/log.ts'
import type { AntiEntropy } from './antientropy.ts'
import type { Census } from './census.ts'
import { countedIn } from './counted.ts'
import type { Membership } from './membership.ts'
import type { OwnRecord, Present } from './own-record.ts'
import type { Panels } from './panels.ts'
import type { ObjectRecord, PermitRecord } from './record.ts'
import { Signals } from './signals.ts'
import type { View } from './view.ts'

export interface TellingInit {
  readonly self: string
  readonly group: string | null
  readonly log: UpgradeLog
  readonly view: View
  readonly ownRecord: OwnRecord
  readonly membership: Membership
  readonly panels: Panels
  readonly census: Census
  readonly antiEntropy: AntiEntropy
  readonly addresses: readonly string[]
  readonly objects: Iterable<readonly [string, { record(): ObjectRecord }]>
  readonly permit: { readonly record: PermitRecord | null }
  readonly leaving: { readonly isGone: boolean; readonly obeyed: number }
}

export class Telling {
  readonly #init: TellingInit
  readonly #signals: Signals

  constructor(init: TellingInit) {
    this.#init = init
    this.#signals = new Signals(init.log)
  }

  /** O5: what members of the group act on they hear at once; all else goes with the next round, which it may bring forward. */
  tell(now: number): void {
    const { self, group, log, view, ownRecord, membership, panels, census, antiEntropy } = this.#init
    const present = this.#present()
    const news = ownRecord.note(present, now)
    if (news === undefined) return
    antiEntropy.within(census.own(countedIn(present, log), now), now)
    const { neighbours } = membership
    const isSignal = this.#signals.moved(present) && view.isFull
    if (present.left || isSignal) antiEntropy.push(neighbours.all(), ownRecord.seal(now))
    else if (news.forFellows && group !== null) antiEntropy.push(membership.fellows(), ownRecord.seal(now))
    else if (neighbours.size === 0) ownRecord.seal(now)
    // In a large fleet a view is a sample: nobody waits for one peer of it, unless it failed, has moved, or is judged.
    const isAwaited = news.forAll || panels.has(self)
    if (isAwaited || !view.isFull) antiEntropy.wake(now, isAwaited)
  }

  #present(): Present {
    const { log, addresses, permit, leaving } = this.#init
    const objects: Record<string, ObjectRecord> = {}
    for (const [name, object] of this.#init.objects) objects[name] = object.record()
    const { isGone: left, obeyed } = leaving
    return { head: log.head, addresses, objects, permit: permit.record, left, obeyed }
  }
}
